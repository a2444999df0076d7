package bridge

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddy-wechat/caddy-wechat/caddytest/simulator"
	"github.com/caddy-wechat/caddy-wechat/module/internal/journal"
	"github.com/caddy-wechat/caddy-wechat/module/wechat"
)

// typings are the calls that show or hide that the bot works, by when.
func (sc *scene) typings() []string {
	var all []string
	for _, c := range sc.wechat.Calls() {
		if !strings.HasSuffix(c.Path, "/typing") {
			continue
		}
		what := "on"
		if strings.Contains(c.Body, "Cancel") {
			what = "off"
		}
		all = append(all, c.At.Sub(sc.began).Round(10*time.Millisecond).String()+" "+what)
	}
	return all
}

func TestTyping(t *testing.T) {
	for name, tc := range map[string]struct {
		kind   string
		mode   ReplyMode
		off    bool
		does   []say
		bot    map[string][]bubble
		want   []string
		denied bool
	}{
		"a quick bot":                        {does: hi, bot: replies(900*ms, "a")},
		"a slow bot, answer by push":         {does: hi, bot: replies(6*s, "a"), want: []string{"1s on"}},
		"a slow bot, passive answer":         {does: hi, bot: replies(2*s, "a"), want: []string{"1s on", "2.3s off"}},
		"renewed as long as WeChat takes it": {does: hi, bot: replies(50*s, "a"), want: []string{"1s on", "16.5s on"}},
		"a bot that says nothing":            {does: hi, want: []string{"1s on", "16.5s on"}},
		"two messages": {
			does: []say{{text: "hi"}, {at: 10 * s, text: "you"}}, bot: map[string][]bubble{"hi": said(20*s, "a"), "you": said(20*s, "b")},
			want: []string{"1s on", "16s on"},
		},
		"off":                     {off: true, does: hi, bot: replies(6*s, "a")},
		"passive":                 {mode: ReplyPassive, does: hi, bot: replies(6*s, "a")},
		"an account that may not": {kind: simulator.KindIndividual, does: []say{{text: "hi"}, {at: 20 * s, text: "hi"}}, bot: replies(6*s, "a"), want: []string{"1s on"}, denied: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := tempDir(t)
			synctest.Test(t, func(t *testing.T) {
				sc := newScene(t, dir, func(s *Settings) {
					if tc.mode != "" {
						s.Reply = tc.mode
					}
					s.Typing = !tc.off
				}, func(c *simulator.WeChatConfig) { c.Kind = tc.kind })
				defer sc.close()
				sc.bot.script = tc.bot
				sc.play(tc.does)
				time.Sleep(time.Minute)
				if diff := cmp.Diff(tc.want, sc.typings()); diff != "" {
					t.Errorf("calls (-want +got):\n%s", diff)
				}
				if denied := !sc.rt.permit.last(time.Now()).IsZero(); denied != tc.denied {
					t.Errorf("denied %v, want %v", denied, tc.denied)
				}
				sc.rt.typing.mu.Lock()
				defer sc.rt.typing.mu.Unlock()
				if n := len(sc.rt.typing.by); n != 0 {
					t.Errorf("%d users are still waited for", n)
				}
			})
		})
	}
}

// TestPermission: an account that may not push is told so once, is not tried
// again for a day, nor after a restart, but after a reload; and it is noticed
// when it may.
func TestPermission(t *testing.T) {
	dir := tempDir(t)
	core, logs := observer.New(zap.InfoLevel)
	synctest.Test(t, func(t *testing.T) {
		sc := newScene(t, dir, func(s *Settings) {
			s.Logger, s.Typing = zap.New(core), false
		}, func(c *simulator.WeChatConfig) { c.Kind = simulator.KindIndividual })
		defer sc.close()
		sc.bot.script = replies(20*s, "a")
		sends := func(when string, want int) {
			t.Helper()
			sc.wechat.Push(context.Background(), sc.wechat.Text(sceneUser, "hi"))
			time.Sleep(30 * s)
			if n := sc.wechat.CountCalls("/cgi-bin/message/custom/send"); n != want {
				t.Errorf("%s: tried %d times in all, want %d", when, n, want)
			}
		}
		told := func(msg string, want int) {
			t.Helper()
			if n := logs.FilterMessage(msg).Len(); n != want {
				t.Errorf("said %d times: %s; want %d", n, msg, want)
			}
		}
		const (
			denied  = "account may not push messages; replies travel as answers to what users send, and what comes too late leads the next answer"
			allowed = "account may push messages again"
		)
		sends("the first time", 1)
		sends("known", 1)
		sc.restart()
		sends("after a restart", 1)
		told(denied, 1)
		if remedy := logs.FilterMessage(denied).All()[0].ContextMap()["remedy"]; !strings.Contains(remedy.(string), "verify") {
			t.Errorf("remedy %q", remedy)
		}
		time.Sleep(25 * time.Hour)
		sends("after a day", 2)
		told(denied, 1)
		sc.reload()
		sends("after a reload", 3)
		told(denied, 2)
		sc.reload()
		time.Sleep(s)
		sc.restart()
		sends("after a restart that followed a reload", 4)
		told(denied, 3)

		sc.wechat.SetKind(simulator.KindVerified)
		sc.reload()
		told(allowed, 0)
		sends("verified", 5) // what was parked is the answer
		told(allowed, 1)
		sc.restart()
		sends("and remembered", 6)
		told(allowed, 1)
		told(denied, 3)
	})
}

// TestStop: when the account ends, windows end as if WeChat should send again, or
// with success where the reply can go another way.
func TestStop(t *testing.T) {
	for mode, want := range map[ReplyMode]Answer{ReplyPassive: {Abort: true}, ReplyAuto: {}} {
		t.Run(string(mode), func(t *testing.T) {
			dir := tempDir(t)
			synctest.Test(t, func(t *testing.T) {
				sc := newScene(t, dir, func(s *Settings) { s.Reply = mode }, nil)
				defer sc.close()
				answers := make(chan Answer, 1)
				go func() {
					a, err := sc.rt.Receive(context.Background(), sceneText("1"), sceneXML("1"))
					if err != nil {
						t.Error(err)
					}
					answers <- a
				}()
				time.Sleep(s)
				sc.restart()
				if since := time.Since(sc.began); since != s {
					t.Errorf("the stop took %v", since-s)
				}
				if a := <-answers; a.Abort != want.Abort || a.Silent || a.XML != nil {
					t.Errorf("answered %+v", a)
				}
			})
		})
	}
}

// TestLateCallback: WeChat waits since it began to send, however long it took to put the
// push on disk.
func TestLateCallback(t *testing.T) {
	for _, mode := range []ReplyMode{ReplyAuto, ReplyPassive} {
		for late, want := range map[time.Duration]time.Duration{0: 4 * s, 3 * s: s, 3900 * ms: 100 * ms, 4200 * ms: 0} {
			t.Run(fmt.Sprint(mode, late), func(t *testing.T) {
				dir := tempDir(t)
				synctest.Test(t, func(t *testing.T) {
					sc := newScene(t, dir, func(s *Settings) { s.Reply, s.Typing = mode, false }, nil)
					defer sc.close()
					time.Sleep(s)
					began := time.Now()
					a, err := sc.rt.ReceiveAt(context.Background(), began.Add(-late), "", sceneText("1"), sceneXML("1"))
					if err != nil || a.Abort || a.XML != nil && mode == ReplyAuto {
						t.Errorf("answered %+v, %v", a, err)
					}
					a.Written(nil)
					if took := time.Since(began).Round(10 * ms); took != want {
						t.Errorf("held for %v, want %v", took, want)
					}
				})
			})
		}
	}
}

// TestParkedInVain: what is parked at the moment at which WeChat asks again, or the user
// does something, is not left behind.
func TestParkedInVain(t *testing.T) {
	for name, tc := range map[string]struct {
		mode    ReplyMode
		decided time.Duration
		want    []string
	}{
		"a window is open":           {ReplyPassive, 41 * s, []string{"14s passive THINKING", "43.8s passive a"}},
		"the user has acted since":   {ReplyPush, 29 * s, []string{"41.3s push a"}},
		"nothing has happened since": {ReplyPush, 41 * s, nil},
	} {
		t.Run(name, func(t *testing.T) {
			dir := tempDir(t)
			synctest.Test(t, func(t *testing.T) {
				sc := newScene(t, dir, func(s *Settings) { s.Reply, s.Typing = tc.mode, false }, nil)
				defer sc.close()
				if tc.mode == ReplyPassive {
					sc.bot.script = replies(20*s, "a")
				}
				go sc.play([]say{{text: "hi"}, {at: 30 * s, text: "more"}})
				time.Sleep(41 * s) // a last attempt
				if tc.mode == ReplyPush {
					sc.hear("late", `{"type":"text","text":"a"}`)
				}
				decided := situation{now: sc.began.Add(tc.decided), pushes: tc.mode == ReplyPush}
				if err := sc.rt.park(&table{ob: &outbox{openid: sceneUser}, situation: decided}); err != nil {
					t.Error(err)
				}
				time.Sleep(20 * s)
				if diff := cmp.Diff(tc.want, sc.saw()); diff != "" {
					t.Errorf("the user sees (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// TestBusy: while the journal takes nothing, pushes are held, up to a bound.
func TestBusy(t *testing.T) {
	dir := tempDir(t)
	synctest.Test(t, func(t *testing.T) {
		sc := newScene(t, dir, func(s *Settings) { s.Limits.Windows = 3 }, nil)
		defer sc.close()
		time.Sleep(s) // until the account has started
		sc.store.outcome("appending push", errors.New("disk full"))
		sc.rt.taking.Add(3)
		if _, err := sc.rt.Receive(context.Background(), sceneText("1"), sceneXML("1")); !errors.Is(err, ErrBusy) {
			t.Errorf("one too many: %v", err)
		}
		if _, err := sc.rt.Bury(context.Background(), []byte("<xml"), errors.New("not XML")); !errors.Is(err, ErrBusy) {
			t.Errorf("one too many that is no push: %v", err)
		}
		sc.rt.taking.Add(-1)
		ctx, cancel := context.WithTimeout(context.Background(), 10*s)
		defer cancel()
		if _, err := sc.rt.Receive(ctx, sceneText("1"), sceneXML("1")); err != nil {
			t.Errorf("one that can be held: %v", err)
		}
		sc.rt.taking.Add(-2)
		if n := sc.rt.taking.Load(); n != 0 {
			t.Errorf("%d are counted as waiting", n)
		}
	})
}

// TestNothingKept: once everything is said, nothing is remembered of it.
func TestNothingKept(t *testing.T) {
	dir := tempDir(t)
	synctest.Test(t, func(t *testing.T) {
		sc := newScene(t, dir, nil, nil)
		defer sc.close()
		sc.bot.script = replies(2*s, "a b c d e f g h")
		sc.play([]say{{text: "hi"}, {at: 20 * s, text: "hi"}, {at: 25 * s, text: "nothing"}})
		time.Sleep(time.Minute)
		sc.play([]say{{text: "nothing"}}) // whoever comes sweeps
		time.Sleep(time.Minute)
		synctest.Wait()
		locked := func(l sync.Locker, n func() int) int {
			l.Lock()
			defer l.Unlock()
			return n()
		}
		rt := sc.rt
		kept := map[string]int{
			"outboxes":         len(rt.outboxes.users()),
			"windows of users": locked(&rt.windows.mu, func() int { return len(rt.windows.byUser) }),
			"callbacks":        locked(&rt.windows.mu, func() int { return rt.windows.held }),
			"windows but one":  locked(&rt.windows.mu, func() int { return len(rt.windows.byKey) - 1 }),
			"typists":          locked(&rt.typing.mu, func() int { return len(rt.typing.by) }),
			"replies at work":  rt.replies.atWork(),
			"pushes at work":   rt.pushes.atWork(),
		}
		for what, n := range kept {
			if n != 0 {
				t.Errorf("%s: %d", what, n)
			}
		}
	})
}

// TestDecisions: each decision is one line, with its reason and without a word of
// what was said.
func TestDecisions(t *testing.T) {
	dir := tempDir(t)
	core, logs := observer.New(zap.DebugLevel)
	synctest.Test(t, func(t *testing.T) {
		sc := newScene(t, dir, func(s *Settings) { s.Logger = zap.New(core) }, nil)
		defer sc.close()
		sc.bot.script = replies(s, "planted-phrase-1 planted-phrase-2 b c d e f g")
		sc.play([]say{{text: "hi"}})
		time.Sleep(time.Minute)
		sc.hear("late", `{"type":"text","text":"planted-phrase-3"}`)
		sc.bot.script["event unsubscribe"] = said(s, "planted-phrase-4")
		time.Sleep(time.Minute)
		sc.play([]say{{at: 2 * time.Minute, event: "unsubscribe"}})
		time.Sleep(time.Minute)
		got := make(map[string]int)
		for _, e := range logs.FilterMessage("reply decided").All() {
			fields := e.ContextMap()
			got[fields["road"].(string)]++
			if fields["merged"] == true {
				got["merged"]++
			}
			if fields["reason"] == "" {
				t.Errorf("no reason: %v", fields)
			}
		}
		if got["passive"] != 1 || got["push"] != 5 || got["park"] != 1 || got["drop"] != 1 || got["merged"] != 1 || got["wait"] == 0 {
			t.Errorf("decisions %v", got)
		}
		for _, e := range logs.All() {
			if line := e.Message; strings.Contains(line, "planted") {
				t.Errorf("a user's words in %q", line)
			}
			for _, v := range e.ContextMap() {
				if text, ok := v.(string); ok && strings.Contains(text, "planted") {
					t.Errorf("a user's words in %q", text)
				}
			}
		}
	})
}

func sceneXML(id string) []byte {
	return []byte("<xml><ToUserName>gh_0123456789ab</ToUserName><FromUserName>" + sceneUser + "</FromUserName>" +
		"<CreateTime>946684800</CreateTime><MsgType>text</MsgType><Content>hi</Content><MsgId>" + id + "</MsgId></xml>")
}

func sceneText(id string) *wechat.Push {
	p, err := wechat.ParsePush(sceneXML(id))
	if err != nil {
		panic(err)
	}
	return p
}

// TestActs: acts are told apart, and forgotten.
func TestActs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var a acts
		began := time.Now()
		a.note("u", journal.GrantMessage, began)
		time.Sleep(time.Second)
		a.note("u", journal.GrantAction, began.Add(time.Second))
		a.note("u", journal.GrantMessage, began.Add(-time.Second)) // an older one, handled late
		got := a.last("u")
		if !got.message.Equal(began) || !got.action.Equal(began.Add(time.Second)) || !got.noted.Equal(time.Now()) {
			t.Errorf("remembers %+v", got)
		}
		time.Sleep(2 * actsKept)
		a.note("v", journal.GrantMessage, time.Now())
		if got := a.last("u"); got != (act{}) {
			t.Errorf("still remembers %+v", got)
		}
	})
}
