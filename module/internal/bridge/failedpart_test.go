package bridge

import (
	"context"
	"fmt"
	"image"
	"image/png"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-wechat/caddy-wechat/caddytest/simulator"
	"github.com/caddy-wechat/caddy-wechat/module/internal/journal"
)

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
