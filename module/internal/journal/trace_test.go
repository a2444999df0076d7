package journal

import (
	"context"
	"path/filepath"
	"testing"
	"time"
)

// TestTrace: what a message's trace is survives with it, and none is kept where there
// is none.
func TestTrace(t *testing.T) {
	ctx := context.Background()
	j := testOpen(t, Config{})
	const trace = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"
	for _, p := range []Push{{Key: "a", Trace: trace}, {Key: "b"}, {Key: "a"}} {
		p.Account, p.OpenID, p.Body = "app", "u", []byte("x")
		_, err := j.AppendPush(ctx, p, false)
		noErr(t, err)
	}
	pushes, err := j.NextPushes(ctx, "app", "u", 0, 9)
	noErr(t, err)
	if len(pushes) != 2 || pushes[0].Trace != trace || pushes[1].Trace != "" {
		t.Errorf("pushes %+v", pushes)
	}
	a, b := said("a", 1), said("b", 2)
	a.Trace = trace
	_, err = j.AppendReplies(ctx, "app", "u", []Reply{a, b})
	noErr(t, err)
	list, err := nextReplies(ctx, j, "app", "u", 9)
	noErr(t, err)
	if len(list) != 2 || list[0].Trace != trace || list[1].Trace != "" {
		t.Errorf("replies %+v", list)
	}
}

// TestTurnTrace: what the bot was last told is known by its trace over a restart, and nothing that has
// none changes it.
func TestTurnTrace(t *testing.T) {
	ctx := context.Background()
	dir := filepath.Join(t.TempDir(), "j")
	j := testOpen(t, Config{Dir: dir})
	at := time.UnixMilli(5_000_000).UTC()
	for _, d := range []PushDone{{Trace: "first", At: at}, {Trace: "second", At: at.Add(time.Second)}, {At: at.Add(time.Minute)}} {
		d.Account, d.OpenID, d.Active = "app", "u", true
		noErr(t, j.PushDone(ctx, d))
	}
	noErr(t, j.PushDone(ctx, PushDone{Account: "app", OpenID: "v", Active: true}))
	noErr(t, j.PutUser(ctx, User{Account: "app", OpenID: "u", Conversation: "c"}))
	noErr(t, j.Close())
	j = testOpen(t, Config{Dir: dir})
	u, _, err := j.UserByConversation(ctx, "app", "c")
	noErr(t, err)
	if u.Trace != "second" || !u.TracedAt.Equal(at.Add(time.Second)) {
		t.Errorf("the user's trace is %q of %v", u.Trace, u.TracedAt)
	}
	if v, _, err := j.User(ctx, "app", "v"); err != nil || v.Trace != "" || !v.TracedAt.IsZero() {
		t.Errorf("another's trace is %q of %v, %v", v.Trace, v.TracedAt, err)
	}
}
