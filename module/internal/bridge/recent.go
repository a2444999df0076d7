package bridge

import (
	"sync"
	"time"

	"github.com/caddy-wechat/caddy-wechat/module/internal/journal"
)

// recent remembers when something last happened to a user, for a while.
type recent struct {
	mu    sync.Mutex
	at    map[string]time.Time
	swept time.Time
}

func (r *recent) note(openid string, keep time.Duration) {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.at == nil {
		r.at = make(map[string]time.Time)
	}
	r.at[openid] = now
	if now.Sub(r.swept) < max(keep, time.Second) {
		return
	}
	r.swept = now
	for user, at := range r.at {
		if now.Sub(at) > keep {
			delete(r.at, user)
		}
	}
}

func (r *recent) last(openid string) time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.at[openid]
}

// actsKept is how long it is remembered that a user did something: longer than
// it takes to record it, and than one attempt to send takes.
const actsKept = 5 * time.Minute

// acts remembers what users did lately that lets us send again.
type acts struct {
	mu    sync.Mutex
	by    map[string]act
	swept time.Time
}

// act is when a user last did something, zero for never.
type act struct {
	message time.Time // that opened the allowance of a message
	action  time.Time // that opened the small one
	noted   time.Time // whatever it was
}

// note remembers an act. Times are the journal's, to the millisecond; noted is
// not.
func (a *acts) note(openid string, g journal.Grant, at time.Time) {
	now := time.Now()
	at = time.UnixMilli(at.UnixMilli())
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.by == nil {
		a.by = make(map[string]act)
	}
	had := a.by[openid]
	switch g {
	case journal.GrantMessage:
		had.message = later(had.message, at)
	case journal.GrantAction:
		had.action = later(had.action, at)
	case journal.GrantNone:
	}
	had.noted = now
	a.by[openid] = had
	if now.Sub(a.swept) < actsKept {
		return
	}
	a.swept = now
	for user, had := range a.by {
		if now.Sub(had.noted) > actsKept {
			delete(a.by, user)
		}
	}
}

// since is an act without what the user did before leaving.
func (a act) since(left time.Time) act {
	if !a.message.After(left) {
		a.message = time.Time{}
	}
	if !a.action.After(left) {
		a.action = time.Time{}
	}
	return a
}

// forget forgets what a user did up to a time.
func (a *acts) forget(openid string, until time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	had, ok := a.by[openid]
	if !ok {
		return
	}
	if !had.message.After(until) {
		had.message = time.Time{}
	}
	if !had.action.After(until) {
		had.action = time.Time{}
	}
	a.by[openid] = had
}

func (a *acts) last(openid string) act {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.by[openid]
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
