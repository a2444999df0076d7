package journal

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// TestClaim: one of many who bring the same push appends it, and all learn its id.
func TestClaim(t *testing.T) {
	j := testOpen(t, Config{Sync: Normal})
	const rounds, rivals = 50, 8
	for round := range rounds {
		ids, fresh := make([]int64, rivals), make([]bool, rivals)
		var wg sync.WaitGroup
		for r := range rivals {
			wg.Go(func() {
				var err error
				ids[r], fresh[r], err = appendPush(context.Background(), j, Push{Account: "app", OpenID: "u", Key: fmt.Sprint(round), Body: []byte{byte(r)}})
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		first := slices.Index(fresh, true)
		if first < 0 || slices.Contains(fresh[first+1:], true) {
			t.Fatalf("round %d: claimed by %v", round, fresh)
		}
		if ids[0] == 0 || len(slices.Compact(ids)) != 1 {
			t.Fatalf("round %d: ids %v", round, ids)
		}
		list, err := j.NextPushes(context.Background(), "app", "u", ids[0]-1, 1)
		noErr(t, err)
		if len(list) != 1 || list[0].ID != ids[0] || list[0].Body[0] != byte(first) {
			t.Fatalf("round %d: waiting %+v, claimed by %d", round, list, first)
		}
	}
}

func TestClaimIsPerAccount(t *testing.T) {
	j := testOpen(t, Config{})
	for _, account := range []string{"a", "b"} {
		_, fresh, err := appendPush(context.Background(), j, Push{Account: account, OpenID: "u", Key: "k"})
		if err != nil || !fresh {
			t.Errorf("account %s: fresh %v, error %v", account, fresh, err)
		}
	}
	list, err := j.NextPushes(context.Background(), "a", "u", 0, 10)
	if err != nil || len(list) != 1 {
		t.Errorf("%d pushes of account a, error %v", len(list), err)
	}
}

// TestOrder: each user's pushes come in the order of arrival, however the users are interleaved.
func TestOrder(t *testing.T) {
	j := testOpen(t, Config{Sync: Normal})
	const users, each = 20, 25
	var wg sync.WaitGroup
	for u := range users {
		wg.Go(func() {
			for i := range each {
				_, fresh, err := appendPush(context.Background(), j, Push{Account: "app", OpenID: fmt.Sprint(u), Key: fmt.Sprintf("%d/%03d", u, i)})
				if err != nil || !fresh {
					t.Errorf("fresh %v, error %v", fresh, err)
				}
			}
		})
	}
	wg.Wait()
	for u := range users {
		got := keys(t, j, fmt.Sprint(u))
		if len(got) != each || !slices.IsSorted(got) {
			t.Fatalf("user %d: %v", u, got)
		}
	}
}

func TestNextPushes(t *testing.T) {
	ctx := context.Background()
	j := testOpen(t, Config{})
	ids := map[string]int64{}
	for _, key := range []string{"a", "b", "c", "d", "e"} {
		ids[key] = push(t, j, "u", key)
		push(t, j, "v", "other "+key)
	}
	noErr(t, j.PushDone(ctx, PushDone{ID: ids["b"], Account: "app", OpenID: "u"}))
	noErr(t, j.PushDead(ctx, PushDone{ID: ids["d"]}, "poison"))
	tests := map[string]struct {
		after int64
		limit int
		want  []string
	}{
		"all":      {0, 10, []string{"a", "c", "e"}},
		"limited":  {0, 2, []string{"a", "c"}},
		"behind a": {ids["a"], 10, []string{"c", "e"}},
		"behind e": {ids["e"], 10, nil},
		"nothing":  {0, 0, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			list, err := j.NextPushes(ctx, "app", "u", test.after, test.limit)
			noErr(t, err)
			var got []string
			for _, p := range list {
				got = append(got, p.Key)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestPushDone(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	floor := Mark{At: time.Unix(100, 0).UTC(), ID: ""}
	tests := map[string]struct {
		before *User // recorded first, if any
		done   PushDone
		want   *User // nil = no row
		parked int
	}{
		"nothing follows": {done: PushDone{}, want: nil, parked: 1},
		"floor and activity of a new user": {
			done:   PushDone{Floor: floor, Active: true},
			want:   &User{Watermark: floor, ActiveAt: at},
			parked: 1,
		},
		"floor of a known user": {
			before: &User{Conversation: "c", Bot: "b", Generation: 1},
			done:   PushDone{Floor: floor},
			want:   &User{Conversation: "c", Bot: "b", Generation: 1, Watermark: floor},
			parked: 1,
		},
		"floor under a watermark": {
			before: &User{Watermark: Mark{time.Unix(50, 0).UTC(), "m"}},
			done:   PushDone{Floor: floor},
			want:   &User{Watermark: Mark{time.Unix(50, 0).UTC(), "m"}},
			parked: 1,
		},
		"activity within a minute": {
			before: &User{ActiveAt: at.Add(-59 * time.Second)},
			done:   PushDone{Active: true},
			want:   &User{ActiveAt: at.Add(-59 * time.Second)},
			parked: 1,
		},
		"activity after a minute": {
			before: &User{ActiveAt: at.Add(-60 * time.Second), Watermark: floor},
			done:   PushDone{Active: true},
			want:   &User{ActiveAt: at, Watermark: floor},
			parked: 1,
		},
		"activity never goes back": {
			before: &User{ActiveAt: at.Add(time.Hour)},
			done:   PushDone{Active: true, Floor: floor},
			want:   &User{ActiveAt: at.Add(time.Hour), Watermark: floor},
			parked: 1,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			ctx := context.Background()
			j := testOpen(t, Config{})
			id, other := push(t, j, "u", "k"), push(t, j, "u", "l")
			if test.before != nil {
				test.before.Account, test.before.OpenID = "app", "u"
				noErr(t, j.PutUser(ctx, *test.before))
			}
			// Written past AppendReplies, which would touch the user.
			noErr(t, j.w.do(ctx, func(tx *tx) error {
				for _, openid := range []string{"u", "v"} {
					if _, err := tx.exec(insertReply, "app", openid, "m "+openid, 1, 1, []byte("x"), ""); err != nil {
						return err
					}
				}
				_, err := tx.exec("UPDATE replies SET state = 2")
				return err
			}))
			test.done.ID, test.done.Account, test.done.OpenID, test.done.At = id, "app", "u", at
			noErr(t, j.PushDone(ctx, test.done))
			noErr(t, j.PushDone(ctx, test.done)) // once more changes nothing

			if diff := cmp.Diff([]string{"l"}, keys(t, j, "u")); diff != "" {
				t.Errorf("waiting (-want +got):\n%s", diff)
			}
			if n := rowCount(t, j, "pushes", fmt.Sprintf("id = %d AND state = 1 AND handled_at = %d", id, at.UnixMilli())); n != 1 {
				t.Error("the push is not marked")
			}
			if n := rowCount(t, j, "pushes", fmt.Sprintf("id = %d AND state = 0", other)); n != 1 {
				t.Error("the other push is marked")
			}
			u, found, err := j.User(ctx, "app", "u")
			noErr(t, err)
			if found != (test.want != nil) {
				t.Fatalf("user found: %v", found)
			}
			if test.want != nil {
				if diff := cmp.Diff(*test.want, u, cmpopts.IgnoreFields(User{}, "Account", "OpenID")); diff != "" {
					t.Errorf("user (-want +got):\n%s", diff)
				}
			}
			if n := rowCount(t, j, "replies", "openid = 'u' AND state = 2"); n != test.parked {
				t.Errorf("%d parked replies, want %d", n, test.parked)
			}
			if n := rowCount(t, j, "replies", "openid = 'u'"); n != 1 {
				t.Error("the reply's message id is forgotten")
			}
			if n := rowCount(t, j, "replies", "openid = 'u' AND payload IS NOT NULL"); n != test.parked {
				t.Error("the payload of a forgotten reply is kept")
			}
			if n := rowCount(t, j, "replies", "openid = 'v' AND state = 2"); n != 1 {
				t.Error("another user's parked reply is gone")
			}
		})
	}
}

// TestPushDoneIsAtomic: what fails at its last step leaves nothing of the ones before.
func TestPushDoneIsAtomic(t *testing.T) {
	ctx := context.Background()
	j := testOpen(t, Config{})
	id := push(t, j, "u", "k")
	noErr(t, j.w.do(ctx, func(tx *tx) error {
		_, err := tx.exec("CREATE TRIGGER refuse BEFORE UPDATE ON users BEGIN SELECT RAISE(ABORT, 'refused'); END")
		return err
	}))
	err := j.PushDone(ctx, PushDone{ID: id, Account: "app", OpenID: "u", Floor: Mark{At: time.Unix(1, 0)}, Active: true, Grant: GrantAction, GrantAt: time.Unix(2, 0)})
	if err == nil {
		t.Fatal("no error")
	}
	if diff := cmp.Diff([]string{"k"}, keys(t, j, "u")); diff != "" {
		t.Errorf("waiting (-want +got):\n%s", diff)
	}
	if _, found, err := j.User(ctx, "app", "u"); found || err != nil {
		t.Errorf("user found %v, error %v", found, err)
	}
}

func TestDead(t *testing.T) {
	ctx := context.Background()
	c := newClock()
	j := testOpen(t, Config{Now: c.Now})
	id := push(t, j, "u", "k")
	handled := push(t, j, "u", "h")
	noErr(t, j.PushDone(ctx, PushDone{ID: handled, Account: "app", OpenID: "u"}))
	_, err := j.AppendReplies(ctx, "app", "u", []Reply{said("m", 1)})
	noErr(t, err)
	rs, err := nextReplies(ctx, j, "app", "u", 1)
	noErr(t, err)

	noErr(t, j.PushDead(ctx, PushDone{ID: id}, "poison"))
	noErr(t, j.PushDead(ctx, PushDone{ID: id}, "again"))
	noErr(t, j.PushDead(ctx, PushDone{ID: handled}, "too late"))
	noErr(t, j.PushDead(ctx, PushDone{ID: 4711}, "unknown"))
	noErr(t, j.ReplyDead(ctx, rs[0].ID, "unreachable"))
	noErr(t, j.ReplyDead(ctx, rs[0].ID, "again"))
	noErr(t, bury(ctx, j, Dead{Account: "app", Kind: DeadBody, Reason: "not XML", Body: []byte("<")}))
	noErr(t, bury(ctx, j, Dead{Account: "other", Kind: DeadBody, At: time.Unix(5, 0)}))

	want := []Dead{
		{Account: "app", OpenID: "u", Kind: DeadPush, Ref: "k", Reason: "poison", At: c.Now(), Body: []byte("body of k")},
		{Account: "app", OpenID: "u", Kind: DeadReply, Ref: "m", Reason: "unreachable", At: c.Now(), Body: []byte("payload of m")},
		{Account: "app", Kind: DeadBody, Reason: "not XML", At: c.Now(), Body: []byte("<")},
	}
	got, err := j.Dead(ctx, "app", 0, 10)
	noErr(t, err)
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(Dead{}, "ID")); diff != "" {
		t.Errorf("dead letters (-want +got):\n%s", diff)
	}
	page, err := j.Dead(ctx, "app", got[0].ID, 1)
	noErr(t, err)
	if len(page) != 1 || page[0].Ref != "m" {
		t.Errorf("second page %+v", page)
	}
	if n := len(keys(t, j, "u")) + len(replies(t, j, "u")); n != 0 {
		t.Errorf("%d rows still wait", n)
	}
	// The keys stay claimed.
	if _, fresh, err := appendPush(ctx, j, Push{Account: "app", OpenID: "u", Key: "k"}); fresh || err != nil {
		t.Errorf("a dead push again: fresh %v, error %v", fresh, err)
	}
	if fresh, err := j.AppendReplies(ctx, "app", "u", []Reply{said("m", 1)}); fresh != 0 || err != nil {
		t.Errorf("a dead reply again: fresh %v, error %v", fresh, err)
	}
}

// TestBuriedOnce: what is no push is recorded once, whether the letter is still there or not, until its key is
// forgotten.
func TestBuriedOnce(t *testing.T) {
	ctx, c := context.Background(), newClock()
	j := testOpen(t, Config{Now: c.Now, Keep: time.Hour})
	letters := func() int { return rowCount(t, j, "dead", "account = 'app'") }
	d := Dead{Account: "app", Kind: DeadBody, Ref: "r", Reason: "not XML", Body: []byte("<")}
	noErr(t, bury(ctx, j, d))
	again := func() bool {
		fresh, err := j.Bury(ctx, d)
		noErr(t, err)
		return fresh
	}
	if again() || letters() != 1 {
		t.Errorf("it was recorded again: %d letters", letters())
	}
	other := d
	other.Ref = "other"
	noErr(t, bury(ctx, j, other))
	if _, err := j.DropDead(ctx, "app", []int64{1}); err != nil || again() || letters() != 1 {
		t.Errorf("it was recorded again after it was dropped: %d letters, %v", letters(), err)
	}
	push(t, j, "u", "later") // the highest id is kept
	c.Add(2 * time.Hour)
	if _, err := j.Prune(ctx); err != nil || !again() {
		t.Errorf("it is remembered for longer than a push: %v", err)
	}
}

func TestWaiting(t *testing.T) {
	ctx := context.Background()
	j := testOpen(t, Config{Sync: Normal})
	for _, u := range []string{"a", "b", "b", "b", "c", "d", "e"} {
		push(t, j, u, fmt.Sprint(u, rowCount(t, j, "pushes", "1 = 1")))
	}
	for _, u := range []string{"c", "a"} {
		_, err := j.AppendReplies(ctx, "app", u, []Reply{said(u+"1", 1), said(u+"2", 2)})
		noErr(t, err)
	}
	_, _, err := appendPush(ctx, j, Push{Account: "apq", OpenID: "bb", Key: "k"})
	noErr(t, err)
	list, err := j.NextPushes(ctx, "app", "d", 0, 1)
	noErr(t, err)
	noErr(t, j.PushDone(ctx, PushDone{ID: list[0].ID, Account: "app", OpenID: "d"}))
	_, err = j.Park(ctx, "app", "a")
	noErr(t, err)

	tests := map[string]struct {
		q     Queue
		after string
		limit int
		want  []string
	}{
		"pushes":         {Pushes, "", 10, []string{"a", "b", "c", "e"}},
		"pushes, page":   {Pushes, "a", 2, []string{"b", "c"}},
		"pushes, behind": {Pushes, "e", 10, nil},
		"replies":        {Replies, "", 10, []string{"c"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := j.WaitingUsers(ctx, "app", test.q, test.after, test.limit)
			noErr(t, err)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	if _, err := j.WaitingUsers(ctx, "app", Queue(9), "", 1); err == nil {
		t.Error("no error for an unknown queue")
	}
	p, r, parked, err := j.CountWaiting(ctx, "app")
	if p != 6 || r != 2 || parked != 2 || err != nil {
		t.Errorf("counted %d, %d, %d, %v, want 6, 2, 2", p, r, parked, err)
	}
}
