package journal

import (
	"testing"
	"time"
)

// TestNextRepliesAndParked: what is parked goes first, so nothing is to be sent
// while something is; once it waits again, it comes first.
func TestNextRepliesAndParked(t *testing.T) {
	t.Parallel()
	j, err := Open(t.Context(), Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = j.Close() }()
	ctx := t.Context()
	at := time.UnixMilli(1_700_000_000_000)
	reply := func(id string, after time.Duration) Reply {
		return Reply{Account: "a", OpenID: "u", MessageID: id, CreatedAt: at.Add(after), Payload: []byte(id)}
	}
	expect := func(when, id string, wantParked bool) {
		t.Helper()
		list, parked, err := j.NextReplies(ctx, "a", "u", 1)
		var got string
		if len(list) > 0 {
			got = list[0].MessageID
		}
		if err != nil || got != id || (got != "" && parked != wantParked) {
			t.Errorf("%s: %q, parked %v, %v; want %q, parked %v", when, got, parked, err, id, wantParked)
		}
	}
	parkBehind := func(when string, want int64) {
		t.Helper()
		if n, err := j.ParkBehind(ctx, "a", "u"); n != want || err != nil {
			t.Errorf("%s: %d parked (%v), want %d", when, n, err, want)
		}
	}

	expect("nothing there", "", false)
	if _, err := j.AppendReplies(ctx, "a", "u", []Reply{reply("r2", time.Second), reply("r1", 0)}); err != nil {
		t.Fatal(err)
	}
	expect("in the bot's order", "r1", false)
	parkBehind("nothing is parked", 0)
	if _, err := j.Park(ctx, "a", "u"); err != nil {
		t.Fatal(err)
	}
	expect("all parked", "", false)
	if _, err := j.AppendReplies(ctx, "a", "u", []Reply{reply("r3", 2*time.Second)}); err != nil {
		t.Fatal(err)
	}
	expect("behind parked ones", "r3", true)
	parkBehind("behind parked ones", 1)
	expect("parked behind them", "", false)
	if n, err := unpark(ctx, j, "a", "u"); n != 3 || err != nil {
		t.Fatalf("unparked %d, %v", n, err)
	}
	expect("the user has acted", "r1", false)
	parkBehind("the user has acted", 0)
}
