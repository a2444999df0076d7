package journal

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// between is some time after the file was looked for.
const between = 2 * time.Second

// TestMoved: what would go into a file that the next process does not find is not taken.
func TestMoved(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("an open file cannot be moved there")
	}
	for name, tc := range map[string]struct {
		do   func(path string) error
		want string
	}{
		"nothing":            {func(string) error { return nil }, ""},
		"moved":              {func(path string) error { return os.Rename(path, path+".old") }, "not there any more"},
		"deleted":            {os.Remove, "not there any more"},
		"replaced by a copy": {replaced, "another file"},
		"back in a moment": {func(path string) error {
			if err := os.Rename(path, path+".old"); err != nil {
				return err
			}
			time.Sleep(watchEvery - between + watchTwice/2) // it was looked for once
			return os.Rename(path+".old", path)
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				var told atomic.Value
				j, err := Open(context.Background(), Config{Dir: dir, Damaged: func(err error) { told.Store(err) }})
				if err != nil {
					t.Fatal(err)
				}
				defer j.Close()
				time.Sleep(10*watchEvery + between)
				if err := tc.do(filepath.Join(dir, databaseName)); err != nil {
					t.Fatal(err)
				}
				time.Sleep(watchEvery + 2*watchTwice)
				_, _, err = appendPush(context.Background(), j, Push{Account: benchAccount, OpenID: "o", Kind: "text", Key: "k", Body: benchBody})
				if tc.want == "" {
					if err != nil || told.Load() != nil {
						t.Errorf("%v, told %v", err, told.Load())
					}
					return
				}
				if !errors.Is(err, ErrMoved) || !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), tc.want) {
					t.Errorf("error %v", err)
				}
				if why, _ := told.Load().(error); !errors.Is(why, ErrMoved) {
					t.Errorf("told %v", why)
				}
				if remedy := Remedy(err, dir, true); !strings.HasPrefix(remedy, "Stop Caddy, put the file") {
					t.Errorf("remedy %q", remedy)
				}
			})
		})
	}
}

func replaced(path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path+".copy", data, fileMode); err != nil {
		return err
	}
	return os.Rename(path+".copy", path)
}
