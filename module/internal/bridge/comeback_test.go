package bridge

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

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
