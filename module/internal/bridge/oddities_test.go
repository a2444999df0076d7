package bridge

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/caddy-wechat/caddy-wechat/caddytest/simulator"
)

// once is a push that WeChat sends a single time.
func once(p *simulator.SimPush) { p.Attempts = 1 }

// TestDeliveryOddities plays rows like those of TestDelivery.
func TestDeliveryOddities(t *testing.T) {
	for _, tc := range []scenario{
		{
			name: "a reply that comes between a restart and the next attempt is that one's answer", mode: ReplyPassive,
			does: hi, bot: replies(4300*ms, "a"), restart: 4100 * ms,
			want: []string{"5s passive a"},
		},
		{
			name: "a reply that waits through a restart is the next attempt's answer", mode: ReplyPassive,
			does: hi, bot: replies(4050*ms, "a"), restart: 4500 * ms,
			want: []string{"5s passive a"},
		},
		{
			name: "an attempt that comes late gets what was parked meanwhile", mode: ReplyPassive,
			does: []say{{text: "hi", change: once}, {at: 8500 * ms, again: "hi", change: once}}, bot: replies(6*s, "a"),
			want: []string{"5s system FAILURE", "8.5s passive a"},
		},
		{
			name: "a reply within the millisecond of its message is not an old one", mode: ReplyPassive,
			does: hi, bot: replies(0, "a"),
			want: []string{"300ms passive a"},
		},
		{
			name: "a push that WeChat sends no more does not keep a reply from the next window", mode: ReplyPassive, hang: []int{1, 2, 3},
			does: []say{{text: "hi"}, {at: 5 * s, text: "you"}}, bot: map[string][]bubble{"hi": said(s, "a"), "you": said(s, "b")},
			want: []string{"3.3s system FAILURE", "6.3s passive a||b"},
		},
		{
			name: "a reply that was begun is not torn by one that the bot said before it", mode: ReplyPush, does: hi,
			bot: map[string][]bubble{"hi": {
				{after: 1000 * ms, created: 1000 * ms, text: strings.Repeat("y", 2100)},
				{after: 1500 * ms, created: 900 * ms, text: "x"},
			}},
			want: []string{"1.3s push " + strings.Repeat("y", 2000), "1.8s push " + strings.Repeat("y", 100), "2.3s push x"},
		},
		{
			name: "the rest of a reply is not glued to another one", mode: ReplyPush, does: hi,
			change: func(s *Settings) { s.Allowance.Message.Count = 2 },
			bot: map[string][]bubble{"hi": {
				{after: 1000 * ms, created: 1000 * ms, text: strings.Repeat("y", 2100)},
				{after: 1500 * ms, created: 900 * ms, text: "x"},
			}},
			want: []string{"1.3s push " + strings.Repeat("y", 2000), "1.8s push " + strings.Repeat("y", 100) + "||x"},
		},
		{
			name: "white space behind a cut is no message", mode: ReplyPassive,
			change: func(s *Settings) { s.Notices.More = strings.Repeat("M", 60) },
			does:   []say{{text: "hi"}, {at: 20 * s, text: "you"}},
			bot:    map[string][]bubble{"hi": said(s, strings.Repeat("x", 1950)+strings.Repeat("\n", 50), long('b'))},
			want:   []string{"1.3s passive " + strings.Repeat("x", 1950) + strings.Repeat("|", 38) + strings.Repeat("M", 60), "33.8s passive " + long('b')},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			dir := tempDir(t)
			synctest.Test(t, func(t *testing.T) { tc.run(t, dir) })
		})
	}
}

// reviewed runs a test in a bubble, with a scene.
func reviewed(t *testing.T, change func(*Settings), test func(*testing.T, *scene)) {
	t.Helper()
	dir := tempDir(t)
	synctest.Test(t, func(t *testing.T) {
		sc := newScene(t, dir, change, nil)
		defer sc.close()
		test(t, sc)
	})
}
