package journal

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"
)

// TestNewest: when the last push and reply of an account came is known after a restart, whatever has
// become of them, and whatever came for others in between.
func TestNewest(t *testing.T) {
	ctx := context.Background()
	dir := filepath.Join(t.TempDir(), "j")
	j := testOpen(t, Config{Dir: dir})
	at := func(s int64) time.Time { return time.Unix(s, 0).UTC() }
	put := func(account string, s int) {
		t.Helper()
		c, err := j.AppendPush(ctx, Push{Account: account, OpenID: "u", Key: fmt.Sprint(account, s), ReceivedAt: at(int64(s)), Body: []byte("x")}, false)
		noErr(t, err)
		noErr(t, j.PushDone(ctx, PushDone{ID: c.ID, Account: account, OpenID: "u"}))
		r := said(fmt.Sprint(account, s), s)
		r.ReceivedAt = at(int64(s) + 1)
		_, err = j.AppendReplies(ctx, account, "u", []Reply{r})
		noErr(t, err)
		list, err := nextReplies(ctx, j, account, "u", 9)
		noErr(t, err)
		noErr(t, j.Sent(ctx, Sent{Account: account, OpenID: "u", Progress: []Progress{{ID: list[0].ID, Done: true}}}))
	}
	wants := func(account string, push, reply time.Time) {
		t.Helper()
		p, r, err := j.Newest(ctx, account)
		if err != nil || !p.Equal(push) || !r.Equal(reply) {
			t.Errorf("%s: %v and %v, %v; want %v and %v", account, p, r, err, push, reply)
		}
	}
	wants("a", time.Time{}, time.Time{})
	put("a", 100)
	put("a", 200)
	put("b", 300)
	noErr(t, j.Close())
	j = testOpen(t, Config{Dir: dir})
	wants("a", at(200), at(201))
	wants("b", at(300), at(301))
	wants("c", time.Time{}, time.Time{})

	// Very many of others hide it, which is known of it: to look through all of them would take too long.
	noErr(t, j.w.do(ctx, func(t *tx) error {
		for _, query := range []string{
			`INSERT INTO pushes (id, account, openid, dedup, kind, received_at) SELECT id + 30000, account, openid, dedup || '-', kind, 400000 FROM pushes WHERE account = 'b'`,
			`INSERT INTO replies (id, account, openid, message_id, created_at, received_at) SELECT id + 30000, account, openid, message_id || '-', 0, 400000 FROM replies WHERE account = 'b'`,
		} {
			if _, err := t.exec(query); err != nil {
				return err
			}
		}
		return nil
	}))
	wants("a", time.Time{}, time.Time{})
	wants("b", at(400), at(400))

	ended, cancel := context.WithCancel(ctx)
	cancel()
	if _, _, err := j.Newest(ended, "a"); err == nil {
		t.Error("it does not end with the context")
	}
}
