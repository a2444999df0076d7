package bridge

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-wechat/caddy-wechat/caddytest/simulator"
)

// scenario is a row of the table: what the user and the bot do, and what the user
// sees of it, when, and by which road.
type scenario struct {
	name    string
	kind    string // of the account; default verified
	mode    ReplyMode
	change  func(*Settings)
	hang    []int         // callbacks WeChat hangs up on at the moment of answering, by number
	restart time.Duration // when the process ends and starts again, 0 for never
	does    []say
	bot     map[string][]bubble
	lasts   time.Duration // how long to look on; default a minute
	want    []string
	waiting int64
	parked  int64
	dead    []string
}

const (
	ms = time.Millisecond
	s  = time.Second
)

// hi is the simplest thing to do.
var hi = []say{{text: "hi"}}

// replies is a bot that answers "hi" with these texts, all at once.
func replies(after time.Duration, texts string) map[string][]bubble {
	return map[string][]bubble{"hi": said(after, strings.Fields(texts)...)}
}

// TestDelivery plays each row on a clock of its own, between a real journal and a
// simulated WeChat.
func TestDelivery(t *testing.T) {
	for name, rows := range map[string][]scenario{
		"one reply":     oneReply(),
		"bubbles":       severalBubbles(),
		"pushes":        severalPushes(),
		"events":        eventWindows(),
		"passive only":  passiveOnly(),
		"hung up":       hungUp(),
		"order":         outOfOrder(),
		"allowance":     allowances(),
		"configuration": configured(),
	} {
		for _, tc := range rows {
			t.Run(name+"/"+tc.name, func(t *testing.T) {
				t.Parallel()
				dir := tempDir(t)
				synctest.Test(t, func(t *testing.T) { tc.run(t, dir) })
			})
		}
	}
}

func (tc *scenario) run(t *testing.T, dir string) {
	sc := newScene(t, dir, func(s *Settings) {
		if tc.mode != "" {
			s.Reply = tc.mode
		}
		if tc.change != nil {
			tc.change(s)
		}
	}, func(c *simulator.WeChatConfig) {
		c.Kind = tc.kind
	})
	defer sc.close()
	for _, n := range tc.hang {
		sc.hang[n] = true
	}
	sc.bot.script = tc.bot
	var restarted sync.WaitGroup
	if tc.restart > 0 {
		restarted.Go(func() {
			time.Sleep(tc.restart)
			sc.restart()
		})
	}
	sc.play(tc.does)
	restarted.Wait()
	lasts := tc.lasts
	if lasts == 0 {
		lasts = time.Minute
	}
	time.Sleep(lasts - time.Since(sc.began))
	if diff := cmp.Diff(tc.want, sc.saw()); diff != "" {
		t.Errorf("the user sees (-want +got):\n%s", diff)
	}
	waiting, parked, dead := sc.state()
	if waiting != tc.waiting || parked != tc.parked {
		t.Errorf("%d waiting, %d parked; want %d and %d", waiting, parked, tc.waiting, tc.parked)
	}
	if diff := cmp.Diff(tc.dead, dead); diff != "" {
		t.Errorf("dead letters (-want +got):\n%s", diff)
	}
}

// oneReply is one reply to one message, after each delay, in each mode, for each
// kind of account.
func oneReply() []scenario {
	type fate struct {
		want            string
		waiting, parked int64
		dead            bool
	}
	delays := []time.Duration{1 * s, 4400 * ms, 4600 * ms, 7 * s, 13 * s, 20 * s, 10 * time.Minute, 49 * time.Hour}
	// By push, or passively within the first 4 s and by push afterwards. After 49 h
	// WeChat takes no more, and after 48 h more the reply is given up.
	push := []fate{{want: "1.3s push a"}, {want: "4.7s push a"}, {want: "4.9s push a"}, {want: "7.3s push a"}, {want: "13.3s push a"}, {want: "20.3s push a"}, {want: "10m0.3s push a"}, {dead: true}}
	auto := append([]fate{{want: "1.3s passive a"}}, push[1:]...)
	// Without permission to push: in the answer to one of the three attempts, which
	// come after 0, 5 and 10 s and are held for 4 s each.
	late := fate{want: "14s passive THINKING", parked: 1}
	passive := []fate{{want: "1.3s passive a"}, {want: "5s passive a"}, {want: "5s passive a"}, {want: "7.3s passive a"}, {want: "13.3s passive a"}, late, late, {want: late.want, dead: true}}
	// By push only, from an account that may not: held until that is mended.
	held := fate{waiting: 1}
	stuck := []fate{held, held, held, held, held, held, held, {dead: true}}

	var all []scenario
	for _, kind := range []string{simulator.KindVerified, simulator.KindIndividual, simulator.KindSandbox} {
		for _, mode := range []ReplyMode{ReplyAuto, ReplyPassive, ReplyPush} {
			fates := map[ReplyMode][]fate{ReplyAuto: auto, ReplyPassive: passive, ReplyPush: push}[mode]
			switch {
			case kind == simulator.KindIndividual && mode == ReplyAuto:
				fates = passive
			case kind == simulator.KindIndividual && mode == ReplyPush:
				fates = stuck
			}
			for i, f := range fates {
				if f.dead && (kind == simulator.KindSandbox || mode == ReplyPassive && kind == simulator.KindVerified) {
					continue // days take a while to play, and it is the same as in others
				}
				row := scenario{
					name: fmt.Sprintf("%s, %s, after %s", kind, mode, delays[i]),
					kind: kind, mode: mode, does: hi, bot: replies(delays[i], "a"),
					lasts:   delays[i] + time.Minute,
					waiting: f.waiting, parked: f.parked,
				}
				if f.want != "" {
					row.want = []string{f.want}
				}
				if f.dead {
					row.dead, row.lasts = []string{"a: parked for 48 hours"}, 99*time.Hour
				}
				all = append(all, row)
			}
		}
	}
	return all
}

// severalBubbles are turns of several replies.
func severalBubbles() []scenario {
	nine := "a b c d e f g h i"
	return []scenario{
		{
			name: "three, auto", does: hi, bot: replies(s, "a b c"),
			want: []string{"1.3s passive a", "1.6s push b", "2.1s push c"},
		},
		{
			name: "five, auto", does: hi, bot: replies(s, "a b c d e"),
			want: []string{"1.3s passive a", "1.6s push b", "2.1s push c", "2.6s push d", "3.1s push e"},
		},
		{
			name: "six, auto: the window and the whole allowance", does: hi, bot: replies(s, "a b c d e f"),
			want: []string{"1.3s passive a", "1.6s push b", "2.1s push c", "2.6s push d", "3.1s push e", "3.6s push f"},
		},
		{
			name: "nine, auto: merged as far as needed", does: hi, bot: replies(s, nine),
			want: []string{"1.3s passive a||b||c||d", "1.6s push e", "2.1s push f", "2.6s push g", "3.1s push h", "3.6s push i"},
		},
		{
			name: "five, push", mode: ReplyPush, does: hi, bot: replies(s, "a b c d e"),
			want: []string{"1.3s push a", "1.8s push b", "2.3s push c", "2.8s push d", "3.3s push e"},
		},
		{
			name: "six, push", mode: ReplyPush, does: hi, bot: replies(s, "a b c d e f"),
			want: []string{"1.3s push a||b", "1.8s push c", "2.3s push d", "2.8s push e", "3.3s push f"},
		},
		{
			name: "three, push", mode: ReplyPush, does: hi, bot: replies(s, "a b c"),
			want: []string{"1.3s push a", "1.8s push b", "2.3s push c"},
		},
		{
			name: "nine, push: merged as far as needed", mode: ReplyPush, does: hi, bot: replies(s, nine),
			want: []string{"1.3s push a||b||c||d||e", "1.8s push f", "2.3s push g", "2.8s push h", "3.3s push i"},
		},
		{
			name: "three, passive", mode: ReplyPassive, does: hi, bot: replies(s, "a b c"),
			want: []string{"1.3s passive a||b||c"},
		},
		{
			name: "six, passive", mode: ReplyPassive, does: hi, bot: replies(s, "a b c d e f"),
			want: []string{"1.3s passive a||b||c||d||e||f"},
		},
		{
			name: "five, auto, unverified", kind: simulator.KindIndividual, does: hi, bot: replies(1500*ms, "a b c d e"),
			want: []string{"1.8s passive a||b||c||d||e"},
		},
		{
			name: "five, auto, sandbox", kind: simulator.KindSandbox, does: hi, bot: replies(s, "a b c d e"),
			want: []string{"1.3s passive a", "1.6s push b", "2.1s push c", "2.6s push d", "3.1s push e"},
		},
		{
			name: "five, push, unverified: nothing is lost", kind: simulator.KindIndividual, mode: ReplyPush, does: hi, bot: replies(s, "a b c d e"),
			waiting: 5,
		},
		{
			name: "nine, passive: one message holds them", mode: ReplyPassive, does: hi, bot: replies(s, nine),
			want: []string{"1.3s passive a||b||c||d||e||f||g||h||i"},
		},
		{
			name: "slowly, auto: the last waits for the end of the turn, what comes then is parked", does: hi,
			bot: map[string][]bubble{"hi": {
				{after: 1 * s, text: "a"},
				{after: 2 * s, text: "b"},
				{after: 3 * s, text: "c"},
				{after: 4 * s, text: "d"},
				{after: 5 * s, text: "e"},
				{after: 6 * s, text: "f"},
				{after: 6200 * ms, text: "g"},
				{after: 9 * s, text: "h"},
			}},
			want:   []string{"1.3s passive a", "2.3s push b", "3.3s push c", "4.3s push d", "5.3s push e", "6.5s push f||g"},
			parked: 1,
		},
		{
			name: "long ones, push: the last message says that more waits", mode: ReplyPush, does: hi,
			bot: map[string][]bubble{"hi": said(s, long('a'), long('b'), long('c'), long('d'), long('e'), long('f'), long('g'))},
			want: []string{
				"1.3s push " + long('a'), "1.8s push " + long('b'), "2.3s push " + long('c'), "2.8s push " + long('d'),
				"3.3s push " + long('e') + "|MORE",
			},
			parked: 2,
		},
		{
			name: "long ones, passive: the notice is the last line of the answer", mode: ReplyPassive,
			does: []say{{text: "hi"}, {at: 20 * s, text: "more"}, {at: 40 * s, text: "more"}},
			bot:  map[string][]bubble{"hi": said(s, long('a'), long('b'), long('c'))},
			want: []string{
				"1.3s passive " + long('a') + "|MORE", "33.8s passive " + long('b') + "|MORE", "53.8s passive " + long('c'),
			},
		},
		{
			name: "settling ends with the window", does: hi, change: func(s *Settings) { s.Settle = 5 * time.Second },
			bot:  map[string][]bubble{"hi": {{after: 3500 * ms, text: "a"}, {after: 3700 * ms, text: "b"}}},
			want: []string{"3.8s passive a", "4.1s push b"},
		},
		{
			name: "settling ends after a second and a half", does: hi, mode: ReplyPush,
			bot: map[string][]bubble{"hi": {
				{after: 1000 * ms, text: "a"},
				{after: 1250 * ms, text: "b"},
				{after: 1500 * ms, text: "c"},
				{after: 1750 * ms, text: "d"},
				{after: 2000 * ms, text: "e"},
				{after: 2250 * ms, text: "f"},
				{after: 2500 * ms, text: "g"},
				{after: 2750 * ms, text: "h"},
			}},
			want: []string{"2.5s push a||b", "3s push c||d||e", "3.5s push f", "4s push g", "4.5s push h"},
		},
	}
}

// long is a text that no other fits beside.
func long(r rune) string { return strings.Repeat(string(r), 1990) }

// severalPushes are users who do not wait for the answer, and pushes that WeChat
// sends more than once.
func severalPushes() []scenario {
	twice := func(p *simulator.SimPush) { p.LoseAnswers = 1 }
	return []scenario{
		{
			name: "two windows, auto: the oldest takes the reply",
			does: []say{{text: "hi"}, {at: s, text: "you"}},
			bot:  map[string][]bubble{"hi": said(2500*ms, "a"), "you": said(2*s, "b")},
			want: []string{"2.8s passive a", "3.3s passive b"},
		},
		{
			name: "two windows at once, auto: the second is no shortcut past the first answer",
			does: []say{{text: "hi"}, {at: ms, text: "you"}},
			bot:  map[string][]bubble{"hi": said(3950*ms, "a", "b")},
			want: []string{"3.95s passive a", "4.25s push b"},
		},
		{
			name: "two windows, auto: replies to the second one only", does: []say{{text: "hi"}, {at: s, text: "you"}},
			bot:  map[string][]bubble{"you": said(s, "b", "c", "d")},
			want: []string{"2.3s passive b", "2.8s passive c", "3.1s push d"},
		},
		{
			name: "two windows, passive: one answer each", mode: ReplyPassive,
			does: []say{{text: "hi"}, {at: s, text: "you"}},
			bot:  map[string][]bubble{"hi": said(4500*ms, "a"), "you": said(4100*ms, "b")},
			want: []string{"5s passive a", "6s passive b"},
		},
		{
			name: "a duplicate while the window is open: the newest request carries the answer",
			does: []say{{text: "hi", twins: 2}}, bot: replies(s, "a"),
			want: []string{"1.3s passive a"},
		},
		{
			name: "a duplicate while the window is open, passive", mode: ReplyPassive,
			does: []say{{text: "hi", twins: 3}}, bot: replies(s, "a"),
			// The others are silent until WeChat gives them up and asks again: then
			// they are told the same.
			want: []string{"1.3s passive a", "5s passive a", "5s passive a"},
		},
		{
			name: "a retry after the answer gets the same answer, auto", does: []say{{text: "hi", change: twice}}, bot: replies(s, "a b"),
			want: []string{"1.3s passive a", "1.6s push b"},
		},
		{
			name: "a retry after the answer gets the same answer, passive", mode: ReplyPassive,
			does: []say{{text: "hi", change: twice}}, bot: replies(7*s, "a"),
			want: []string{"7.3s passive a"},
		},
		{
			name: "a retry after success gets success", does: []say{{text: "hi", change: twice}}, bot: replies(7*s, "a"),
			want: []string{"7.3s push a"},
		},
	}
}

// eventWindows are pushes that are no messages.
func eventWindows() []scenario {
	rule := func(r EventRule) func(*Settings) {
		return func(s *Settings) { s.Events = []EventRule{r} }
	}
	event := func(after time.Duration, name, texts string) map[string][]bubble {
		return map[string][]bubble{name: said(after, strings.Fields(texts)...)}
	}
	return []scenario{
		{
			name: "a menu tap, auto: three messages in a minute", does: []say{{event: "CLICK", key: "HELP"}},
			bot:  event(s, "HELP", "a b c d e f"),
			want: []string{"1.3s passive a||b||c", "1.6s push d", "2.1s push e", "2.6s push f"},
		},
		{
			name: "a menu tap, push, after a minute: parked", mode: ReplyPush, does: []say{{event: "CLICK", key: "HELP"}},
			bot: event(61*s, "HELP", "a"), lasts: 2 * time.Minute, parked: 1,
		},
		{
			name: "a menu tap, passive, is text and lapses", mode: ReplyPassive, does: []say{{event: "CLICK", key: "HELP"}},
			bot: event(7*s, "HELP", "a"), want: []string{"7.3s passive a"},
		},
		{
			name: "a follow, auto", does: []say{{event: "subscribe"}}, bot: event(s, "event subscribe", "a b"),
			want: []string{"1.3s passive a", "1.6s push b"},
		},
		{
			name: "a follow, passive: neither lapses nor says thinking", mode: ReplyPassive, does: []say{{event: "subscribe"}},
			bot: event(6*s, "event subscribe", "a"), parked: 1,
		},
		{
			name: "a follow, passive: what comes too late leads the next answer", mode: ReplyPassive,
			does: []say{{event: "subscribe"}, {at: 10 * s, text: "hi"}},
			bot:  map[string][]bubble{"event subscribe": said(6*s, "a"), "hi": said(s, "b")},
			want: []string{"11.3s passive a||b"},
		},
		{
			name: "a follow's window takes nothing once a message has come", mode: ReplyPassive,
			does: []say{{event: "subscribe"}, {at: s, text: "hi"}},
			bot:  map[string][]bubble{"hi": said(s, "b")},
			want: []string{"2.3s passive b"},
		},
		{
			name: "a retry of a message does not end the window of a scan that came behind it", mode: ReplyPassive,
			does: []say{{text: "hi"}, {at: 3 * s, event: "SCAN", key: "poster"}},
			bot:  map[string][]bubble{"hi": said(4*s, long('a')), "event SCAN": said(2*s, long('b'))},
			want: []string{"5s passive " + long('a'), "5.5s passive " + long('b')},
		},
		{
			name: "a fixed answer: the bot is not asked", does: []say{{event: "subscribe", change: func(p *simulator.SimPush) { p.LoseAnswers = 1 }}},
			change: rule(EventRule{Name: "subscribe", Action: EventReply, Text: "welcome"}), bot: event(s, "event subscribe", "a"),
			want: []string{"0s passive welcome"},
		},
		{
			name: "an ignored event opens no window", does: []say{{event: "CLICK", key: "HELP"}},
			change: rule(EventRule{Name: "CLICK", Action: EventIgnore}), bot: event(s, "HELP", "a"),
		},
		{
			name: "a view opens no window, and no allowance", does: []say{{event: "VIEW", key: "https://example.com/"}},
			bot: event(s, "event VIEW", "a"), parked: 1,
		},
		{
			name: "an unfollow: what is parked is deleted", mode: ReplyPassive,
			does: []say{{text: "hi"}, {at: 30 * s, event: "unsubscribe"}, {at: 40 * s, event: "subscribe"}},
			bot:  map[string][]bubble{"hi": said(20*s, "a"), "event unsubscribe": said(2*s, "bye"), "event subscribe": said(s, "b")},
			want: []string{"14s passive THINKING", "41.3s passive b"},
		},
	}
}

// passiveOnly are accounts that may not push, with a bot that is slow.
func passiveOnly() []scenario {
	var ten []say
	bot := make(map[string][]bubble)
	want := []string{"14s passive THINKING"}
	for i := range 10 {
		text := fmt.Sprintf("q%d", i)
		ten = append(ten, say{at: time.Duration(i) * 30 * s, text: text})
		bot[text] = said(16*s, fmt.Sprintf("a%d", i))
		if i > 0 {
			// The answer to the one before comes when it is clear that there is none to
			// this one in time.
			want = append(want, fmt.Sprintf("%s passive a%d", time.Duration(i)*30*s+13800*ms, i-1))
		}
	}
	quick := maps.Clone(bot)
	quick["q1"] = said(s, "a1")
	return []scenario{
		{
			name: "ten turns, each answered late", mode: ReplyPassive, does: ten, bot: bot, lasts: 6 * time.Minute,
			want: want, parked: 1,
		},
		{
			name: "one late, one in time: the conversation has caught up", kind: simulator.KindIndividual, does: ten[:3], bot: quick, lasts: 2 * time.Minute,
			want: []string{"14s passive THINKING", "31.3s passive a0||a1", "1m14s passive THINKING"}, parked: 1,
		},
		{
			name: "more than so many lapses in a minute: thinking is said at once", mode: ReplyPassive, lasts: 20 * s,
			change: func(s *Settings) { s.Notices.Thinking = "T" },
			does:   slices.Repeat([]say{{text: "hi"}}, lapsesPerMinute+2),
			// Two of them have no lapse left; the rest have none for the second attempt.
			want: append(slices.Repeat([]string{"4s passive T"}, 2), slices.Repeat([]string{"9s passive T"}, lapsesPerMinute)...),
		},
		{
			name: "a lost first attempt is noticed by the push's age", mode: ReplyPassive,
			does: []say{{at: 11 * s, text: "hi", change: func(p *simulator.SimPush) { p.CreateTime -= 10; p.Attempts = 1 }}}, bot: replies(20*s, "a"),
			want: []string{"15s passive THINKING"}, parked: 1,
		},
		{
			name: "back after 48 hours, before that was noticed", mode: ReplyPassive, lasts: 49 * time.Hour,
			does: []say{{text: "hi"}, {at: 48*time.Hour + 10*time.Minute, text: "more"}},
			bot:  map[string][]bubble{"hi": said(20*s, "a"), "more": said(s, "b")},
			want: []string{"14s passive THINKING", "48h10m1.3s passive b"}, dead: []string{"a: parked for 48 hours"},
		},
		{
			name: "a restart between two attempts", mode: ReplyPassive, does: hi, bot: replies(12*s, "a"), restart: 9500 * ms,
			want: []string{"12.3s passive a"},
		},
		{
			name: "a restart after the answer: a retry gets the same", mode: ReplyPassive, bot: replies(s, "a"), restart: 2 * s,
			does: []say{{text: "hi"}, {at: 5 * s, again: "hi"}},
			want: []string{"1.3s passive a", "5s passive a"},
		},
		{
			name: "a restart remembers that the account may not push", kind: simulator.KindIndividual, restart: 30 * s,
			does: []say{{text: "hi"}, {at: 40 * s, text: "more"}}, bot: map[string][]bubble{"hi": said(20*s, "a"), "more": said(12*s, "b")},
			change: func(s *Settings) { s.Typing = false },
			want:   []string{"52.3s passive a||b"},
		},
	}
}

// hungUp is WeChat hanging up at the moment of answering.
func hungUp() []scenario {
	return []scenario{
		{
			name: "auto: by push", does: hi, hang: []int{1}, bot: replies(s, "a b"),
			want: []string{"1.3s push a", "1.8s push b"},
		},
		{
			name: "passive: in the next attempt", mode: ReplyPassive, does: hi, hang: []int{1}, bot: replies(s, "a"),
			want: []string{"2.3s passive a"},
		},
		{
			name: "passive, all three: parked, and first in the next answer", mode: ReplyPassive, hang: []int{1, 2, 3},
			does: []say{{text: "hi"}, {at: 20 * s, text: "you"}}, bot: map[string][]bubble{"hi": said(s, "a"), "you": said(s, "b")},
			want: []string{"3.3s system FAILURE", "21.3s passive a||b"},
		},
	}
}

// outOfOrder are webhooks that do not come in the bot's order.
func outOfOrder() []scenario {
	shuffled := map[string][]bubble{"hi": {
		{after: 1200 * ms, created: 900 * ms, text: "a"}, {after: 1000 * ms, created: 950 * ms, text: "b"}, {after: 1100 * ms, created: 990 * ms, text: "c"},
	}}
	return []scenario{
		{name: "auto", does: hi, bot: shuffled, want: []string{"1.5s passive a", "1.8s push b", "2.3s push c"}},
		{name: "push", mode: ReplyPush, does: hi, bot: shuffled, want: []string{"1.5s push a", "2s push b", "2.5s push c"}},
		{name: "passive", mode: ReplyPassive, does: hi, bot: shuffled, want: []string{"1.5s passive a||b||c"}},
		{
			name: "without settling", mode: ReplyPush, does: hi, bot: shuffled, change: func(s *Settings) { s.Settle = 0 },
			want: []string{"1s push b", "1.5s push a", "2s push c"},
		},
		{
			name: "late ones, without a pace", does: hi, change: func(s *Settings) { s.Pace = 0 },
			bot: map[string][]bubble{"hi": {
				{after: 1000 * ms, text: "a"},
				{after: 1000 * ms, text: "b"},
				{after: 1590 * ms, text: "d"},
				{after: 1650 * ms, created: 1550 * ms, text: "c"},
			}},
			want: []string{"1.3s passive a", "1.6s push b", "1.95s push c", "1.95s push d"},
		},
		{
			name: "each before the one before it: a second and a half is all", mode: ReplyPush, does: hi,
			bot: map[string][]bubble{"hi": {
				{after: 1000 * ms, created: 900 * ms, text: "e"},
				{after: 1250 * ms, created: 800 * ms, text: "d"},
				{after: 1500 * ms, created: 700 * ms, text: "c"},
				{after: 1750 * ms, created: 600 * ms, text: "b"},
				{after: 2000 * ms, created: 500 * ms, text: "a"},
				{after: 2250 * ms, created: 400 * ms, text: "0"},
				{after: 2600 * ms, created: 300 * ms, text: "1"},
			}},
			want: []string{"2.5s push 0||a", "3s push 1||b", "3.5s push c", "4s push d", "4.5s push e"},
		},
	}
}

// allowances are what WeChat and we count.
func allowances() []scenario {
	twelve := "a b c d e f g h i j k l"
	return []scenario{
		{
			name: "spent; the rest is first when the user acts", mode: ReplyPush, change: func(s *Settings) { s.Settle = 0 },
			does: []say{{text: "hi"}, {at: 20 * s, text: "more"}},
			bot: map[string][]bubble{"hi": {
				{after: 1 * s, text: "a"},
				{after: 2 * s, text: "b"},
				{after: 3 * s, text: "c"},
				{after: 4 * s, text: "d"},
				{after: 5 * s, text: "e"},
				{after: 6 * s, text: "f"},
				{after: 7 * s, text: "g"},
			}, "more": said(s, "h")},
			want: []string{"1s push a", "2s push b", "3s push c", "4s push d", "5s push e", "20s push f", "20.5s push g", "21s push h"},
		},
		{
			name: "WeChat allows less than configured", mode: ReplyPush, change: func(s *Settings) { s.Allowance.Message.Count = 20 },
			does: []say{{text: "hi"}, {at: 20 * s, text: "more"}}, bot: replies(s, twelve),
			want: []string{
				"1.3s push a", "1.8s push b", "2.3s push c", "2.8s push d", "3.3s push e",
				"20s push f", "20.5s push g", "21s push h", "21.5s push i", "22s push j",
			},
			parked: 2,
		},
		{
			name: "a tap adds its own", mode: ReplyPush, does: []say{{text: "hi"}, {at: 20 * s, event: "CLICK", key: "MORE"}},
			bot:  map[string][]bubble{"hi": said(s, "a", "b", "c", "d"), "MORE": said(s, "e", "f", "g", "h")},
			want: []string{"1.3s push a", "1.8s push b", "2.3s push c", "2.8s push d", "21.3s push e", "21.8s push f", "22.3s push g", "22.8s push h"},
		},
		{
			name: "counted across a restart", mode: ReplyPush, does: hi, restart: 2500 * ms,
			bot:  map[string][]bubble{"hi": append(said(s, "a", "b", "c"), said(5*s, "d", "e", "f", "g")...)},
			want: []string{"1.3s push a", "1.8s push b", "2.3s push c", "5.3s push d||e||f", "5.8s push g"},
		},
	}
}

// configured are the options.
func configured() []scenario {
	return []scenario{
		{
			name: "wait", change: func(s *Settings) { s.Wait = 2 * time.Second }, does: hi, bot: replies(2100*ms, "a"),
			want: []string{"2.4s push a"},
		},
		{
			name: "settle and pace off", change: func(s *Settings) { s.Settle, s.Pace = 0, 0 }, does: hi,
			bot:  map[string][]bubble{"hi": {{after: s, text: "a"}, {after: 1010 * ms, text: "b"}, {after: 1020 * ms, text: "c"}}},
			want: []string{"1s passive a", "1.3s push b", "1.3s push c"},
		},
		{
			name: "AI label", change: func(s *Settings) { s.AILabel = true }, does: hi, bot: replies(s, "a b"),
			want: []string{"1.3s passive a|" + aiLabel, "1.6s push b"},
		},
		{
			name: "no room for another window: by push", change: func(s *Settings) { s.Limits.Windows = 0 }, does: hi, bot: replies(s, "a"),
			want: []string{"1.3s push a"},
		},
		{
			name: "no room for another window, passive", mode: ReplyPassive, change: func(s *Settings) { s.Limits.Windows = 0 }, does: hi, bot: replies(s, "a"),
			want: []string{"0s passive THINKING"}, parked: 1,
		},
	}
}
