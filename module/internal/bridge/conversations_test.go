package bridge

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-wechat/caddy-wechat/caddytest/simulator"
)

// TestConversations plays random conversations with random trouble, and looks whether the
// user has read, in the end, all that the bot said, once and in its order.
func TestConversations(t *testing.T) {
	from, to := 0, 60
	for seed := from; seed < to; seed++ {
		t.Run(strconv.Itoa(seed), func(t *testing.T) {
			t.Parallel()
			dir := tempDir(t)
			synctest.Test(t, func(t *testing.T) { model(t, dir, uint64(seed)) })
		})
	}
}

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

func model(t *testing.T, dir string, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 1))
	kind := pick(r, simulator.KindVerified, simulator.KindVerified, simulator.KindIndividual)
	var set Settings
	sc := newScene(t, dir, func(s *Settings) {
		s.Reply = pick(r, ReplyAuto, ReplyAuto, ReplyPassive)
		if kind == simulator.KindVerified {
			s.Reply = pick(r, ReplyAuto, ReplyPassive, ReplyPush)
		}
		s.Wait = pick(r, 4*time.Second, 4*time.Second, 4800*ms, time.Second, 100*ms, 10*ms)
		s.Settle = pick(r, 300*ms, 300*ms, 0, time.Second, 2*time.Second)
		s.Pace = pick(r, 500*ms, 500*ms, 100*ms, 3*time.Second) // with 0, answers into two windows race each other
		s.Typing = r.IntN(2) == 0
		s.AILabel = r.IntN(4) == 0
		s.Allowance.Message.Count = pick(r, 5, 5, 2, 20)
		if r.IntN(5) == 0 {
			s.Limits.Lanes = 1
		}
		s.Notices.More = pick(r, "MORE", "MORE"+strings.Repeat("!", 60))
		set = *s
	}, func(c *simulator.WeChatConfig) { c.Kind = kind })
	defer sc.close()

	// The script.
	sc.bot.script = make(map[string][]bubble)
	var acts []say
	at := time.Duration(0)
	type spoken struct {
		at   time.Duration
		text string
	}
	var all []spoken
	turns := 1 + r.IntN(6)
	n := 0
	lose := false // what is lost is read late, and not in order
	for i := range turns {
		text := fmt.Sprintf("q%d", i)
		act := say{at: at, text: text}
		if r.IntN(5) == 0 { // a tap says the same
			act = say{at: at, event: "CLICK", key: text}
		}
		if lose && r.IntN(3) == 0 {
			act.change = func(p *simulator.SimPush) { p.LoseAnswers = 1 }
		}
		acts = append(acts, act)
		after := time.Duration(r.IntN(16000)) * ms
		for range r.IntN(7) {
			size := pick(r, 1, 20, 20, 20, 900, 1990, 2000, 4500)
			n++
			body := fmt.Sprintf("<%03d:%s>", n, strings.Repeat(string(rune('a'+n%26)), size))
			late := time.Duration(0)
			bu := bubble{after: after + late, created: after, text: body}
			if r.IntN(8) == 0 { // a picture that cannot be had
				body = fmt.Sprintf("<%03d:>", n)
				bu = bubble{after: after + late, created: after, payload: map[string]any{"type": "image", "imageUrl": "http://127.0.0.1:1/x", "title": body}}
				body = fmt.Sprintf(`<a href="http://127.0.0.1:1/x">＜%03d:＞</a>`, n)
			}
			sc.bot.script[text] = append(sc.bot.script[text], bu)
			all = append(all, spoken{at + after, body})
			after += time.Duration(pick(r, 1, 10, 100, 400, 1700, 5000)) * ms
		}
		at += time.Duration(pick(r, 200, 1500, 4500, 12000, 25000, 70000)) * ms
	}
	// Trouble.
	end := at + 40*s
	var trouble []string
	later := func(what string, f func()) {
		d := time.Duration(r.Int64N(int64(end)))
		trouble = append(trouble, fmt.Sprintf("%s at %s", what, d))
		go func() { time.Sleep(d); f() }()
	}
	if !lose {
		for range r.IntN(3) {
			k := 1 + r.IntN(8)
			sc.hang[k] = true
			trouble = append(trouble, fmt.Sprintf("hang %d", k))
		}
	}
	for range r.IntN(4) {
		f := pick(r,
			simulator.WeChatFault{Code: -1, Times: 3}, simulator.WeChatFault{Code: 45011, Times: 1},
			simulator.WeChatFault{Code: 45047, Times: 1}, simulator.WeChatFault{Code: 45015, Times: 1},
			simulator.WeChatFault{Code: 45009, Times: 4}, simulator.WeChatFault{Cut: true, Times: 2},
			simulator.WeChatFault{Code: 45002, Type: "long", Times: 1}, simulator.WeChatFault{Code: 40001, Times: 2},
			simulator.WeChatFault{Delay: 2 * s, Times: 3})
		f.Path = "/cgi-bin/message/custom/send"
		later(fmt.Sprintf("fault %d cut %v delay %s", f.Code, f.Cut, f.Delay), func() { sc.wechat.Fail(f) })
	}
	restarts := r.IntN(3)
	slot := end / 3
	done := make(chan struct{})
	var offs []time.Duration
	for i := range restarts {
		d := time.Duration(i)*slot + time.Duration(r.Int64N(int64(slot)))
		offs = append(offs, d)
		trouble = append(trouble, fmt.Sprintf("restart at %s", d))
	}
	for i := range r.IntN(3) {
		later("reload", func() {
			s := set
			if r := rand.New(rand.NewPCG(seed, uint64(100+i))); kind == simulator.KindVerified && r.IntN(2) == 0 {
				s.Reply = pick(r, ReplyAuto, ReplyPassive, ReplyPush)
			}
			sc.runtime.RLock()
			defer sc.runtime.RUnlock()
			if sc.rt.stop.Err() != nil {
				return
			}
			owner := new(int)
			if err := sc.rt.Apply(owner, &s); err != nil {
				t.Error(err)
			}
			for _, old := range sc.rt.owners() {
				if old != owner {
					sc.rt.Revoke(old)
				}
			}
		})
	}
	go func() {
		defer close(done)
		for _, d := range offs {
			time.Sleep(d - time.Since(sc.began))
			sc.restart()
		}
	}()
	sc.play(acts)
	<-done
	time.Sleep(end + 2*time.Minute - time.Since(sc.began))
	sc.wechat.ClearFaults()
	// The user goes on until all has been read.
	flushes := 0
	for ; flushes < 60; flushes++ {
		waiting, parked, _ := sc.state()
		if waiting+parked == 0 {
			break
		}
		sc.wechat.Push(context.Background(), sc.wechat.Text(sceneUser, "flush"))
		time.Sleep(time.Minute)
	}
	waiting, parked, dead := sc.state()
	time.Sleep(time.Minute)
	rt := sc.rt
	rt.windows.mu.Lock()
	rt.windows.sweepLocked(time.Now())
	if held, keys, users := rt.windows.held, len(rt.windows.byKey), len(rt.windows.byUser); held+keys+users > 0 {
		t.Errorf("left: %d held, %d keys, %d users", held, keys, users)
	}
	rt.windows.mu.Unlock()
	rt.typing.mu.Lock()
	typists := len(rt.typing.by)
	rt.typing.mu.Unlock()
	if outboxes := len(rt.outboxes.users()); outboxes+typists > 0 {
		t.Errorf("left: %d outboxes, %d typists", outboxes, typists)
	}
	slices.SortStableFunc(all, func(a, b spoken) int { return int(a.at - b.at) })
	var want, got strings.Builder
	for _, sp := range all {
		want.WriteString(sp.text)
	}
	for _, seen := range sc.wechat.Seen(sceneUser) {
		switch seen.Type {
		case "news": // a picture of an account that may not upload
			seen.Text = `<a href="http://127.0.0.1:1/x">` + strings.NewReplacer("<", "＜", ">", "＞").Replace(seen.Text) + `</a>`
		case "text":
		default:
			continue
		}
		text := strings.TrimSuffix(seen.Text, "\n"+aiLabel)
		text = strings.TrimSuffix(text, "\n"+set.Notices.More)
		if text == "THINKING" {
			continue
		}
		got.WriteString(strings.ReplaceAll(text, "\n", ""))
	}
	if w, g := squeeze(want.String()), squeeze(got.String()); w != g || want.String() != got.String() || waiting+parked > 0 || len(dead) > 0 {
		t.Errorf("kind %s, mode %s, wait %s, settle %s, pace %s, allowance %d, typing %v, lanes %d\ntrouble %v, lose %v\nwant %s\ngot  %s\nwaiting %d parked %d flushes %d dead %d",
			kind, set.Reply, set.Wait, set.Settle, set.Pace, set.Allowance.Message.Count, set.Typing, set.Limits.Lanes, trouble, lose, w, g, waiting, parked, flushes, len(dead))
		for _, a := range acts {
			t.Log("user ", a.at, a.text, a.change != nil)
		}
		for _, sp := range all {
			t.Log("bot ", sp.at, squeeze(sp.text), len(sp.text))
		}
		for _, line := range sc.saw() {
			t.Log("seen ", squeeze(line), len(line))
		}
	}
}

// squeeze shortens runs.
func squeeze(s string) string {
	var b strings.Builder
	run := 0
	for i := range len(s) {
		if i > 0 && s[i] == s[i-1] {
			run++
		} else {
			run = 0
		}
		if run < 2 || s[i] >= '0' && s[i] <= '9' {
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

func (rt *Runtime) owners() (all []any) {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	for _, c := range rt.applied {
		all = append(all, c.owner)
	}
	return all
}
