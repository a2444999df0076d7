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
)

func TestOpenRefuses(t *testing.T) {
	ctx := context.Background()
	// template is the file of a journal with something in it.
	template := func(t *testing.T) []byte {
		dir := t.TempDir()
		j := testOpen(t, Config{Dir: dir})
		for i := range 200 {
			push(t, j, "u", fmt.Sprint("key ", i))
		}
		noErr(t, j.Close())
		data, err := os.ReadFile(filepath.Join(dir, databaseName))
		noErr(t, err)
		return data
	}
	// altered is that file after some SQL.
	altered := func(t *testing.T, statement string) []byte {
		path := filepath.Join(t.TempDir(), "x.db")
		noErr(t, os.WriteFile(path, template(t), 0o600))
		db, err := sql.Open("sqlite", path)
		noErr(t, err)
		defer db.Close()
		_, err = db.ExecContext(ctx, statement)
		noErr(t, err)
		_, err = db.ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)")
		noErr(t, err)
		data, err := os.ReadFile(path)
		noErr(t, err)
		return data
	}
	tests := map[string]struct {
		file func(t *testing.T) []byte
		want error
	}{
		"newer schema": {
			func(t *testing.T) []byte {
				return altered(t, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, 1)")
			}, ErrNewer,
		},
		"another program's database": {
			func(t *testing.T) []byte { return altered(t, "DROP TABLE goose_db_version") }, ErrDamaged,
		},
		"no database": {func(*testing.T) []byte { return []byte("The quick brown fox jumps over the lazy dog.") }, ErrDamaged},
		"a few bytes": {func(*testing.T) []byte { return []byte("SQLite") }, ErrDamaged},
		"header only": {func(t *testing.T) []byte { return template(t)[:100] }, ErrDamaged},
		"cut off":     {func(t *testing.T) []byte { d := template(t); return d[:len(d)/2] }, ErrDamaged},
		"schema overwritten": {
			func(t *testing.T) []byte {
				d := template(t)
				for i := 100; i < 4096; i++ {
					d[i] = 0xa5
				}
				return d
			}, ErrDamaged,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, databaseName)
			before := test.file(t)
			noErr(t, os.WriteFile(path, before, 0o600))
			_, err := Open(ctx, Config{Dir: dir})
			if !errors.Is(err, test.want) {
				t.Errorf("error %v, want %v", err, test.want)
			}
			if err != nil && !strings.Contains(err.Error(), path) {
				t.Errorf("error %v does not name the file", err)
			}
			after, err := os.ReadFile(path)
			noErr(t, err)
			if !bytes.Equal(before, after) {
				t.Error("the file was changed")
			}
			// The directory is free again.
			noErr(t, os.Remove(path))
			testOpen(t, Config{Dir: dir})
		})
	}
}

// TestNewerAfterCrash: a newer version died with its last writes still in the write-ahead log. They
// are seen, and left where they are.
func TestNewerAfterCrash(t *testing.T) {
	ctx := context.Background()
	from, to := t.TempDir(), t.TempDir()
	j := testOpen(t, Config{Dir: from})
	noErr(t, j.w.do(ctx, func(t *tx) error {
		_, err := t.exec("INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, 1)")
		return err
	}))
	before := map[string][]byte{}
	for _, name := range []string{databaseName, databaseName + "-wal"} {
		data, err := os.ReadFile(filepath.Join(from, name))
		noErr(t, err)
		before[name] = data
		noErr(t, os.WriteFile(filepath.Join(to, name), data, 0o600))
	}
	if _, err := Open(ctx, Config{Dir: to}); !errors.Is(err, ErrNewer) {
		t.Errorf("error %v, want ErrNewer", err)
	}
	for name, want := range before {
		if got, err := os.ReadFile(filepath.Join(to, name)); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s was changed, %v", name, err)
		}
	}
}
