package caddytest

import (
	"bytes"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-wechat/caddy-wechat/caddytest/simulator"
)

// copyJournal copies a journal as the README tells operators to.
func copyJournal(t *testing.T, from, to string) {
	t.Helper()
	db, err := sql.Open("sqlite", from)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("VACUUM INTO ?", to); err != nil {
		t.Fatal(err)
	}
}

// TestBackup: a journal copied while pushes come in is put in the place of a lost
// one; what had been acknowledged before the copy reaches the bot. A journal that a
// newer version has written is left as it is: pushes are held, and it is said why.
func TestBackup(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{options: bulk, wechat: func(c *simulator.WeChatConfig) {
		c.Timeout, c.Attempts = 3*time.Second, 1 // one silence is enough
	}})
	const alice = "oAlice"
	w.botpress.SetDown(true) // so that messages wait
	var sent atomic.Int64
	stop := make(chan struct{})
	var users sync.WaitGroup
	users.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			if d := w.wechat.Push(t.Context(), w.wechat.Text(alice, fmt.Sprint(i))); !d.Accepted() {
				t.Errorf("push %d: %+v", i, d)
				return
			}
			sent.Add(1)
		}
	})
	w.until(within(t, 30*time.Second), "some pushes are taken", func() bool { return sent.Load() >= 50 })
	before := sent.Load()
	file, saved := filepath.Join(w.journalDir(), "journal.db"), filepath.Join(t.TempDir(), "copy.db")
	copyJournal(t, file, saved)
	close(stop)
	users.Wait()

	w.caddy.stop()
	if err := os.RemoveAll(w.journalDir()); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(w.journalDir(), 0o700); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(saved)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, data, 0o644); err != nil { // as careless as cp
		t.Fatal(err)
	}
	w.botpress.SetDown(false)
	w.caddy.start(w.config())
	turns, err := w.botpress.WaitTurns(within(t, 60*time.Second), conversation(alice), int(before))
	if err != nil {
		t.Fatalf("the bot got %d of %d messages: %v", len(turns), before, err)
	}
	for i, text := range said(turns) {
		if text != fmt.Sprint(i) {
			t.Fatalf("message %d is %q", i, text)
		}
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("others may read the journal: %v, %v", info.Mode(), err)
	}
	w.newerJournal(file)
}

// newerJournal goes back to an older version without going back to its journal.
func (w *world) newerJournal(file string) {
	t := w.t
	t.Helper()
	w.caddy.stop()
	db, err := sql.Open("sqlite", file)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, 1)"); err != nil {
		t.Fatal(err)
	}
	db.Close()
	newer, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	w.caddy.start(w.config())
	if len(w.caddy.log.await(1, "journal does not work; pushes are held until it does", "newer version")) == 0 {
		t.Error("the log does not say why")
	}
	got := w.command("status")
	if got.code != 2 || !strings.Contains(got.out, "does not work") || !strings.Contains(got.out, "newer version") {
		t.Errorf("status: %+v", got)
	}
	w.diagnose(w.config(), "journal.failing")
	d := w.wechat.Push(within(t, 40*time.Second), w.wechat.Text("oBob", "held"))
	if d.Accepted() {
		t.Errorf("a push was taken: %+v", d)
	}
	if now, err := os.ReadFile(file); err != nil || !bytes.Equal(now, newer) {
		t.Errorf("the journal was touched: %v", err)
	}
}
