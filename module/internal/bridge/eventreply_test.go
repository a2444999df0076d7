package bridge

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-wechat/caddy-wechat/module/internal/journal"
)

// TestEventReplyCounts: a follow that the configuration answers by itself opens the follow's allowance all the
// same: what the bot says of its own accord then goes out, once for each message of it.
func TestEventReplyCounts(t *testing.T) {
	t.Parallel()
	for _, mode := range []ReplyMode{ReplyAuto, ReplyPush} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			dir := tempDir(t)
			synctest.Test(t, func(t *testing.T) {
				sc, bot := newFileScene(t, dir, func(s *Settings) {
					s.Reply, s.Events = mode, []EventRule{{Name: "subscribe", Action: EventReply, Text: "welcome"}}
				})
				defer sc.close()
				sc.send(bot, sc.wechat.Event(sceneUser, "VIEW", "https://example.com/")) // the bot knows the user, who may not be sent anything
				sc.hear("before", saidText)
				time.Sleep(time.Second)
				if len(sc.wechat.Seen(sceneUser)) > 0 {
					t.Fatalf("the user was sent %q", sc.saw())
				}
				follow := sc.wechat.Event(sceneUser, "subscribe", "")
				at := time.Now()
				sc.wechat.Push(t.Context(), follow)
				time.Sleep(3 * time.Second)
				clock := func() journal.Clock {
					u, _, err := sc.rt.user(sceneUser)
					if err != nil || !u.Message.Since.IsZero() {
						t.Fatalf("user %+v, %v", u, err)
					}
					return u.Action
				}
				if got := clock(); !got.Since.Equal(at) || got.Used != 1 {
					t.Errorf("the follow's allowance is %+v, want one since %v, of which one is used", got, at)
				}
				sc.hear("after", saidCard, saidCard, saidCard)
				time.Sleep(10 * time.Second)
				if got := clock(); got.Used < 3 {
					t.Errorf("the follow's allowance is %+v in the end", got)
				}
				seen := strings.Join(sc.saw(), ", ")
				if n := len(sc.wechat.Seen(sceneUser)); n != 4 || !strings.Contains(seen, "passive welcome") || strings.Count(seen, "push") != 3 {
					t.Errorf("the user saw %s", seen)
				}
				if got := bot.got(); len(got) != 1 {
					t.Errorf("the bot got %q", got)
				}
			})
		})
	}
}
