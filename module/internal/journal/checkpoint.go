package journal

import (
	"context"
	"database/sql"

	"go.uber.org/zap"
)

// checkpointAfter is how many operations are committed before the write-ahead log is carried over
// into the database.
const checkpointAfter = 4000

// checkpointer carries the write-ahead log over into the database on a connection of its own, while
// the writer goes on. Left to itself SQLite does it within somebody's commit, and every thousandth of
// them would take some ten milliseconds.
//
// Under a steady load it never catches up with the writer, and the log could never begin anew. That
// is left to SQLite's own way, which the writer's connection keeps as a backstop at 64 MiB and which
// then finds next to nothing left to do.
type checkpointer struct {
	db        *sql.DB
	statement string
	log       *zap.Logger
	suspect   func(error) bool // told what goes wrong
	due       chan struct{}    // holds one: more is not needed
	committed int              // since due was last signalled; the writer's
}

// count is told by the writer how many operations it has committed. A nil checkpointer counts nothing.
func (c *checkpointer) count(n int) {
	if c == nil {
		return
	}
	if c.committed += n; c.committed < checkpointAfter {
		return
	}
	c.committed = 0
	select {
	case c.due <- struct{}{}:
	default:
	}
}

// loop is the checkpointer's goroutine.
func (c *checkpointer) loop(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.due:
			c.run()
		}
	}
}

func (c *checkpointer) run() {
	defer recovered(c.log, "checkpointing the journal panicked")
	// What cannot be carried over stays in the log, from where it is read just as well.
	if _, err := c.db.Exec(c.statement); err != nil && !c.suspect(err) {
		c.log.Warn("checkpointing the journal", zap.Error(err))
	}
}
