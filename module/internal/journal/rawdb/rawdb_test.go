package rawdb

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	_ "modernc.org/sqlite"
)

func noErr(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// sample makes a database in WAL mode, copies its files while it is open, and returns them with what is
// in its tables a and b.
func sample(t testing.TB, pageSize, rows int) (db, wal []byte, want map[string][][]any) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.db")
	c, err := sql.Open("sqlite", path)
	noErr(t, err)
	defer c.Close()
	c.SetMaxOpenConns(1)
	exec := func(statement string, args ...any) {
		t.Helper()
		_, err := c.Exec(statement, args...)
		noErr(t, err)
	}
	exec(fmt.Sprintf("PRAGMA page_size = %d", pageSize))
	exec("PRAGMA journal_mode = WAL")
	exec("CREATE TABLE a (id INTEGER PRIMARY KEY, n INTEGER, r REAL, t TEXT, b BLOB)")
	exec("CREATE TABLE b (k TEXT, n INTEGER, v TEXT, PRIMARY KEY (k, n)) WITHOUT ROWID")
	exec("CREATE INDEX a_t ON a (t)")
	want = make(map[string][][]any)
	for i := range rows {
		if i == rows/2 {
			exec("PRAGMA wal_checkpoint(TRUNCATE)")
		}
		n := int64(i) * int64(i) * int64(i) * 1_000_003 * int64(1-i%2*2) // of all sizes
		text, blob := strings.Repeat("字", i*i%4000), bytes.Repeat([]byte{byte(i)}, i*7%9000)
		exec("INSERT INTO a VALUES ($1, $2, $3, $4, $5)", i*3, n, 1.5*float64(i), text, blob)
		exec("INSERT INTO b VALUES ($1, $2, $3)", fmt.Sprintf("key %05d", i), i, text)
		want["a"] = append(want["a"], []any{int64(i * 3), n, 1.5 * float64(i), text, string(blob)})
		want["b"] = append(want["b"], []any{fmt.Sprintf("key %05d", i), int64(i), text})
	}
	db, err = os.ReadFile(path)
	noErr(t, err)
	wal, err = os.ReadFile(path + "-wal")
	noErr(t, err)
	return db, wal, want
}

// read reads the tables a and b.
func read(t testing.TB, db, wal []byte) (got map[string][][]any, damaged int) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.db")
	noErr(t, os.WriteFile(path, db, 0o600))
	if wal != nil {
		noErr(t, os.WriteFile(path+"-wal", wal, 0o600))
	}
	f, err := Open(path)
	noErr(t, err)
	defer f.Close()
	r := NewReader(f)
	objects, w := r.Schema()
	damaged = w.Damaged
	got = make(map[string][][]any)
	for _, o := range objects {
		if o.Type != "table" {
			continue
		}
		w, err := r.Tree(o.Root, o.Name == "b", func(row Row) error {
			values := row.Values
			if o.Name == "a" {
				if values[0] = row.ID; len(values) > 4 {
					b, _ := values[4].([]byte)
					values[4] = string(b)
				}
				// SQLite stores a whole number as an integer also where a fraction may be.
				if n, ok := values[2].(int64); ok {
					values[2] = float64(n)
				}
			}
			got[o.Name] = append(got[o.Name], values)
			return nil
		})
		noErr(t, err)
		damaged += w.Damaged
	}
	return got, damaged
}

// TestRead: all that SQLite has written is read, of whatever size.
func TestRead(t *testing.T) {
	t.Parallel()
	for _, pageSize := range []int{512, 4096, 65536} {
		t.Run(fmt.Sprint(pageSize), func(t *testing.T) {
			t.Parallel()
			db, wal, want := sample(t, pageSize, 150)
			got, damaged := read(t, db, wal)
			if diff := cmp.Diff(want, got); diff != "" || damaged != 0 {
				t.Errorf("%d damaged, (-want +got):\n%.2000s", damaged, diff)
			}
		})
	}
}

// TestLogGoesOn: what follows a damaged frame of the log is read, and what was not committed is not.
func TestLogGoesOn(t *testing.T) {
	t.Parallel()
	db, wal, want := sample(t, 4096, 60)
	all, _ := read(t, db, wal)
	wal[walHeader+2*(frameHeader+4096)+frameHeader+2000] ^= 1
	got, _ := read(t, db, wal)
	if len(all["a"]) != 60 || len(got["a"]) < 55 {
		t.Errorf("%d rows beside a damaged frame, %d without, of %d", len(got["a"]), len(all["a"]), len(want["a"]))
	}
	cut, _ := read(t, db, wal[:len(wal)-100]) // the last transaction has lost its end
	if n := len(cut["a"]) + len(cut["b"]); n >= 120 {
		t.Errorf("%d rows although the last one was not committed", n)
	}
}

// TestRowError: an error of whoever takes the rows ends the reading.
func TestRowError(t *testing.T) {
	t.Parallel()
	db, wal, _ := sample(t, 512, 20)
	path := filepath.Join(t.TempDir(), "x.db")
	noErr(t, errors.Join(os.WriteFile(path, db, 0o600), os.WriteFile(path+"-wal", wal, 0o600)))
	f, err := Open(path)
	noErr(t, err)
	defer f.Close()
	enough, rows := errors.New("enough"), 0
	objects, _ := NewReader(f).Schema()
	_, err = NewReader(f).Tree(objects[0].Root, false, func(Row) error {
		rows++
		return enough
	})
	if !errors.Is(err, enough) || rows != 1 {
		t.Errorf("error %v after %d rows", err, rows)
	}
}

// FuzzRead reads rubbish, and databases that are half rubbish: it ends, and nothing is read outside of what
// is there.
func FuzzRead(f *testing.F) {
	// Databases of SQLite's are in testdata: under the fuzzer it takes minutes to make one.
	f.Add([]byte("SQLite format 3\x00"), []byte{0x37, 0x7f, 6, 0x82}, uint32(0), byte(0))
	path := filepath.Join(f.TempDir(), "x.db")
	f.Fuzz(func(t *testing.T, db, wal []byte, at uint32, flip byte) {
		if len(db) > 0 {
			db = bytes.Clone(db)
			db[int(at)%len(db)] ^= flip
		}
		noErr(t, errors.Join(os.WriteFile(path, db, 0o600), os.WriteFile(path+"-wal", wal, 0o600)))
		file, err := Open(path)
		noErr(t, err)
		defer file.Close()
		r := NewReader(file)
		objects, _ := r.Schema()
		for _, o := range objects {
			for _, keyed := range []bool{true, false} {
				_, _ = r.Tree(o.Root, keyed, func(Row) error { return nil })
			}
		}
		r.Free()
		_ = r.Strays(func(bool, Row) error { return nil })
		_ = Candidates(file)
	})
}
