package journal

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestExamine(t *testing.T) {
	dir := t.TempDir()
	look := func() (Examination, error) { return Examine(t.Context(), dir) }
	if e, err := look(); err != nil || e != (Examination{}) {
		t.Errorf("nothing there: %+v, %v", e, err)
	}
	if all, _ := os.ReadDir(dir); len(all) > 0 {
		t.Errorf("it has made %v", all)
	}
	j, err := Open(t.Context(), Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if e, err := look(); err != nil || !e.Exists || !e.InUse {
		t.Errorf("in use: %+v, %v", e, err)
	}
	at := time.UnixMilli(1_700_000_000_000).UTC()
	if _, err := j.AppendPush(t.Context(), Push{Account: "a", OpenID: "o", Key: "k", Kind: "text", ReceivedAt: at, Body: []byte("x")}, false); err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, databaseName)
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if e, err := look(); err != nil || e.InUse || e.Schema == 0 || e.Schema != e.Newest || !e.Oldest.Equal(at) {
		t.Errorf("closed: %+v, %v", e, err)
	}
	if after, err := os.ReadFile(file); err != nil || string(after) != string(before) {
		t.Error("the file has changed")
	}
	if err := os.WriteFile(file, []byte("no database, but long enough to be looked at as one, byte by byte, up to here and on"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := look(); !errors.Is(err, ErrDamaged) {
		t.Errorf("damaged: %v", err)
	}
}
