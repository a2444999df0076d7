package bridge

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-wechat/caddy-wechat/caddytest/simulator"
	"github.com/caddy-wechat/caddy-wechat/module/bots"
	"github.com/caddy-wechat/caddy-wechat/module/wechat"
)

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

// TestWideWhiteSpace: a text whose words stand apart by the white space of Chinese is
// told to its end, once, in whole signs.
func TestWideWhiteSpace(t *testing.T) {
	for _, mode := range []ReplyMode{ReplyPassive, ReplyAuto, ReplyPush} {
		t.Run(string(mode), func(t *testing.T) {
			reviewed(t, func(s *Settings) { s.Reply = mode }, func(t *testing.T, sc *scene) {
				var words []string
				for i := range 260 {
					words = append(words, fmt.Sprintf("第%03d句春夏秋冬", i))
				}
				whole := strings.Join(words, "\u3000")
				sc.bot.script = map[string][]bubble{"hi": said(s, whole)}
				sc.play([]say{{text: "hi"}, {at: 30 * s, text: "more"}, {at: 60 * s, text: "more"}, {at: 90 * s, text: "more"}, {at: 120 * s, text: "more"}})
				time.Sleep(3*time.Minute - time.Since(sc.began))
				var got strings.Builder
				for _, m := range sc.wechat.Seen(sceneUser) {
					if m.Text != "THINKING" {
						got.WriteString(strings.TrimSuffix(strings.TrimSuffix(m.Text, "MORE"), "\n"))
					}
				}
				if strip := func(s string) string { return strings.Join(strings.Fields(s), "") }; strip(got.String()) != strip(whole) {
					t.Errorf("the user sees %q", sc.saw())
				}
			})
		})
	}
}

// awayBot is a scripted bot that is out of reach for a while.
type awayBot struct {
	*scriptedBot
	from, until time.Time
}

func (b *awayBot) Deliver(ctx context.Context, t bots.Turn) (bots.Receipt, error) {
	if now := time.Now(); now.After(b.from) && now.Before(b.until) {
		return bots.Receipt{}, &bots.Fault{Kind: bots.Transient, Err: errors.New("status 502")}
	}
	return b.scriptedBot.Deliver(ctx, t)
}

// TestBotAwayLong: what was parked while a message waited for the bot, and the user
// was taken for one who may be sent nothing, goes out once the bot has the message.
func TestBotAwayLong(t *testing.T) {
	bot := &awayBot{}
	reviewed(t, func(s *Settings) {
		bot.scriptedBot = s.Bot.(*scriptedBot)
		s.Bot, s.Reply = bot, ReplyPush
	}, func(t *testing.T, sc *scene) {
		bot.from, bot.until = sc.began.Add(9*s), sc.began.Add(15*time.Minute)
		sc.bot.script = map[string][]bubble{
			"hi":   append(said(s, "a", "b", "c", "d", "e"), said(10*time.Minute, "late")...),
			"more": said(s, "x"),
		}
		go func() { // of others who write, what users did long ago is forgotten
			time.Sleep(8 * time.Minute)
			sc.wechat.Push(t.Context(), sc.wechat.Text("oBob", "hello"))
		}()
		sc.play([]say{{text: "hi"}, {at: 60 * s, text: "more"}})
		time.Sleep(40*time.Minute - time.Since(sc.began))
		if waiting, parked, dead := sc.state(); waiting+parked > 0 || len(dead) > 0 {
			t.Errorf("%d waiting, %d parked, dead %v; the user sees %v", waiting, parked, dead, sc.saw())
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

// TestManyParked: of more parked replies than are looked at together, the first go
// out at once. Among them the new one cannot be seen, and it comes behind them anyway.
func TestManyParked(t *testing.T) {
	reviewed(t, func(s *Settings) { s.Reply = ReplyPassive }, func(t *testing.T, sc *scene) {
		var many []bubble
		for i := range replyBatch + 2 {
			many = append(many, bubble{after: 20*s + time.Duration(i)*ms, text: fmt.Sprintf("o%d.", i)})
		}
		sc.bot.script = map[string][]bubble{"hi": many, "you": said(s, "new")}
		sc.play([]say{{text: "hi"}, {at: 40 * s, text: "you"}, {at: 60 * s, text: "more"}})
		time.Sleep(2*time.Minute - time.Since(sc.began))
		var first, then strings.Builder
		for i := range many {
			b := &first
			if i >= replyBatch {
				b = &then
			}
			fmt.Fprintf(b, "o%d.||", i)
		}
		want := []string{"14s passive THINKING", "40s passive " + strings.TrimSuffix(first.String(), "|") + "MORE", "1m13.8s passive " + then.String() + "new"}
		if diff := cmp.Diff(want, sc.saw()); diff != "" {
			t.Errorf("the user sees (-want +got):\n%s", diff)
		}
	})
}
