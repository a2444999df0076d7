package bridge

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-wechat/caddy-wechat/module/wechat"
)

const (
	// typingAfter is how long the bot may be silent before the user sees that an
	// answer is being written.
	typingAfter = time.Second

	// typingShows is how long WeChat shows that. It is not to be renewed before.
	// (WeChat: customer service input status.)
	typingShows = 15 * time.Second

	// typingWithin is how long after the last exchange with the user WeChat takes
	// it, with some time to spare.
	typingWithin = 28 * time.Second

	// typingCalls bounds how many calls are under way. None waits for another: the
	// user is better off without it than with one that comes late.
	typingCalls = 32

	typingTime = 3 * time.Second
)

// typing shows users that the bot works. Whether that succeeds never matters.
type typing struct {
	show  func(openid string, on bool) // makes the call
	able  func() bool                  // whether it is of any use
	mu    sync.Mutex
	by    map[string]*typist
	ended bool
	calls chan struct{}
	wg    sync.WaitGroup
}

// typist is a user who waits for the bot.
type typist struct {
	since time.Time   // the last exchange
	timer *time.Timer // until the next call, or until nothing is shown any more
	shown time.Time   // when it was last shown
}

func newTyping(show func(string, bool), able func() bool) *typing {
	return &typing{show: show, able: able, by: make(map[string]*typist), calls: make(chan struct{}, typingCalls)}
}

// begin notes that the bot has something to answer.
func (ty *typing) begin(openid string) {
	if !ty.able() {
		return
	}
	ty.mu.Lock()
	defer ty.mu.Unlock()
	if ty.ended {
		return
	}
	t := ty.by[openid]
	if t == nil {
		t = &typist{}
		ty.by[openid] = t
	}
	t.since = time.Now()
	ty.setLocked(openid, t, max(typingAfter, time.Until(t.shown.Add(typingShows))))
}

func (ty *typing) setLocked(openid string, t *typist, d time.Duration) {
	if t.timer != nil {
		t.timer.Stop()
	}
	t.timer = time.AfterFunc(d, func() { ty.fire(openid, t) })
}

// fire shows it, and again when it has faded, as long as WeChat takes it.
func (ty *typing) fire(openid string, t *typist) {
	ty.mu.Lock()
	defer ty.mu.Unlock()
	now := time.Now()
	if ty.ended || ty.by[openid] != t {
		return
	}
	if now.Sub(t.since) > typingWithin || !ty.able() {
		delete(ty.by, openid)
		return
	}
	if ty.callLocked(openid, true) {
		t.shown = now
	}
	ty.setLocked(openid, t, typingShows+500*time.Millisecond)
}

// heard notes that the bot has answered: from now on nothing is to be shown.
func (ty *typing) heard(openid string) {
	ty.mu.Lock()
	defer ty.mu.Unlock()
	t := ty.by[openid]
	if t == nil {
		return
	}
	t.timer.Stop()
	fade := time.Until(t.shown.Add(typingShows))
	if fade <= 0 {
		delete(ty.by, openid)
		return
	}
	t.since = time.Time{} // what comes of the timer is that it is forgotten
	ty.setLocked(openid, t, fade)
}

// over notes that an answer went out, or that none will for now. Only a pushed
// message ends it by itself.
func (ty *typing) over(openid string, pushed bool) {
	ty.mu.Lock()
	defer ty.mu.Unlock()
	t := ty.by[openid]
	if t == nil || !t.since.IsZero() { // the bot has been asked something else meanwhile
		return
	}
	t.timer.Stop()
	delete(ty.by, openid)
	if !pushed && !ty.ended && ty.able() {
		ty.callLocked(openid, false)
	}
}

// callLocked makes a call unless too many are under way.
func (ty *typing) callLocked(openid string, on bool) bool {
	select {
	case ty.calls <- struct{}{}:
	default:
		return false
	}
	ty.wg.Go(func() {
		defer func() {
			_ = recover()
			<-ty.calls
		}()
		ty.show(openid, on)
	})
	return true
}

// close ends it, calls under way included.
func (ty *typing) close() {
	ty.mu.Lock()
	ty.ended = true
	for _, t := range ty.by {
		t.timer.Stop()
	}
	clear(ty.by)
	ty.mu.Unlock()
	ty.wg.Wait()
}

// typingAble tells whether users can be shown that the bot works.
func (rt *Runtime) typingAble() bool {
	c := rt.current.Load()
	return c.Typing && !rt.passive(c) && rt.api.status() == nil
}

// showTyping shows a user that the bot works, or no longer.
func (rt *Runtime) showTyping(openid string, on bool) {
	c := rt.current.Load()
	ctx, cancel := context.WithTimeout(rt.calls, typingTime)
	defer cancel()
	err := c.client.Typing(ctx, openid, on)
	rt.noteTyping(openid, on, err)
	if err == nil {
		return
	}
	e, ok := errors.AsType[*wechat.Error](err)
	if ok && e.Action() == wechat.ActionNoPermission && c.Reply == ReplyAuto {
		rt.deny(e)
		return
	}
	rt.logger().Debug("showing that the bot works", zap.Error(err))
}
