package journal

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"

	"go.uber.org/zap"
)

// maxBatch bounds how many operations share a commit, and so how long the first of them waits for
// the last.
const maxBatch = 512

// maxTurns bounds how often the others run before a batch is taken.
const maxTurns = 16

// States of an operation.
const (
	opQueued int32 = iota
	opTaken        // the writer has it: its effect is no longer in its caller's hands
	opLeft         // its caller gave up before the writer came to it: it must not run
)

// operation is one caller's unit of work. run may be called twice, the second time after a rollback,
// so whatever it leaves for its caller it sets anew each time. Its caller must not look at that
// unless the answer was nil, and may use the operation again only once it has been answered.
type operation struct {
	run   func(*tx) error
	state atomic.Int32
	done  chan error // buffered: the writer never waits for a caller
}

func newOperation(run func(*tx) error) *operation {
	return &operation{run: run, done: make(chan error, 1)}
}

// writer runs all changes of the journal, one at a time, on a connection of its own. Operations that
// wait at the same time share one transaction and one commit.
type writer struct {
	db      *sql.DB
	dialect *dialect
	log     *zap.Logger
	c       *checkpointer
	queue   chan *operation
	quit    chan struct{} // closed: let nobody in any more, finish what waits
	exited  chan struct{} // closed: nothing will be answered any more
	sync    atomic.Value  // Sync that is wanted
	commits atomic.Int64

	// connected, if set, is called with every new connection. For tests.
	connected func(*sql.Conn) error

	mark *mark // nil where none is kept

	// The rest belongs to the loop.
	tx     *tx  // nil while there is no usable connection
	synced Sync // what the connection has been told
}

func newWriter(db *sql.DB, d *dialect, c *checkpointer, log *zap.Logger) *writer {
	w := &writer{
		db: db, dialect: d, c: c, log: log,
		queue: make(chan *operation, maxBatch), quit: make(chan struct{}), exited: make(chan struct{}),
	}
	w.sync.Store(Full)
	return w
}

// do hands run to the writer and waits until its effect is durable. If ctx ends first it returns
// ctx's error, and the effect is unknown unless the writer had not taken it yet.
func (w *writer) do(ctx context.Context, run func(*tx) error) error {
	_, err := w.submit(ctx, newOperation(run))
	return err
}

// submit is do for an operation. It tells whether that was answered: else the writer may still have
// it.
func (w *writer) submit(ctx context.Context, o *operation) (answered bool, err error) {
	select {
	case <-w.quit:
		return false, ErrClosed
	default:
	}
	if err := ctx.Err(); err != nil {
		return false, err
	}
	select {
	case w.queue <- o:
	case <-ctx.Done():
		return false, ctx.Err()
	case <-w.quit:
		return false, ErrClosed
	}
	select {
	case err := <-o.done:
		return true, err
	case <-ctx.Done():
		o.state.CompareAndSwap(opQueued, opLeft)
	case <-w.exited:
	}
	// The answer may have come together with what ended the wait.
	select {
	case err := <-o.done:
		return true, err
	default:
	}
	if err := ctx.Err(); err != nil {
		return false, err
	}
	return false, ErrClosed
}

// loop is the writer's goroutine. It ends once quit is closed and nothing waits.
func (w *writer) loop() {
	defer close(w.exited)
	defer w.disconnect()
	batch := make([]*operation, 0, maxBatch)
	for {
		var first *operation
		select {
		case first = <-w.queue:
		case <-w.quit:
			select {
			case first = <-w.queue:
			default:
				return
			}
		}
		w.linger()
		batch = w.gather(batch[:0], first)
		w.serve(batch)
		clear(batch)
	}
}

// linger lets everybody else run who wants to, again and again as long as that brings more
// operations: whoever is about to join joins, and those who have just been answered may be back with
// their next one. Where nobody else wants to run it costs next to nothing.
func (w *writer) linger() {
	for n, turns := -1, 0; n < len(w.queue) && turns < maxTurns; turns++ {
		n = len(w.queue)
		runtime.Gosched()
	}
}

// gather takes what waits, first included, and leaves out what its caller has given up.
func (w *writer) gather(batch []*operation, first *operation) []*operation {
	for o := first; ; {
		if o.state.CompareAndSwap(opQueued, opTaken) {
			batch = append(batch, o)
		}
		if len(batch) == maxBatch {
			return batch
		}
		select {
		case o = <-w.queue:
		default:
			return batch
		}
	}
}

// serve runs a batch and answers each operation exactly once.
func (w *writer) serve(batch []*operation) {
	answered := 0
	defer func() {
		if r := recover(); r != nil { // a fault of the driver; those of operations are caught in attempt
			w.log.Error("journal writer panicked", zap.String("panic", fmt.Sprintf("%T", r)), zap.Stack("stack"))
			w.disconnect()
			for _, o := range batch[answered:] {
				o.done <- unavailable(errors.New("journal writer panicked"))
			}
		}
	}()
	if len(batch) == 0 {
		return
	}
	faulty, err := w.transact(batch)
	if err == nil {
		w.c.count(len(batch))
		w.remember()
	}
	if !faulty || len(batch) == 1 {
		for answered < len(batch) {
			answered++
			batch[answered-1].done <- err
		}
		return
	}
	// One of them is at fault, and the rollback took the others with it: each gets its own
	// transaction.
	for answered < len(batch) {
		if _, err = w.transact(batch[answered : answered+1]); err == nil {
			w.remember()
		}
		answered++
		batch[answered-1].done <- err
	}
}

// remember notes which pushes are on disk, where a commit says so.
func (w *writer) remember() {
	if w.synced == Full {
		w.mark.note(w.tx.high)
	}
}

// transact runs ops in one transaction. If it returns an error nothing of them took effect; faulty
// tells that it was one of the operations that failed and not the storage.
func (w *writer) transact(ops []*operation) (faulty bool, err error) {
	if err := w.connect(); err != nil {
		return false, unavailable(err)
	}
	w.tx.appended = 0
	if err := w.tx.plain(w.dialect.begin); err != nil {
		w.disconnect()
		return false, unavailable(fmt.Errorf("beginning transaction: %w", err))
	}
	for _, o := range ops {
		if err := w.attempt(o); err != nil {
			w.rollback()
			if w.dialect.unavailable(err) {
				return false, unavailable(err)
			}
			return true, err
		}
	}
	if err := w.tx.plain(w.dialect.commit); err != nil {
		w.rollback()
		return false, unavailable(fmt.Errorf("committing: %w", err))
	}
	w.tx.high = max(w.tx.high, w.tx.appended)
	w.commits.Add(1)
	return false, nil
}

// attempt runs one operation and turns its panic into an error.
func (w *writer) attempt(o *operation) (err error) {
	defer func() {
		if r := recover(); r != nil {
			// The value itself may hold a user's words.
			w.log.Error("journal operation panicked", zap.String("panic", fmt.Sprintf("%T", r)), zap.Stack("stack"))
			err = fmt.Errorf("journal operation panicked with a %T", r)
		}
	}()
	return o.run(w.tx)
}

// rollback ends a failed transaction. Some failures have already ended it, and a connection that
// is in doubt is not worth the doubt: it is replaced.
func (w *writer) rollback() {
	if err := w.tx.plain(w.dialect.rollback); err != nil {
		w.disconnect()
	}
}

// connect sees to it that there is a connection and that it syncs as wanted.
func (w *writer) connect() error {
	if w.tx == nil {
		conn, err := w.db.Conn(context.Background())
		if err != nil {
			return fmt.Errorf("connecting to the journal: %w", err)
		}
		w.tx, w.synced = &tx{conn: conn, statements: make(map[string]*sql.Stmt)}, ""
		if w.connected != nil {
			if err := w.connected(conn); err != nil {
				w.disconnect()
				return err
			}
		}
	}
	if want := w.sync.Load().(Sync); want != w.synced {
		if err := w.tx.plain(w.dialect.sync(want)); err != nil {
			w.disconnect()
			return fmt.Errorf("setting the journal's sync mode: %w", err)
		}
		w.synced = want
	}
	return nil
}

// disconnect drops the connection for good, together with whatever transaction it is in.
func (w *writer) disconnect() {
	if w.tx == nil {
		return
	}
	for _, s := range w.tx.statements {
		_ = s.Close()
	}
	_ = w.tx.conn.Raw(func(any) error { return driver.ErrBadConn })
	_ = w.tx.conn.Close()
	w.tx = nil
}
