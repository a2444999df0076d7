package journal

import (
	"context"
	"database/sql"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func clocks(t testing.TB, j *Journal) (message, action Clock) {
	t.Helper()
	u, _, err := j.User(context.Background(), "app", "u")
	noErr(t, err)
	return u.Message, u.Action
}

// TestAttempts: a push that is appended again is counted if asked, and brings its answer back, also
// after a restart.
func TestAttempts(t *testing.T) {
	ctx := context.Background()
	dir := filepath.Join(t.TempDir(), "j")
	j := testOpen(t, Config{Dir: dir})
	p := Push{Account: "app", OpenID: "u", Key: "k", Body: []byte("b")}
	appended := func(count bool, want Claim) {
		t.Helper()
		got, err := j.AppendPush(ctx, p, count)
		noErr(t, err)
		want.ID = got.ID
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	appended(true, Claim{Fresh: true, Attempts: 1})
	appended(true, Claim{Attempts: 2})
	appended(false, Claim{Attempts: 2})
	list, err := j.NextPushes(ctx, "app", "u", 0, 1)
	noErr(t, err)
	noErr(t, j.Sent(ctx, Sent{Account: "app", OpenID: "u", Push: list[0].ID, Answer: []byte("<xml/>")}))
	appended(true, Claim{Attempts: 3, Answer: []byte("<xml/>")})
	noErr(t, j.Close())
	j = testOpen(t, Config{Dir: dir})
	appended(true, Claim{Attempts: 4, Answer: []byte("<xml/>")})
}

// TestSent: what follows from one message is recorded together, or not at all.
func TestSent(t *testing.T) {
	ctx := context.Background()
	j := testOpen(t, Config{})
	_, err := j.AppendReplies(ctx, "app", "u", []Reply{said("a", 1), said("b", 2), said("c", 3), said("d", 4)})
	noErr(t, err)
	list, err := nextReplies(ctx, j, "app", "u", 9)
	noErr(t, err)
	at := time.UnixMilli(5000).UTC()
	noErr(t, j.PushDone(ctx, PushDone{Account: "app", OpenID: "u", Grant: GrantMessage, GrantAt: at}))
	noErr(t, j.Sent(ctx, Sent{
		Account: "app", OpenID: "u", Spend: GrantMessage, Since: at,
		Progress: []Progress{{ID: list[0].ID, Done: true}, {ID: list[1].ID, Dead: "of no kind"}, {ID: list[2].ID, Step: 1, Cut: 700}},
	}))
	got, err := nextReplies(ctx, j, "app", "u", 9)
	noErr(t, err)
	want := []Reply{list[2], list[3]}
	want[0].Step, want[0].Cut = 1, 700
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("waiting (-want +got):\n%s", diff)
	}
	if m, _ := clocks(t, j); m != (Clock{at, 1}) {
		t.Errorf("allowance %v, want one used since %v", m, at)
	}
	dead, err := j.Dead(ctx, "app", 0, 9)
	noErr(t, err)
	if len(dead) != 1 || dead[0].Ref != "b" || dead[0].Reason != "of no kind" {
		t.Errorf("dead letters %v", dead)
	}
}

// TestAllowance: an allowance begins with what the user does, is used up by what is sent, and what is
// recorded late never harms a newer one.
func TestAllowance(t *testing.T) {
	ctx := context.Background()
	at := func(s int64) time.Time { return time.Unix(s, 0) }
	grant := func(g Grant, s int64) func(*Journal) error {
		return func(j *Journal) error {
			return j.PushDone(ctx, PushDone{Account: "app", OpenID: "u", Grant: g, GrantAt: at(s)})
		}
	}
	spend := func(g Grant, s int64) func(*Journal) error {
		return func(j *Journal) error {
			return j.Sent(ctx, Sent{Account: "app", OpenID: "u", Spend: g, Since: at(s)})
		}
	}
	exhausted := func(message, action int64) func(*Journal) error {
		return func(j *Journal) error { return j.Exhaust(ctx, "app", "u", at(message), at(action)) }
	}
	leave := func(j *Journal) error {
		_, err := j.AppendPush(ctx, Push{Account: "app", OpenID: "u", Key: "leaves", ReceivedAt: at(7), Leaves: true}, false)
		return err
	}
	returns := func(j *Journal) error {
		_, err := j.AppendPush(ctx, Push{Account: "app", OpenID: "u", Key: "returns", ReceivedAt: at(9), Returns: true}, false)
		return err
	}
	tests := map[string]struct {
		do              []func(*Journal) error
		message, action Clock
	}{
		"a message":              {do: []func(*Journal) error{grant(GrantMessage, 5)}, message: Clock{at(5), 0}},
		"a tap":                  {do: []func(*Journal) error{grant(GrantAction, 5)}, action: Clock{at(5), 0}},
		"both":                   {do: []func(*Journal) error{grant(GrantMessage, 5), grant(GrantAction, 6)}, message: Clock{at(5), 0}, action: Clock{at(6), 0}},
		"spent":                  {do: []func(*Journal) error{grant(GrantMessage, 5), spend(GrantMessage, 5), spend(GrantMessage, 5)}, message: Clock{at(5), 2}},
		"anew":                   {do: []func(*Journal) error{grant(GrantMessage, 5), spend(GrantMessage, 5), grant(GrantMessage, 6)}, message: Clock{at(6), 0}},
		"recorded again":         {do: []func(*Journal) error{grant(GrantMessage, 5), spend(GrantMessage, 5), grant(GrantMessage, 5)}, message: Clock{at(5), 1}},
		"spent before recorded":  {do: []func(*Journal) error{grant(GrantMessage, 5), spend(GrantMessage, 9), grant(GrantMessage, 9)}, message: Clock{at(9), 1}},
		"spent of an older one":  {do: []func(*Journal) error{grant(GrantMessage, 5), spend(GrantMessage, 4)}, message: Clock{at(5), 0}},
		"used up":                {do: []func(*Journal) error{grant(GrantMessage, 5), grant(GrantAction, 6), exhausted(5, 6)}, message: Clock{at(5), usedUp}, action: Clock{at(6), usedUp}},
		"used up, a newer one":   {do: []func(*Journal) error{grant(GrantMessage, 5), grant(GrantAction, 6), exhausted(4, 6)}, message: Clock{at(5), 0}, action: Clock{at(6), usedUp}},
		"used up before it came": {do: []func(*Journal) error{grant(GrantMessage, 5), exhausted(7, 0), grant(GrantMessage, 7)}, message: Clock{at(7), usedUp}, action: Clock{Used: usedUp}},
		"left":                   {do: []func(*Journal) error{grant(GrantMessage, 5), grant(GrantAction, 6), leave}},
		"left and come back":     {do: []func(*Journal) error{grant(GrantMessage, 5), leave, grant(GrantAction, 9)}, action: Clock{at(9), 0}},
		"left and appended back": {do: []func(*Journal) error{leave, returns, grant(GrantAction, 9)}, action: Clock{at(9), 0}},
		"left, said before":      {do: []func(*Journal) error{leave, grant(GrantMessage, 6), grant(GrantAction, 7)}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			j := testOpen(t, Config{Sync: Normal})
			for _, do := range test.do {
				noErr(t, do(j))
			}
			message, action := clocks(t, j)
			if diff := cmp.Diff([]Clock{test.message, test.action}, []Clock{message, action}); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestUnparkStale: what has been parked for too long is a dead letter, and not sent.
func TestUnparkStale(t *testing.T) {
	ctx := context.Background()
	j := testOpen(t, Config{})
	_, err := j.AppendReplies(ctx, "app", "u", []Reply{said("old", 10), said("young", 20)})
	noErr(t, err)
	_, err = j.AppendReplies(ctx, "app", "v", []Reply{said("other", 10)})
	noErr(t, err)
	for _, u := range []string{"u", "v"} {
		_, err = j.Park(ctx, "app", u)
		noErr(t, err)
	}
	if n, dead, err := j.Unpark(ctx, "app", "u", time.Unix(20, 0), "too old"); n != 1 || dead != 1 || err != nil {
		t.Errorf("unparked %d, dead %d, %v", n, dead, err)
	}
	if diff := cmp.Diff([]string{"young"}, replies(t, j, "u")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	letters, err := j.Dead(ctx, "app", 0, 9)
	noErr(t, err)
	if len(letters) != 1 || letters[0].Ref != "old" || letters[0].Reason != "too old" {
		t.Errorf("dead letters %v", letters)
	}
}

// TestUpgrade: a journal of the first schema opens, and its users may be sent what they could be sent
// before.
func TestUpgrade(t *testing.T) {
	ctx := context.Background()
	dir := filepath.Join(t.TempDir(), "j")
	j := testOpen(t, Config{Dir: dir})
	at := time.Now().Add(time.Hour).Truncate(time.Minute).UTC()
	noErr(t, j.PutUser(ctx, User{Account: "app", OpenID: "u", Conversation: "c", ActiveAt: at}))
	_, err := j.AppendReplies(ctx, "app", "u", []Reply{said("a", 1)})
	noErr(t, err)
	noErr(t, j.Close())

	db, err := sql.Open("sqlite", filepath.Join(dir, databaseName))
	noErr(t, err)
	for _, statement := range []string{
		"ALTER TABLE pushes DROP COLUMN attempts", "ALTER TABLE pushes DROP COLUMN answer",
		"ALTER TABLE replies DROP COLUMN cut",
		"ALTER TABLE pushes DROP COLUMN trace", "ALTER TABLE replies DROP COLUMN trace",
		"ALTER TABLE users DROP COLUMN message_at", "ALTER TABLE users DROP COLUMN message_used",
		"ALTER TABLE users DROP COLUMN action_at", "ALTER TABLE users DROP COLUMN action_used", "ALTER TABLE users DROP COLUMN left_at", "ALTER TABLE users DROP COLUMN profile",
		"ALTER TABLE users DROP COLUMN trace", "ALTER TABLE users DROP COLUMN traced_at",
		"DROP TABLE choices", "DROP TABLE uploads", "DROP TABLE leavers", "DROP INDEX pushes_files", "DROP TABLE keys",
		"DELETE FROM " + versionTable + " WHERE version_id > 1",
	} {
		_, err = db.Exec(statement)
		noErr(t, err)
	}
	noErr(t, db.Close())

	j = testOpen(t, Config{Dir: dir})
	if m, _ := clocks(t, j); m != (Clock{at, 0}) {
		t.Errorf("allowance %v, want one since %v", m, at)
	}
	if diff := cmp.Diff([]string{"a"}, replies(t, j, "u")); diff != "" {
		t.Errorf("waiting (-want +got):\n%s", diff)
	}
}
