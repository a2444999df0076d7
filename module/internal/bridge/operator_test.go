package bridge

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-wechat/caddy-wechat/caddytest/simulator"
	"github.com/caddy-wechat/caddy-wechat/module/internal/journal"
)

// TestSay: an operator's message goes out as the bot's do, or it is said why not.
func TestSay(t *testing.T) {
	unfollow := say{at: time.Minute, event: "unsubscribe"}
	for name, tc := range map[string]struct {
		mode  ReplyMode
		kind  string
		does  []say
		bot   map[string][]bubble
		after time.Duration // when it is tried
		text  string
		fault string // WeChat's answer to sends
		fate  journal.Fate
		why   string // not accepted; empty: it is
		saw   bool
	}{
		"within the window":       {does: hi, after: time.Hour, fate: journal.FateDone, saw: true},
		"as the answer":           {mode: ReplyPassive, does: hi, after: 2 * s, fate: journal.FateDone, saw: true},
		"a stranger":              {after: s, why: "Nobody of that id"},
		"an empty text":           {does: hi, after: time.Minute, text: " \n", why: "empty"},
		"a user who left":         {does: []say{{text: "hi"}, unfollow}, after: time.Hour, why: "does not follow"},
		"passive, nothing to ask": {mode: ReplyPassive, does: hi, after: time.Minute, why: "can only answer"},
		"after the window":        {does: hi, after: 49 * time.Hour, why: "last acted 49h"},
		"allowance spent":         {does: hi, bot: map[string][]bubble{"hi": said(10*s, "a", "b", "c", "d", "e")}, after: time.Minute, why: "All 5 messages"},
		"parked ones first":       {does: hi, bot: map[string][]bubble{"hi": append(said(10*s, "a", "b", "c", "d", "e"), said(30*s, "f")...)}, after: time.Minute, why: "parked"},
		"held":                    {mode: ReplyPush, kind: simulator.KindIndividual, does: hi, bot: replies(s, "a"), after: time.Minute, why: "The account is held"},
		"WeChat is busy":          {does: hi, after: time.Minute, fault: "busy", fate: journal.FateWaiting},
	} {
		t.Run(name, func(t *testing.T) {
			dir := tempDir(t)
			synctest.Test(t, func(t *testing.T) {
				sc := newScene(t, dir, func(st *Settings) {
					if tc.mode != "" {
						st.Reply = tc.mode
					}
				}, func(c *simulator.WeChatConfig) { c.Kind = tc.kind })
				sc.bot.script = tc.bot
				if sc.bot.script == nil {
					sc.bot.script = map[string][]bubble{}
				}
				if tc.fault != "" {
					sc.wechat.Fail(simulator.WeChatFault{Path: "/cgi-bin/message/custom/send", Code: -1})
				}
				done := make(chan struct{})
				go func() { sc.play(tc.does); close(done) }()
				time.Sleep(tc.after)
				text := tc.text
				if text == "" {
					text = "from staff"
				}
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
				defer cancel()
				fate, err := sc.rt.Say(ctx, sceneUser, text)
				var why NotSent
				if errors.As(err, &why); (err == nil) != (tc.why == "") || !strings.Contains(string(why), tc.why) {
					t.Errorf("error %v, want %q", err, tc.why)
				}
				if fate != tc.fate {
					t.Errorf("fate %v, want %v", fate, tc.fate)
				}
				<-done
				if saw := strings.Contains(strings.Join(sc.saw(), "\n"), "from staff"); saw != tc.saw {
					t.Errorf("the user saw %q", sc.saw())
				}
				sc.close()
			})
		})
	}
}
