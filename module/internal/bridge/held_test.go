package bridge

import (
	"context"
	"fmt"
	"image"
	"image/png"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-wechat/caddy-wechat/caddytest/simulator"
)

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

// TestWindowWhileHeld: a message that waits at a closed gate goes into the
// next window at once.
func TestWindowWhileHeld(t *testing.T) {
	reviewed(t, func(s *Settings) { s.Typing = false }, func(t *testing.T, sc *scene) {
		sc.wechat.Fail(simulator.WeChatFault{Path: "/cgi-bin/message/custom/send", Code: 45009})
		sc.bot.script = map[string][]bubble{"hi": said(6*s, "a"), "more": said(s, "b", "c")}
		sc.play([]say{{text: "hi"}, {at: 30 * s, text: "more"}, {at: 60 * s, text: "again"}})
		time.Sleep(2*time.Minute - time.Since(sc.began))
		if diff := cmp.Diff([]string{"30s passive a", "1m0s passive b||c"}, sc.saw()); diff != "" {
			t.Errorf("the user sees (-want +got):\n%s", diff)
		}
	})
}

// TestTurnsWhileHeld: while nothing can be pushed, an answer takes all that it can
// hold, so that the user is not told one thing for each two that the bot says.
func TestTurnsWhileHeld(t *testing.T) {
	reviewed(t, func(s *Settings) { s.Typing = false }, func(t *testing.T, sc *scene) {
		sc.wechat.Fail(simulator.WeChatFault{Path: "/cgi-bin/message/custom/send", Code: 45009})
		sc.bot.script = map[string][]bubble{"1": said(6*s, "z"), "2": said(s, "a", "b"), "3": said(s, "c", "d")}
		sc.play([]say{{text: "1"}, {at: 30 * s, text: "2"}, {at: 60 * s, text: "3"}, {at: 90 * s, text: "4"}})
		time.Sleep(2*time.Minute - time.Since(sc.began))
		if diff := cmp.Diff([]string{"30s passive z", "1m0s passive a||b", "1m30s passive c||d"}, sc.saw()); diff != "" {
			t.Errorf("the user sees (-want +got):\n%s", diff)
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
