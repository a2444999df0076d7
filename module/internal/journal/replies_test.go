package journal

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestReplies(t *testing.T) {
	ctx := context.Background()
	c := newClock()
	j := testOpen(t, Config{Now: c.Now})
	noErr(t, j.PutUser(ctx, User{Account: "app", OpenID: "u", Conversation: "c"}))
	fresh, err := j.AppendReplies(ctx, "app", "u", []Reply{said("late", 9), said("b", 5), said("a", 5), said("b", 5)})
	if fresh != 3 || err != nil {
		t.Fatalf("fresh %d, error %v", fresh, err)
	}
	if diff := cmp.Diff([]string{"a", "b", "late"}, replies(t, j, "u")); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
	u, _, err := j.User(ctx, "app", "u")
	noErr(t, err)
	if !u.ActiveAt.Equal(c.Now()) || !u.Watermark.IsZero() || u.Conversation != "c" {
		t.Errorf("user %+v, want it active now and without a watermark", u)
	}
	c.Add(time.Hour)
	if fresh, err := j.AppendReplies(ctx, "app", "u", []Reply{said("a", 5)}); fresh != 0 || err != nil {
		t.Errorf("known reply: fresh %d, error %v", fresh, err)
	}
	if v, _, _ := j.User(ctx, "app", "u"); !v.ActiveAt.Equal(u.ActiveAt) {
		t.Error("a known reply counts as activity")
	}

	list, err := nextReplies(ctx, j, "app", "u", 1)
	noErr(t, err)
	want := []Reply{{
		ID: list[0].ID, Account: "app", OpenID: "u", MessageID: "a",
		CreatedAt: time.Unix(5, 0).UTC(), ReceivedAt: c.Now().Add(-time.Hour), Payload: []byte("payload of a"),
	}}
	if diff := cmp.Diff(want, list); diff != "" {
		t.Errorf("first reply (-want +got):\n%s", diff)
	}
	noErr(t, replyStep(ctx, j, list[0].ID, 2))
	list, err = nextReplies(ctx, j, "app", "u", 2)
	noErr(t, err)
	if list[0].Step != 2 || list[1].Step != 0 {
		t.Errorf("steps %d, %d, want 2, 0", list[0].Step, list[1].Step)
	}
	noErr(t, replyDone(ctx, j, list[0].ID))
	if diff := cmp.Diff([]string{"b", "late"}, replies(t, j, "u")); diff != "" {
		t.Errorf("after one is done (-want +got):\n%s", diff)
	}
	if n := rowCount(t, j, "replies", "message_id = 'a' AND payload IS NULL AND state = 1"); n != 1 {
		t.Error("the payload of a delivered reply is kept")
	}
}

func TestParking(t *testing.T) {
	ctx := context.Background()
	j := testOpen(t, Config{})
	for _, u := range []string{"u", "v"} {
		_, err := j.AppendReplies(ctx, "app", u, []Reply{said(u+"1", 1), said(u+"2", 2), said(u+"3", 3)})
		noErr(t, err)
	}
	parked := func() bool {
		t.Helper()
		yes, err := j.HasParked(ctx, "app", "u")
		noErr(t, err)
		return yes
	}
	if parked() {
		t.Error("parked before Park")
	}
	list, err := nextReplies(ctx, j, "app", "u", 3)
	noErr(t, err)
	noErr(t, replyStep(ctx, j, list[0].ID, 4))
	noErr(t, parkReply(ctx, j, list[0].ID))
	noErr(t, replyDone(ctx, j, list[1].ID))
	noErr(t, parkReply(ctx, j, list[1].ID)) // done: not parked any more
	if diff := cmp.Diff([]string{"u3"}, replies(t, j, "u")); diff != "" || !parked() {
		t.Errorf("one parked (-want +got):\n%s", diff)
	}
	if n, err := j.Park(ctx, "app", "u"); n != 1 || err != nil {
		t.Errorf("parked %d, %v", n, err)
	}
	_, err = j.AppendReplies(ctx, "app", "u", []Reply{said("u4", 4)})
	noErr(t, err)
	if n, err := unpark(ctx, j, "app", "u"); n != 2 || err != nil {
		t.Errorf("unparked %d, %v", n, err)
	}
	if diff := cmp.Diff([]string{"u1", "u3", "u4"}, replies(t, j, "u")); diff != "" || parked() {
		t.Errorf("unparked (-want +got):\n%s", diff)
	}
	list, err = nextReplies(ctx, j, "app", "u", 1)
	noErr(t, err)
	if list[0].Step != 4 {
		t.Errorf("step %d after parking, want 4", list[0].Step)
	}
	if n, err := unpark(ctx, j, "app", "u"); n != 0 || err != nil {
		t.Errorf("unparked %d more, %v", n, err)
	}
	if diff := cmp.Diff([]string{"v1", "v2", "v3"}, replies(t, j, "v")); diff != "" {
		t.Errorf("the other user (-want +got):\n%s", diff)
	}
}

func TestExpireParked(t *testing.T) {
	ctx := context.Background()
	j := testOpen(t, Config{})
	_, err := j.AppendReplies(ctx, "app", "u", []Reply{said("m1", 1), said("m2", 2), said("m3", 3), said("m9", 9)})
	noErr(t, err)
	_, err = j.Park(ctx, "app", "u")
	noErr(t, err)
	_, err = j.AppendReplies(ctx, "app", "u", []Reply{said("m0", 0)}) // old, but not parked
	noErr(t, err)
	for _, want := range []int64{2, 1, 0} {
		n, err := j.ExpireParked(ctx, "app", time.Unix(9, 0), 2, "not read in time")
		if n != want || err != nil {
			t.Errorf("expired %d, %v, want %d", n, err, want)
		}
	}
	letters, err := j.Dead(ctx, "app", 0, 10)
	noErr(t, err)
	got := []string{}
	for _, d := range letters {
		got = append(got, d.Kind+" "+d.Ref+" "+d.Reason+" "+string(d.Body))
	}
	if diff := cmp.Diff([]string{
		"reply m1 not read in time payload of m1", "reply m2 not read in time payload of m2", "reply m3 not read in time payload of m3",
	}, got); diff != "" {
		t.Errorf("dead letters (-want +got):\n%s", diff)
	}
	_, err = unpark(ctx, j, "app", "u")
	noErr(t, err)
	if diff := cmp.Diff([]string{"m0", "m9"}, replies(t, j, "u")); diff != "" {
		t.Errorf("left (-want +got):\n%s", diff)
	}
}

func TestListing(t *testing.T) {
	mark := func(id string, second int) Mark { return Mark{time.Unix(int64(second), 0).UTC(), id} }
	tests := map[string]struct {
		stored    Mark
		known     []Reply // by webhook
		listed    []Reply
		fresh     int
		watermark Mark
		waiting   []string
	}{
		"nothing listed": {stored: mark("m", 5), watermark: mark("m", 5), waiting: []string{}},
		"all unknown, no watermark": {
			listed: []Reply{said("a", 1), said("b", 2)},
			fresh:  2, waiting: []string{"a", "b"},
		},
		"all unknown": {
			stored: mark("m", 5), listed: []Reply{said("a", 6), said("b", 7)},
			fresh: 2, watermark: mark("m", 5), waiting: []string{"a", "b"},
		},
		"all known": {
			known: []Reply{said("a", 1), said("b", 2)}, listed: []Reply{said("a", 1), said("b", 2)},
			watermark: mark("b", 2), waiting: []string{"a", "b"},
		},
		"unknown last": {
			known: []Reply{said("a", 1), said("b", 2)}, listed: []Reply{said("a", 1), said("b", 2), said("c", 3)},
			fresh: 1, watermark: mark("b", 2), waiting: []string{"a", "b", "c"},
		},
		"unknown between": {
			known: []Reply{said("a", 1), said("c", 3)}, listed: []Reply{said("a", 1), said("b", 2), said("c", 3)},
			fresh: 1, watermark: mark("a", 1), waiting: []string{"a", "b", "c"},
		},
		"unknown first": {
			stored: mark("0", 1), known: []Reply{said("b", 3)}, listed: []Reply{said("a", 2), said("b", 3)},
			fresh: 1, watermark: mark("0", 1), waiting: []string{"a", "b"},
		},
		"not in order": {
			known: []Reply{said("a", 1), said("c", 3)}, listed: []Reply{said("c", 3), said("a", 1), said("b", 2)},
			fresh: 1, watermark: mark("a", 1), waiting: []string{"a", "b", "c"},
		},
		"at and below the watermark": {
			stored: mark("b", 5), listed: []Reply{said("z", 4), said("a", 5), said("b", 5)},
			watermark: mark("b", 5), waiting: []string{},
		},
		"same time, later id": {
			stored: mark("b", 5), listed: []Reply{said("b", 5), said("c", 5)},
			fresh: 1, watermark: mark("b", 5), waiting: []string{"c"},
		},
		"known ones below do not move it back": {
			stored: mark("m", 5), known: []Reply{said("a", 1)}, listed: []Reply{said("a", 1)},
			watermark: mark("m", 5), waiting: []string{"a"},
		},
		"below, then unknown above": {
			stored: mark("m", 5), listed: []Reply{said("a", 1), said("n", 6)},
			fresh: 1, watermark: mark("m", 5), waiting: []string{"n"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			ctx := context.Background()
			j := testOpen(t, Config{})
			noErr(t, j.PutUser(ctx, User{Account: "app", OpenID: "u", Conversation: "c", Watermark: test.stored}))
			noErr(t, j.PutUser(ctx, User{Account: "app", OpenID: "v", Conversation: "d", Watermark: mark("x", 1)}))
			_, err := j.AppendReplies(ctx, "app", "u", test.known)
			noErr(t, err)
			fresh, err := j.AppendListing(ctx, "app", "u", test.listed)
			if fresh != test.fresh || err != nil {
				t.Errorf("fresh %d, error %v, want %d", fresh, err, test.fresh)
			}
			for openid, want := range map[string]Mark{"u": test.watermark, "v": mark("x", 1)} {
				u, _, err := j.User(ctx, "app", openid)
				noErr(t, err)
				if diff := cmp.Diff(want, u.Watermark); diff != "" {
					t.Errorf("watermark of %s (-want +got):\n%s", openid, diff)
				}
			}
			if diff := cmp.Diff(test.waiting, replies(t, j, "u")); diff != "" {
				t.Errorf("waiting (-want +got):\n%s", diff)
			}
			// The same listing again finds nothing new and everything known.
			fresh, err = j.AppendListing(ctx, "app", "u", test.listed)
			if fresh != 0 || err != nil {
				t.Errorf("again: fresh %d, error %v", fresh, err)
			}
			u, _, err := j.User(ctx, "app", "u")
			noErr(t, err)
			want := test.watermark
			for _, r := range test.listed {
				if r.mark().Compare(want) > 0 {
					want = r.mark()
				}
			}
			if diff := cmp.Diff(want, u.Watermark); diff != "" {
				t.Errorf("watermark after the second listing (-want +got):\n%s", diff)
			}
		})
	}
}

// TestListingAndParked: what the user was not told yet, or has forgotten about, does not come back.
func TestListingAndParked(t *testing.T) {
	ctx := context.Background()
	j := testOpen(t, Config{})
	listed := []Reply{said("a", 1), said("b", 2)}
	_, err := j.AppendListing(ctx, "app", "u", listed)
	noErr(t, err)
	_, err = j.Park(ctx, "app", "u")
	noErr(t, err)
	leaves(t, j, "u", time.Now())
	if fresh, err := j.AppendListing(ctx, "app", "u", listed); fresh != 0 || err != nil {
		t.Errorf("fresh %d, error %v", fresh, err)
	}
	if _, err := unpark(ctx, j, "app", "u"); err != nil || len(replies(t, j, "u")) != 0 {
		t.Errorf("waiting %v, error %v", replies(t, j, "u"), err)
	}
}
