package bridge

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/caddy-wechat/caddy-wechat/module/internal/journal"
)

// afterReload is for how long after a reload connections to the old listener
// may still be lost.
const afterReload = time.Second

// unrest is the time around a reload. Connections that wait at the old listener
// are dropped then, by Caddy and by the kernel. WeChat repeats a push; the bot
// does not repeat a webhook. So a reload is treated like a start: a conversation
// is listed before its replies go out, or one that was lost would be overtaken.
type unrest struct {
	began atomic.Int64 // counts changes of the configuration
	over  atomic.Int64 // up to which of them all is quiet again
	poke  chan struct{}
}

// disturb notes that a configuration comes or goes.
func (u *unrest) disturb() {
	u.began.Add(1)
	select {
	case u.poke <- struct{}{}:
	default:
	}
}

// lasts tells whether webhooks may be lost now.
func (u *unrest) lasts() bool { return u.began.Load() != u.over.Load() }

// calm waits for the end of each reload and begins a new epoch then.
func (rt *Runtime) calm() {
	for {
		select {
		case <-rt.unrest.poke:
		case <-rt.stop.Done():
			return
		}
		since := time.Now()
		n, ok := rt.awaitQuiet()
		if !ok {
			return
		}
		err := rt.persist(rt.stop, "beginning anew after a reload", func(ctx context.Context, j *journal.Journal) error {
			epoch, _, err := j.Begin(ctx, rt.appid)
			if err == nil {
				rt.epoch.Store(epoch)
			}
			return err
		})
		if err != nil {
			return
		}
		rt.unrest.over.Store(n)
		rt.catch.after(since.Add(-2 * time.Minute))
	}
}

// awaitQuiet returns once one configuration has been left in force for a while.
func (rt *Runtime) awaitQuiet() (int64, bool) {
	t := time.NewTimer(afterReload)
	defer t.Stop()
	for {
		n := rt.unrest.began.Load()
		select {
		case <-rt.unrest.poke:
			t.Reset(afterReload)
		case <-t.C:
			rt.mu.Lock()
			one := len(rt.applied) <= 1
			rt.mu.Unlock()
			if one && n == rt.unrest.began.Load() {
				return n, true
			}
			if !one { // until the old one has gone
				select {
				case <-rt.unrest.poke:
				case <-rt.stop.Done():
					return 0, false
				}
			}
			t.Reset(afterReload)
		case <-rt.stop.Done():
			return 0, false
		}
	}
}
