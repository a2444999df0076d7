package bridge

import (
	"context"
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-wechat/caddy-wechat/caddytest/simulator"
	"github.com/caddy-wechat/caddy-wechat/module/bots"
	"github.com/caddy-wechat/caddy-wechat/module/internal/journal"
	"github.com/caddy-wechat/caddy-wechat/module/wechat"
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

// TestLanesBehindTheGate: users whose messages wait for an operator must not
// keep others from the road that needs no API.
func TestLanesBehindTheGate(t *testing.T) {
	reviewed(t, func(s *Settings) { s.Limits.Lanes, s.Typing = 2, false }, func(t *testing.T, sc *scene) {
		sc.wechat.Fail(simulator.WeChatFault{Path: "/cgi-bin/message/custom/send", Code: 45009})
		sc.bot.script = map[string][]bubble{"slow": said(5*s, "late"), "hi": said(s, "a")}
		for i := range 8 {
			go sc.wechat.Push(context.Background(), sc.wechat.Text(fmt.Sprintf("oOther%d", i), "slow"))
		}
		sc.play([]say{{at: 20 * s, text: "hi"}})
		time.Sleep(time.Minute - time.Since(sc.began))
		if diff := cmp.Diff([]string{"21.3s passive a"}, sc.saw()); diff != "" {
			t.Errorf("the user sees (-want +got):\n%s", diff)
		}
	})
}

// TestFixedAnswerGoesFirst: a pushed message must not overtake the answer
// that the configuration gives.
func TestFixedAnswerGoesFirst(t *testing.T) {
	reviewed(t, func(s *Settings) {
		s.Allowance.Message.Count = 1
		s.Events = []EventRule{{Name: "CLICK", Action: EventReply, Text: "fixed"}}
	}, func(t *testing.T, sc *scene) {
		sc.bot.script = map[string][]bubble{"hi": said(6*s, long('a'), long('b'))}
		sc.play([]say{{text: "hi"}})
		time.Sleep(20*s - time.Since(sc.began))
		before := len(sc.wechat.Seen(sceneUser))

		body := fmt.Appendf(nil, `<xml><ToUserName>gh_0123456789ab</ToUserName><FromUserName>%s</FromUserName><CreateTime>%d</CreateTime>`+
			`<MsgType>event</MsgType><Event>CLICK</Event><EventKey>HELP</EventKey></xml>`, sceneUser, time.Now().Unix())
		p, err := wechat.ParsePush(body)
		if err != nil {
			t.Fatal(err)
		}
		a, err := sc.rt.Receive(context.Background(), p, body)
		if err != nil || a.XML == nil {
			t.Fatal(err)
		}
		time.Sleep(100 * ms) // until the answer is with the user
		if now := len(sc.wechat.Seen(sceneUser)); now != before {
			t.Error("a message was pushed before the fixed answer was written")
		}
		a.Written(nil)
		time.Sleep(5 * s)
	})
}

// promptBot tells what it has to say before it answers the call, and can be slow
// with either.
type promptBot struct {
	*scriptedBot
	before map[string]time.Duration // how long the call takes before anything is said
	after  map[string]time.Duration // and after
	says   map[string]string
}

func (b *promptBot) Deliver(ctx context.Context, t bots.Turn) (bots.Receipt, error) {
	var payload struct{ Text, Event string }
	raw := t.Message
	if t.Event != nil {
		raw = t.Event
	}
	_ = json.Unmarshal(raw, &payload)
	key := payload.Text + payload.Event
	time.Sleep(b.before[key])
	at := time.Now()
	if text := b.says[key]; text != "" {
		p, _ := json.Marshal(map[string]any{"type": "text", "text": text})
		b.post(bots.Reply{Conversation: b.Conversation(t.Peer), ID: "p-" + text, CreatedAt: at.Add(ms), Payload: p})
	}
	time.Sleep(b.after[key])
	return bots.Receipt{At: at, ID: t.ID}, nil
}

// TestTypingAfterTheAnswer: an answer that comes before the bot's call
// returns ends the waiting all the same.
func TestTypingAfterTheAnswer(t *testing.T) {
	dir := tempDir(t)
	synctest.Test(t, func(t *testing.T) {
		bot := &promptBot{says: map[string]string{"hi": "a"}, after: map[string]time.Duration{"hi": 50 * ms}}
		sc := newScene(t, dir, func(s *Settings) {
			bot.scriptedBot = s.Bot.(*scriptedBot)
			s.Bot = bot
		}, nil)
		defer sc.close()
		sc.play(hi)
		time.Sleep(5*s - time.Since(sc.began))
		if diff := cmp.Diff([]string{"300ms passive a"}, sc.saw()); diff != "" {
			t.Errorf("the user sees (-want +got):\n%s", diff)
		}
		if sc.wechat.Typing(sceneUser) {
			t.Error("the user is shown that the bot works, 5 s after its answer")
		}
	})
}

// TestReturnedUser: somebody who left and came back while the bot was slow
// is there again.
func TestReturnedUser(t *testing.T) {
	dir := tempDir(t)
	synctest.Test(t, func(t *testing.T) {
		bot := &promptBot{
			says:   map[string]string{"subscribe": "welcome back"},
			before: map[string]time.Duration{"unsubscribe": 8 * s},
			after:  map[string]time.Duration{"subscribe": s},
		}
		sc := newScene(t, dir, func(s *Settings) {
			bot.scriptedBot = s.Bot.(*scriptedBot)
			s.Bot, s.Typing = bot, false
		}, nil)
		defer sc.close()
		sc.play([]say{{text: "hi"}, {at: 5 * s, event: "unsubscribe"}, {at: 8 * s, event: "subscribe"}})
		time.Sleep(60*s - time.Since(sc.began))
		if got := sc.saw(); len(got) != 1 || !strings.HasSuffix(got[0], "welcome back") {
			t.Errorf("the user sees %v", got)
		}
	})
}

// TestFailedPartIsNotForgotten: what WeChat refused of a reply is a dead
// letter, also if the rest of it had to wait for the user.
func TestFailedPartIsNotForgotten(t *testing.T) {
	reviewed(t, func(s *Settings) { s.Reply = ReplyPush }, func(t *testing.T, sc *scene) {
		sc.wechat.Fail(simulator.WeChatFault{Path: "/cgi-bin/message/custom/send", Code: 40008, Times: 1})
		sc.wechat.Fail(simulator.WeChatFault{Path: "/cgi-bin/message/custom/send", Code: 45047, Times: 1})
		sc.bot.script = map[string][]bubble{"hi": said(s, long('x')+"\n\n"+long('y'))}
		sc.play([]say{{text: "hi"}, {at: 20 * s, text: "more"}})
		time.Sleep(60*s - time.Since(sc.began))
		if got := sc.saw(); len(got) != 1 {
			t.Errorf("the user sees %d messages", len(got))
		}
		if _, _, dead := sc.state(); len(dead) != 1 {
			t.Errorf("%d dead letters, want 1: half of the reply was refused", len(dead))
		}
	})
}

// TestClockStepsBack: a reply that was received before the clock was set
// back settles in the usual time.
func TestClockStepsBack(t *testing.T) {
	now := time.Now()
	s := situation{
		now: now, pushes: true, left: 5, settle: 300 * ms, limit: textLimit, notice: "MORE",
		pieces: []piece{{text: "a", ready: true, received: now.Add(time.Hour)}},
	}
	if m := s.decide(); m.road == roadWait && m.until.Sub(now) > maxSettle {
		t.Errorf("waits %s for %s", m.until.Sub(now), m.why)
	}
}

// TestLongTextInFewAnswers: a text is told in as few answers as hold it.
func TestLongTextInFewAnswers(t *testing.T) {
	notice := "（还有更多内容，回复任意内容继续查看）"
	reviewed(t, func(s *Settings) { s.Reply, s.Notices.More = ReplyPassive, notice }, func(t *testing.T, sc *scene) {
		sc.bot.script = map[string][]bubble{"hi": said(s, strings.Repeat("字", 2000))}
		var acts []say
		for i := range 10 {
			acts = append(acts, say{at: time.Duration(i) * 30 * s, text: "more"})
		}
		acts[0].text = "hi"
		sc.play(acts)
		time.Sleep(6*time.Minute - time.Since(sc.began))
		var sizes []int
		for _, s := range sc.wechat.Replies(sceneUser) {
			if s.Text != "THINKING" {
				sizes = append(sizes, len(s.Text))
			}
		}
		if len(sizes) > 4 {
			t.Errorf("6000 bytes in %d answers: %v", len(sizes), sizes)
		}
	})
}

// TestWaitZero: with nothing to wait for, what is parked must still reach
// somebody who can only be answered.
func TestWaitZero(t *testing.T) {
	reviewed(t, func(s *Settings) { s.Reply, s.Wait = ReplyPassive, 0 }, func(t *testing.T, sc *scene) {
		sc.bot.script = map[string][]bubble{"hi": said(s, "a")}
		sc.play([]say{{text: "hi"}, {at: 30 * s, text: "more"}, {at: 60 * s, text: "more"}})
		time.Sleep(2*time.Minute - time.Since(sc.began))
		if waiting, parked, _ := sc.state(); waiting+parked > 0 {
			t.Errorf("%d waiting, %d parked; the user sees %v", waiting, parked, sc.saw())
		}
	})
}

// TestWindowWhileHeld: a message that waits at a closed gate goes into the
// next window at once.
func TestWindowWhileHeld(t *testing.T) {
	reviewed(t, func(s *Settings) { s.Typing = false }, func(t *testing.T, sc *scene) {
		sc.wechat.Fail(simulator.WeChatFault{Path: "/cgi-bin/message/custom/send", Code: 45009})
		sc.bot.script = map[string][]bubble{"hi": said(6*s, "a"), "more": said(s, "b", "c")}
		sc.play([]say{{text: "hi"}, {at: 30 * s, text: "more"}, {at: 60 * s, text: "again"}})
		time.Sleep(2*time.Minute - time.Since(sc.began))
		if diff := cmp.Diff([]string{"30s passive a", "1m0s passive b"}, sc.saw()); diff != "" {
			t.Errorf("the user sees (-want +got):\n%s", diff)
		}
	})
}

// TestTooLong: a text that WeChat finds too long goes out in halves.
func TestTooLong(t *testing.T) {
	reviewed(t, func(s *Settings) { s.Reply = ReplyPush }, func(t *testing.T, sc *scene) {
		sc.wechat.Fail(simulator.WeChatFault{Path: "/cgi-bin/message/custom/send", Code: 45002, Times: 1})
		sc.bot.script = map[string][]bubble{"hi": said(s, long('a'))}
		sc.play(hi)
		time.Sleep(time.Minute - time.Since(sc.began))
		if got := sc.saw(); len(got) != 2 {
			t.Errorf("the user sees %v", got)
		}
		if waiting, parked, dead := sc.state(); waiting+parked > 0 || len(dead) > 0 {
			t.Error(waiting, parked, dead)
		}
	})
}

// TestReloadWhileHeld: a reload does not disturb a callback that is held.
func TestReloadWhileHeld(t *testing.T) {
	reviewed(t, nil, func(t *testing.T, sc *scene) {
		sc.bot.script = map[string][]bubble{"hi": said(2*s, "a", "b")}
		go func() {
			time.Sleep(s)
			sc.reload()
		}()
		sc.play(hi)
		time.Sleep(time.Minute - time.Since(sc.began))
		if diff := cmp.Diff([]string{"2.3s passive a", "2.6s push b"}, sc.saw()); diff != "" {
			t.Errorf("the user sees (-want +got):\n%s", diff)
		}
	})
}

// missedBot says things that no webhook brings.
type missedBot struct{ *promptBot }

func (b missedBot) List(_ context.Context, p bots.Peer, since bots.Mark) ([]bots.Reply, error) {
	at := b.sc.began.Add(2 * s)
	if !at.After(since.At) || time.Now().Before(at) { // at the start it is listed, too
		return nil, nil
	}
	payload, _ := json.Marshal(map[string]any{"type": "text", "text": "a"})
	return []bots.Reply{{Conversation: b.Conversation(p), ID: "m1", CreatedAt: at, Payload: payload}}, nil
}

// TestTypingAfterAMissedAnswer: an answer that is found by a listing ends the
// waiting like any other.
func TestTypingAfterAMissedAnswer(t *testing.T) {
	dir := tempDir(t)
	synctest.Test(t, func(t *testing.T) {
		bot := missedBot{&promptBot{}}
		sc := newScene(t, dir, func(s *Settings) {
			bot.scriptedBot = s.Bot.(*scriptedBot)
			s.Bot = bot
		}, nil)
		defer sc.close()
		sc.play(hi)
		time.Sleep(18*s - time.Since(sc.began))
		if diff := cmp.Diff([]string{"5.3s push a"}, sc.saw()); diff != "" {
			t.Errorf("the user sees (-want +got):\n%s", diff)
		}
		if sc.wechat.Typing(sceneUser) {
			t.Error("the user is shown that the bot works, long after its answer")
		}
	})
}

// TestAllowanceEndsWithTheFollowing: what a user said before leaving allows
// nothing after the return.
func TestAllowanceEndsWithTheFollowing(t *testing.T) {
	reviewed(t, func(s *Settings) { s.Reply = ReplyPush }, func(t *testing.T, sc *scene) {
		sc.bot.script = map[string][]bubble{"event subscribe": said(s, "a", "b", "c", "d", "e")}
		sc.play([]say{{text: "hi"}, {at: 5 * s, event: "unsubscribe"}, {at: 8 * s, event: "subscribe"}})
		time.Sleep(time.Minute - time.Since(sc.began))
		if diff := cmp.Diff([]string{"9.3s push a||b||c", "9.8s push d", "10.3s push e"}, sc.saw()); diff != "" {
			t.Errorf("the user sees (-want +got):\n%s", diff)
		}
	})
}

// TestStopWhileHeld: open windows end as WeChat expects.
func TestStopWhileHeld(t *testing.T) {
	for mode, want := range map[ReplyMode]string{ReplyAuto: simulator.OutcomeSuccess, ReplyPassive: simulator.OutcomeRefused} {
		t.Run(string(mode), func(t *testing.T) {
			reviewed(t, func(s *Settings) { s.Reply = mode }, func(t *testing.T, sc *scene) {
				restarted := make(chan struct{})
				go func() {
					defer close(restarted)
					time.Sleep(s)
					sc.restart()
				}()
				defer func() { <-restarted }()
				p := sc.wechat.Text(sceneUser, "hi")
				p.Attempts = 1
				if d := sc.wechat.Push(context.Background(), p); d.Outcome != want || d.Attempts[0].Took != s {
					t.Errorf("%s after %s, want %s", d.Outcome, d.Attempts[0].Took, want)
				}
			})
		})
	}
}

// TestPoisonAlone: a reply that cannot be handled is put aside, and not the
// one before it. A step that cannot be stands in for whatever panics.
func TestPoisonAlone(t *testing.T) {
	reviewed(t, nil, func(t *testing.T, sc *scene) {
		ctx := context.Background()
		sc.play(hi)
		j, err := sc.store.Get(ctx)
		if err != nil {
			t.Fatal(err)
		}
		var rs []journal.Reply
		for i, text := range []string{"a", "b", "c"} {
			rs = append(rs, journal.Reply{
				MessageID: text, CreatedAt: time.Now().Add(time.Duration(i) * ms),
				Payload: fmt.Appendf(nil, `{"type":"text","text":%q}`, text),
			})
		}
		if _, err := j.AppendReplies(ctx, sceneAppID, sceneUser, rs); err != nil {
			t.Fatal(err)
		}
		q, _, err := j.NextReplies(ctx, sceneAppID, sceneUser, 10)
		if err != nil || len(q) != 3 {
			t.Fatal(err, len(q))
		}
		if err := j.Sent(ctx, journal.Sent{Account: sceneAppID, OpenID: sceneUser, Progress: []journal.Progress{{ID: q[1].ID, Step: -1}}}); err != nil {
			t.Fatal(err)
		}
		sc.rt.replies.wake(sceneUser)
		time.Sleep(time.Minute)
		if diff := cmp.Diff([]string{"4.3s push a", "4.8s push c"}, sc.saw()); diff != "" {
			t.Errorf("the user sees (-want +got):\n%s", diff)
		}
		if _, _, dead := sc.state(); len(dead) != 1 {
			t.Errorf("dead letters %v, want b alone", dead)
		}
	})
}

// TestPictureAtTheGate: a picture that waits for an operator is not fetched
// again and again.
func TestPictureAtTheGate(t *testing.T) {
	var fetched atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fetched.Add(1)
		w.Header().Set("Content-Type", "image/png")
		w.Header().Set("Connection", "close")
		_ = png.Encode(w, image.NewGray(image.Rect(0, 0, 8, 8)))
	}))
	defer srv.Close()
	reviewed(t, func(s *Settings) {
		s.Typing, s.Media.MaxSize = false, 1<<20
		s.Media.Allow = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	}, func(t *testing.T, sc *scene) {
		sc.wechat.Fail(simulator.WeChatFault{Path: "/cgi-bin/media/upload", Code: 45009})
		sc.bot.script = map[string][]bubble{"hi": {{after: s, payload: map[string]any{"type": "image", "imageUrl": srv.URL + "/p.png", "title": "a picture"}}}}
		acts := []say{{text: "hi"}}
		for i := range 10 {
			acts = append(acts, say{at: time.Duration(10+20*i) * s, text: "and?"})
		}
		sc.play(acts)
		time.Sleep(5*time.Minute - time.Since(sc.began))
		// Once for each try whether the account is held still: they come less and less
		// often, however many windows open.
		if n := fetched.Load(); n > 20 {
			t.Errorf("the picture was fetched %d times while the account was held", n)
		}
	})
}

// TestUploadFails: while WeChat takes no files, a picture becomes a link in the end,
// and what waits behind it goes on.
func TestUploadFails(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "image/png")
		w.Header().Set("Connection", "close")
		_ = png.Encode(w, image.NewGray(image.Rect(0, 0, 8, 8)))
	}))
	defer srv.Close()
	for mode, want := range map[ReplyMode]string{ReplyPassive: "passive", ReplyAuto: "push"} {
		t.Run(string(mode), func(t *testing.T) {
			reviewed(t, func(s *Settings) {
				s.Reply, s.Typing, s.Media.MaxSize = mode, false, 1<<20
				s.Media.Allow = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
			}, func(t *testing.T, sc *scene) {
				sc.wechat.Fail(simulator.WeChatFault{Path: "/cgi-bin/media/upload", Code: -1})
				sc.bot.script = map[string][]bubble{"hi": {
					{after: 5 * s, payload: map[string]any{"type": "image", "imageUrl": srv.URL + "/p.png", "title": "a picture"}},
					{after: 5 * s, text: "words"},
				}}
				sc.play(hi)
				time.Sleep(15*time.Minute - time.Since(sc.began))
				got := sc.saw()
				all := strings.Join(got, " ")
				if !strings.Contains(all, srv.URL) || !strings.Contains(all, "words") || len(got) == 0 || !strings.Contains(got[0], want) {
					t.Errorf("the user sees %q", got)
				}
				if waiting, parked, _ := sc.state(); waiting+parked > 0 {
					t.Errorf("%d waiting, %d parked", waiting, parked)
				}
			})
		})
	}
}
