package bridge

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"
)

// Hold is a fault that an operator has to mend, while it lasts.
type Hold struct {
	Since  time.Time
	Cause  string
	Remedy string

	by purpose // of the call that met it
}

// purpose is what a call is for. That one kind of call goes through says
// nothing of another: a bot whose quota is spent can still be listed.
type purpose int

const (
	delivering purpose = iota
	listing
)

// relapse is how soon after its end a fault counts as the same one, which is
// not logged again.
const relapse = time.Minute

// untaken is after how long others are told that one may try, if nobody does.
const untaken = time.Second

// gate is what every call to one of the two clouds passes. It is open, until a
// fault is met that only an operator can mend: then one caller at a time is let
// through, at growing intervals, to find out whether it has been mended.
type gate struct {
	side   string // for the log
	logger func() *zap.Logger
	news   func(opened bool) (woken bool)                   // called when it opens, or lets one try; nil for nobody
	note   func(side string, h *Hold, lasted time.Duration) // of holds, for the trace; nil for nobody

	mu     sync.Mutex
	held   *Hold
	past   *Hold         // the one before
	over   time.Time     // when that ended
	open   chan struct{} // closed when the hold ends
	probe  chan struct{} // one token: whoever takes it may try
	wait   backoff
	timer  *time.Timer
	closed bool
	ends   int // how many holds have ended
}

// ticket lets one call through a gate.
type ticket struct {
	g     *gate
	why   purpose
	probe bool // it is the try of a closed gate
	told  bool
	ends  int // of the gate's holds, when the call began
}

// pass waits until a call may be tried. The ticket's end must be called when the
// call is over.
func (g *gate) pass(ctx context.Context, why purpose) (*ticket, error) {
	for {
		g.mu.Lock()
		held, open, probe, ends := g.held, g.open, g.probe, g.ends
		g.mu.Unlock()
		if held == nil {
			return &ticket{g: g, why: why, ends: ends}, ctx.Err()
		}
		if why == listing && held.by == delivering {
			probe = nil
		}
		select {
		case <-open: // look again: it may be held anew
		case <-probe:
			return &ticket{g: g, why: why, probe: true, ends: ends}, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// try is pass for those who do not wait: nil if no call may be tried now.
func (g *gate) try(why purpose) *ticket {
	g.mu.Lock()
	defer g.mu.Unlock()
	tk := &ticket{g: g, why: why, ends: g.ends}
	if g.held == nil {
		return tk
	}
	if why == listing && g.held.by == delivering {
		return nil
	}
	select {
	case <-g.probe:
		tk.probe = true
		return tk
	default:
		return nil
	}
}

// ok says that the call went through, whatever was answered: nothing is left
// for an operator to mend. Only the try of a closed gate opens it; a call that
// was under way when it closed tells nothing new.
func (t *ticket) ok() {
	g := t.g
	g.mu.Lock()
	defer g.mu.Unlock()
	t.told = true
	if t.probe && g.held != nil {
		g.releaseLocked()
	}
}

// fault says that the call met a fault that an operator has to mend.
func (t *ticket) fault(cause error, remedy string) {
	g := t.g
	g.mu.Lock()
	defer g.mu.Unlock()
	t.told = true
	if !t.probe && (g.held != nil || t.ends != g.ends) {
		return // it was under way when the gate closed, or before what was mended
	}
	g.holdLocked(&Hold{Since: time.Now(), Cause: cause.Error(), Remedy: remedy, by: t.why})
}

// end says that the call is over. If nothing else was said, it told nothing
// about a fault, and another try follows. To be deferred: a call that panics
// must not leave the gate closed for good.
func (t *ticket) end() {
	g := t.g
	g.mu.Lock()
	defer g.mu.Unlock()
	if t.probe && !t.told && g.held != nil {
		g.armLocked(g.wait.next())
	}
	t.told = true
}

func (g *gate) holdLocked(h *Hold) {
	var again bool // it was met and logged before
	if g.held == nil {
		g.open = make(chan struct{})
		g.probe = make(chan struct{}, 1)
		again = g.past != nil && g.past.Remedy == h.Remedy && time.Since(g.over) < relapse
		g.wait.reset()
	} else {
		h.Since = g.held.Since
		again = g.held.Remedy == h.Remedy
	}
	g.held = h
	if !again {
		g.noteLocked(h, 0)
		g.logger().Error("account held", zap.String("side", g.side), zap.String("remedy", h.Remedy), zap.String("cause", h.Cause))
	}
	g.armLocked(g.wait.next())
}

func (g *gate) releaseLocked() {
	log := g.logger().Info
	if g.past != nil && g.past.Remedy == g.held.Remedy && time.Since(g.over) < relapse {
		log = g.logger().Debug
	}
	g.noteLocked(nil, time.Since(g.held.Since))
	log("account released", zap.String("side", g.side), zap.Duration("held", time.Since(g.held.Since)))
	g.past, g.over, g.held = g.held, time.Now(), nil
	g.ends++
	g.timer.Stop()
	close(g.open)
	if g.news != nil {
		g.news(true)
	}
}

func (g *gate) noteLocked(h *Hold, lasted time.Duration) {
	if g.note != nil {
		g.note(g.side, h, lasted)
	}
}

// retry lets a caller try at once: something may have changed.
func (g *gate) retry() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.held != nil {
		g.wait.reset()
		g.armLocked(0)
	}
}

// close ends the timer.
func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
	if g.timer != nil {
		g.timer.Stop()
	}
}

func (g *gate) armLocked(d time.Duration) {
	if g.timer != nil {
		g.timer.Stop()
	}
	if g.closed {
		return
	}
	probe := g.probe
	g.timer = time.AfterFunc(d, func() { g.offer(probe) })
}

// offer lets one caller try. Those who are told may need it no more: others are,
// as long as nobody takes it. Whoever does arms the timer again.
func (g *gate) offer(probe chan struct{}) {
	select {
	case probe <- struct{}{}:
	default:
	}
	if g.news == nil || !g.news(false) {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.held == nil || g.probe != probe || len(probe) == 0 || g.closed {
		return
	}
	g.timer.Stop()
	g.timer = time.AfterFunc(untaken, func() {
		if len(probe) > 0 {
			g.offer(probe)
		}
	})
}

// free tells whether a call may be tried now.
func (g *gate) free() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.held == nil || len(g.probe) > 0
}

// status is the hold in force, nil for none.
func (g *gate) status() *Hold {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.held == nil {
		return nil
	}
	h := *g.held
	return &h
}
