package journal

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func deadIDs(t *testing.T, j *Journal) (ids []int64) {
	t.Helper()
	heads, err := j.DeadHeads(context.Background(), "app", 0, 1000)
	noErr(t, err)
	for _, d := range heads {
		ids = append(ids, d.ID)
	}
	return ids
}

// TestReplayPush: a dead push waits again in its old place, and is known to be a
// duplicate all the while.
func TestReplayPush(t *testing.T) {
	ctx := context.Background()
	j := testOpen(t, Config{})
	first := push(t, j, "u", "k1")
	noErr(t, j.PushDead(ctx, PushDone{ID: first, Account: "app", OpenID: "u"}, "poison"))
	push(t, j, "u", "k2")
	if diff := cmp.Diff([]string{"k2"}, keys(t, j, "u")); diff != "" {
		t.Fatalf("while it is dead (-want +got):\n%s", diff)
	}
	ids := deadIDs(t, j)
	for range 2 { // the second time there is nothing to replay
		got, err := j.Replay(ctx, "app", ids)
		noErr(t, err)
		if len(ids) == 1 && len(deadIDs(t, j)) == 0 && len(got) == 1 {
			if diff := cmp.Diff([]Replayed{{ID: ids[0], OpenID: "u", Kind: DeadPush}}, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		} else if len(got) > 0 {
			t.Errorf("replayed %+v", got)
		}
		if diff := cmp.Diff([]string{"k1", "k2"}, keys(t, j, "u")); diff != "" {
			t.Errorf("replayed (-want +got):\n%s", diff)
		}
	}
	list, err := j.NextPushes(ctx, "app", "u", 0, 1)
	noErr(t, err)
	if list[0].ID != first || string(list[0].Body) == "" {
		t.Errorf("push %+v, want %d with its body", list[0], first)
	}
	if c, err := j.AppendPush(ctx, Push{Account: "app", OpenID: "u", Key: "k1"}, false); err != nil || c.Fresh {
		t.Errorf("its key is free: %+v, %v", c, err)
	}
}

func TestReplayReply(t *testing.T) {
	ctx := context.Background()
	for name, test := range map[string]struct {
		before func(t *testing.T, j *Journal, id int64)
		step   int
		waits  bool
	}{
		"given up": {func(t *testing.T, j *Journal, id int64) {
			noErr(t, replyStep(ctx, j, id, 2))
			noErr(t, j.ReplyDead(ctx, id, "no"))
		}, 2, true},
		"given up in part, done since": {func(t *testing.T, j *Journal, id int64) {
			noErr(t, j.Sent(ctx, Sent{Account: "app", OpenID: "u", Progress: []Progress{{ID: id, Step: 1, Refused: "no"}}}))
			noErr(t, replyDone(ctx, j, id))
		}, 0, true},
		"given up in part, under way": {func(t *testing.T, j *Journal, id int64) {
			noErr(t, j.Sent(ctx, Sent{Account: "app", OpenID: "u", Progress: []Progress{{ID: id, Step: 1, Refused: "no"}}}))
		}, 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			j := testOpen(t, Config{})
			_, err := j.AppendReplies(ctx, "app", "u", []Reply{said("a", 5), said("b", 6)})
			noErr(t, err)
			list, err := nextReplies(ctx, j, "app", "u", 1)
			noErr(t, err)
			test.before(t, j, list[0].ID)
			got, err := j.Replay(ctx, "app", deadIDs(t, j))
			noErr(t, err)
			if (len(got) == 1) != test.waits || (len(deadIDs(t, j)) == 0) != test.waits {
				t.Errorf("replayed %+v, dead %v", got, deadIDs(t, j))
			}
			list, err = nextReplies(ctx, j, "app", "u", 5)
			noErr(t, err)
			if len(list) != 2 || list[0].MessageID != "a" || list[0].Step != test.step || string(list[0].Payload) != "payload of a" {
				t.Errorf("waiting: %+v", list)
			}
			if n, err := j.AppendReplies(ctx, "app", "u", []Reply{said("a", 5)}); n != 0 || err != nil {
				t.Errorf("its id is free: %d, %v", n, err)
			}
		})
	}
}

// TestReplayPruned: the row that a dead letter came from may be gone.
func TestReplayPruned(t *testing.T) {
	ctx := context.Background()
	j := testOpen(t, Config{})
	noErr(t, bury(ctx, j, Dead{Account: "app", OpenID: "u", Kind: DeadPush, Ref: "k", Reason: "no", Body: []byte("body")}))
	noErr(t, bury(ctx, j, Dead{Account: "app", OpenID: "u", Kind: DeadReply, Ref: "m", Reason: "no", Body: []byte("payload")}))
	noErr(t, bury(ctx, j, Dead{Account: "app", Kind: DeadBody, Reason: "no", Body: []byte("<")}))
	noErr(t, bury(ctx, j, Dead{Account: "other", OpenID: "u", Kind: DeadPush, Ref: "k", Reason: "no", Body: []byte("body")}))
	got, err := j.Replay(ctx, "app", []int64{1, 2, 3, 4, 99})
	noErr(t, err)
	want := []Replayed{{ID: 1, OpenID: "u", Kind: DeadPush}, {ID: 2, OpenID: "u", Kind: DeadReply}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("replayed (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]int64{3}, deadIDs(t, j)); diff != "" {
		t.Errorf("left (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"k"}, keys(t, j, "u")); diff != "" {
		t.Errorf("pushes (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"m"}, replies(t, j, "u")); diff != "" {
		t.Errorf("replies (-want +got):\n%s", diff)
	}
	if n := rowCount(t, j, "dead", "account = 'other'"); n != 1 {
		t.Error("another account's letter is gone")
	}
}

// TestDropDead: what was dropped is gone, and its id is not given again.
func TestDropDead(t *testing.T) {
	ctx := context.Background()
	c := newClock()
	j := testOpen(t, Config{Now: c.Now})
	bury := func() {
		noErr(t, bury(ctx, j, Dead{Account: "app", OpenID: "u", Kind: DeadReply, Ref: "m", Reason: "no", Body: []byte("payload")}))
	}
	bury()
	bury()
	bury()
	for _, drop := range []struct {
		account string
		ids     []int64
		want    int64
		left    []int64
	}{
		{"other", []int64{1, 2, 3}, 0, []int64{1, 2, 3}},
		{"app", []int64{1, 3}, 2, []int64{2}},
		{"app", []int64{1, 3}, 0, []int64{2}},
	} {
		n, err := j.DropDead(ctx, drop.account, drop.ids)
		noErr(t, err)
		if diff := cmp.Diff(drop.left, deadIDs(t, j)); n != drop.want || diff != "" {
			t.Errorf("dropped %d, want %d; left (-want +got):\n%s", n, drop.want, diff)
		}
	}
	if n := rowCount(t, j, "dead", "body IS NOT NULL AND id <> 2"); n != 0 {
		t.Error("a dropped letter's body is kept")
	}
	bury()
	if diff := cmp.Diff([]int64{2, 4}, deadIDs(t, j)); diff != "" {
		t.Errorf("a new one (-want +got):\n%s", diff)
	}
	c.Add(deadKeep + time.Hour)
	bury()
	_, err := j.Prune(ctx)
	noErr(t, err)
	if n := rowCount(t, j, "dead", "id < 5"); n != 0 {
		t.Errorf("%d old rows are kept", n)
	}
}

// TestLook pages through more than fits on one page.
func TestLook(t *testing.T) {
	ctx := context.Background()
	c := newClock()
	j := testOpen(t, Config{Now: c.Now})
	for i := range 7 {
		openid := fmt.Sprintf("u%d", i)
		push(t, j, openid, "k"+openid)
		c.Add(time.Second)
		_, err := j.AppendReplies(ctx, "app", openid, []Reply{said("a"+openid, 5), said("b"+openid, 5)})
		noErr(t, err)
		if i%2 == 0 {
			_, err = j.Park(ctx, "app", openid)
			noErr(t, err)
		}
	}
	var users []string
	for after, pages := "", 0; ; pages++ {
		list, err := j.UserBacklogs(ctx, "app", after, 3)
		noErr(t, err)
		if len(list) == 0 {
			if pages != 3 {
				t.Errorf("%d pages", pages)
			}
			break
		}
		for _, u := range list {
			users = append(users, fmt.Sprint(u.OpenID, u.Pushes, u.Replies, u.Parked, u.Oldest.Second()))
		}
		after = list[len(list)-1].OpenID
	}
	if diff := cmp.Diff([]string{"u01 0 2 5", "u11 2 0 6", "u21 0 2 7", "u31 2 0 8", "u41 0 2 9", "u51 2 0 10", "u61 0 2 11"}, users); diff != "" {
		t.Errorf("users (-want +got):\n%s", diff)
	}
	for openid, want := range map[string][]string{
		"":   {"au0", "bu0", "au2", "bu2", "au4", "bu4", "au6", "bu6"},
		"u2": {"au2", "bu2"},
		"u1": nil,
	} {
		var got []string
		for after := (ParkedMark{}); ; {
			list, err := j.Parked(ctx, "app", openid, after, 3)
			noErr(t, err)
			if len(list) == 0 {
				break
			}
			for _, p := range list {
				got = append(got, p.MessageID)
			}
			after = list[len(list)-1].Next
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("parked of %q (-want +got):\n%s", openid, diff)
		}
	}
	b, err := j.Backlog(ctx, "app")
	noErr(t, err)
	want := Backlog{Pushes: 7, Replies: 6, Parked: 8, OldestPush: c.Now().Add(-7 * time.Second), OldestReply: c.Now().Add(-5 * time.Second)}
	if diff := cmp.Diff(want, b); diff != "" {
		t.Errorf("backlog (-want +got):\n%s", diff)
	}
	if b, err := j.Backlog(ctx, "nobody"); err != nil || b != (Backlog{}) {
		t.Errorf("backlog of nobody: %+v, %v", b, err)
	}
	n, err := j.DropParked(ctx, "app", "u2")
	noErr(t, err)
	if n != 2 || rowCount(t, j, "replies", "openid = 'u2' AND state = 1 AND payload IS NULL") != 2 {
		t.Errorf("dropped %d", n)
	}
}
