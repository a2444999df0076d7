package journal

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestPrune(t *testing.T) {
	ctx := context.Background()
	const day = 24 * time.Hour
	c := newClock()
	j := testOpen(t, Config{Now: c.Now, Keep: day})
	start := c.Now()

	add := func(key string) int64 { return push(t, j, "u", key) }
	add("waiting")
	noErr(t, j.PushDone(ctx, PushDone{ID: add("handled"), Account: "app", OpenID: "u"}))
	noErr(t, j.PushDead(ctx, PushDone{ID: add("dead")}, "poison"))
	late := add("handled late")
	_, err := j.AppendReplies(ctx, "app", "u", []Reply{
		said("done below", 1), said("done at", 2), said("waiting below", 2), said("parked below", 2), said("dead below", 1), said("done above", 9), said("dead above", 9),
	})
	noErr(t, err)
	_, err = j.AppendReplies(ctx, "app", "no watermark", []Reply{said("done, no watermark", 1)})
	noErr(t, err)
	noErr(t, j.PutUser(ctx, User{Account: "app", OpenID: "u", Watermark: Mark{time.Unix(2, 0), "done at"}}))
	for _, openid := range []string{"u", "no watermark"} {
		list, err := nextReplies(ctx, j, "app", openid, 10)
		noErr(t, err)
		for _, r := range list {
			switch r.MessageID[:4] {
			case "done":
				noErr(t, replyDone(ctx, j, r.ID))
			case "dead":
				noErr(t, j.ReplyDead(ctx, r.ID, "unreachable"))
			case "park":
				noErr(t, parkReply(ctx, j, r.ID))
			}
		}
	}
	// "waiting below" and "parked below" sort behind "done at"; move the watermark over them.
	noErr(t, j.w.do(ctx, func(tx *tx) error {
		_, err := tx.exec("UPDATE users SET watermark_id = 'z' WHERE openid = 'u'")
		return err
	}))
	noErr(t, bury(ctx, j, Dead{Account: "app", Kind: DeadPush, Ref: "body"}))
	c.Add(2 * time.Hour)
	noErr(t, j.PushDone(ctx, PushDone{ID: late, Account: "app", OpenID: "u"}))
	noErr(t, bury(ctx, j, Dead{Account: "app", Kind: DeadPush, Ref: "later body"}))
	add("newest") // the highest ids always stay
	_, err = j.AppendReplies(ctx, "app", "u", []Reply{said("newest", 10)})
	noErr(t, err)

	all := func(table, column string) []string {
		rows, err := j.r.db.Query("SELECT " + column + " FROM " + table + " ORDER BY 1")
		noErr(t, err)
		defer rows.Close()
		var list []string
		for rows.Next() {
			var s string
			noErr(t, rows.Scan(&s))
			list = append(list, s)
		}
		noErr(t, rows.Err())
		return list
	}
	type left struct{ Pushes, Replies, Dead []string }
	everything := left{
		[]string{"dead", "handled", "handled late", "newest", "waiting"},
		[]string{"dead above", "dead below", "done above", "done at", "done below", "done, no watermark", "newest", "parked below", "waiting below"},
		[]string{"body", "dead", "dead above", "dead below", "later body"},
	}
	afterKeep := left{
		[]string{"dead", "handled late", "newest", "waiting"},
		[]string{"dead above", "dead below", "done above", "done, no watermark", "newest", "parked below", "waiting below"},
		everything.Dead,
	}
	afterMonth := left{
		[]string{"newest", "waiting"},
		[]string{"dead above", "done above", "done, no watermark", "newest", "parked below", "waiting below"},
		[]string{"later body"},
	}
	steps := []struct {
		age  time.Duration
		want left
	}{
		{day, everything},
		{day + time.Second, afterKeep},
		{day + time.Hour, afterKeep},
		{30*day + time.Hour, afterMonth},
		{900 * day, afterMonth},
	}
	for _, step := range steps {
		c.Add(start.Add(step.age).Sub(c.Now()))
		before := rowCount(t, j, "pushes", "1 = 1") + rowCount(t, j, "replies", "1 = 1") + rowCount(t, j, "dead", "1 = 1")
		n, err := j.Prune(ctx)
		noErr(t, err)
		got := left{all("pushes", "dedup"), all("replies", "message_id"), all("dead", "ref")}
		if diff := cmp.Diff(step.want, got); diff != "" {
			t.Errorf("left after %v (-want +got):\n%s", step.age, diff)
		}
		if want := before - len(got.Pushes) - len(got.Replies) - len(got.Dead); n != int64(want) {
			t.Errorf("after %v: told %d, went %d", step.age, n, want)
		}
	}
}

// TestPruneManySteps: what may go lies behind more than one step's worth of what may not.
func TestPruneManySteps(t *testing.T) {
	ctx := context.Background()
	c := newClock()
	j := testOpen(t, Config{Now: c.Now, Keep: time.Hour, Sync: Normal})
	const n = 5 * pruneChunk
	done := 0
	for i := range n {
		id := push(t, j, "u", fmt.Sprint(i))
		if i > 2*pruneChunk && i%3 > 0 {
			noErr(t, j.PushDone(ctx, PushDone{ID: id, Account: "app", OpenID: "u"}))
			done++
		}
	}
	_, _, err := appendPush(ctx, j, Push{Account: "app", OpenID: "u", Key: "future", ReceivedAt: c.Now().Add(1000 * time.Hour)})
	noErr(t, err)
	c.Add(2 * time.Hour)
	push(t, j, "u", "young")
	pruned, err := j.Prune(ctx)
	if pruned != int64(done) || err != nil {
		t.Errorf("pruned %d, %v, want %d", pruned, err, done)
	}
	if got := len(keys(t, j, "u")); got != n-done+2 {
		t.Errorf("%d wait, want %d", got, n-done+2)
	}
}

// TestClockThatWasWrong: a row from the future does not keep the others from being pruned.
func TestClockThatWasWrong(t *testing.T) {
	ctx := context.Background()
	c := newClock()
	j := testOpen(t, Config{Now: c.Now, Keep: time.Hour, Sync: Normal})
	for i := range pruneChunk {
		_, _, err := appendPush(ctx, j, Push{Account: "app", OpenID: "u", Key: fmt.Sprint("future ", i), ReceivedAt: c.Now().Add(1000 * time.Hour)})
		noErr(t, err)
	}
	noErr(t, j.PushDone(ctx, PushDone{ID: push(t, j, "u", "old"), Account: "app", OpenID: "u"}))
	push(t, j, "u", "newest")
	c.Add(2 * time.Hour)
	if n, err := j.Prune(ctx); n != 1 || err != nil {
		t.Errorf("pruned %d, %v, want 1", n, err)
	}
}

// TestIDsAreNotGivenTwice, not even that of the newest push once it is pruned.
func TestIDsAreNotGivenTwice(t *testing.T) {
	ctx := context.Background()
	c := newClock()
	dir := t.TempDir()
	j := testOpen(t, Config{Dir: dir, Now: c.Now, Keep: time.Hour})
	last := int64(0)
	for i := range 5 {
		id := push(t, j, "u", fmt.Sprint(i))
		if id <= last {
			t.Fatalf("id %d after %d", id, last)
		}
		last = id
		noErr(t, j.PushDone(ctx, PushDone{ID: id, Account: "app", OpenID: "u"}))
		c.Add(48 * time.Hour)
		_, err := j.Prune(ctx)
		noErr(t, err)
		noErr(t, j.Close())
		j = testOpen(t, Config{Dir: dir, Now: c.Now, Keep: time.Hour})
	}
	if n := rowCount(t, j, "pushes", "1 = 1"); n != 1 {
		t.Errorf("%d pushes left, want the newest alone", n)
	}
}

// TestForgottenAfterKeep: de-duplication lasts as long as keep, and no longer.
func TestForgottenAfterKeep(t *testing.T) {
	ctx := context.Background()
	c := newClock()
	j := testOpen(t, Config{Now: c.Now, Keep: time.Hour})
	noErr(t, j.PushDone(ctx, PushDone{ID: push(t, j, "u", "k"), Account: "app", OpenID: "u"}))
	push(t, j, "u", "newest")
	c.Add(time.Hour)
	_, err := j.Prune(ctx)
	noErr(t, err)
	if _, fresh, err := appendPush(ctx, j, Push{Account: "app", OpenID: "u", Key: "k"}); fresh || err != nil {
		t.Errorf("within keep: fresh %v, error %v", fresh, err)
	}
	c.Add(time.Second)
	j.Configure(Full, 2*time.Hour, 0)
	_, err = j.Prune(ctx)
	noErr(t, err)
	if _, fresh, err := appendPush(ctx, j, Push{Account: "app", OpenID: "u", Key: "k"}); fresh || err != nil {
		t.Errorf("within a longer keep: fresh %v, error %v", fresh, err)
	}
	j.Configure(Full, time.Hour, 0)
	_, err = j.Prune(ctx)
	noErr(t, err)
	if _, fresh, err := appendPush(ctx, j, Push{Account: "app", OpenID: "u", Key: "k"}); !fresh || err != nil {
		t.Errorf("after keep: fresh %v, error %v", fresh, err)
	}
}
