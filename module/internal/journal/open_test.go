package journal

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func init() {
	helpers["hold"] = func(dir string) error {
		j, err := Open(context.Background(), Config{Dir: dir})
		if err != nil {
			return err
		}
		fmt.Println("open")
		_, _ = io.Copy(io.Discard, os.Stdin)
		return j.Close()
	}
	helpers["append"] = func(dir string) error {
		j, err := Open(context.Background(), Config{Dir: dir})
		if err != nil {
			return err
		}
		for w := range 8 {
			go func() {
				for i := 0; ; i++ {
					key := fmt.Sprintf("%d-%d", w, i)
					if _, _, err := appendPush(context.Background(), j, Push{Account: "app", OpenID: fmt.Sprint("u", w), Key: key}); err != nil {
						return
					}
					fmt.Println(key)
				}
			}()
		}
		select {}
	}
}

// TestReopen closes and opens, and finds everything that was there.
func TestReopen(t *testing.T) {
	ctx := context.Background()
	// A name with everything in it that means something in a file: URL.
	dir := filepath.Join(t.TempDir(), "a b#c?d%41&e=1", "wechat")
	j := testOpen(t, Config{Dir: dir})
	received := time.Date(2026, 5, 6, 7, 8, 9, 123_000_000, time.UTC)
	want := Push{Account: "app", OpenID: "u", Key: "k1", Kind: "text", ReceivedAt: received, Body: []byte("\x00body\xff")}
	var err error
	want.ID, _, err = appendPush(ctx, j, want)
	noErr(t, err)
	noErr(t, j.PutUser(ctx, User{Account: "app", OpenID: "u", Conversation: "c", Bot: "b", Generation: 2}))
	_, err = j.AppendReplies(ctx, "app", "u", []Reply{said("m1", 1)})
	noErr(t, err)
	noErr(t, j.SetState(ctx, "app", "mode", "passive"))
	noErr(t, j.Close())

	j = testOpen(t, Config{Dir: dir})
	got, err := j.NextPushes(ctx, "app", "u", 0, 10)
	noErr(t, err)
	if diff := cmp.Diff([]Push{want}, got); diff != "" {
		t.Errorf("pushes (-want +got):\n%s", diff)
	}
	if _, fresh, err := appendPush(ctx, j, want); fresh || err != nil {
		t.Errorf("the same push again: fresh %v, error %v", fresh, err)
	}
	if diff := cmp.Diff([]string{"m1"}, replies(t, j, "u")); diff != "" {
		t.Errorf("replies (-want +got):\n%s", diff)
	}
	if u, ok, err := j.UserByConversation(ctx, "app", "c"); err != nil || !ok || u.OpenID != "u" || u.Generation != 2 {
		t.Errorf("user %+v, %v, %v", u, ok, err)
	}
	if v, ok, err := j.State(ctx, "app", "mode"); err != nil || !ok || v != "passive" {
		t.Errorf("state %q, %v, %v", v, ok, err)
	}
}

func TestFilesArePrivate(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no permission bits")
	}
	dir := filepath.Join(t.TempDir(), "wechat")
	j := testOpen(t, Config{Dir: dir})
	push(t, j, "u", "k")
	check := func(when string) {
		t.Helper()
		info, err := os.Stat(dir)
		noErr(t, err)
		if info.Mode().Perm() != 0o700 {
			t.Errorf("%s: directory is %v", when, info.Mode())
		}
		for _, name := range []string{"journal.db", "journal.db-wal", "journal.db-shm", "journal.lock"} {
			info, err := os.Stat(filepath.Join(dir, name))
			noErr(t, err)
			if info.Mode().Perm() != 0o600 {
				t.Errorf("%s: %s is %v", when, name, info.Mode())
			}
		}
	}
	check("created")
	noErr(t, j.Close())
	noErr(t, os.Chmod(filepath.Join(dir, databaseName), 0o644)) // as a careless restore leaves it
	j = testOpen(t, Config{Dir: dir})
	push(t, j, "u", "k2")
	check("reopened")
}

func TestSecondJournalOfTheProcess(t *testing.T) {
	j := testOpen(t, Config{Dir: t.TempDir()})
	_, err := Open(context.Background(), Config{Dir: filepath.Dir(j.lock.Path())})
	if !errors.Is(err, ErrLocked) {
		t.Fatalf("error %v, want ErrLocked", err)
	}
}

func TestSecondProcess(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "wechat")
	cmd := helper(t, "hold", dir)
	in, err := cmd.StdinPipe()
	noErr(t, err)
	out, err := cmd.StdoutPipe()
	noErr(t, err)
	noErr(t, cmd.Start())
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "open\n" {
		t.Fatalf("helper said %q, %v", line, err)
	}
	_, err = Open(context.Background(), Config{Dir: dir})
	if !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), filepath.Join(dir, lockName)) {
		t.Errorf("error %v, want ErrLocked with the lock's path", err)
	}
	noErr(t, in.Close())
	noErr(t, cmd.Wait())
	testOpen(t, Config{Dir: dir})
}

// TestKilled kills a process that appends, and finds everything that it was told is durable.
func TestKilled(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "wechat")
	cmd := helper(t, "append", dir)
	out, err := cmd.StdoutPipe()
	noErr(t, err)
	noErr(t, cmd.Start())
	var told []string
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if told = append(told, lines.Text()); len(told) == 500 {
			noErr(t, cmd.Process.Kill())
		}
	}
	_ = cmd.Wait()
	if last := len(told) - 1; last >= 0 && !strings.Contains(told[last], "-") {
		told = told[:last] // cut off in the middle
	}
	j := testOpen(t, Config{Dir: dir})
	for _, key := range told {
		user, _, _ := strings.Cut(key, "-")
		_, fresh, err := appendPush(context.Background(), j, Push{Account: "app", OpenID: "u" + user, Key: key})
		if err != nil || fresh {
			t.Fatalf("push %s of a killed process: fresh %v, error %v", key, fresh, err)
		}
	}
	if len(told) < 500 {
		t.Fatalf("the helper appended %d pushes only", len(told))
	}
	for w := range 8 {
		for i, key := range keys(t, j, fmt.Sprint("u", w)) {
			if want := fmt.Sprintf("%d-%d", w, i); key != want {
				t.Fatalf("waiting push %d of user %d is %s, want %s", i, w, key, want)
			}
		}
	}
}

func TestOpenWithoutAccess(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	noErr(t, os.WriteFile(file, nil, 0o600))
	if _, err := Open(context.Background(), Config{Dir: filepath.Join(file, "wechat")}); err == nil {
		t.Error("opened below a file")
	}
	dir := t.TempDir()
	noErr(t, os.Mkdir(filepath.Join(dir, databaseName), 0o700))
	if _, err := Open(context.Background(), Config{Dir: dir}); err == nil || errors.Is(err, ErrDamaged) {
		t.Errorf("a directory for a database: error %v", err)
	}
}

// TestOpenAfterDeathInCreation: the process died between creating the file and the schema.
func TestOpenAfterDeathInCreation(t *testing.T) {
	dir := t.TempDir()
	noErr(t, os.WriteFile(filepath.Join(dir, databaseName), nil, 0o600))
	push(t, testOpen(t, Config{Dir: dir}), "u", "k")
}

func TestConfigure(t *testing.T) {
	j := testOpen(t, Config{Sync: Normal})
	synchronous := func() (level int) {
		noErr(t, j.w.do(context.Background(), func(t *tx) error {
			return t.row("PRAGMA synchronous", []any{&level})
		}))
		return level
	}
	for _, test := range []struct {
		sync Sync
		want int
	}{{Normal, 1}, {Full, 2}, {Normal, 1}, {"", 2}} {
		j.Configure(test.sync, 0, 0)
		if got := synchronous(); got != test.want {
			t.Errorf("sync %q: level %d, want %d", test.sync, got, test.want)
		}
	}
	if got := time.Duration(j.keep.Load()); got != DefaultKeep {
		t.Errorf("keep %v, want %v", got, DefaultKeep)
	}
}

// TestPrunesByItself needs nobody to call Prune.
func TestPrunesByItself(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		j := testOpen(t, Config{Dir: dir, Keep: time.Hour})
		id := push(t, j, "u", "old")
		push(t, j, "u", "newest")
		noErr(t, j.PushDone(context.Background(), PushDone{ID: id, Account: "app", OpenID: "u"}))
		time.Sleep(59 * time.Minute)
		if rowCount(t, j, "pushes", "dedup = 'old'") != 1 {
			t.Error("pruned too early")
		}
		time.Sleep(3 * time.Minute)
		if rowCount(t, j, "pushes", "dedup = 'old'") != 0 {
			t.Error("not pruned")
		}
		noErr(t, j.Close())
	})
}

// TestReadersCannotWrite: whatever is written goes through the writer.
func TestReadersCannotWrite(t *testing.T) {
	j := testOpen(t, Config{})
	push(t, j, "u", "k")
	if _, err := j.r.db.Exec("DELETE FROM pushes"); err == nil {
		t.Error("a reader deleted")
	}
}
