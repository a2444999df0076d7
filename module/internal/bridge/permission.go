package bridge

import (
	"context"
	"strconv"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-wechat/caddy-wechat/module/internal/journal"
	"github.com/caddy-wechat/caddy-wechat/module/wechat"
)

const (
	// denialLasts is for how long an account that may not push is not asked again.
	denialLasts = 24 * time.Hour

	stateDenied = "push_denied_at"
)

// permission remembers that WeChat does not let the account push.
type permission struct {
	mu       sync.Mutex
	denied   time.Time // zero: as far as is known, it may
	told     bool      // the log has been told
	recorded bool      // the journal has a denial

	keeping sync.Mutex // held while that is written
}

// deny notes a denial. It returns whether the log is to be told.
func (p *permission) deny(at time.Time) (tell bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	tell = !p.told
	p.denied, p.told, p.recorded = at, true, true
	return tell
}

// last is when WeChat said so, zero if that is no reason not to try.
func (p *permission) last(now time.Time) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now.Sub(p.denied) >= denialLasts {
		return time.Time{}
	}
	return p.denied
}

// forgive lets the account try again: the operator may have changed something. It
// returns whether there was a denial.
func (p *permission) forgive() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	was := !p.denied.IsZero()
	p.denied, p.told = time.Time{}, false
	return was
}

// allow notes that the account may push. It returns whether that is news.
func (p *permission) allow() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	news := p.recorded
	p.denied, p.told, p.recorded = time.Time{}, false, false
	return news
}

// passive tells whether replies can only be answers to callbacks.
func (rt *Runtime) passive(c *inForce) bool {
	switch c.Reply {
	case ReplyPassive:
		return true
	case ReplyPush:
		return false
	case ReplyAuto:
	}
	return !rt.permit.last(time.Now()).IsZero()
}

// deny remembers that WeChat does not let the account push, in reply mode auto.
func (rt *Runtime) deny(e *wechat.Error) {
	now := time.Now()
	if rt.permit.deny(now) {
		rt.note(note{step: accountPassiveOnly, code: int32(e.Code), err: e.Error(), remedy: e.Remedy()})
		rt.logger().Warn("account may not push messages; replies travel as answers to what users send, and what comes too late leads the next answer",
			zap.Error(e), zap.String("remedy", e.Remedy()), zap.Duration("tried_again_after", denialLasts))
	}
	rt.keepDenial()
}

// allowed notes that WeChat has taken a push.
func (rt *Runtime) allowed() {
	if !rt.permit.allow() {
		return
	}
	rt.logger().Info("account may push messages again")
	rt.note(note{step: accountMayPush})
	rt.keepDenial()
}

// keepDenial records for the next start what is known now. That it cannot be
// recorded is no reason to stop: WeChat will say it again.
func (rt *Runtime) keepDenial() {
	rt.permit.keeping.Lock()
	defer rt.permit.keeping.Unlock()
	value := "0"
	if at := rt.permit.last(time.Now()); !at.IsZero() {
		value = strconv.FormatInt(at.UnixMilli(), 10)
	}
	if err := rt.journal.SetState(rt.calls, rt.appid, stateDenied, value); err != nil && rt.calls.Err() == nil {
		rt.logger().Warn("remembering whether the account may push", zap.Error(err))
	}
}

// recallDenial reads what an earlier process has recorded. It matters in reply mode
// auto only; in another one the account is asked to push, or is not, whatever it was.
func (rt *Runtime) recallDenial(ctx context.Context, j *journal.Journal) error {
	if rt.current.Load().Reply != ReplyAuto {
		return nil
	}
	value, found, err := j.State(ctx, rt.appid, stateDenied)
	if err != nil || !found {
		return err
	}
	if ms, err := strconv.ParseInt(value, 10, 64); err == nil && ms > 0 {
		rt.permit.deny(time.UnixMilli(ms))
	}
	return nil
}
