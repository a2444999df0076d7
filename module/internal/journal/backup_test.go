package journal

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pressly/goose/v3"
)

// TestBackupUnderTraffic: a copy that SQLite makes while pushes are appended holds
// whatever was acknowledged before it was begun, and opens as a journal.
func TestBackupUnderTraffic(t *testing.T) {
	ways := map[string]func(t *testing.T, from, to string){
		"VACUUM INTO": func(t *testing.T, from, to string) {
			db, err := sql.Open("sqlite", from)
			noErr(t, err)
			defer db.Close()
			_, err = db.Exec("VACUUM INTO ?", to)
			noErr(t, err)
		},
		"sqlite3 .backup": func(t *testing.T, from, to string) {
			program, err := exec.LookPath("sqlite3")
			if err != nil {
				t.Skip("there is no sqlite3 here")
			}
			out, err := exec.CommandContext(t.Context(), program, from, ".timeout 10000", ".backup '"+to+"'").CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
		},
	}
	for name, backup := range ways {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			from, to := t.TempDir(), t.TempDir()
			j := testOpen(t, Config{Dir: from})
			var acknowledged atomic.Int64
			var writers sync.WaitGroup
			stop := make(chan struct{})
			defer writers.Wait()
			defer close(stop)
			writers.Go(func() {
				for i := int64(0); ; i++ {
					p := Push{Account: "a", OpenID: "o", Key: fmt.Sprint(i), Kind: "text", Body: make([]byte, 300)}
					if _, err := j.AppendPush(ctx, p, false); err != nil {
						t.Errorf("appending beside the backup: %v", err)
						return
					}
					acknowledged.Store(i + 1)
					select {
					case <-stop:
						return
					default:
					}
				}
			})
			for acknowledged.Load() < 200 {
				time.Sleep(time.Millisecond)
			}
			before := acknowledged.Load()
			backup(t, filepath.Join(from, databaseName), filepath.Join(to, databaseName))

			restored := testOpen(t, Config{Dir: to})
			n, _, _, err := restored.CountWaiting(ctx, "a")
			noErr(t, err)
			if n < before || n > acknowledged.Load()+1 {
				t.Errorf("the copy holds %d pushes; %d were acknowledged before it was made", n, before)
			}
			list, err := restored.NextPushes(ctx, "a", "o", 0, 3)
			noErr(t, err)
			if len(list) != 3 || list[0].Key != "0" || list[2].Key != "2" {
				t.Errorf("the first are %+v", list)
			}
			// It still knows what it has seen.
			c, err := restored.AppendPush(ctx, Push{Account: "a", OpenID: "o", Key: "7", Kind: "text"}, false)
			noErr(t, err)
			if c.Fresh {
				t.Error("a duplicate is taken for new")
			}
			if info, err := os.Stat(filepath.Join(to, databaseName)); err != nil || info.Mode().Perm() != fileMode {
				t.Errorf("mode %v, %v", info.Mode(), err)
			}
		})
	}
}

// TestOlderSchemas: a journal of each earlier version is brought up to date, with
// what waits in it.
func TestOlderSchemas(t *testing.T) {
	d := sqliteDialect()
	steps, newest, err := migrations(d)
	noErr(t, err)
	for _, step := range steps[:len(steps)-1] {
		t.Run(fmt.Sprint(step.Version), func(t *testing.T) {
			ctx := t.Context()
			dir := t.TempDir()
			older(ctx, t, filepath.Join(dir, databaseName), step.Version)
			if e, err := Examine(ctx, dir); err != nil || e.Schema != step.Version || e.Newest != newest {
				t.Fatalf("before: %+v, %v", e, err)
			}
			j := testOpen(t, Config{Dir: dir})
			pushes, replies, parked, err := j.CountWaiting(ctx, "a")
			noErr(t, err)
			if pushes != 1 || replies != 1 || parked != 1 {
				t.Errorf("%d pushes, %d replies, %d parked wait, want one of each", pushes, replies, parked)
			}
			list, err := j.NextPushes(ctx, "a", "o", 0, 10)
			noErr(t, err)
			if len(list) != 1 || string(list[0].Body) != "<xml>1</xml>" {
				t.Errorf("pushes %+v", list)
			}
			next, _, err := j.NextReplies(ctx, "a", "o", 10)
			noErr(t, err)
			if len(next) != 1 || string(next[0].Payload) != "{}" {
				t.Errorf("replies %+v", next)
			}
			dead, err := j.Dead(ctx, "a", 0, 10)
			noErr(t, err)
			if len(dead) != 1 || dead[0].Reason != "r" {
				t.Errorf("dead letters %+v", dead)
			}
			if c, err := j.AppendPush(ctx, Push{Account: "a", OpenID: "o", Key: "k", Kind: "text"}, false); err != nil || c.Fresh {
				t.Errorf("what was there is new: %+v, %v", c, err)
			}
		})
	}
}

// older makes a database as it was in a version, with one of each in it.
func older(ctx context.Context, t *testing.T, path string, version int64) {
	t.Helper()
	d := sqliteDialect()
	steps, _, err := migrations(d)
	noErr(t, err)
	noErr(t, createFile(path))
	db, err := openSQLite(path, accessWrite, 1)
	noErr(t, err)
	defer db.Close()
	p, err := goose.NewProvider(d.goose, db, nil, goose.WithGoMigrations(steps...),
		goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))
	noErr(t, err)
	_, err = p.UpTo(ctx, version)
	noErr(t, err)
	for _, insert := range []string{
		"INSERT INTO pushes (account, openid, dedup, kind, received_at, body) VALUES ('a', 'o', 'k', 'text', 1, '<xml>1</xml>')",
		"INSERT INTO replies (account, openid, message_id, created_at, received_at, payload) VALUES ('a', 'o', 'm1', 1, 1, '{}')",
		"INSERT INTO replies (account, openid, message_id, created_at, received_at, state, payload) VALUES ('a', 'p', 'm2', 1, 1, 2, '{}')",
		"INSERT INTO dead (account, openid, kind, ref, reason, at, body) VALUES ('a', 'o', 'push', 'x', 'r', 1, 'b')",
	} {
		_, err := db.ExecContext(ctx, insert)
		noErr(t, err)
	}
}
