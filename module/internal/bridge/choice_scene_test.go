package bridge

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-wechat/caddy-wechat/caddytest/simulator"
)

// colours is a choice.
var colours = map[string]any{"type": "choice", "text": "Which?", "options": []any{
	map[string]any{"label": "Red", "value": "r"}, map[string]any{"label": "Blue", "value": "b"},
}}

// tap makes a push the tap on the second option of the bot's nth message.
func tap(message string) func(*simulator.SimPush) {
	return func(p *simulator.SimPush) {
		p.Inner += "<bizmsgmenuid>" + menuID(choiceRef(message), 2) + "</bizmsgmenuid>"
	}
}

// TestChoose: what the bot hears of a user's answer to a choice.
func TestChoose(t *testing.T) {
	t.Parallel()
	type answer struct{ value, label string }
	blue := answer{"b", "Blue"}
	const day = 24 * time.Hour
	for _, tc := range []struct {
		name    string
		mode    ReplyMode
		style   ChoiceStyle
		kind    string
		restart time.Duration
		does    []say
		want    answer // to the last thing said
		shown   string // how the user sees the choice; default text
	}{
		{name: "tap, passive", does: []say{{at: 10 * s, text: "Blue", change: tap("m00001")}}, want: blue},
		{name: "tap, pushed", mode: ReplyPush, does: []say{{at: 10 * s, text: "Blue", change: tap("m00001")}}, want: blue},
		{name: "number", does: []say{{at: 10 * s, text: "2"}}, want: blue},
		{name: "label", does: []say{{at: 10 * s, text: "blue "}}, want: blue},
		{name: "number, in numbers", style: ChoiceNumbers, does: []say{{at: 10 * s, text: "２."}}, want: blue},
		{name: "something else", does: []say{{at: 10 * s, text: "green"}}, want: answer{"green", ""}},
		{name: "at once", mode: ReplyPush, does: []say{{at: 1301 * ms, text: "2"}}, want: blue},
		{name: "before it was shown", mode: ReplyPush, does: []say{{at: 1100 * ms, text: "2"}}, want: answer{"2", ""}},
		{name: "menu", mode: ReplyPush, style: ChoiceMenu, does: []say{{at: 10 * s, text: "Blue", change: tap("m00001")}}, want: blue, shown: "msgmenu"},
		{name: "menu, while the callback is held", style: ChoiceMenu, does: []say{{at: 10 * s, text: "Blue", change: tap("m00001")}}, want: blue, shown: "msgmenu"},
		{name: "menu, typed", style: ChoiceMenu, does: []say{{at: 10 * s, text: "二"}}, want: blue, shown: "msgmenu"},
		{name: "menu that a sandbox account has not", style: ChoiceMenu, kind: simulator.KindSandbox, does: []say{{at: 10 * s, text: "Blue", change: tap("m00001")}}, want: blue},
		{name: "menu, passive only", style: ChoiceMenu, kind: simulator.KindIndividual, does: []say{{at: 10 * s, text: "2"}}, want: blue},
		{name: "tap after a later message", does: []say{{at: 5 * s, text: "next"}, {at: 10 * s, text: "Blue", change: tap("m00001")}}, want: blue},
		{name: "number after a later message", does: []say{{at: 5 * s, text: "next"}, {at: 10 * s, text: "2"}}, want: answer{"2", ""}},
		{name: "label after a silent turn", does: []say{{at: 5 * s, text: "silence"}, {at: 10 * s, text: "Blue"}}, want: blue},
		{name: "twice", does: []say{{at: 5 * s, text: "1"}, {at: 10 * s, text: "2"}}, want: blue},
		{name: "tap within a day", does: []say{{at: day, text: "Blue", change: tap("m00001")}}, want: blue},
		{name: "tap after a day", does: []say{{at: day + 2*s, text: "Blue", change: tap("m00001")}}, want: answer{"Blue", ""}},
		{name: "number after a day", does: []say{{at: day + 2*s, text: "2"}}, want: blue},
		{name: "tap on nothing known", does: []say{{at: 10 * s, text: "2", change: tap("m00009")}}, want: answer{"2", ""}},
		{name: "tap that is not ours", does: []say{{at: 10 * s, text: "2", change: func(p *simulator.SimPush) { p.Inner += "<bizmsgmenuid>101</bizmsgmenuid>" }}}, want: answer{"2", ""}},
		{name: "across a restart", restart: 5 * s, does: []say{{at: 10 * s, text: "2"}}, want: blue},
		{name: "tap across a restart", restart: 5 * s, does: []say{{at: 10 * s, text: "Blue", change: tap("m00001")}}, want: blue},
		{name: "by who has left meanwhile", does: []say{{at: 5 * s, event: "unsubscribe"}, {at: 10 * s, text: "Blue", change: tap("m00001")}}, want: answer{"Blue", ""}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			dir := tempDir(t)
			synctest.Test(t, func(t *testing.T) {
				sc := newScene(t, dir, func(s *Settings) {
					s.Choices = tc.style
					if tc.mode != "" {
						s.Reply = tc.mode
					}
				}, func(c *simulator.WeChatConfig) { c.Kind = tc.kind })
				defer sc.close()
				sc.bot.script = map[string][]bubble{
					"hi":   {{after: s, payload: colours}},
					"next": said(s, "later"),
				}
				done := make(chan struct{})
				go func() {
					defer close(done)
					if tc.restart > 0 {
						time.Sleep(tc.restart)
						sc.restart()
					}
				}()
				sc.play(append([]say{{text: "hi"}}, tc.does...))
				<-done
				time.Sleep(5 * s)
				sc.bot.mu.Lock()
				defer sc.bot.mu.Unlock()
				got := answer{sc.bot.turns[len(sc.bot.turns)-1], sc.bot.labels[len(sc.bot.labels)-1]}
				if got != tc.want || len(sc.bot.turns) != len(tc.does)+1 {
					t.Errorf("the bot heard %q with %q, want %q with %q; all: %q", got.value, got.label, tc.want.value, tc.want.label, sc.bot.turns)
				}
				shown := sc.wechat.Replies(sceneUser)[0]
				if tc.shown == "" {
					tc.shown = "text"
				}
				if shown.Type != tc.shown {
					t.Errorf("the user saw %+v, want a %s", shown, tc.shown)
				}
			})
		})
	}
}

// TestNotShown: what the user types while a choice cannot be sent is meant for the
// one before it.
func TestNotShown(t *testing.T) {
	t.Parallel()
	for _, mode := range []ReplyMode{ReplyAuto, ReplyPush} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			dir := tempDir(t)
			synctest.Test(t, func(t *testing.T) {
				sc := newScene(t, dir, func(s *Settings) { s.Reply = mode }, nil)
				defer sc.close()
				animals := map[string]any{"type": "choice", "text": "Or?", "options": []any{"Cat", "Dog"}}
				sc.bot.script = map[string][]bubble{"hi": {{after: s, payload: colours}, {after: 5 * s, payload: animals}}}
				go func() {
					time.Sleep(3 * s)
					sc.wechat.Fail(simulator.WeChatFault{Path: "/cgi-bin/message/custom/send", Times: 1000, Code: -1})
					time.Sleep(time.Minute)
					sc.wechat.ClearFaults()
				}()
				sc.play([]say{{text: "hi"}, {at: 5650 * ms, text: "2"}, {at: 10 * time.Minute, text: "２"}})
				time.Sleep(5 * s)
				sc.bot.mu.Lock()
				defer sc.bot.mu.Unlock()
				if want := []string{"hi", "b", "Dog"}; !slices.Equal(sc.bot.turns, want) {
					t.Errorf("the bot heard %q, want %q", sc.bot.turns, want)
				}
			})
		})
	}
}

// TestShownInAnswer: a choice that goes out in answer to a text is not what that
// text was meant for.
func TestShownInAnswer(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	synctest.Test(t, func(t *testing.T) {
		sc := newScene(t, dir, func(s *Settings) { s.Allowance.Message.Count = 1 }, nil)
		defer sc.close()
		animals := map[string]any{"type": "choice", "text": "Or?", "options": []any{"Cat", "Dog"}}
		sc.bot.script = map[string][]bubble{"hi": {{after: 5 * s, payload: colours}, {after: 10 * s, payload: animals}}}
		sc.play([]say{{text: "hi"}, {at: 20 * s, text: "2"}, {at: 30 * s, text: "２"}})
		time.Sleep(5 * s)
		if seen := sc.wechat.Replies(sceneUser); len(seen) != 2 || seen[1].Road != simulator.RoadPassive {
			t.Fatalf("the user saw %+v", seen)
		}
		sc.bot.mu.Lock()
		defer sc.bot.mu.Unlock()
		if want := []string{"hi", "b", "Dog"}; !slices.Equal(sc.bot.turns, want) {
			t.Errorf("the bot heard %q, want %q", sc.bot.turns, want)
		}
	})
}

// TestCarousel: cards and then their actions, by whatever road.
func TestCarousel(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	card := func(title string) map[string]any {
		return map[string]any{"title": title, "imageUrl": "https://example.com/" + title, "actions": []any{map[string]any{"action": "say", "label": "Take " + title, "value": title}}}
	}
	synctest.Test(t, func(t *testing.T) {
		sc := newScene(t, dir, nil, nil)
		defer sc.close()
		sc.bot.script = map[string][]bubble{"hi": {{after: s, payload: map[string]any{"type": "carousel", "items": []any{card("A"), card("B")}}}}}
		sc.play([]say{{text: "hi"}, {at: 10 * s, text: "take b"}})
		time.Sleep(5 * s)
		var got []string
		for _, s := range sc.wechat.Seen(sceneUser) {
			got = append(got, s.Road+" "+s.Type)
		}
		if diff := cmp.Diff([]string{"passive news", "push news", "push text"}, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		sc.bot.mu.Lock()
		defer sc.bot.mu.Unlock()
		if !slices.Equal(sc.bot.turns, []string{"hi", "B"}) {
			t.Errorf("the bot heard %q", sc.bot.turns)
		}
	})
}
