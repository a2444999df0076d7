package caddytest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-wechat/caddy-wechat/caddytest/simulator"
)

// headStart is how much earlier a passive answer is than what is pushed behind
// it.
const headStart = 300 * time.Millisecond

// kindOf makes the account one of a kind.
func kindOf(kind string) func(*simulator.WeChatConfig) {
	return func(c *simulator.WeChatConfig) { c.Kind = kind }
}

// expectRoads waits until a user has seen these, each "road text", and no more
// for a while.
func (w *world) expectRoads(openid string, want ...string) []simulator.Seen {
	w.t.Helper()
	_, _ = w.wechat.WaitFor(within(w.t, 25*time.Second), openid, func(seen []simulator.Seen) bool { return len(seen) >= len(want) })
	time.Sleep(700 * time.Millisecond) // whatever is too much may be on its way
	seen := w.wechat.Seen(openid)
	var got []string
	for _, s := range seen {
		got = append(got, s.Road+" "+strings.ReplaceAll(s.Text, "\n", "|"))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		w.t.Fatalf("%s saw (-want +got):\n%s", openid, diff)
	}
	return seen
}

// say pushes a text without waiting for the answer. The function it returns
// waits, and returns what became of it.
func (w *world) say(openid, text string) func() simulator.Delivery {
	w.t.Helper()
	return w.sayAs(w.wechat.Text(openid, text))
}

func (w *world) sayAs(p simulator.SimPush) func() simulator.Delivery {
	var d simulator.Delivery
	var wg sync.WaitGroup
	wg.Go(func() { d = w.wechat.Push(context.Background(), p) })
	return func() simulator.Delivery {
		wg.Wait()
		return d
	}
}

// TestRoads: the roads that replies take, in real time, in plain and safe mode.
func TestRoads(t *testing.T) {
	t.Parallel()
	const alice = "oAlice"
	for _, mode := range []string{simulator.ModePlain, simulator.ModeSafe} {
		world := func(t *testing.T, kind, options string) *world {
			t.Parallel()
			return newWorld(t, setup{mode: mode, options: options, wechat: kindOf(kind)})
		}
		t.Run(mode+"/in time, and the rest by push", func(t *testing.T) {
			w := world(t, simulator.KindVerified, "")
			d := w.say(alice, "many 4")()
			if d.Reply == nil || len(d.Attempts) != 1 {
				t.Errorf("answered %+v", d)
			}
			seen := w.expectRoads(alice, "passive 1/4", "push 2/4", "push 3/4", "push 4/4")
			if gap := seen[1].At.Sub(seen[0].At); gap < headStart/2 { // WeChat has the answer a little after it was written
				t.Errorf("pushed %v after the answer, want about %v", gap, headStart)
			}
		})
		t.Run(mode+"/in the bot's order", func(t *testing.T) {
			w := world(t, simulator.KindVerified, "settle 1s")
			w.say(alice, "reverse 3")
			w.expectRoads(alice, "passive 1/3", "push 2/3", "push 3/3")
		})
		t.Run(mode+"/too many for the allowance", func(t *testing.T) {
			w := world(t, simulator.KindVerified, "pace 100ms")
			w.say(alice, "many 9")
			w.expectMerged(alice, 9, 6)
		})
		t.Run(mode+"/too late, by push", func(t *testing.T) {
			w := world(t, simulator.KindVerified, "wait 500ms")
			if d := w.say(alice, "slow 1")(); d.Outcome != simulator.OutcomeSuccess || len(d.Attempts) != 1 {
				t.Errorf("answered %+v", d)
			}
			w.expectRoads(alice, "push echo: slow 1")
		})
		t.Run(mode+"/unverified, in the second attempt", func(t *testing.T) {
			w := world(t, simulator.KindIndividual, "")
			if d := w.say(alice, "slow 7")(); d.Reply == nil || len(d.Attempts) != 2 {
				t.Errorf("answered %+v", d)
			}
			w.expectRoads(alice, "passive echo: slow 7")
			if n := len(w.caddy.log.await(1, "account may not push messages")); n != 1 {
				t.Errorf("said %d times that the account may not push", n)
			}
		})
		t.Run(mode+"/unverified, too late: thinking, and then together", func(t *testing.T) {
			w := world(t, simulator.KindIndividual, "notice thinking T")
			if d := w.say(alice, "slow 15")(); d.Reply == nil || len(d.Attempts) != 3 {
				t.Errorf("answered %+v", d)
			}
			w.expectRoads(alice, "passive T")
			w.parked()
			w.say(alice, "hello")
			w.expectRoads(alice, "passive T", "passive echo: slow 15||echo: hello")
		})
		t.Run(mode+"/a lost answer is given again", func(t *testing.T) {
			w := world(t, simulator.KindVerified, "reply passive")
			p := w.wechat.Text(alice, "hello")
			p.LoseAnswers = 2
			if d := w.sayAs(p)(); d.Reply == nil || len(d.Attempts) != 3 {
				t.Errorf("answered %+v", d)
			}
			w.expectRoads(alice, "passive echo: hello")
			if n := w.botpress.CountTurns(); n != 1 {
				t.Errorf("the bot had %d turns", n)
			}
		})
		t.Run(mode+"/two pushes in flight", func(t *testing.T) {
			w := world(t, simulator.KindVerified, "pace 100ms")
			first := w.say(alice, "slow 1")
			time.Sleep(200 * time.Millisecond)
			second := w.say(alice, "hello")
			if a, b := first(), second(); a.Reply == nil || b.Reply == nil {
				t.Errorf("answered %+v and %+v", a, b)
			}
			w.expectRoads(alice, "passive echo: slow 1", "passive echo: hello")
		})
		t.Run(mode+"/a duplicate while the window is open", func(t *testing.T) {
			w := world(t, simulator.KindVerified, "")
			w.wechat.PushConcurrent(t.Context(), w.wechat.Text(alice, "slow 1"), 3)
			w.expectRoads(alice, "passive echo: slow 1")
			if n := w.botpress.CountTurns(); n != 1 {
				t.Errorf("the bot had %d turns", n)
			}
		})
		t.Run(mode+"/a menu tap: three messages in a minute", func(t *testing.T) {
			w := world(t, simulator.KindVerified, "pace 100ms")
			w.sayAs(w.wechat.Event(alice, "CLICK", "many 6"))
			w.expectMerged(alice, 6, 4)
		})
		t.Run(mode+"/wechat hangs up while it waits", func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, setup{mode: mode, wechat: func(c *simulator.WeChatConfig) { c.Timeout = time.Second }})
			p := w.wechat.Text(alice, "slow 2")
			p.Attempts = 1
			if d := w.sayAs(p)(); d.Reply != nil || d.Accepted() {
				t.Errorf("answered %+v", d)
			}
			seen, _ := w.wechat.WaitFor(within(t, 10*time.Second), alice, func(seen []simulator.Seen) bool { return len(seen) == 2 })
			if len(seen) != 2 || seen[0].Type != "notice" || seen[1].Road != "push" || seen[1].Text != "echo: slow 2" {
				t.Errorf("the user saw %+v", seen)
			}
		})
		t.Run(mode+"/a fixed answer to an event", func(t *testing.T) {
			w := world(t, simulator.KindVerified, "event subscribe reply 欢迎")
			w.sayAs(w.wechat.Event(alice, "subscribe", ""))
			w.expectRoads(alice, "passive 欢迎")
			if n := w.botpress.CountTurns(); n != 0 {
				t.Errorf("the bot had %d turns", n)
			}
		})
	}
}

// expectMerged waits until a user has seen all of so many texts, and expects them in order, the first one
// passively, in at most so many messages, and some of them together: where they are cut depends on how many
// were there in time.
func (w *world) expectMerged(openid string, texts, messages int) {
	w.t.Helper()
	var want, got []string
	for i := range texts {
		want = append(want, fmt.Sprintf("%d/%d", i+1, texts))
	}
	ctx := within(w.t, 30*time.Second)
	for n := 1; len(got) < texts; n++ {
		seen, err := w.wechat.Wait(ctx, openid, n)
		if err != nil {
			w.t.Errorf("waiting for message %d: %v", n, err)
			break
		}
		road, text := simulator.RoadPush, seen[n-1].Text
		if n == 1 {
			road = simulator.RoadPassive
		}
		if seen[n-1].Road != road || n > messages {
			w.t.Errorf("message %d came by %s: %q", n, seen[n-1].Road, text)
		}
		got = append(got, strings.Fields(text)...)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		w.t.Errorf("%s saw (-want +got):\n%s", openid, diff)
	}
}

// TestWindowsOverChange: open windows outlast a reload, and a restart makes
// WeChat ask again.
func TestWindowsOverChange(t *testing.T) {
	t.Parallel()
	const alice = "oAlice"
	t.Run("reload", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, setup{mode: simulator.ModeSafe})
		answered := w.say(alice, "slow 2")
		time.Sleep(500 * time.Millisecond)
		w.options = "ai_label on"
		w.reload()
		if d := answered(); d.Reply == nil || len(d.Attempts) != 1 {
			t.Errorf("answered %+v", d)
		}
		w.expectRoads(alice, "passive echo: slow 2|内容由AI生成")
	})
	t.Run("restart, passive", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, setup{mode: simulator.ModeSafe, options: "reply passive", wechat: func(c *simulator.WeChatConfig) { c.RetryPause = 6 * time.Second }})
		answered := w.say(alice, "slow 3")
		time.Sleep(500 * time.Millisecond)
		began := time.Now()
		w.restart()
		if took := time.Since(began); took > 12*time.Second {
			t.Errorf("the restart took %v", took)
		}
		if d := answered(); d.Reply == nil || len(d.Attempts) < 2 {
			t.Errorf("answered %+v", d)
		}
		w.expectRoads(alice, "passive echo: slow 3")
	})
	t.Run("restart, auto", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, setup{})
		answered := w.say(alice, "slow 2")
		time.Sleep(500 * time.Millisecond)
		w.restart()
		if d := answered(); !d.Accepted() {
			t.Errorf("answered %+v", d)
		}
		if got := texts(w.expectRoadsAny(alice, 1)); !cmp.Equal(got, []string{"echo: slow 2"}) {
			t.Errorf("saw %q", got)
		}
	})
}

// expectRoadsAny waits until a user has seen so many, by whatever road, and no
// more for a while.
func (w *world) expectRoadsAny(openid string, n int) []simulator.Seen {
	w.t.Helper()
	_, _ = w.wechat.Wait(within(w.t, 20*time.Second), openid, n)
	time.Sleep(500 * time.Millisecond)
	return w.wechat.Seen(openid)
}
