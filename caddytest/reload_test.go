package caddytest

import (
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-wechat/caddy-wechat/caddytest/simulator"
)

// TestReloadUnderLoad reloads Caddy every 200 ms, back and forth between two
// configurations, while a crowd speaks whose every request is a connection of
// its own: there is no other answer than success, and nothing is lost or sent
// twice.
//
// A server that shuts down drops connections which it has not read a request
// from, and the kernel resets those that it has not accepted. WeChat repeats a
// push that this happens to. A webhook is not repeated; it is found because
// around a reload conversations are listed before their replies go out.
func TestReloadUnderLoad(t *testing.T) {
	c := crowd{users: 200, each: 20, until: true, pause: 250 * time.Millisecond}
	if full() {
		c.each = 50
	}
	c.w = newWorld(t, setup{
		options: bulk,
		wechat: func(wc *simulator.WeChatConfig) {
			wc.NoAllowance = true
			wc.DisableKeepAlives = true
			wc.Timeout = 20 * time.Second // no machine is that slow
			wc.KeepDeliveries = 1 << 20
		},
		botpress: func(bc *simulator.BotpressConfig) { bc.DisableKeepAlives = true },
	})
	ctx := within(t, 10*time.Minute)
	dropped := make(map[string]bool) // by message id
	note := func() {
		for _, h := range c.w.botpress.Webhooks() {
			switch {
			case h.Status == 0 && h.Bot:
				dropped[h.MessageID] = true
			case h.Status != 0 && h.Status != http.StatusOK:
				t.Errorf("webhook was answered %+v", h)
			}
		}
	}
	spoken := make(chan struct{})
	go func() {
		defer close(spoken)
		c.speak(ctx)
	}()
	began := time.Now()
	reloads := c.w.reloadWhile(spoken, note, bulk, bulk+"\n\t\tai_label on\n\t\tpath /wechat\n\t\tnotice failed \"not to be shown\"")
	pushed := time.Since(began)
	if err := c.w.botpress.WaitIdle(ctx); err != nil {
		t.Fatal(err)
	}
	note()
	c.check(within(t, 3*time.Minute), 0)
	resets := c.w.checkAnswers()
	t.Logf("%d messages, %d reloads: pushed in %v, all answered in %v; %d pushes and %d webhooks dropped",
		c.users*c.each, reloads, pushed, time.Since(began), resets, len(dropped))
}

// reloadWhile reloads Caddy every 200 ms until something is over, though not
// without end, and puts the options into force in turn. It returns how many
// reloads there were.
func (w *world) reloadWhile(over <-chan struct{}, each func(), options ...string) int {
	w.t.Helper()
	every := time.NewTicker(200 * time.Millisecond)
	defer every.Stop()
	const most = 50 // on a slow machine a reload takes longer than the time between two
	for n := range most {
		select {
		case <-over:
			return n
		case <-every.C:
		}
		w.options = options[n%len(options)]
		if err := w.caddy.reload(w.config()); err != nil {
			w.t.Errorf("reload %d: %v", n, err)
		}
		each()
	}
	for {
		select {
		case <-over:
			return most
		case <-every.C:
			each()
		}
	}
}

// checkAnswers looks at every answer that WeChat got to a push, and counts the
// requests that had none because they were dropped.
func (w *world) checkAnswers() (dropped int) {
	w.t.Helper()
	for _, d := range w.wechat.Deliveries() {
		for _, a := range d.Attempts {
			switch {
			case a.Kind == simulator.OutcomeRefused && a.Status == 0:
				dropped++
			case a.Kind == simulator.OutcomeCancelled: // the test was faster
			case a.Status != http.StatusOK || string(a.Body) != "success":
				w.t.Errorf("push %s was answered %+v", d.MsgID, a)
			}
		}
	}
	if lines := w.caddy.log.lines("push not taken"); len(lines) > 0 {
		w.t.Errorf("pushes were dropped by the bridge:\n%s", strings.Join(lines, ""))
	}
	return dropped
}

// TestReloadThatFails gives the running Caddy configurations that cannot be
// loaded or started. Nothing changes: neither during nor after it is a push
// answered late, and the settings are those from before.
func TestReloadThatFails(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { taken.Close() })
	unable := "http://" + taken.Addr().String() + " {\n\trespond x\n}\n"

	for _, tc := range []struct {
		name   string
		change func(*world)
		more   string // further sites
		want   string // in the error
	}{
		{
			name:   "unknown option",
			change: func(w *world) { w.options += "\n\t\tno_such_option on" },
			want:   "no_such_option",
		},
		{
			name:   "bad value",
			change: func(w *world) { w.options += "\n\t\twait 9s" },
			want:   "wait",
		},
		{
			name:   "secret that resolves to nothing",
			change: func(w *world) { w.secret = "{env.CADDY_WECHAT_TEST_UNSET}" },
			want:   "app_secret",
		},
		{
			name:   "another server cannot start",
			change: func(w *world) { w.options += "\n\t\tai_label on" },
			more:   unable,
			want:   "address already in use",
		},
		{
			name:   "another server cannot start, other secret",
			change: func(w *world) { w.secret = "not-the-secret" },
			more:   unable,
			want:   "address already in use",
		},
		{
			name:   "another server cannot start, other api",
			change: func(w *world) { w.wechatAt = "http://127.0.0.1:1" },
			more:   unable,
			want:   "address already in use",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, setup{options: bulk, wechat: func(c *simulator.WeChatConfig) {
				c.NoAllowance = true
				c.DisableKeepAlives = true
				c.Timeout = 20 * time.Second // no machine is that slow
				c.KeepDeliveries = 1 << 20
			}})
			w.push(w.wechat.Text(alice, "before"))
			w.expect(alice, "echo: before")
			good := *w
			want := []string{"echo: before"}
			hush := good.chatter(12)
			for range 6 { // apps and servers start in no fixed order
				*w = good
				tc.change(w)
				err := w.caddy.reload(w.config() + tc.more)
				*w = good
				if err == nil || !strings.Contains(err.Error(), tc.want) {
					t.Fatalf("reload: %v, want an error about %q", err, tc.want)
				}
				if d := w.wechat.Push(t.Context(), w.wechat.Text(alice, "after")); !d.Accepted() {
					t.Fatalf("push after the reload: %+v", d)
				}
				want = append(want, "echo: after")
				w.expect(alice, want...)
			}
			hush()
			for _, s := range w.wechat.Replies(alice) {
				if s.AI {
					t.Errorf("%q has the label of the configuration that failed", s.Text)
				}
			}
			w.checkAnswers()
			if lines := w.caddy.log.lines("account held"); len(lines) > 0 {
				t.Errorf("the settings that failed were used:\n%s", strings.Join(lines, ""))
			}
			w.caddy.stop() // which waits for whatever is left of them
		})
	}
}

// chatter has some users speak on and on. The function it returns ends that,
// and waits for the answers.
func (w *world) chatter(users int) (hush func()) {
	over := make(chan struct{})
	var wg sync.WaitGroup
	for i := range users {
		wg.Go(func() {
			for {
				select {
				case <-over:
					return
				case <-time.After(5 * time.Millisecond):
				}
				openid := fmt.Sprintf("oChatter%02d", i)
				if d := w.wechat.Push(w.t.Context(), w.wechat.Text(openid, "so")); !d.Accepted() {
					w.t.Errorf("push: %+v", d)
				}
			}
		})
	}
	return func() {
		close(over)
		wg.Wait()
	}
}

// TestReloadMovesJournal gives the running Caddy another directory while
// messages wait in the old one. The log tells how many; the way back finds them.
func TestReloadMovesJournal(t *testing.T) {
	t.Parallel()
	const bob = "oBob"
	w := newWorld(t, setup{options: bulk})
	w.push(w.wechat.Text(alice, "one"))
	w.expect(alice, "echo: one")
	w.botpress.SetDown(true)
	w.push(w.wechat.Text(alice, "two"))
	w.push(w.wechat.Text(alice, "three"))
	old := w.config()
	dir := filepath.Join(w.caddy.dir, "journal")
	if err := w.caddy.reload(strings.Replace(old, dir, dir+"-new", 1)); err != nil {
		t.Fatal(err)
	}
	lines := w.caddy.log.await(1, "journal has moved", `"old_dir":"`+dir+`"`, `"new_dir":"`+dir+`-new"`, `"pushes":2`)
	if len(lines) != 1 {
		t.Errorf("the log does not tell that two pushes wait in the old journal: %q", w.caddy.log.lines("moved"))
	}
	w.botpress.SetDown(false)
	// The reload may have dropped the connection; WeChat tries again.
	if d := w.wechat.Push(within(t, 30*time.Second), w.wechat.Text(bob, "four")); !d.Accepted() {
		t.Fatalf("push: %+v", d)
	}
	w.expect(bob, "echo: four")
	w.expect(alice, "echo: one")
	if err := w.caddy.reload(old); err != nil {
		t.Fatal(err)
	}
	w.expect(alice, "echo: one", "echo: two", "echo: three")
}

// TestTwoProcesses starts a second Caddy on a journal that is in use.
func TestTwoProcesses(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{options: bulk})
	second := newProcess(t)
	config := strings.ReplaceAll(w.config(), w.caddy.admin, second.admin)
	config = strings.Replace(config, w.site, freeAddr(t), 1)
	if err := second.tryStart(config); err == nil {
		t.Fatal("the second process has started")
	}
	dir := filepath.Join(w.caddy.dir, "journal")
	if lines := second.log.await(1, dir, "another process"); len(lines) == 0 {
		t.Errorf("its error does not name the directory:\n%s", tail(second.log.String()))
	}
	w.push(w.wechat.Text(alice, "still here"))
	w.expect(alice, "echo: still here")
	w.caddy.stop()
	second.start(config)
}

// TestStop ends Caddy three times while a crowd speaks, as an operator would,
// and starts it again, at moments when both sides take their time to answer.
// What is under way ends by itself: nothing is lost, and nothing is sent twice.
func TestStop(t *testing.T) {
	w := newWorld(t, setup{
		options: bulk,
		wechat:  func(c *simulator.WeChatConfig) { c.NoAllowance = true },
	})
	c := crowd{w: w, users: 50, each: 100, until: true, pause: 60 * time.Millisecond}
	ctx := within(t, 10*time.Minute)
	spoken := make(chan struct{})
	go func() {
		defer close(spoken)
		c.speak(ctx)
	}()
	for n := range 3 {
		time.Sleep(500 * time.Millisecond)
		w.wechat.Fail(simulator.WeChatFault{Path: sendPath, Times: 20, Delay: 1500 * time.Millisecond})
		w.botpress.Fail(simulator.BotpressFault{Op: "createMessage", Times: 20, LateBy: 1500 * time.Millisecond})
		time.Sleep(200 * time.Millisecond)
		select {
		case <-spoken:
			t.Fatal("the crowd fell silent before the last stop")
		default:
		}
		began := time.Now()
		w.caddy.stop()
		took := time.Since(began)
		t.Logf("stop %d took %v", n, took)
		if took > 15*time.Second {
			t.Errorf("stop %d took %v", n, took)
		}
		w.wechat.ClearFaults()
		w.botpress.ClearFaults()
		w.caddy.start(w.config())
	}
	<-spoken
	c.check(within(t, 3*time.Minute), 0)
}
