package bridge

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-wechat/caddy-wechat/module/internal/journal"
	"github.com/caddy-wechat/caddy-wechat/module/wechat"
)

// TestDecide: what is done in each situation, without any clock.
func TestDecide(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_700_000_000, 0)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	texts := func(received time.Time, texts ...string) (all []piece) {
		for _, s := range texts {
			all = append(all, piece{text: s, ready: true, received: received})
		}
		return all
	}
	picture := func(ready bool) piece { return piece{media: true, ready: ready, received: ago(time.Minute)} }
	live := &opening{opened: ago(time.Second), live: true}
	final := &opening{opened: ago(time.Second), live: true, final: true}
	gap := &opening{opened: ago(time.Second), until: now.Add(2 * time.Second)}
	old := ago(time.Minute)
	link := `<a href="https://example.com/` + strings.Repeat("x", 500) + `">here</a> and more`
	full, long := strings.Repeat("x", 2000), strings.Repeat("x", 1995)

	for name, tc := range map[string]struct {
		s    situation
		want move
	}{
		"a window":           {situation{pieces: texts(now, "a"), window: live, windows: 1}, move{road: roadPassive, n: 1, text: "a"}},
		"no window, push":    {situation{pieces: texts(old, "a"), pushes: true, left: 2}, move{road: roadPush, n: 1, text: "a"}},
		"no window, no push": {situation{pieces: texts(old, "a"), left: 2}, move{road: roadPark}},
		"allowance spent":    {situation{pieces: texts(old, "a"), pushes: true}, move{road: roadPark}},
		"unsubscribed":       {situation{pieces: texts(old, "a", "b"), gone: true, window: live}, move{road: roadDrop, n: 2}},

		"settling": {
			situation{pieces: texts(ago(100*ms), "a"), settle: 300 * ms, pushes: true, left: 5},
			move{road: roadWait, until: now.Add(200 * ms)},
		},
		"settling, the last word": {
			situation{pieces: texts(ago(100*ms), "a"), settle: 300 * ms, window: final, windows: 1},
			move{road: roadPassive, n: 1, text: "a"},
		},
		"settled before": {
			situation{pieces: append(texts(old, "a"), texts(now, "b")...), settle: 300 * ms, settled: old, pushes: true, left: 5},
			move{road: roadPush, n: 1, text: "a"},
		},
		"settled before, but one answer has to hold all": {
			situation{pieces: append(texts(old, "a"), texts(now, "b")...), settle: 300 * ms, settled: old, window: live, windows: 1},
			move{road: roadWait, until: now.Add(300 * ms)},
		},
		"what is not settled does not go along": {
			situation{pieces: append(texts(old, "a", "b"), texts(now, "c", "d")...), settle: 300 * ms, settled: old, pushes: true, left: 2},
			move{road: roadPush, n: 2, text: "a\n\nb", merged: true},
		},

		"parked ones wait for the new one":  {situation{pieces: texts(old, "a"), window: live, windows: 1}, move{road: roadWait}},
		"parked ones are the last word":     {situation{pieces: texts(old, "a"), window: final, windows: 1}, move{road: roadPassive, n: 1, text: "a"}},
		"parked ones go at once by push":    {situation{pieces: texts(old, "a"), window: live, windows: 1, pushes: true, left: 1}, move{road: roadPassive, n: 1, text: "a"}},
		"between two attempts":              {situation{pieces: texts(now, "a"), window: gap, windows: 1}, move{road: roadWait, until: gap.until}},
		"between two attempts, push":        {situation{pieces: texts(now, "a"), window: gap, pushes: true, left: 2}, move{road: roadPush, n: 1, text: "a"}},
		"pace":                              {situation{pieces: texts(old, "a"), pushes: true, left: 2, pushAt: now.Add(s)}, move{road: roadWait, until: now.Add(s)}},
		"behind an answer, the last word":   {situation{pieces: texts(old, "a"), window: final, windows: 1, pushes: true, left: 1, behind: now.Add(s)}, move{road: roadWait, until: now.Add(s)}},
		"behind an answer, no push":         {situation{pieces: texts(old, "a"), window: final, windows: 1, behind: now.Add(s)}, move{road: roadPassive, n: 1, text: "a"}},
		"pace, the last word":               {situation{pieces: texts(old, "a"), window: final, windows: 1, passiveAt: now.Add(s)}, move{road: roadPassive, n: 1, text: "a"}},
		"the last message is kept in hand":  {situation{pieces: texts(now, "a"), settle: s, settled: now, pushes: true, left: 1}, move{road: roadWait, until: now.Add(s)}},
		"a picture that is not ready":       {situation{pieces: []piece{picture(false)}, window: live, windows: 1, pushes: true, left: 1}, move{road: roadPrepare}},
		"a picture that is not to go":       {situation{pieces: []piece{picture(false)}}, move{road: roadPark}},
		"a picture":                         {situation{pieces: []piece{picture(true)}, pushes: true, left: 1}, move{road: roadPush, n: 1}},
		"a picture does not merge":          {situation{pieces: append([]piece{picture(true)}, texts(old, "a", "b")...), pushes: true, left: 2}, move{road: roadPush, n: 1}},
		"merged up to a picture":            {situation{pieces: append(texts(old, "a", "b"), picture(true)), pushes: true, left: 2}, move{road: roadPush, n: 2, text: "a\n\nb", merged: true}},
		"merged no more than needed":        {situation{pieces: texts(old, "a", "b", "c", "d"), pushes: true, left: 3}, move{road: roadPush, n: 2, text: "a\n\nb", merged: true}},
		"merged as far as one message goes": {situation{pieces: texts(old, "a", long, "b"), pushes: true, left: 1}, move{road: roadPush, n: 2, text: "a\n\n" + long + "\nMORE", merged: true, notice: true}},

		"says that more waits": {
			situation{pieces: texts(old, full, "b"), pushes: true, left: 1},
			move{road: roadPush, n: 1, text: full + "\nMORE", notice: true},
		},
		"says that more waits, before a picture that cannot": {
			situation{pieces: append(texts(old, full), picture(true), picture(true)), pushes: true, left: 2},
			move{road: roadPush, n: 1, text: full + "\nMORE", notice: true},
		},
		"more waits behind what was read": {
			situation{pieces: texts(old, "a", "b"), more: true, window: final, windows: 1},
			move{road: roadPassive, n: 2, text: "a\n\nb\nMORE", merged: true, notice: true},
		},
		"cut where the notice leaves no room": {
			situation{pieces: texts(old, full, "b"), window: final, windows: 1, notice: strings.Repeat("m", 100)},
			move{road: roadPassive, n: 1, cut: 1947, text: full[:1947] + "\n" + strings.Repeat("m", 100), notice: true},
		},
		"the room is filled with what goes on": {
			situation{pieces: []piece{{text: full[:1700], ready: true}, {text: strings.Repeat("y. ", 300), ready: true, joins: true}}, window: final, windows: 1},
			move{road: roadPassive, n: 2, cut: 299, text: full[:1700] + strings.Repeat("y. ", 100)[:299] + "\nMORE", notice: true, merged: true},
		},
		"but not with half a link": {
			situation{pieces: []piece{{text: full[:1700], ready: true}, {text: link, ready: true, joins: true}}, window: final, windows: 1},
			move{road: roadPassive, n: 1, text: full[:1700] + "\nMORE", notice: true},
		},
		"with a label": {
			situation{pieces: texts(old, "a"), window: final, windows: 1, label: "AI"},
			move{road: roadPassive, n: 1, text: "a\nAI"},
		},
		"cut where WeChat found it too long": {
			situation{pieces: texts(old, full), pushes: true, left: 3, limit: 500},
			move{road: roadPush, n: 1, cut: 500, text: full[:500]},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := tc.s
			s.now = now
			if s.limit == 0 {
				s.limit = textLimit
			}
			if s.notice == "" {
				s.notice = "MORE"
			}
			got := s.decide()
			if got.why == "" && got.road != roadPrepare {
				t.Error("gives no reason")
			}
			got.why = ""
			if diff := cmp.Diff(tc.want, got, cmp.AllowUnexported(move{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if len(got.text) > wechat.MaxTextBytes {
				t.Errorf("text of %d bytes", len(got.text))
			}
		})
	}
}

// TestBalance: two clocks, and which of them is used.
func TestBalance(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_700_000_000, 0)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	rules := Allowance{Message: Grant{5, 48 * time.Hour}, Action: Grant{3, time.Minute}}
	for name, tc := range map[string]struct {
		b    balance
		left int
		next journal.Grant
	}{
		"nothing":                {balance{}, 0, journal.GrantNone},
		"a message":              {balance{message: journal.Clock{Since: ago(time.Hour)}}, 5, journal.GrantMessage},
		"a message, some used":   {balance{message: journal.Clock{Since: ago(time.Hour), Used: 3}}, 2, journal.GrantMessage},
		"a message, more used":   {balance{message: journal.Clock{Since: ago(time.Hour), Used: 9}}, 0, journal.GrantNone},
		"a message, just over":   {balance{message: journal.Clock{Since: ago(48 * time.Hour)}}, 0, journal.GrantNone},
		"a tap":                  {balance{action: journal.Clock{Since: ago(59 * s), Used: 1}}, 2, journal.GrantAction},
		"a tap, over":            {balance{action: journal.Clock{Since: ago(time.Minute)}}, 0, journal.GrantNone},
		"both: what ends sooner": {balance{journal.Clock{Since: ago(time.Hour)}, journal.Clock{Since: ago(s)}}, 8, journal.GrantAction},
		"both, the message ends": {balance{journal.Clock{Since: ago(48*time.Hour - s)}, journal.Clock{Since: ago(s)}}, 8, journal.GrantMessage},
	} {
		t.Run(name, func(t *testing.T) {
			next, since := tc.b.next(rules, now)
			if left := tc.b.left(rules, now); left != tc.left || next != tc.next || since.IsZero() != (next == journal.GrantNone) {
				t.Errorf("%d left, next from %v since %v; want %d, %v", left, next, since, tc.left, tc.next)
			}
		})
	}
	used := balance{message: journal.Clock{Since: ago(s), Used: 4}}
	if got := used.acted(ago(s), time.Time{}); got != used {
		t.Errorf("the same act again makes %v of %v", got, used)
	}
	if got := used.acted(now, time.Time{}); got.message != (journal.Clock{Since: now}) {
		t.Errorf("a newer act leaves %v", got.message)
	}
}
