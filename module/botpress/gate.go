package botpress

import (
	"container/list"
	"context"
	"net/http"
	"sync"
	"time"
)

// maxAttemptPause bounds the growing pause after 429s that do not say how long to wait.
const maxAttemptPause = 30 * time.Second

// gate holds calls back while Botpress's rate limit is used up, and lets them go in the order they came. It throttles
// only on what headers or a 429 say; as long as they say nothing it is one uncontended lock.
//
// Answers come in another order than calls go out, and the server may take the calls in yet another. So of what is
// said to remain, every call that has no answer yet is taken off, and an answer to a call that was under way when
// another was believed counts only if it says less. Once all answers are in, the count is exact.
type gate struct {
	now func() time.Time

	mu     sync.Mutex
	passed uint64    // calls let through so far; each is numbered by it
	flying int       // those of the present window that have no answer yet
	shut   time.Time // nobody passes before this

	counting  bool // the six below are known
	remaining int  // calls that the server will take until then, by its latest word
	until     time.Time
	limit     int           // calls in a whole window; 0 if not said
	window    time.Duration // how long the window had to go when the server last spoke
	counted   uint64        // calls up to this one were under way when an answer was last believed
	first     uint64        // calls up to this one belong to windows gone by

	refused  uint64 // passed, when a 429 last began a pause; later calls' 429s begin another
	attempts int    // pauses since a call got through

	queue list.List
	timer *time.Timer // runs pump when the gate opens; only while somebody waits
}

type waiter struct{ pass chan uint64 }

func newGate(now func() time.Time) *gate { return &gate{now: now} }

// enter waits until a call may be made and numbers it. Only a context's end makes it fail.
func (g *gate) enter(ctx context.Context) (uint64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	g.mu.Lock()
	if g.queue.Len() == 0 && g.closedFor() == 0 {
		seq := g.take()
		g.mu.Unlock()
		return seq, nil
	}
	w := &waiter{pass: make(chan uint64, 1)}
	place := g.queue.PushBack(w)
	g.pump()
	g.mu.Unlock()

	select {
	case seq := <-w.pass:
		return seq, nil
	case <-ctx.Done():
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case seq := <-w.pass: // let through in the same moment: the next one shall have it
		g.landed(seq)
	default:
		g.queue.Remove(place)
	}
	g.pump()
	return 0, ctx.Err()
}

// closedFor is how long nobody may pass; 0 if the gate is open.
func (g *gate) closedFor() time.Duration {
	if g.shut.IsZero() && !g.counting {
		return 0
	}
	now := g.now()
	if d := g.shut.Sub(now); d > 0 {
		return d
	}
	g.shut = time.Time{}
	if !g.counting {
		return 0
	}
	d := g.until.Sub(now)
	if d <= 0 { // a new window, of which at most its size is known; the first answer in it says more
		g.counting, g.remaining, g.first, g.flying = g.limit > 0, g.limit, g.passed, 0
		g.until, d = now.Add(g.window), g.window
	}
	if !g.counting || g.remaining > g.flying {
		return 0
	}
	return d
}

func (g *gate) take() uint64 {
	g.passed++
	g.flying++
	return g.passed
}

// pump lets through whoever may pass and sees to being called again. With the lock held.
func (g *gate) pump() {
	var d time.Duration
	for g.queue.Len() > 0 {
		if d = g.closedFor(); d > 0 {
			break
		}
		w := g.queue.Remove(g.queue.Front()).(*waiter)
		w.pass <- g.take()
	}
	if g.timer != nil {
		g.timer.Stop()
		g.timer = nil
	}
	if g.queue.Len() > 0 {
		g.timer = time.AfterFunc(d, func() {
			g.mu.Lock()
			defer g.mu.Unlock()
			g.pump()
		})
	}
}

// lost tells that a call ended without an answer. Every call that entered ends in lost or heard, once.
func (g *gate) lost(seq uint64, unsent bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.landed(seq) && !unsent {
		g.remaining-- // the server may have counted it
	}
	g.pump()
}

// heard takes in what an answer says and returns how long it asks to be left alone. Status is the effective one.
func (g *gate) heard(seq uint64, status int, h http.Header) time.Duration {
	now := g.now()
	l := readLimits(h, now)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.landed(seq) {
		g.count(seq, l, now)
	}
	var wait time.Duration
	switch {
	case status == http.StatusTooManyRequests:
		wait = g.pause(seq, l, now)
	case l.hasRetryHint:
		wait = l.retryAfter
		g.shutUntil(now.Add(wait))
	case seq > g.refused:
		g.attempts = 0
	}
	g.pump()
	return wait
}

// landed takes a call off those without an answer. It reports whether the call belongs to the present window.
func (g *gate) landed(seq uint64) bool {
	if seq <= g.first {
		return false
	}
	g.flying--
	return true
}

// count believes what the answer to a call of the present window says of it.
func (g *gate) count(seq uint64, l limits, now time.Time) {
	told := l.remaining >= 0 && l.hasReset
	switch {
	case seq > g.counted:
		g.counting, g.counted = told, g.passed
		g.remaining, g.limit, g.window, g.until = l.remaining, l.limit, l.reset, now.Add(l.reset)
	case told:
		g.remaining = min(g.remaining, l.remaining)
	}
}

// pause closes the gate after a 429. Calls that were under way when the pause began get their 429s too, which
// must not lengthen it, unless they say so.
func (g *gate) pause(seq uint64, l limits, now time.Time) time.Duration {
	fresh := seq > g.refused
	if fresh {
		g.refused = g.passed
		g.attempts++
	}
	wait := l.pause()
	if wait == 0 {
		wait = min(time.Duration(g.attempts)*time.Second, maxAttemptPause)
		if !fresh {
			return max(g.shut.Sub(now), 0)
		}
	}
	g.shutUntil(now.Add(wait))
	return wait
}

func (g *gate) shutUntil(until time.Time) {
	if until.After(g.shut) {
		g.shut = until
	}
}
