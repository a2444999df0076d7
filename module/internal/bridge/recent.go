package bridge

import (
	"context"
	"sync"
	"time"
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

// pacer keeps some time between two messages pushed to one user: WeChat does
// not keep the order of rapid sends.
type pacer struct {
	sends recent
}

// wait returns when the next message may be sent.
func (pc *pacer) wait(ctx context.Context, openid string, pace time.Duration) error {
	if pace <= 0 {
		return ctx.Err()
	}
	return sleep(ctx, time.Until(pc.sends.last(openid).Add(pace)), nil)
}

func (pc *pacer) sent(openid string, pace time.Duration) {
	if pace > 0 {
		pc.sends.note(openid, pace)
	}
}
