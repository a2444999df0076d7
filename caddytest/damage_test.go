package caddytest

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-wechat/caddy-wechat/caddytest/simulator"
)

// command runs one of Caddy's commands, and gives what it prints.
func (p *process) command(args ...string) (string, error) {
	p.t.Helper()
	self, err := os.Executable()
	if err != nil {
		p.t.Fatal(err)
	}
	cmd := exec.CommandContext(within(p.t, time.Minute), self, args...)
	cmd.Env = append(os.Environ(), asCaddy+"=1",
		"XDG_DATA_HOME="+filepath.Join(p.dir, "data"), "XDG_CONFIG_HOME="+filepath.Join(p.dir, "config"))
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// TestDamagedJournal starts Caddy on a damaged journal in which messages wait. The rest of Caddy serves,
// pushes are held, and the log names the fault and the command that mends it. Once that was run, Caddy
// goes on by itself, and the bot gets what waited.
func TestDamagedJournal(t *testing.T) {
	t.Parallel()
	const (
		users   = 8
		salvage = "journal salvage --dir "
	)
	file := func(dir, name string) []byte {
		t.Helper()
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	write := func(dir, name string, data []byte) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	alter := func(dir, statement string) {
		t.Helper()
		db, err := sql.Open("sqlite", filepath.Join(dir, "journal.db"))
		if err != nil {
			t.Fatal(err)
		}
		_, err = db.Exec(statement)
		if err := errors.Join(err, db.Close()); err != nil {
			t.Fatal(err)
		}
	}
	for name, tc := range map[string]struct {
		damage func(dir string)
		fault  string           // in the log
		remedy string           // in the log
		mend   func(dir string) // instead of the command
		lost   int              // users whose message may be gone
		told   string           // by the command
	}{
		"header overwritten": {
			damage: func(dir string) {
				alter(dir, "PRAGMA wal_checkpoint(TRUNCATE)")
				write(dir, "journal.db", append(bytes.Repeat([]byte("rubbish "), 12), file(dir, "journal.db")[96:]...))
			},
			fault: "damaged", remedy: salvage, told: "pushes",
		},
		"torn page": {
			damage: func(dir string) {
				alter(dir, "PRAGMA wal_checkpoint(TRUNCATE)")
				data := file(dir, "journal.db")
				clear(data[4096+2048 : 2*4096]) // of whatever is on the second page
				clear(data[5*4096 : 6*4096])
				write(dir, "journal.db", data)
			},
			fault: "damaged", remedy: salvage, lost: users, told: "pushes",
		},
		"log deleted": {
			damage: func(dir string) { _ = os.Remove(filepath.Join(dir, "journal.db-wal")) },
			fault:  "pushes that were on disk are gone", remedy: salvage, lost: users, told: "at least 8",
		},
		"log cut off": {
			damage: func(dir string) {
				data := file(dir, "journal.db-wal")
				write(dir, "journal.db-wal", data[:len(data)/2])
			},
			fault: "pushes that were on disk are gone", remedy: salvage, lost: users, told: "at least",
		},
		"newer schema": {
			damage: func(dir string) { alter(dir, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, 1)") },
			fault:  "newer version", remedy: "Run the version that wrote it",
			mend: func(dir string) { alter(dir, "DELETE FROM goose_db_version WHERE version_id = 9999") },
		},
		"cannot be read": {
			damage: func(dir string) {
				_ = os.Rename(filepath.Join(dir, "journal.db"), filepath.Join(dir, "elsewhere"))
				_ = os.Mkdir(filepath.Join(dir, "journal.db"), 0o700)
			},
			fault: "disk I/O error", remedy: "See whether the disk of ",
			mend: func(dir string) {
				_ = os.Remove(filepath.Join(dir, "journal.db"))
				_ = os.Rename(filepath.Join(dir, "elsewhere"), filepath.Join(dir, "journal.db"))
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, setup{
				options: bulk + "\nready on",
				wechat:  func(c *simulator.WeChatConfig) { c.NoAllowance = true },
			})
			ctx := within(t, 2*time.Minute)
			w.botpress.SetDown(true)
			for i := range users {
				w.push(w.wechat.Text(fmt.Sprint("oUser", i), "before"))
			}
			if out, err := w.caddy.command("wechat", "journal", "salvage", "--dir", w.journalDir()); err == nil || !strings.Contains(out, "in use") {
				t.Errorf("salvaging under a running Caddy: %v\n%s", err, out)
			}
			w.caddy.kill()
			tc.damage(w.journalDir())
			w.caddy.start(w.config())

			w.do(request{name: "the rest of Caddy", path: "/elsewhere", status: 200, want: elsewhat})
			w.do(request{name: "readiness", path: "/wechat/ready", status: 503, want: "not ready\n"})
			held := w.wechat.Text("oUser0", "held")
			held.Timeout = time.Second
			if d := w.wechat.Push(ctx, held); d.Accepted() || len(d.Attempts) != 3 || d.Attempts[0].Status != 0 {
				t.Errorf("a push was answered: %+v", d)
			}
			lines := w.caddy.log.lines("journal does not work; pushes are held until it does", `"level":"error"`)
			if len(lines) != 1 || !strings.Contains(lines[0], tc.fault) || !strings.Contains(lines[0], tc.remedy) {
				t.Errorf("the log says %q, want one line with %q and %q", lines, tc.fault, tc.remedy)
			}
			if got := w.command("status"); got.code != 2 || !strings.Contains(got.out, tc.fault) || !strings.Contains(got.out, tc.remedy) {
				t.Errorf("the status says %+v, want %q and %q", got, tc.fault, tc.remedy)
			}
			if tc.mend != nil {
				tc.mend(w.journalDir())
			} else {
				out, err := w.caddy.command("wechat", "journal", "salvage", "--dir", w.journalDir())
				if err != nil || !strings.Contains(out, tc.told) || !strings.Contains(out, "is kept as") {
					t.Errorf("salvage: %v\n%s", err, out)
				}
				t.Logf("%s", out)
			}
			w.goesOn(ctx, users, tc.lost)
		})
	}
}

// goesOn waits until the journal works again, and expects what waited at the bot, and what is new.
func (w *world) goesOn(ctx context.Context, users, mayLose int) {
	w.t.Helper()
	w.await(ctx, "journal works again")
	w.botpress.SetDown(false)
	for i := range users {
		w.push(w.wechat.Text(fmt.Sprint("oUser", i), "after"))
	}
	lost := 0
	for i := range users {
		id := conversation(fmt.Sprint("oUser", i))
		for n := 1; ; n++ {
			turns, err := w.botpress.WaitTurns(ctx, id, n)
			got := strings.Join(said(turns), " ")
			if err != nil {
				w.t.Fatalf("user %d: the bot heard %q: %v", i, got, err)
			}
			if strings.HasSuffix(got, "after") {
				if got != "before after" {
					lost++
				}
				break
			}
		}
	}
	if lost > mayLose {
		w.t.Errorf("what %d users said is lost", lost)
	}
	w.do(request{name: "readiness", path: "/wechat/ready", status: http.StatusOK, want: "ready\n"})
}

// TestDamageInUse damages the journal under a running Caddy, in the half that nobody has read yet. As soon as
// somebody reads it pushes are held, and the log says what to do; Caddy still stops, and what can be read of
// what waited is delivered after the salvage.
func TestDamageInUse(t *testing.T) {
	t.Parallel()
	const users = 300
	w := newWorld(t, setup{
		options: bulk,
		wechat:  func(c *simulator.WeChatConfig) { c.Timeout, c.NoAllowance = 2*time.Second, true },
	})
	ctx := within(t, 2*time.Minute)
	w.botpress.SetDown(true)
	c := crowd{w: w, users: users, until: true}
	c.roundUntil(ctx, 0)
	db, err := sql.Open("sqlite", filepath.Join(w.journalDir(), "journal.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("PRAGMA wal_checkpoint(TRUNCATE)"); err != nil {
		t.Fatal(err)
	}
	damageHalf(t, filepath.Join(w.journalDir(), "journal.db"))
	w.botpress.SetDown(false)

	const held = "journal does not work; pushes are held until it does"
	w.await(ctx, held)
	if d := w.wechat.Push(ctx, w.wechat.Text("oNew", "held")); d.Accepted() || d.Attempts[0].Status != 0 {
		t.Errorf("a push was answered: %+v", d)
	}
	lines := w.caddy.log.lines(held, `"level":"error"`)
	if len(lines) != 1 || !strings.Contains(lines[0], "Stop Caddy, run: caddy wechat journal salvage --dir ") {
		t.Errorf("the log says %q", lines)
	}
	w.caddy.stop()
	out, err := w.caddy.command("wechat", "journal", "salvage", "--dir", w.journalDir())
	if err != nil {
		t.Fatalf("salvage: %v\n%s", err, out)
	}
	t.Logf("%s", out)
	w.caddy.start(w.config())
	w.push(w.wechat.Text("oNew", "after"))
	if _, err := w.botpress.WaitTurns(ctx, conversation("oNew"), 1); err != nil {
		t.Error(err)
	}
	var kept int
	if _, after, found := strings.Cut(out, " pushes "); found {
		_, _ = fmt.Sscan(after, &kept)
	}
	if kept < users/20 {
		t.Errorf("%d of %d pushes were kept", kept, users)
	}
}

// damageHalf overwrites the second half of a file.
func damageHalf(t *testing.T, path string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(bytes.Repeat([]byte{0xa5}, int(info.Size()/2)), info.Size()/2); err != nil {
		t.Fatal(err)
	}
}
