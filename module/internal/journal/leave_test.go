package journal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// leaves appends that a user leaves.
func leaves(t testing.TB, j *Journal, openid string, at time.Time) {
	t.Helper()
	key := fmt.Sprint("leaves ", rowCount(t, j, "pushes", "1 = 1"))
	_, fresh, err := appendPush(context.Background(), j, Push{Account: "app", OpenID: openid, Key: key, ReceivedAt: at, Leaves: true})
	noErr(t, err)
	if !fresh {
		t.Fatal("that the user leaves is not fresh")
	}
}

// TestLeave: whoever unsubscribes has left until something newer is done; what is known of that user is
// gone with the append, and nobody else's.
func TestLeave(t *testing.T) {
	ctx := context.Background()
	j := testOpen(t, Config{})
	at := func(s int64) time.Time { return time.Unix(s, 0) }
	gone := func() bool {
		u, _, err := j.User(ctx, "app", "u")
		noErr(t, err)
		return !u.LeftAt.IsZero()
	}
	for _, openid := range []string{"u", "v"} {
		noErr(t, j.PutUser(ctx, User{Account: "app", OpenID: openid, Conversation: "c" + openid, Bot: "b"}))
		noErr(t, j.SetProfile(ctx, "app", openid, "{}", at(1)))
		_, err := j.AppendReplies(ctx, "app", openid, []Reply{said(openid+"parked", 1)})
		noErr(t, err)
		_, err = j.Park(ctx, "app", openid)
		noErr(t, err)
		_, err = j.AppendReplies(ctx, "app", openid, []Reply{said(openid+"waits", 2)})
		noErr(t, err)
		noErr(t, j.Offer(ctx, Choice{Account: "app", OpenID: openid, Ref: "1", At: at(2)}))
	}
	before := push(t, j, "u", "before")
	leaves(t, j, "u", at(5))
	for openid, want := range map[string]int{"u": 0, "v": 1} {
		for what, n := range map[string]int{
			"payloads":        rowCount(t, j, "replies", "payload IS NOT NULL AND state IN (0, 2) AND openid = '"+openid+"'") / 2,
			"choices":         rowCount(t, j, "choices", "openid = '"+openid+"'"),
			"profiles":        rowCount(t, j, "users", "profile <> '' AND openid = '"+openid+"'"),
			"names of theirs": rowCount(t, j, "replies", "openid = '"+openid+"'")/2 - 1 + want,
		} {
			if n != want {
				t.Errorf("%s of %s: %d, want %d", what, openid, n, want)
			}
		}
	}
	if fresh, err := j.AppendReplies(ctx, "app", "u", []Reply{said("uparked", 1), said("uwaits", 2)}); fresh != 0 || err != nil {
		t.Errorf("%d forgotten replies came again, %v", fresh, err)
	}
	if diff := cmp.Diff([]string{"before", "leaves 1"}, keys(t, j, "u")); diff != "" {
		t.Errorf("waiting (-want +got):\n%s", diff)
	}
	if !gone() {
		t.Error("the user has not left")
	}
	noErr(t, j.PushDone(ctx, PushDone{ID: before, Account: "app", OpenID: "u", Grant: GrantMessage, GrantAt: at(4)}))
	if !gone() {
		t.Error("the user is back for what was said before")
	}
	_, _, err := appendPush(ctx, j, Push{Account: "app", OpenID: "u", Key: "back", ReceivedAt: at(6), Returns: true})
	noErr(t, err)
	if gone() {
		t.Error("the user is still away after a follow")
	}
	// Another attempt of the first push changes nothing.
	_, fresh, err := appendPush(ctx, j, Push{Account: "app", OpenID: "u", Key: "leaves 1", ReceivedAt: at(7), Leaves: true})
	if fresh || err != nil || gone() {
		t.Errorf("left a second time: %v, %v", fresh, err)
	}
}

// TestLeaveIsAtomic: a push by which a user leaves is not claimed without what follows.
func TestLeaveIsAtomic(t *testing.T) {
	ctx := context.Background()
	j := testOpen(t, Config{})
	_, err := j.AppendReplies(ctx, "app", "u", []Reply{said("a", 1)})
	noErr(t, err)
	noErr(t, j.w.do(ctx, func(tx *tx) error {
		_, err := tx.exec("CREATE TRIGGER refuse BEFORE INSERT ON leavers BEGIN SELECT RAISE(ABORT, 'refused'); END")
		return err
	}))
	if _, _, err := appendPush(ctx, j, Push{Account: "app", OpenID: "u", Key: "k", Leaves: true}); err == nil {
		t.Fatal("no error")
	}
	if len(keys(t, j, "u")) != 0 || len(replies(t, j, "u")) != 1 {
		t.Errorf("waiting pushes %v, replies %v", keys(t, j, "u"), replies(t, j, "u"))
	}
}

// TestLeavers: who left is remembered until the files are deleted, also by the next process.
func TestLeavers(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	c := newClock()
	j := testOpen(t, Config{Dir: dir, Now: c.Now})
	list := func(limit int) (names []string) {
		t.Helper()
		all, err := j.Leavers(ctx, "app", limit)
		noErr(t, err)
		for _, l := range all {
			names = append(names, l.OpenID)
		}
		return names
	}
	for _, openid := range []string{"c", "a", "b"} {
		leaves(t, j, openid, c.Now())
	}
	noErr(t, j.Close())
	j = testOpen(t, Config{Dir: dir, Now: c.Now})
	if got := fmt.Sprint(list(2), list(9)); got != "[a b] [a b c]" {
		t.Errorf("left: %s", got)
	}
	first, err := j.Leavers(ctx, "app", 1)
	noErr(t, err)
	c.Add(time.Second)
	leaves(t, j, "a", c.Now())
	noErr(t, j.Forgotten(ctx, "app", first[0]))
	if got := fmt.Sprint(list(1)); got != "[a]" {
		t.Errorf("who left again is not among %s", got)
	}
	first, err = j.Leavers(ctx, "app", 1)
	noErr(t, err)
	noErr(t, j.Forgotten(ctx, "app", first[0]))
	if got := fmt.Sprint(list(9)); got != "[b c]" {
		t.Errorf("left: %s", got)
	}
}

// TestForgetMediaMeanwhile: what is being stored while its user's files are deleted is not kept, and what
// comes later is.
func TestForgetMediaMeanwhile(t *testing.T) {
	t.Parallel()
	c := newClock()
	j := testOpen(t, Config{Now: c.Now})
	put(t, j, "u", "old", film(1, 10))
	until := c.Now()
	meanwhile := readFunc(func() { noErr(t, j.ForgetMedia(context.Background(), "app", "u", until)) })
	data := io.MultiReader(bytes.NewReader(film(2, 100_000)), ended{meanwhile})
	if _, err := j.PutMedia(t.Context(), Media{Account: "app", OpenID: "u", Name: "under way"}, data); !errors.Is(err, ErrForgotten) {
		t.Errorf("error %v", err)
	}
	c.Add(time.Millisecond)
	put(t, j, "u", "new", film(3, 10))
	noErr(t, j.ForgetMedia(t.Context(), "app", "u", until))
	if got := fmt.Sprint(kept(t, j, "old", "under way", "new")); got != "[new]" {
		t.Errorf("kept %s", got)
	}
	if n, chunks := mediaRows(t, j, "media"), mediaRows(t, j, "chunks"); n != 1 || chunks != 1 {
		t.Errorf("%d files and %d chunks are left", n, chunks)
	}
	s, _ := j.media.open(t.Context())
	if n := s.usage("app").Load(); n != 10 {
		t.Errorf("%d bytes are counted", n)
	}
}

// ended does something and is at its end.
type ended struct{ do readFunc }

func (e ended) Read([]byte) (int, error) {
	e.do()
	return 0, io.EOF
}
