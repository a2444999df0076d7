package bridge

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"go.uber.org/zap"
)

const (
	// queueBound is how many woken users wait in memory for a free lane. Whoever
	// comes on top of that is found again in the journal.
	queueBound = 4096

	// scanBatch is how many waiting users are read from the journal at once.
	scanBatch = 256
)

// lanes runs the queues of many users: each user's in order, one at a time,
// many users at once, up to a limit. It holds names of users only; what they
// wait for is in the journal. Nothing polls: wake is called for every new row,
// and whoever finds no room in memory is read from the journal when there is.
type lanes struct {
	limit func() int

	// work handles some of what waits for a user. It returns true if there may
	// be more, and false only if it has handled all that it found and nobody has
	// woken the user since, was told to stop, or has seen to it that the user is
	// woken when there is something to do.
	work func(ctx context.Context, openid string) bool

	// scan lists users with something waiting, ascending, after the one given.
	scan func(ctx context.Context, after string, limit int) ([]string, error)

	logger func() *zap.Logger

	ctx context.Context // ends when no new work is to be begun
	wg  sync.WaitGroup

	mu       sync.Mutex
	ready    bool            // recall was called
	active   map[string]bool // at work; true: woken since it began to read
	queue    []string        // woken, waiting for a lane, first come first served
	queued   map[string]struct{}
	missed   bool   // a user found no room: the journal has to be read
	passing  bool   // a pass through the journal is under way
	cursor   string // up to where the pass has come
	scanning bool   // a batch of the pass is being read
}

func newLanes(ctx context.Context, l *lanes) *lanes {
	l.ctx = ctx
	l.active = make(map[string]bool)
	l.queued = make(map[string]struct{})
	return l
}

// recall reads from the journal who waits. It is called once at the start;
// before that, no lane runs.
func (l *lanes) recall() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ready, l.missed = true, true
	l.fillLocked()
}

// wake says that something new waits for the user.
func (l *lanes) wake(openid string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wakeLocked(openid, queueBound)
}

func (l *lanes) wakeLocked(openid string, bound int) {
	if l.ctx.Err() != nil || !l.ready {
		return
	}
	if _, ok := l.active[openid]; ok {
		l.active[openid] = true
		return
	}
	if _, ok := l.queued[openid]; ok {
		return
	}
	switch {
	case len(l.active) < l.limit():
		l.beginLocked(openid)
	case len(l.queue) < bound:
		l.enqueueLocked(openid)
	default:
		l.missed = true
	}
}

func (l *lanes) enqueueLocked(openid string) {
	l.queue = append(l.queue, openid)
	l.queued[openid] = struct{}{}
}

func (l *lanes) beginLocked(openid string) {
	l.active[openid] = false
	l.wg.Add(1)
	go l.lane(openid)
}

// lane is the goroutine of a user at work. Whatever panics in it is tried again
// after a while.
func (l *lanes) lane(openid string) {
	defer l.wg.Done()
	more := false
	defer func() {
		if r := recover(); r != nil {
			l.logger().Error("lane panicked", zap.String("panic", panicked(r)), zap.ByteString("stack", debug.Stack()))
			more = sleep(l.ctx, time.Second, nil) == nil
		}
		l.end(openid, more)
	}()
	more = l.work(l.ctx, openid)
}

// reading says that a user's lane is about to read what waits: whatever the user was
// woken for so far is found there.
func (l *lanes) reading(openid string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.active[openid] = false
}

// quiet tells whether a user at work was not woken since reading: what was read then
// is all there is.
func (l *lanes) quiet(openid string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.active[openid]
}

// panicked describes what was panicked with, without what a user may have said.
func panicked(r any) string {
	if err, ok := r.(runtime.Error); ok {
		return err.Error()
	}
	return fmt.Sprintf("%T", r)
}

func (l *lanes) end(openid string, more bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	again := l.active[openid] || more
	delete(l.active, openid)
	if l.ctx.Err() != nil {
		return
	}
	if again {
		l.enqueueLocked(openid)
	}
	l.fillLocked()
}

// fillLocked gives free lanes to those who wait.
func (l *lanes) fillLocked() {
	n := 0
	for n < len(l.queue) && len(l.active) < l.limit() {
		openid := l.queue[n]
		l.queue[n] = ""
		n++
		delete(l.queued, openid)
		l.beginLocked(openid)
	}
	if l.queue = l.queue[n:]; len(l.queue) == 0 {
		l.queue = nil // let the array go
	}
	if len(l.queue) == 0 && (l.missed || l.passing) && !l.scanning && l.ctx.Err() == nil {
		l.scanning = true
		l.wg.Add(1)
		go l.read()
	}
}

// read takes the next batch of a pass through the journal.
func (l *lanes) read() {
	defer l.wg.Done()
	var wait backoff
	for {
		l.mu.Lock()
		if !l.passing {
			l.passing, l.missed, l.cursor = true, false, ""
		}
		after := l.cursor
		l.mu.Unlock()

		found, err := l.scan(l.ctx, after, scanBatch)
		if err != nil {
			if l.ctx.Err() != nil {
				return
			}
			l.logger().Error("reading who waits", zap.Error(err))
			if sleep(l.ctx, wait.next(), nil) != nil {
				return
			}
			continue
		}
		if l.take(found) {
			return
		}
	}
}

// take queues the users of a batch. It returns false if the next batch should
// be read at once.
func (l *lanes) take(found []string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(found) < scanBatch {
		l.passing = false
	} else {
		l.cursor = found[len(found)-1]
	}
	for _, openid := range found {
		l.wakeLocked(openid, queueBound+scanBatch)
	}
	if len(l.queue) == 0 && (l.passing || l.missed) && l.ctx.Err() == nil {
		return false
	}
	l.scanning = false
	return true
}

// atWork is the number of lanes at work.
func (l *lanes) atWork() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.active)
}
