package journal

import (
	"context"
	"testing"
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
