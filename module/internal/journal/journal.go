// Package journal keeps what must survive: pushes that WeChat was told success for, replies on their
// way to users, what is known of each user, and dead letters. It is a SQL database, SQLite by default.
//
// Claiming a push and appending it are one insert, whose unique key is the de-duplication. What
// follows from one outside effect is recorded in one transaction. All writes go through one writer,
// which commits together what waits together; reads have connections of their own and see what is
// committed.
//
// Text and ids are never part of an error of this package.
package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gofrs/flock"
	"go.uber.org/zap"
)

// Sync says when a write counts as done.
type Sync string

const (
	// Full is the default: what was acknowledged is on disk and survives a loss of power.
	Full Sync = "full"

	// Normal leaves writing to disk to the operating system between checkpoints: what was
	// acknowledged survives a crash of the process, but the last moments may be lost with the power.
	// The database stays consistent either way.
	Normal Sync = "normal"
)

// DefaultKeep is how long handled rows are remembered unless Config says otherwise.
const DefaultKeep = 24 * time.Hour

// closeTimeout bounds how long Close waits for writes that are under way.
const closeTimeout = 10 * time.Second

// Config tells Open where the journal is and how to keep it.
type Config struct {
	// Dir holds the database, journal.db, and its lock, journal.lock. It is created, for the owner
	// alone, if it does not exist. Nothing else should be kept in it under those names.
	Dir string

	// Sync is Full by default.
	Sync Sync

	// Keep is how long handled pushes and replies are remembered, for de-duplication and for looking
	// back. Zero or less means DefaultKeep.
	Keep time.Duration

	// MaxSize is how many bytes of the database may be in use before no further push is taken. Looked at
	// each second. Zero or less means no bound.
	MaxSize int64

	// Logger hears of faults that no caller hears of. Nil means silence.
	Logger *zap.Logger

	// Now is the clock of everything that is stored. Nil means time.Now.
	Now func() time.Time

	// Damaged, if set, is told once if the file turns out to be damaged, or to have been moved, after it was
	// opened. From then on every call fails with an error that matches ErrDamaged or ErrMoved, and
	// ErrUnavailable. It must not call the journal.
	Damaged func(error)
}

// Journal is an open journal. All methods may be called at the same time.
//
// An error that matches ErrUnavailable means that the storage could not serve; ErrClosed, that the
// journal was closed; a context's error, that the caller stopped waiting: of a write that has begun,
// the effect is then unknown. Any other error is a fault in what was asked.
type Journal struct {
	dir     string
	dialect *dialect
	log     *zap.Logger
	now     func() time.Time
	keep    atomic.Int64 // nanoseconds
	room    room

	lock *flock.Flock
	w    *writer
	r    *reader
	c    *checkpointer // nil where the database needs none

	claims     claims    // lately made
	appendings sync.Pool // *appending

	media *mediaBase // beside it

	damaged func(error)           // Config.Damaged
	damage  atomic.Pointer[error] // set once the file has turned out to be damaged

	stop    context.CancelFunc // ends the pruner and the checkpointer
	beside  sync.WaitGroup     // the two of them
	closing sync.Once
	closed  chan struct{} // closed: Close has been called
	end     chan error    // holds the outcome of closing
}

// Configure changes how durable commits are, how long handled rows are remembered, and how large the
// database may become, from the next commit, pruning and look at its size on. Values as in Config.
func (j *Journal) Configure(s Sync, keep time.Duration, maxSize int64) {
	if keep <= 0 {
		keep = DefaultKeep
	}
	if s != Normal {
		s = Full
	}
	j.keep.Store(int64(keep))
	j.w.sync.Store(s)
	j.media.configure(s)
	j.room.bound(maxSize)
}

// Close lets nobody in any more, waits for the writes that are under way, and releases the
// directory. If they do not end within ten seconds it returns an error, and the rest happens when
// they do. Further calls return ErrClosed.
func (j *Journal) Close() error {
	err := ErrClosed
	j.closing.Do(func() {
		close(j.closed)
		j.stop()
		close(j.w.quit)
		go func() {
			j.beside.Wait()
			<-j.w.exited
			j.end <- j.release()
		}()
		select {
		case err = <-j.end:
		case <-time.After(closeTimeout):
			err = unavailable(errors.New("closing the journal: a write does not end"))
		}
	})
	return err
}

// release gives back everything the journal holds, after the last write.
func (j *Journal) release() error {
	errs := []error{j.media.close(), j.r.close()}
	if j.c != nil {
		errs = append(errs, j.c.db.Close())
	}
	if j.dialect.compact != "" && j.unsound() == nil {
		// The last connection does the same as it closes, but keeps quiet about faults. A failure
		// loses nothing: the write-ahead log is read at the next start.
		if _, err := j.w.db.Exec(j.dialect.compact); err != nil {
			j.log.Warn("compacting the journal", zap.Error(err))
		}
	}
	errs = append(errs, j.w.db.Close())
	if j.unsound() == nil && errors.Join(errs...) == nil {
		errs = append(errs, j.w.mark.clear())
	}
	errs = append(errs, j.lock.Unlock())
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("closing the journal: %w", err)
	}
	return nil
}

// write runs an operation through the writer; doing is the gerund that errors begin with.
func (j *Journal) write(ctx context.Context, doing string, run func(*tx) error) error {
	_, err := j.submit(ctx, doing, newOperation(run))
	return err
}

// submit is write for an operation, see there.
func (j *Journal) submit(ctx context.Context, doing string, o *operation) (answered bool, err error) {
	if err = j.unsound(); err == nil {
		answered, err = j.w.submit(ctx, o)
	}
	if err != nil {
		if j.suspect(err) {
			err = j.unsound()
		}
		return answered, fmt.Errorf("%s: %w", doing, err)
	}
	return answered, nil
}

// change is write for an operation whose result is a number, such as how many rows it touched.
func (j *Journal) change(ctx context.Context, doing string, run func(*tx) (int64, error)) (int64, error) {
	var n int64
	err := j.write(ctx, doing, func(t *tx) error {
		var err error
		n, err = run(t)
		return err
	})
	if err != nil {
		return 0, err // n is the writer's until it has answered
	}
	return n, nil
}

// read runs a query that touches a handful of rows, and hands each to scan; doing is the gerund that
// errors begin with. Once begun it does not heed ctx: to watch a context costs the driver more than
// such a query.
func (j *Journal) read(ctx context.Context, doing, query string, scan func(*sql.Rows) error, args ...any) error {
	err := ctx.Err()
	if err == nil {
		err = j.unsound()
	}
	if err == nil {
		err = j.r.each(context.WithoutCancel(ctx), query, scan, args...)
	}
	return j.readError(doing, err)
}

// search is read for a query that may take long: it ends with ctx.
func (j *Journal) search(ctx context.Context, doing, query string, scan func(*sql.Rows) error, args ...any) error {
	err := j.unsound()
	if err == nil {
		err = j.r.each(ctx, query, scan, args...)
	}
	return j.readError(doing, err)
}

// runner is read or search.
type runner func(ctx context.Context, doing, query string, scan func(*sql.Rows) error, args ...any) error

// readError says what was being done and whose fault it was that it could not be.
func (j *Journal) readError(doing string, err error) error {
	if err == nil {
		return nil
	}
	select {
	case <-j.closed:
		err = ErrClosed
	default:
		if j.suspect(err) {
			err = j.unsound()
		} else if j.dialect.unavailable(err) {
			err = unavailable(err)
		}
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// recovered, deferred by a goroutine, turns its panic into a log line. The value itself is left out:
// it may hold a user's words.
func recovered(log *zap.Logger, msg string) {
	if r := recover(); r != nil {
		log.Error(msg, zap.String("panic", fmt.Sprintf("%T", r)), zap.Stack("stack"))
	}
}

// millis is how a time is stored; none is 0.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// moment is the reverse of millis.
func moment(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// or is t, or now if t is none.
func (j *Journal) or(t time.Time) int64 {
	if t.IsZero() {
		t = j.now()
	}
	return t.UnixMilli()
}
