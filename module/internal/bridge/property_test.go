package bridge

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/caddy-wechat/caddy-wechat/caddytest/simulator"
)

// story is one course of events, drawn before it is played.
type story struct {
	mode      ReplyMode
	kind      string
	allowance int
	settle    time.Duration
	pace      time.Duration
	wait      time.Duration
	acts      []storyAct
}

// storyAct is something that happens some time after what happened before.
type storyAct struct {
	after   time.Duration
	what    string // say, tap, follow, restart, reload, fault, pass
	bubbles []bubble
	lost    int // attempts whose answer WeChat loses
	hang    bool
	fault   simulator.WeChatFault
}

func drawStory(t *rapid.T) story {
	some := func(name string, ds ...time.Duration) time.Duration { return rapid.SampledFrom(ds).Draw(t, name) }
	st := story{
		mode:      rapid.SampledFrom([]ReplyMode{ReplyAuto, ReplyAuto, ReplyPassive, ReplyPush}).Draw(t, "mode"),
		kind:      rapid.SampledFrom([]string{simulator.KindVerified, simulator.KindVerified, simulator.KindIndividual}).Draw(t, "kind"),
		allowance: rapid.IntRange(1, 7).Draw(t, "allowance"),
		settle:    some("settle", 0, 300*ms, 300*ms),
		pace:      some("pace", 0, 500*ms),
		wait:      some("wait", 500*ms, 4*s, 4*s, 4800*ms),
	}
	if st.mode == ReplyPush {
		st.kind = simulator.KindVerified // the other is held for good
	}
	n := 0
	for range rapid.IntRange(1, 12).Draw(t, "acts") {
		a := storyAct{
			after: some("after", 0, 100*ms, 900*ms, 3*s, 6*s, 20*s, 70*s, time.Hour, 49*time.Hour),
			what: rapid.SampledFrom([]string{
				"say", "say", "say", "say", "say", "tap", "follow", "restart", "reload", "fault",
			}).Draw(t, "what"),
		}
		switch a.what {
		case "say", "tap", "follow":
			a.hang = rapid.IntRange(0, 5).Draw(t, "hang") == 0
			if rapid.IntRange(0, 5).Draw(t, "lossy") == 0 {
				a.lost = rapid.IntRange(1, 2).Draw(t, "lost")
			}
			at := time.Duration(0)
			for range rapid.IntRange(0, 4).Draw(t, "bubbles") {
				at += some("then", 10*ms, 200*ms, 400*ms, 1500*ms, 4*s, 8*s, 15*s)
				n++
				text := fmt.Sprintf("[%d]", n)
				if rapid.IntRange(0, 4).Draw(t, "long") == 0 {
					text += strings.Repeat("。", rapid.IntRange(100, 1500).Draw(t, "length"))
				}
				text += fmt.Sprintf("{%d}", n)
				a.bubbles = append(a.bubbles, bubble{after: at, text: text})
			}
		case "fault":
			a.fault = simulator.WeChatFault{Path: "/cgi-bin/message/custom/send", Times: rapid.IntRange(1, 3).Draw(t, "times")}
			switch rapid.IntRange(0, 6).Draw(t, "kind of fault") {
			case 0:
				a.fault.Code = -1
			case 1:
				a.fault.Code = 45011
			case 2:
				a.fault.Code = 45047
			case 3:
				a.fault.Code = 45015
			case 4:
				a.fault.Cut = true
			case 5:
				a.fault.CutAfter = true
			case 6:
				a.fault.Path, a.fault.Code = "", 40164
			}
		}
		st.acts = append(st.acts, a)
	}
	return st
}

// TestStories: whatever happens, each reply is seen once, or waits for the user,
// or is a dead letter; and what is seen is in the bot's order. What was in doubt
// may be seen twice, and an answer that was lost on its way may be seen late: what
// comes next has no other road than a second window, sometimes.
func TestStories(t *testing.T) {
	if f := flag.Lookup("rapid.checks"); f.Value.String() == f.DefValue {
		if err := flag.Set("rapid.checks", "60"); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = flag.Set("rapid.checks", f.DefValue) }()
	}
	rapid.Check(t, func(rt *rapid.T) {
		st := drawStory(rt)
		dir := tempDir(t)
		var failed string
		synctest.Test(t, func(t *testing.T) { failed = st.play(t, dir) })
		if failed != "" {
			rt.Fatal(failed)
		}
	})
}

func (st *story) play(t *testing.T, dir string) string {
	sc := newScene(t, dir, func(s *Settings) {
		s.Reply, s.Settle, s.Pace, s.Wait = st.mode, st.settle, st.pace, st.wait
		s.Allowance.Message.Count = st.allowance
	}, func(c *simulator.WeChatConfig) { c.Kind = st.kind })
	defer sc.close()
	sc.bot.script = make(map[string][]bubble)
	var pushes sync.WaitGroup
	doubts := 0
	for i, a := range st.acts {
		time.Sleep(a.after)
		name := fmt.Sprintf("q%d", i)
		var p simulator.SimPush
		switch a.what {
		case "say":
			p = sc.wechat.Text(sceneUser, name)
		case "tap":
			p = sc.wechat.Event(sceneUser, "CLICK", name)
		case "follow":
			p, name = sc.wechat.Event(sceneUser, "subscribe", "qrscene_"+name), "event subscribe"
		case "restart":
			sc.restart()
			continue
		case "reload":
			sc.reload()
			continue
		case "fault":
			sc.wechat.Fail(a.fault)
			if a.fault.CutAfter {
				doubts += inDoubt * a.fault.Times
			}
			continue
		}
		p.LoseAnswers = a.lost
		sc.mu.Lock()
		if a.hang {
			sc.hang[sc.n+1] = true
		}
		sc.mu.Unlock()
		sc.bot.mu.Lock()
		sc.bot.script[name] = a.bubbles
		sc.bot.mu.Unlock()
		pushes.Go(func() { sc.wechat.Push(context.Background(), p) })
		time.Sleep(time.Millisecond) // one after the other
	}
	pushes.Wait()
	sc.wechat.ClearFaults()
	time.Sleep(10 * time.Minute) // until the bot is done and every backoff is over
	return sc.account(doubts)
}

// Each text begins and ends with its number, in brackets and in braces.
var (
	head = regexp.MustCompile(`\[\d+\]`)
	tail = regexp.MustCompile(`\{\d+\}`)
)

// account says what is wrong, if anything, with what became of the bot's replies.
func (sc *scene) account(doubts int) string {
	sc.bot.mu.Lock()
	defer sc.bot.mu.Unlock()
	said := slices.SortedFunc(slices.Values(sc.bot.said), func(a, b utterance) int {
		return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.id, b.id))
	})
	place := make(map[string]int)
	for i, u := range said {
		place[head.FindString(u.text)], place[tail.FindString(u.text)] = 2*i, 2*i+1
	}
	waiting, texts := sc.left()
	left := make(map[string]bool)
	for _, text := range texts {
		left[head.FindString(text)], left[tail.FindString(text)] = true, true
	}
	late := make(map[string]bool)
	for _, d := range sc.wechat.Deliveries() {
		if d.Reply != nil && len(d.Attempts) > 1 && d.Attempts[0].Body != nil {
			for _, m := range marks.FindAllString(d.Reply.Text, -1) {
				late[m] = true
			}
		}
	}
	var seen []string
	for _, s := range sc.wechat.Replies(sceneUser) {
		seen = append(seen, marks.FindAllString(s.Text, -1)...)
	}
	sum := func() string {
		return fmt.Sprintf("the user saw %v, left are %v", seen, slices.Sorted(maps.Keys(left)))
	}
	times := make(map[string]int)
	last := -1
	for _, m := range seen {
		if times[m]++; times[m] > 1 {
			doubts--
			continue
		}
		if place[m] < last && !late[m] {
			return m + " was seen too late: " + sum()
		}
		last = max(last, place[m])
	}
	for m := range place {
		switch {
		case times[m] == 0 && !left[m]:
			return m + " is lost: " + sum()
		case times[m] > 0 && left[m] && m[0] == '{': // all of it was seen
			doubts--
		}
	}
	_, _, dead := sc.state()
	for _, d := range dead {
		if !strings.HasSuffix(d, ": "+staleReason) {
			return fmt.Sprintf("a dead letter: %.50q, %s", d, d[strings.LastIndex(d, ": "):])
		}
	}
	switch {
	case doubts < 0:
		return "more was seen twice than what was in doubt explains: " + sum()
	case waiting > 0:
		return fmt.Sprintf("%d replies still wait: %s", waiting, sum())
	}
	return ""
}

// inDoubt is how many heads and tails one message that is in doubt may hold.
const inDoubt = 40

var marks = regexp.MustCompile(`\[\d+\]|\{\d+\}`)
