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
}

// gate is what every call to one of the two clouds passes. It is open, until a
// fault is met that only an operator can mend: then one caller at a time is let
// through, at growing intervals, to find out whether it has been mended.
type gate struct {
	side   string // for the log
	logger func() *zap.Logger

	mu    sync.Mutex
	held  *Hold
	open  chan struct{} // closed when the hold ends
	probe chan struct{} // one token: whoever takes it may try
	tried bool          // the token was taken, and nothing is known yet
	wait  backoff
	timer *time.Timer
}

// pass waits until a call may be tried.
func (g *gate) pass(ctx context.Context) error {
	g.mu.Lock()
	held, open, probe := g.held, g.open, g.probe
	g.mu.Unlock()
	if held == nil {
		return ctx.Err()
	}
	select {
	case <-open:
		return nil
	case <-probe:
		g.mu.Lock()
		g.tried = true
		g.mu.Unlock()
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// hold closes the gate, or leaves it closed after a failed try. Calls that were
// under way when it closed fail too; they do not make the next try any later.
func (g *gate) hold(cause error, remedy string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.held == nil {
		g.open = make(chan struct{})
		g.probe = make(chan struct{}, 1)
		g.wait.reset()
		g.tried = true
	}
	if g.held == nil || g.held.Remedy != remedy {
		since := time.Now()
		if g.held != nil {
			since = g.held.Since
		}
		g.held = &Hold{Since: since, Cause: cause.Error(), Remedy: remedy}
		g.logger().Error("account held", zap.String("side", g.side), zap.String("remedy", remedy), zap.Error(cause))
	}
	g.nextLocked()
}

// unsure says that a call ended without telling whether the fault is mended.
func (g *gate) unsure() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.held != nil {
		g.nextLocked()
	}
}

// release opens the gate: a call went through.
func (g *gate) release() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.held == nil {
		return
	}
	g.logger().Info("account released", zap.String("side", g.side), zap.Duration("held", time.Since(g.held.Since)))
	g.held = nil
	g.timer.Stop()
	close(g.open)
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
	if g.timer != nil {
		g.timer.Stop()
	}
}

func (g *gate) nextLocked() {
	if g.tried {
		g.tried = false
		g.armLocked(g.wait.next())
	}
}

func (g *gate) armLocked(d time.Duration) {
	if g.timer != nil {
		g.timer.Stop()
	}
	probe := g.probe
	g.timer = time.AfterFunc(d, func() {
		select {
		case probe <- struct{}{}:
		default:
		}
	})
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
