package module

import (
	"context"
	"sync"
	"time"
)

// patience is a context that ends with its parent, or when it has lasted for so
// long. Its timer is made when somebody waits for the end; of nearly all requests
// nobody does.
type patience struct {
	context.Context // the parent

	until time.Time

	mu     sync.Mutex
	ctx    context.Context // nil: nobody waits
	cancel context.CancelFunc
}

func newPatience(parent context.Context, d time.Duration) *patience {
	return &patience{Context: parent, until: time.Now().Add(d)}
}

// Deadline implements context.Context.
func (p *patience) Deadline() (time.Time, bool) {
	if d, ok := p.Context.Deadline(); ok && d.Before(p.until) {
		return d, true
	}
	return p.until, true
}

// Done implements context.Context.
func (p *patience) Done() <-chan struct{} { return p.timed().Done() }

// Err implements context.Context.
func (p *patience) Err() error {
	p.mu.Lock()
	ctx := p.ctx
	p.mu.Unlock()
	if ctx == nil {
		if time.Now().Before(p.until) {
			return p.Context.Err()
		}
		ctx = p.timed()
	}
	return ctx.Err()
}

func (p *patience) timed() context.Context {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ctx == nil {
		p.ctx, p.cancel = context.WithDeadline(p.Context, p.until)
	}
	return p.ctx
}

// end lets go of the timer. It may be called again.
func (p *patience) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cancel != nil {
		p.cancel()
	}
}
