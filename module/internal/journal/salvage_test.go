package journal

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// wreck are the files of a journal whose process died, and what was in it.
type wreck struct {
	files map[string][]byte
	rows  map[string]map[string]string // by table and key: the row
}

var wreckTables = map[string]string{
	"pushes": "id", "replies": "id", "dead": "id", "users": "openid", "choices": "openid", "uploads": "hash", "state": "name",
	"keys": "openid", "leavers": "openid",
}

// makeWreck fills a journal and copies its files while it is open.
func makeWreck(t *testing.T) wreck {
	t.Helper()
	ctx := context.Background()
	dir := t.TempDir()
	j := testOpen(t, Config{Dir: dir})
	noErr(t, j.w.do(ctx, func(t *tx) error {
		for i := range 1500 {
			body := []byte(strings.Repeat(fmt.Sprint("push ", i, " "), 30))
			if i%100 == 0 {
				body = bytes.Repeat([]byte("long "), 3000) // does not fit into a page
			}
			if _, err := t.exec(insertPush, "app", fmt.Sprint("u", i%70), fmt.Sprint("key", i), "text", 1000+i, body); err != nil {
				return err
			}
			if _, err := t.exec(`INSERT INTO replies (account, openid, message_id, created_at, received_at, payload) VALUES ($1, $2, $3, $4, $5, $6)`,
				"app", fmt.Sprint("u", i%70), fmt.Sprint("m", i), i, i, body[:100]); err != nil {
				return err
			}
			if _, err := t.exec(`INSERT INTO users (account, openid, conversation, generation) VALUES ($1, $2, $3, $4)`,
				"app", fmt.Sprint("u", i), fmt.Sprint("wx-app-u", i), i); err != nil {
				return err
			}
			if _, err := t.exec(`INSERT INTO uploads (account, hash, kind, media_id, until) VALUES ($1, $2, $3, $4, $5)`,
				"app", fmt.Sprint("h", i), "image", fmt.Sprint("media", i), i); err != nil {
				return err
			}
			if _, err := t.exec(`INSERT INTO keys (account, openid, bot, generation, issued) VALUES ($1, $2, $3, $4, $5)`,
				"app", fmt.Sprint("u", i), "bot", 1, fmt.Sprint("issued", i)); err != nil {
				return err
			}
			if _, err := t.exec(`INSERT INTO choices (account, openid, ref, message_id, at, options) VALUES ($1, $2, $3, $4, $5, $6)`,
				"app", fmt.Sprint("u", i), "r", fmt.Sprint("m", i), i, "[]"); err != nil {
				return err
			}
		}
		t.appended = 1500
		return nil
	}))
	_, err := j.c.db.Exec("PRAGMA wal_checkpoint(TRUNCATE)")
	noErr(t, err)
	noErr(t, j.SetState(ctx, "app", "media_key", "secret"))
	noErr(t, bury(ctx, j, Dead{Account: "app", Kind: "body", Reason: "no XML", Body: []byte("x")}))
	for i := 1500; i < 1700; i++ { // what is in the log only
		push(t, j, fmt.Sprint("u", i%70), fmt.Sprint("key", i))
	}
	for id := int64(1); id <= 200; id++ {
		noErr(t, j.PushDone(ctx, PushDone{ID: id, Account: "app", OpenID: "u1"}))
	}
	w := wreck{files: map[string][]byte{}, rows: dump(t, j.r.db)}
	for _, name := range []string{databaseName, databaseName + "-wal", markName} {
		w.files[name], err = os.ReadFile(filepath.Join(dir, name))
		noErr(t, err)
	}
	return w
}

// dump reads all rows of the tables.
func dump(t *testing.T, db *sql.DB) map[string]map[string]string {
	t.Helper()
	all := make(map[string]map[string]string)
	read := func(table, key string) {
		rows, err := db.Query(fmt.Sprintf("SELECT %s, * FROM %s", key, table))
		noErr(t, err)
		defer rows.Close()
		columns, err := rows.Columns()
		noErr(t, err)
		all[table] = make(map[string]string)
		for rows.Next() {
			values := make([]any, len(columns))
			for i := range values {
				values[i] = new(any)
			}
			noErr(t, rows.Scan(values...))
			var text []string
			for _, v := range values {
				text = append(text, fmt.Sprintf("%v", *v.(*any)))
			}
			all[table][text[0]] = strings.Join(text, "|")
		}
		noErr(t, rows.Err())
	}
	for table, key := range wreckTables {
		read(table, key)
	}
	return all
}

// lay writes the files into a directory.
func (w wreck) lay(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, data := range w.files {
		if data != nil {
			noErr(t, os.WriteFile(filepath.Join(dir, name), data, 0o600))
		}
	}
	return dir
}

const pageBytes = 4096

// root is the root page of a table or an index.
func (w wreck) root(t *testing.T, name string) int {
	t.Helper()
	dir := w.lay(t)
	db, err := sql.Open("sqlite", filepath.Join(dir, databaseName))
	noErr(t, err)
	defer db.Close()
	var root int
	noErr(t, db.QueryRow("SELECT rootpage FROM sqlite_master WHERE name = $1", name).Scan(&root))
	return root
}

func TestSalvage(t *testing.T) {
	t.Parallel()
	whole := makeWreck(t)
	pages := len(whole.files[databaseName]) / pageBytes
	zero := func(b []byte) { clear(b) }
	rubbish := func(b []byte) {
		for i := range b {
			b[i] = byte(i*7 + i>>8)
		}
	}
	page := func(n int, files map[string][]byte) []byte { return files[databaseName][(n-1)*pageBytes : n*pageBytes] }
	noLog := func(files map[string][]byte) { // as after a clean end: nothing newer is in the log
		files[databaseName+"-wal"] = nil
	}
	for name, tc := range map[string]struct {
		damage func(t *testing.T, files map[string][]byte)
		lost   map[string]int // at most so many of a table; others none
	}{
		"header overwritten": {
			damage: func(_ *testing.T, f map[string][]byte) { rubbish(f[databaseName][:100]); noLog(f) },
			lost:   map[string]int{"pushes": 200, "state": 9, "dead": 1},
		},
		"first page rubbish, no log": {
			damage: func(_ *testing.T, f map[string][]byte) { rubbish(page(1, f)); noLog(f) },
			lost:   map[string]int{"pushes": 200, "state": 9, "dead": 1},
		},
		"root of pushes zeroed, no log": {
			damage: func(t *testing.T, f map[string][]byte) { zero(page(whole.root(t, "pushes"), f)); noLog(f) },
			lost:   map[string]int{"pushes": 200, "state": 9, "dead": 1},
		},
		"root of users torn, no log": {
			damage: func(t *testing.T, f map[string][]byte) { zero(page(whole.root(t, "users"), f)[2048:]); noLog(f) },
			lost:   map[string]int{"pushes": 200, "state": 9, "dead": 1, "users": 90},
		},
		"ten pages in the middle": {damage: func(_ *testing.T, f map[string][]byte) {
			for n := pages / 2; n < pages/2+10; n++ {
				rubbish(page(n, f))
			}
		}, lost: map[string]int{"pushes": 150, "replies": 300, "users": 500, "uploads": 500, "choices": 500, "keys": 500}},
		"every fortieth page": {damage: func(_ *testing.T, f map[string][]byte) {
			for n := 40; n < pages; n += 40 {
				zero(page(n, f))
			}
		}, lost: map[string]int{"pushes": 300, "replies": 300, "users": 400, "uploads": 400, "choices": 400, "keys": 400}},
		"first pages zeroed": {
			damage: func(_ *testing.T, f map[string][]byte) { zero(f[databaseName][:30*pageBytes]); noLog(f) },
			lost:   map[string]int{"pushes": 500, "replies": 500, "users": 500, "uploads": 500, "choices": 500, "keys": 500, "state": 9, "dead": 1},
		},
		"cut off": {
			damage: func(_ *testing.T, f map[string][]byte) {
				f[databaseName] = f[databaseName][:len(f[databaseName])*3/4]
				noLog(f)
			},
			lost: map[string]int{"pushes": 800, "replies": 800, "users": 800, "uploads": 800, "choices": 800, "keys": 800, "state": 9, "dead": 1},
		},
		"log deleted": {
			damage: func(_ *testing.T, f map[string][]byte) { noLog(f) },
			lost:   map[string]int{"pushes": 200, "state": 9, "dead": 1},
		},
		"log cut off": {
			damage: func(_ *testing.T, f map[string][]byte) { f[databaseName+"-wal"] = f[databaseName+"-wal"][:100_000] },
			lost:   map[string]int{"pushes": 200, "state": 9, "dead": 1},
		},
		"log damaged in the middle": {damage: func(_ *testing.T, f map[string][]byte) {
			f[databaseName+"-wal"][walAt(20)+1000] ^= 0xff
		}, lost: map[string]int{"pushes": 10, "state": 9, "dead": 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := make(map[string][]byte)
			for name, data := range whole.files {
				files[name] = bytes.Clone(data)
			}
			tc.damage(t, files)
			salvageCase(t, wreck{files, whole.rows}, tc.lost)
		})
	}
}

// walAt is where a frame of the write-ahead log has its page.
func walAt(frame int) int { return 32 + frame*(24+pageBytes) + 24 }

func salvageCase(t *testing.T, w wreck, mayLose map[string]int) {
	ctx := context.Background()
	dir := w.lay(t)
	if _, err := Open(ctx, Config{Dir: dir}); !errors.Is(err, ErrDamaged) {
		t.Fatalf("opening: %v, want ErrDamaged", err)
	}
	if advice := Remedy(fmt.Errorf("x: %w", ErrDamaged), dir, false); !strings.Contains(advice, "caddy wechat journal salvage --dir "+dir+" ") {
		t.Errorf("the remedy is %q", advice)
	}
	all, err := Salvage(ctx, dir, "")
	noErr(t, err)
	if len(all) != 1 || all[0].Sound || all[0].Kept == "" {
		t.Fatalf("salvaged %+v", all)
	}
	for suffix := range map[string]bool{"": true, "-wal": true} {
		kept, err := os.ReadFile(all[0].Kept + suffix)
		if want := w.files[databaseName+suffix]; !bytes.Equal(kept, want) {
			t.Errorf("the damaged file %q was not kept as it was (%v)", suffix, err)
		}
	}
	j := testOpen(t, Config{Dir: dir})
	got := dump(t, j.r.db)
	for _, table := range all[0].Tables {
		lost := 0
		for key, row := range w.rows[table.Name] {
			switch there := got[table.Name][key]; {
			case there == "":
				lost++
			case there != row && mayLose[table.Name] == 0:
				t.Errorf("%s %s (-want +got):\n%s", table.Name, key, cmp.Diff(row, there))
			}
		}
		t.Logf("%s: kept %d, lost %d, unsure %v; in truth %d of %d lost", table.Name, table.Kept, table.Lost, table.Unsure, lost, len(w.rows[table.Name]))
		if lost > mayLose[table.Name] {
			t.Errorf("%s: %d rows lost, want at most %d", table.Name, lost, mayLose[table.Name])
		}
		if int64(lost) != table.Lost && !table.Unsure {
			t.Errorf("%s: it is sure of %d lost rows, %d are", table.Name, table.Lost, lost)
		}
		for key := range got[table.Name] {
			if _, known := w.rows[table.Name][key]; !known && table.Name != "dead" {
				t.Errorf("%s: a row was made up: %s", table.Name, got[table.Name][key])
			}
		}
	}
	// It is a journal that works.
	push(t, j, "u", "after the salvage")
	noErr(t, j.Close())
	if again, err := Salvage(ctx, dir, ""); err != nil || !again[0].Sound {
		t.Errorf("once more: %+v, %v", again, err)
	}
}

// TestSalvageRefuses: it touches nothing that is in use, too new, or in the way.
func TestSalvageRefuses(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	dir := t.TempDir()
	if _, err := Salvage(ctx, dir, ""); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without a journal: %v", err)
	}
	j := testOpen(t, Config{Dir: dir})
	push(t, j, "u", "k")
	short, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
	defer cancel()
	if _, err := Salvage(short, dir, ""); err == nil {
		t.Error("salvaged a journal that is open")
	}
	noErr(t, j.Close())
	if _, err := Salvage(ctx, dir, dir); !errors.Is(err, ErrOccupied) {
		t.Errorf("onto itself: %v", err)
	}
	db, err := sql.Open("sqlite", filepath.Join(dir, databaseName))
	noErr(t, err)
	_, err = db.Exec("INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, 1)")
	noErr(t, errors.Join(err, db.Close()))
	if _, err := Salvage(ctx, dir, ""); !errors.Is(err, ErrNewer) {
		t.Errorf("of a newer version: %v", err)
	}
}

// TestSalvageElsewhere: with another directory the damaged one stays as it is.
func TestSalvageElsewhere(t *testing.T) {
	t.Parallel()
	w := makeWreck(t)
	clear(w.files[databaseName][10*pageBytes : 12*pageBytes])
	dir, out := w.lay(t), filepath.Join(t.TempDir(), "new")
	_, err := Salvage(t.Context(), dir, out)
	noErr(t, err)
	for name, want := range w.files {
		if got, err := os.ReadFile(filepath.Join(dir, name)); !bytes.Equal(got, want) {
			t.Errorf("%s was changed (%v)", name, err)
		}
	}
	push(t, testOpen(t, Config{Dir: out}), "u", "after")
}

// TestDamageInUse: what is found damaged only when it is used stops the journal, and is told once.
func TestDamageInUse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	told := make(chan error, 10)
	j := testOpen(t, Config{Dir: dir, Damaged: func(err error) { told <- err }})
	noErr(t, j.w.do(t.Context(), func(t *tx) error {
		for i := range 3000 {
			if _, err := t.exec(insertPush, "app", fmt.Sprint("u", i), fmt.Sprint("key", i), "text", 1, make([]byte, 500)); err != nil {
				return err
			}
		}
		return nil
	}))
	_, err := j.c.db.Exec("PRAGMA wal_checkpoint(TRUNCATE)")
	noErr(t, err)
	file := filepath.Join(dir, databaseName)
	data, err := os.ReadFile(file)
	noErr(t, err)
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	noErr(t, err)
	_, err = f.WriteAt(bytes.Repeat([]byte{0xa5}, len(data)/2), int64(len(data)/2))
	noErr(t, errors.Join(err, f.Close()))

	for i := 0; err == nil && i < 3000; i += 10 {
		_, err = j.NextPushes(t.Context(), "app", fmt.Sprint("u", i), 0, 1)
	}
	if !errors.Is(err, ErrDamaged) || !errors.Is(err, ErrUnavailable) {
		t.Fatalf("reading: %v", err)
	}
	for range 2 {
		if _, _, err := appendPush(t.Context(), j, Push{Account: "app", OpenID: "u", Key: "new"}); !errors.Is(err, ErrDamaged) {
			t.Errorf("appending to a damaged journal: %v", err)
		}
	}
	if err := <-told; !errors.Is(err, ErrDamaged) || len(told) > 0 {
		t.Errorf("told %v, and %d times more", err, len(told))
	}
	_ = j.Close()
	if _, err := Open(t.Context(), Config{Dir: dir}); !errors.Is(err, ErrDamaged) {
		t.Errorf("opening it again: %v", err)
	}
}

// TestLookedAtByOthers: whoever opens the database of a dead process with another program carries the log
// over and deletes it. Nothing is missing then.
func TestLookedAtByOthers(t *testing.T) {
	t.Parallel()
	w := makeWreck(t)
	dir := w.lay(t)
	db, err := sql.Open("sqlite", filepath.Join(dir, databaseName))
	noErr(t, err)
	var n int
	noErr(t, errors.Join(db.QueryRow("SELECT count(*) FROM pushes").Scan(&n), db.Close()))
	if _, err := os.Stat(filepath.Join(dir, databaseName+"-wal")); err == nil {
		t.Fatal("the log is still there")
	}
	j := testOpen(t, Config{Dir: dir})
	if rowCount(t, j, "pushes", "1 = 1") != 1700 {
		t.Error("pushes are missing")
	}
	noErr(t, j.Close())
	if _, there := readMark(filepath.Join(dir, markName)); there {
		t.Error("a mark was left by a journal that was closed")
	}
}

// TestSalvageMedia: files of users that are whole are kept, the others count as unfinished.
func TestSalvageMedia(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j := testOpen(t, Config{Dir: dir})
	content := make(map[string][]byte)
	for i := range 20 {
		name := fmt.Sprint("f", i)
		content[name] = film(uint64(i), 150_000)
		put(t, j, "u", name, content[name])
	}
	noErr(t, j.Close())
	file := filepath.Join(dir, mediaName)
	data, err := os.ReadFile(file)
	noErr(t, err)
	for i := len(data) / 2; i < len(data)/2+30*pageBytes; i++ {
		data[i] = 0
	}
	noErr(t, os.WriteFile(file, data, 0o600))
	all, err := Salvage(t.Context(), dir, "")
	noErr(t, err)
	if len(all) != 2 || !all[0].Sound || all[1].Sound {
		t.Fatalf("salvaged %+v", all)
	}
	j = testOpen(t, Config{Dir: dir})
	whole := 0
	for name, want := range content {
		m, found, err := j.Media(t.Context(), "app", name)
		noErr(t, err)
		if !found {
			continue
		}
		r, err := j.ReadMedia(t.Context(), m)
		noErr(t, err)
		got := new(bytes.Buffer)
		_, err = got.ReadFrom(r)
		if whole++; err != nil || !bytes.Equal(got.Bytes(), want) {
			t.Logf("%s is not as it was (%v)", name, err) // no checksum tells what was overwritten inside a file
			whole--
		}
	}
	if whole < 15 {
		t.Errorf("%d of 20 files were kept whole", whole)
	}
}
