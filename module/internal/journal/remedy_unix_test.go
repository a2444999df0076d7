//go:build unix

package journal

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func init() { helpers["stranger"] = openAsStranger }

// TestPermissions: a journal that belongs to somebody else is left alone, and the remedy says so.
func TestPermissions(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	noErr(t, errors.Join(os.Chmod(filepath.Dir(root), 0o755), os.Chmod(root, 0o755)))
	dir := filepath.Join(root, "wechat")
	noErr(t, testOpen(t, Config{Dir: dir}).Close())
	if os.Getuid() != 0 {
		noErr(t, os.Chmod(dir, 0)) // the helper cannot become somebody else
		defer func() { _ = os.Chmod(dir, 0o700) }()
	}
	if out, err := helper(t, "stranger", dir).Output(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

func openAsStranger(dir string) error {
	if os.Getuid() == 0 {
		if err := syscall.Setuid(65534); err != nil {
			return err
		}
	}
	_, err := Open(context.Background(), Config{Dir: dir})
	if !errors.Is(err, fs.ErrPermission) || errors.Is(err, ErrDamaged) {
		return fmt.Errorf("opening: %w, want a permission error", err)
	}
	if remedy := Remedy(err, dir, false); !strings.Contains(remedy, "Let the user that runs Caddy read and write "+dir) {
		return fmt.Errorf("the remedy is %q", remedy)
	}
	return nil
}
