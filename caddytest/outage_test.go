package caddytest

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-wechat/caddy-wechat/caddytest/simulator"
)

const (
	// long in the environment gives outages their full length.
	long = "CADDY_WECHAT_LONG"

	// atOnce is how long success may take on a busy machine. WeChat waits 5 s.
	atOnce = 2 * time.Second
)

// outageLasts is how long a cloud stays down.
func outageLasts() time.Duration {
	if os.Getenv(long) != "" {
		return time.Minute
	}
	return 5 * time.Second
}

// TestOutage takes one of the clouds away, or has it refuse the account, while
// users write. Every push is answered success at once, all is delivered in order
// once the fault is over, and the log names the remedy once if there is one.
func TestOutage(t *testing.T) {
	t.Parallel()
	const moment = 2 * time.Second
	for name, tc := range map[string]struct {
		begin, end func(w *world)
		lasts      time.Duration
		side       string // that the account is held on, if it is
		remedy     string // begins like this
	}{
		"botpress down": {
			begin: func(w *world) { w.botpress.SetDown(true) },
			end:   func(w *world) { w.botpress.SetDown(false) },
			lasts: outageLasts(),
		},
		"wechat down": {
			begin: func(w *world) { w.wechat.SetDown(true) },
			end:   func(w *world) { w.wechat.SetDown(false) },
			lasts: outageLasts(),
		},
		"wrong app_secret, mended by a reload": {
			begin:  func(w *world) { w.wechat.SetSecret("reset000000000000000000000000000") },
			end:    func(w *world) { w.secret = "reset000000000000000000000000000"; w.reload() },
			lasts:  moment,
			side:   "wechat",
			remedy: "Check app_secret: ",
		},
		"address not allowed, mended at wechat": {
			begin:  func(w *world) { w.wechat.SetAllowedIPs("192.0.2.1"); w.wechat.ExpireTokens() },
			end:    func(w *world) { w.wechat.SetAllowedIPs() },
			lasts:  moment,
			side:   "wechat",
			remedy: "Add 127.0.0.1 to the account's IP allowlist ",
		},
		"wrong encryption_key, mended by a reload": {
			begin:  func(w *world) { w.botKey = "another-key"; w.reload() },
			end:    func(w *world) { w.botKey = encryptionKey; w.reload() },
			lasts:  moment,
			side:   "bot",
			remedy: "check that encryption_key ",
		},
		"botpress plan used up": {
			begin: func(w *world) {
				w.botpress.Fail(simulator.BotpressFault{Op: "createMessage", Status: 402, Times: -1})
			},
			end:    func(w *world) { w.botpress.ClearFaults() },
			lasts:  moment,
			side:   "bot",
			remedy: "the Botpress workspace is out of its plan's allowance: ",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, setup{
				options: bulk,
				wechat:  func(c *simulator.WeChatConfig) { c.NoAllowance, c.DisableKeepAlives = true, true },
				// A webhook that falls into the change of listeners is found by
				// a listing later, behind newer replies. This bot is in no such hurry.
				botpress: func(c *simulator.BotpressConfig) {
					c.DisableKeepAlives, c.ThinkTime = true, 2*listenersChange
				},
			})
			c := crowd{w: w, users: 6, each: 5}
			ctx := within(t, tc.lasts+2*time.Minute)

			c.round(ctx, 0)
			c.answered(ctx, 1)
			tc.begin(w)
			for k := 1; k < c.each; k++ {
				c.round(ctx, k)
				time.Sleep(tc.lasts / time.Duration(c.each-1))
			}
			c.answered(ctx, 1) // and no more: the fault is one
			tc.end(w)
			c.check(ctx, 0)
			w.checkHolds(tc.side, tc.remedy)
		})
	}
}

// round has each user say one thing, all at once, and expects the answer at once.
func (c crowd) round(ctx context.Context, k int) {
	c.w.t.Helper()
	var wg sync.WaitGroup
	took := make([]time.Duration, c.users)
	for i := range c.users {
		wg.Go(func() {
			p := c.w.wechat.Text(c.openid(i), c.text(i, k))
			p.Timeout = 20 * time.Second // a machine that stands still for a while is none of our faults
			d := c.w.wechat.Push(ctx, p)
			if d.Outcome != simulator.OutcomeSuccess || len(d.Attempts) != 1 {
				c.w.t.Errorf("push %q: %+v, want success", c.text(i, k), d)
				return
			}
			took[i] = d.Attempts[0].Took
		})
	}
	wg.Wait()
	slices.Sort(took)
	if half := took[len(took)/2]; half > atOnce {
		c.w.t.Errorf("round %d: half of the pushes were answered after %v, want success at once", k, half)
	}
}

// answered waits until each user has had n answers, and no more.
func (c crowd) answered(ctx context.Context, n int) {
	c.w.t.Helper()
	for i := range c.users {
		seen, err := c.w.wechat.Wait(ctx, c.openid(i), n)
		if err != nil || len(seen) != n {
			c.w.t.Fatalf("user %d has had %d answers, want %d (%v)", i, len(seen), n, err)
		}
	}
}

// record is a line of Caddy's log.
type record struct {
	Level, Msg, Side, Remedy string
}

// records are the lines of the log that have a message.
func (l *logBook) records(msg string) []record {
	var found []record
	for _, line := range l.lines(msg) {
		var r record
		if json.Unmarshal([]byte(line), &r) == nil && r.Msg == msg {
			found = append(found, r)
		}
	}
	return found
}

// checkHolds expects that the log tells of one hold, with its remedy, and of its
// end; or of none at all if there is no side.
func (w *world) checkHolds(side, remedy string) {
	w.t.Helper()
	var held, released []record
	if side != "" {
		held = []record{{Level: "error", Msg: "account held", Side: side, Remedy: remedy}}
		released = []record{{Level: "info", Msg: "account released", Side: side}}
	}
	got := w.caddy.log.records("account held")
	for i, r := range got {
		if remedy != "" && strings.HasPrefix(r.Remedy, remedy) {
			got[i].Remedy = remedy
		}
	}
	if diff := cmp.Diff(held, got); diff != "" {
		w.t.Errorf("holds in the log (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(released, w.caddy.log.records("account released")); diff != "" {
		w.t.Errorf("releases in the log (-want +got):\n%s", diff)
	}
	lines := slices.DeleteFunc(w.caddy.log.await(len(held), `"remedy"`), func(line string) bool {
		return strings.Contains(line, `"logger":"events"`) // Caddy's own, of the event that goes with it
	})
	if n := len(lines); n != len(held) {
		w.t.Errorf("%d lines of the log name a remedy, want %d", n, len(held))
	}
}

// TestLostAnswers lets both clouds do what they are asked and not say so. The bot
// has each message once; WeChat, where nothing can be looked up, is asked again.
func TestLostAnswers(t *testing.T) {
	t.Parallel()
	const repeated = 4
	w := newWorld(t, setup{
		options: bulk,
		wechat:  func(c *simulator.WeChatConfig) { c.NoAllowance = true },
	})
	c := crowd{w: w, users: 6, each: 4}
	ctx := within(t, time.Minute)
	w.botpress.Fail(simulator.BotpressFault{Op: "createMessage", ResetAfter: true, Times: 8})
	w.botpress.Fail(simulator.BotpressFault{Op: "createMessage", Status: 503, After: true, Times: 8})
	w.wechat.Fail(simulator.WeChatFault{Path: "/cgi-bin/message/custom/send", CutAfter: true, Skip: 4, Times: repeated})
	for k := range c.each {
		c.round(ctx, k)
	}
	c.check(ctx, repeated)
	if n := len(w.wechat.Faults()); n != 0 {
		t.Errorf("%d faults were never met", n)
	}
	w.checkHolds("", "")
}

// TestRateLimited has Botpress ask for a pause: nobody's message is sent before
// it is over, each then arrives once, and no operator is called.
func TestRateLimited(t *testing.T) {
	t.Parallel()
	const pause = 3
	w := newWorld(t, setup{options: bulk})
	ctx := within(t, time.Minute)
	w.push(w.wechat.Text("oAlice", "one"))
	w.push(w.wechat.Text("oBob", "one"))
	w.expect("oAlice", "echo: one")
	w.expect("oBob", "echo: one")

	w.botpress.Fail(simulator.BotpressFault{
		Op: "createMessage", Status: 429,
		Headers: map[string]string{"RateLimit-Remaining": "0", "RateLimit-Reset": fmt.Sprint(pause)},
	})
	began := time.Now()
	w.push(w.wechat.Text("oAlice", "two"))
	w.await(ctx, "bot does not take a message; trying again")
	w.push(w.wechat.Text("oBob", "two"))
	w.push(w.wechat.Text("oAlice", "three"))
	w.expect("oAlice", "echo: one", "echo: two", "echo: three")
	w.expect("oBob", "echo: one", "echo: two")
	for _, turn := range w.botpress.AllTurns()[2:] {
		if after := turn.At.Sub(began); after < pause*time.Second {
			t.Errorf("%v was sent after %v, want %d s", turn, after, pause)
		}
	}
	if n := w.botpress.CountTurns(); n != 5 {
		t.Errorf("the bot had %d turns, want 5", n)
	}
	w.checkHolds("", "")
}

// await waits until the log has a message.
func (w *world) await(ctx context.Context, msg string) {
	w.t.Helper()
	for len(w.caddy.log.records(msg)) == 0 {
		select {
		case <-ctx.Done():
			w.t.Fatalf("the log never said %q", msg)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// parked waits until the log says that replies were parked.
func (w *world) parked() {
	w.t.Helper()
	if len(w.caddy.log.await(1, "reply decided", `"road":"park"`)) == 0 {
		w.t.Fatal("the log never said that replies were parked")
	}
}

// TestParked lets WeChat refuse replies until the user acts: they are kept, over
// a restart too, and go out at the user's next push, before newer ones.
func TestParked(t *testing.T) {
	t.Parallel()
	const (
		alice = "oAlice"
		send  = "/cgi-bin/message/custom/send"
	)
	t.Run("allowance used up", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, setup{options: bulk})
		w.push(w.wechat.Text(alice, "many 7"))
		w.expect(alice, "1/7", "2/7", "3/7", "4/7", "5/7")
		w.parked()
		if err := w.botpress.WaitIdle(within(t, time.Minute)); err != nil { // or it would be said before the last ones
			t.Fatal(err)
		}
		w.botpress.Say(conversation(alice), "newer")
		w.restart()
		time.Sleep(time.Second) // what is not to be sent would be on its way

		if n := w.wechat.CountCalls(send); n != 6 {
			t.Errorf("%d messages were sent before the user acted, want 5 and one in vain", n)
		}
		w.push(w.wechat.Text(alice, "go on"))
		w.expect(alice, "1/7", "2/7", "3/7", "4/7", "5/7", "6/7", "7/7", "newer", "echo: go on")
	})
	t.Run("out of time", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, setup{options: bulk})
		w.push(w.wechat.Text(alice, "hello"))
		w.expect(alice, "echo: hello")
		w.wechat.Advance(49 * time.Hour)
		w.botpress.Say(conversation(alice), "late")
		w.parked()
		w.botpress.Say(conversation(alice), "later")
		time.Sleep(500 * time.Millisecond)
		w.expect(alice, "echo: hello")

		w.push(w.wechat.Event(alice, "CLICK", "menu"))
		w.expect(alice, "echo: hello", "late", "later", "echo: menu")
	})
}
