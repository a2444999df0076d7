package journal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// helperVar makes the test binary play another process: its value names the part.
const helperVar = "JOURNAL_TEST_HELPER"

// helpers are the parts. Each gets the directory and exits with an error's text.
var helpers = map[string]func(dir string) error{}

func TestMain(m *testing.M) {
	if part := os.Getenv(helperVar); part != "" {
		if err := helpers[part](os.Args[len(os.Args)-1]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// helper is a command that plays a part in a process of its own.
func helper(t *testing.T, part, dir string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, dir)
	cmd.Env = append(os.Environ(), helperVar+"="+part)
	cmd.Stderr = os.Stderr
	return cmd
}

// clock is a clock that tests set.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func newClock() *clock { return &clock{t: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// testOpen opens a journal that is closed when the test ends.
func testOpen(t testing.TB, cfg Config) *Journal {
	t.Helper()
	if cfg.Dir == "" {
		cfg.Dir = filepath.Join(t.TempDir(), "wechat")
	}
	j, err := Open(context.Background(), cfg)
	if err != nil {
		t.Fatalf("opening: %v", err)
	}
	t.Cleanup(func() { _ = j.Close() })
	return j
}

func noErr(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// bury records a dead letter that must be new.
func bury(ctx context.Context, j *Journal, d Dead) error {
	fresh, err := j.Bury(ctx, d)
	if err == nil && !fresh {
		err = errors.New("not fresh")
	}
	return err
}

// push appends a push that must be new, and returns its id.
func push(t testing.TB, j *Journal, openid, key string) int64 {
	t.Helper()
	id, fresh, err := appendPush(context.Background(), j, Push{Account: "app", OpenID: openid, Key: key, Kind: "text", Body: []byte("body of " + key)})
	noErr(t, err)
	if !fresh {
		t.Fatalf("push %s is not fresh", key)
	}
	return id
}

// keys are the keys of a user's waiting pushes.
func keys(t testing.TB, j *Journal, openid string) []string {
	t.Helper()
	list, err := j.NextPushes(context.Background(), "app", openid, 0, 1000)
	noErr(t, err)
	names := []string{}
	for _, p := range list {
		names = append(names, p.Key)
	}
	return names
}

// said is a reply created a number of seconds after the epoch.
func said(id string, second int) Reply {
	return Reply{MessageID: id, CreatedAt: time.Unix(int64(second), 0).UTC(), Payload: []byte("payload of " + id)}
}

// replies are the message ids of a user's waiting replies.
func replies(t testing.TB, j *Journal, openid string) []string {
	t.Helper()
	list, err := nextReplies(context.Background(), j, "app", openid, 1000)
	noErr(t, err)
	names := []string{}
	for _, r := range list {
		names = append(names, r.MessageID)
	}
	return names
}

// rowCount counts the rows of a table that meet a condition.
func rowCount(t testing.TB, j *Journal, table, where string) int {
	t.Helper()
	var n int
	noErr(t, j.r.db.QueryRow("SELECT count(*) FROM "+table+" WHERE "+where).Scan(&n))
	return n
}

// The calls as most tests need them.

func appendPush(ctx context.Context, j *Journal, p Push) (id int64, fresh bool, err error) {
	c, err := j.AppendPush(ctx, p, false)
	return c.ID, c.Fresh, err
}

func nextReplies(ctx context.Context, j *Journal, account, openid string, limit int) ([]Reply, error) {
	list, _, err := j.NextReplies(ctx, account, openid, limit)
	return list, err
}

func replyDone(ctx context.Context, j *Journal, id int64) error {
	return j.Sent(ctx, Sent{Progress: []Progress{{ID: id, Done: true}}})
}

func replyStep(ctx context.Context, j *Journal, id int64, step int) error {
	return j.Sent(ctx, Sent{Progress: []Progress{{ID: id, Step: step}}})
}

func unpark(ctx context.Context, j *Journal, account, openid string) (int64, error) {
	n, _, err := j.Unpark(ctx, account, openid, time.Time{}, "")
	return n, err
}

func parkReply(ctx context.Context, j *Journal, id int64) error {
	return j.w.do(ctx, func(tx *tx) error {
		_, err := tx.exec("UPDATE replies SET state = 2 WHERE id = $1 AND state = 0", id)
		return err
	})
}
