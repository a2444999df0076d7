package bridge

import (
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-wechat/caddy-wechat/module/internal/journal"
)

// TestLastOverRestart: when a push and a reply last came is known after a restart, and what comes
// then is newer.
func TestLastOverRestart(t *testing.T) {
	dir := tempDir(t)
	synctest.Test(t, func(t *testing.T) {
		sc := newScene(t, dir, func(s *Settings) { s.Reply, s.Typing = ReplyPush, false }, nil)
		defer sc.close()
		sc.bot.script = map[string][]bubble{"hi": said(s, "a"), "again": nil}
		wants := func(when string, push, reply time.Duration) {
			t.Helper()
			time.Sleep(10 * s)
			a := sc.rt.Status(t.Context())
			for what, l := range map[string]struct {
				got  *time.Time
				want time.Duration
			}{"push": {a.LastPush, push}, "reply": {a.LastReply, reply}} {
				switch {
				case l.want < 0 && l.got != nil:
					t.Errorf("%s: the last %s came at %v", when, what, l.got)
				case l.want >= 0 && (l.got == nil || l.got.Sub(sc.began.Add(l.want)).Abs() > 200*ms):
					t.Errorf("%s: the last %s came at %v, want %v", when, what, l.got, sc.began.Add(l.want))
				}
			}
		}
		wants("at first", -1, -1)
		began := time.Since(sc.began)
		sc.play([]say{{text: "hi"}})
		wants("before", began, began+s)
		sc.restart()
		wants("after the restart", began, began+s)
		later := time.Since(sc.began)
		sc.play([]say{{text: "again"}})
		wants("after another message", later, began+s)
	})
}

// TestLastOfNewer: what has come since the start is not taken back by what is read of before; and a
// journal that cannot be read stops nothing.
func TestLastOfNewer(t *testing.T) {
	j, err := journal.Open(t.Context(), journal.Config{Dir: filepath.Join(t.TempDir(), "j"), Sync: journal.Normal, Keep: time.Hour, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-time.Hour).Truncate(time.Millisecond)
	if _, err := j.AppendPush(t.Context(), journal.Push{Account: "wx1", OpenID: "u", Key: "k", ReceivedAt: old}, false); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name         string
		before, want int64
	}{
		{"nothing has come", 0, old.UnixNano()},
		{"something has", 7, 7},
		{"closed", 0, 0},
	} {
		if tc.name == "closed" {
			if err := j.Close(); err != nil {
				t.Fatal(err)
			}
		}
		rt := &Runtime{appid: "wx1", stop: t.Context()}
		rt.seen.push.Store(tc.before)
		rt.recallSeen(j)
		if got := rt.seen.push.Load(); got != tc.want || rt.seen.reply.Load() != 0 {
			t.Errorf("%s: the last push came at %d, want %d", tc.name, got, tc.want)
		}
	}
}
