package caddytest

import (
	"testing"
	"time"

	"github.com/caddy-wechat/caddy-wechat/caddytest/simulator"
)

// TestReloadUnderLoad reloads Caddy every 200 ms, back and forth between two
// configurations, while a crowd speaks whose every request is a connection of
// its own: no push is answered badly, nothing is lost or sent twice, and each
// user's order is kept.
func TestReloadUnderLoad(t *testing.T) {
	c := crowd{users: 200, each: 50, pause: 50 * time.Millisecond}
	c.w = newWorld(t, setup{
		options: bulk,
		wechat: func(wc *simulator.WeChatConfig) {
			wc.NoAllowance = true
			wc.DisableKeepAlives = true
			wc.KeepDeliveries = 4 * c.users * c.each
		},
		botpress: func(bc *simulator.BotpressConfig) { bc.DisableKeepAlives = true },
	})
	ctx := within(t, 4*time.Minute)
	began := time.Now()
	reloads := c.w.reloadDuring(func() { c.speak(ctx) },
		bulk, bulk+"\n\t\tai_label on\n\t\tnotice failed \"not to be shown\"")
	spoken := time.Since(began)
	c.check(ctx, 0)
	t.Logf("%d messages, %d reloads: pushed in %v, all answered in %v", c.users*c.each, reloads, spoken, time.Since(began))
}

// reloadDuring reloads Caddy every 200 ms while something goes on, and puts the
// options into force in turn. It returns how many reloads there were.
func (w *world) reloadDuring(do func(), options ...string) int {
	w.t.Helper()
	over := make(chan struct{})
	go func() {
		defer close(over)
		do()
	}()
	every := time.NewTicker(200 * time.Millisecond)
	defer every.Stop()
	for n := 0; ; n++ {
		select {
		case <-over:
			return n
		case <-every.C:
		}
		w.options = options[n%len(options)]
		if err := w.caddy.reload(w.config()); err != nil {
			w.t.Errorf("reload %d: %v", n, err)
		}
	}
}
