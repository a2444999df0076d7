package bridge

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-wechat/caddy-wechat/caddytest/simulator"
)

// TestClockJumps sets the machine's clock by hours or days between two runs of the process, with a reply that
// waits, and allowances, in the journal from before. A bubble's clock always begins at the same time: how long
// passes in it before the account starts is how far the machine's clock is ahead of WeChat's and the bot's.
// What waited and what comes are delivered once and in order, and without waiting for the clock.
func TestClockJumps(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ first, second time.Duration }{
		"forward by 5 hours":   {0, 5 * time.Hour},
		"forward by 3 days":    {0, 72 * time.Hour},
		"back by half an hour": {30 * time.Minute, 0},
		"back by 5 hours":      {5 * time.Hour, 0},
		"back by 3 days":       {72 * time.Hour, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			const gap = time.Hour // between the runs, in truth
			run := func(ahead, began time.Duration, play func(sc *scene, ask func(string))) {
				synctest.Test(t, func(t *testing.T) {
					time.Sleep(ahead)
					sc := newScene(t, dir, func(s *Settings) {
						s.Reply = ReplyPush
						// The simulators of this run know nothing of the one before: neither the user nor which ids were given.
						b := s.Bot.(*scriptedBot)
						b.n = int(began.Hours()) * 100
						if began > 0 {
							b.sc.wechat.Fail(simulator.WeChatFault{Path: "/cgi-bin/message/custom/send", Times: 6, Cut: true})
						}
					},
						func(c *simulator.WeChatConfig) { c.NoAllowance = true })
					defer sc.close()
					truth := began - ahead
					sc.bot.script = map[string][]bubble{
						"one": {{text: "first", created: truth + time.Second}, {after: 20 * time.Second, text: "late", created: truth + 20*time.Second}},
						"two": {{text: "second", created: truth + time.Second}},
					}
					play(sc, func(text string) {
						sc.play([]say{{at: time.Since(sc.began), text: text, change: func(p *simulator.SimPush) {
							p.CreateTime += int64(truth.Seconds())
							p.MsgID = text + p.MsgID // another simulator begins to count anew
						}}})
					})
				})
			}
			run(tc.first, 0, func(sc *scene, ask func(string)) {
				ask("one")
				time.Sleep(5 * time.Second)
				sc.wechat.SetDown(true)
				time.Sleep(20 * time.Second)
				if got := sc.saw(); len(got) != 1 || !strings.HasSuffix(got[0], " first") {
					t.Errorf("before the jump the user saw %q", got)
				}
			})
			run(tc.second, gap, func(sc *scene, ask func(string)) {
				time.Sleep(5 * time.Second)
				ask("two")
				time.Sleep(30 * time.Second)
				got := sc.saw()
				waiting, parked, dead := sc.state()
				for _, d := range dead { // by this clock it was parked for too long; an operator can have it sent
					got = append([]string{" " + strings.TrimSuffix(d, ": "+staleReason)}, got...)
				}
				if len(got) != 2 || !strings.HasSuffix(got[0], " late") || !strings.HasSuffix(got[1], " second") || waiting+parked != 0 {
					t.Errorf("after the jump the user saw, or found dead letters of, %q; %d wait, %d are parked", got, waiting, parked)
				}
				if len(dead) > 0 && tc.second < parkedFor {
					t.Errorf("dead letters %q", dead)
				}
			})
		})
	}
}
