package bridge

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"pgregory.net/rapid"

	"github.com/caddy-wechat/caddy-wechat/caddytest/simulator"
)

// flood has the user say that many things, so far apart, and the bot answer each at
// once. It returns when all were answered by us.
func (sc *scene) flood(n int, apart time.Duration) {
	sc.t.Helper()
	sc.bot.mu.Lock()
	if sc.bot.script == nil {
		sc.bot.script = make(map[string][]bubble)
	}
	for i := range n {
		sc.bot.script[fmt.Sprintf("m%02d", i)] = said(0, fmt.Sprintf("r%02d", i))
	}
	sc.bot.mu.Unlock()
	var all []say
	for i := range n {
		all = append(all, say{at: time.Since(sc.began) + time.Duration(i)*apart, text: fmt.Sprintf("m%02d", i)})
	}
	sc.play(all)
}

// turns are when the bot was told what, since the scene began.
func (sc *scene) turns() []string {
	sc.bot.mu.Lock()
	defer sc.bot.mu.Unlock()
	var all []string
	for _, u := range sc.bot.said {
		all = append(all, fmt.Sprintf("%v m%s", u.at.Sub(sc.began).Round(10*ms), strings.TrimPrefix(u.text, "r")))
	}
	return all
}

// outcomes are how WeChat's pushes ended, and how long the longest was held.
func (sc *scene) outcomes() (kinds map[string]int, longest time.Duration) {
	kinds = make(map[string]int)
	for _, d := range sc.wechat.Deliveries() {
		kinds[d.Outcome]++
		for _, a := range d.Attempts {
			longest = max(longest, a.Took)
		}
	}
	return kinds, longest
}

func limitUser(count int, per time.Duration) func(*Settings) {
	return func(s *Settings) {
		s.Limits.User = Grant{count, per}
		s.Settle, s.Pace = 0, 0
		s.Allowance = Allowance{Message: Grant{1000, 48 * time.Hour}, Action: Grant{3, time.Minute}}
	}
}

// atRate are the turns of a flood at a rate: so many at once, then one by one.
func atRate(n, count int, every, apart time.Duration) []string {
	var all []string
	for i := range n {
		at := time.Duration(i) * apart
		if i >= count {
			at = max(at, time.Duration(i-count+1)*every)
		}
		all = append(all, fmt.Sprintf("%v m%02d", at.Round(10*ms), i))
	}
	return all
}

// TestFlood slows down a user who sends too much, and nobody else.
func TestFlood(t *testing.T) {
	const n = 15
	var order []string
	for i := range n {
		order = append(order, fmt.Sprintf("r%02d", i))
	}
	everything := func(t *testing.T, sc *scene) {
		t.Helper()
		var all []string
		for _, s := range sc.wechat.Seen(sceneUser) {
			for text := range strings.SplitSeq(s.Text, "\n") {
				if strings.HasPrefix(text, "r") {
					all = append(all, text)
				}
			}
		}
		if diff := cmp.Diff(order, all); diff != "" {
			t.Errorf("the user reads (-want +got):\n%s", diff)
		}
		if waiting, parked, dead := sc.state(); waiting != 0 || parked != 0 || dead != nil {
			t.Errorf("%d wait, %d are parked, dead: %v", waiting, parked, dead)
		}
	}
	accepted := func(t *testing.T, sc *scene, want map[string]int) {
		t.Helper()
		kinds, longest := sc.outcomes()
		if diff := cmp.Diff(want, kinds); diff != "" {
			t.Errorf("answers (-want +got):\n%s", diff)
		}
		if longest > 5*s {
			t.Errorf("one was held for %v", longest)
		}
	}
	for _, tc := range []struct {
		name   string
		change func(*Settings)
		test   func(*testing.T, *scene)
	}{
		{"pushed", func(s *Settings) { s.Reply = ReplyPush }, func(t *testing.T, sc *scene) {
			sc.flood(n, 100*ms)
			accepted(t, sc, map[string]int{simulator.OutcomeSuccess: n})
			time.Sleep(time.Minute)
			if diff := cmp.Diff(atRate(n, 5, 2*s, 100*ms), sc.turns()); diff != "" {
				t.Errorf("turns (-want +got):\n%s", diff)
			}
			if got := sc.rt.Slowed(); got != n-5 {
				t.Errorf("%d were slowed, want %d", got, n-5)
			}
			everything(t, sc)
		}},
		{"a lane is free for others", func(s *Settings) { s.Reply, s.Limits.Lanes = ReplyPush, 1 }, func(t *testing.T, sc *scene) {
			sc.flood(n, 5*ms)
			began := time.Now()
			sc.bot.script["hi"] = said(0, "hello")
			sc.wechat.Push(context.Background(), sc.wechat.Text("oBob", "hi"))
			if _, err := sc.wechat.Wait(context.Background(), "oBob", 1); err != nil || time.Since(began) > 100*ms {
				t.Errorf("another user was answered after %v: %v", time.Since(began), err)
			}
			if got := len(sc.turns()); got > 7 {
				t.Errorf("the flood had %d turns already", got)
			}
			time.Sleep(time.Minute)
			everything(t, sc)
		}},
		{"held one by one", nil, func(t *testing.T, sc *scene) {
			var most int
			stop := make(chan struct{})
			var wg sync.WaitGroup
			wg.Go(func() {
				for {
					select {
					case <-stop:
						return
					case <-time.After(50 * ms):
						sc.rt.windows.mu.Lock()
						most = max(most, sc.rt.windows.held)
						sc.rt.windows.mu.Unlock()
					}
				}
			})
			sc.flood(n, 10*ms)
			close(stop)
			wg.Wait()
			if most > 7 { // those that are not slowed, one that comes soon enough, and one more
				t.Errorf("%d callbacks were held at once", most)
			}
			time.Sleep(time.Minute)
			if kinds, longest := sc.outcomes(); kinds[simulator.OutcomeReply]+kinds[simulator.OutcomeSuccess] != n || longest > 5*s {
				t.Errorf("answered %v, the longest after %v", kinds, longest)
			}
			everything(t, sc)
		}},
		{"passive only", func(s *Settings) { s.Reply = ReplyPassive }, func(t *testing.T, sc *scene) {
			sc.flood(n, 10*ms)
			if kinds, longest := sc.outcomes(); kinds[simulator.OutcomeReply] != n || longest > 5*s {
				t.Errorf("answered %v, the longest after %v; want %d replies, be they notices", kinds, longest, n)
			}
			time.Sleep(time.Minute)
			sc.bot.mu.Lock()
			sc.bot.script["more"] = said(0, "rZ")
			sc.bot.mu.Unlock()
			for range 3 {
				sc.play([]say{{at: time.Since(sc.began), text: "more"}})
				time.Sleep(time.Minute)
			}
			order = append(slices.Clone(order), "rZ", "rZ", "rZ")
			defer func() { order = order[:n] }()
			everything(t, sc)
		}},
		{"a reload lets go", func(s *Settings) { s.Reply = ReplyPush }, func(t *testing.T, sc *scene) {
			sc.flood(n, 5*ms)
			time.Sleep(s)
			before := len(sc.turns())
			sc.reload() // changes nothing
			time.Sleep(500 * ms)
			if got := len(sc.turns()); before != 5 || got != before {
				t.Errorf("%d turns before a reload, %d after it, want 5", before, got)
			}
			sc.s.Limits.User = Grant{}
			sc.reload()
			time.Sleep(100 * ms)
			if got := len(sc.turns()); got != n {
				t.Errorf("%d turns once nobody is slowed, want %d", got, n)
			}
			everything(t, sc)
		}},
		{"kept over a restart", func(s *Settings) { s.Reply = ReplyPush }, func(t *testing.T, sc *scene) {
			sc.flood(n, 5*ms)
			time.Sleep(3 * s)
			sc.restart()
			time.Sleep(time.Minute)
			everything(t, sc)
		}},
		{"what the bot is not told does not count", func(s *Settings) { s.Reply = ReplyPush }, func(t *testing.T, sc *scene) {
			for range 50 {
				sc.wechat.Push(context.Background(), sc.wechat.Event(sceneUser, "LOCATION", ""))
			}
			sc.flood(5, 5*ms)
			time.Sleep(100 * ms)
			if got := len(sc.turns()); got != 5 {
				t.Errorf("%d turns, want 5 at once", got)
			}
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := tempDir(t)
			synctest.Test(t, func(t *testing.T) {
				sc := newScene(t, dir, func(s *Settings) {
					limitUser(5, 10*time.Second)(s)
					if tc.change != nil {
						tc.change(s)
					}
				}, func(c *simulator.WeChatConfig) { c.NoAllowance = true })
				defer sc.close()
				tc.test(t, sc)
			})
		})
	}
}

// TestFloodRate: whatever comes when, no more turns are let through within any
// stretch of time than the grant has, and none waits for longer than it must.
func TestFloodRate(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		grant := Grant{rapid.IntRange(1, 30).Draw(rt, "count"), time.Duration(rapid.IntRange(1, 120).Draw(rt, "seconds")) * s}
		gaps := rapid.SliceOfN(rapid.IntRange(0, 10_000), 1, 100).Draw(rt, "gaps")
		var turns, arrivals []time.Duration
		synctest.Test(t, func(*testing.T) {
			woken := make(chan struct{}, 1)
			f := newFloods(func(string) { woken <- struct{}{} }, zap.NewNop)
			f.set(grant)
			began := time.Now()
			for i, gap := range gaps {
				arrivals = append(arrivals, gapSum(gaps[:i])+time.Duration(gap)*ms)
				if d := arrivals[i] - time.Since(began); d > 0 {
					time.Sleep(d)
				}
				for f.turn(sceneUser, int64(i)) != nil {
					<-woken
				}
				turns = append(turns, time.Since(began))
			}
			f.close()
		})
		every := grant.every()
		for i, at := range turns {
			if j := i - grant.Count; j >= 0 && at-turns[j] < every {
				rt.Fatalf("turns %d and %d are %v apart", j, i, at-turns[j])
			}
			if k := i - grant.Count; k >= 0 && at > arrivals[i] && at > turns[i-1] && at-turns[k] > grant.For+every {
				rt.Fatalf("turn %d had to wait until %v", i, at)
			}
		}
	})
}

func gapSum(gaps []int) (sum time.Duration) {
	for _, g := range gaps {
		sum += time.Duration(g) * ms
	}
	return sum
}
