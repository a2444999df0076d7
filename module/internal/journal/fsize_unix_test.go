//go:build unix

package journal

import (
	"context"
	"errors"
	"fmt"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
)

func init() { helpers["full"] = writeUntilFull }

// TestWritesFail lets the operating system refuse to write, in a process of its own.
func TestWritesFail(t *testing.T) {
	if out, err := helper(t, "full", filepath.Join(t.TempDir(), "wechat")).Output(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// writeUntilFull appends until no file may grow any more, twice, and goes on once they may again.
// What was answered with success must be there, once, and nothing else.
func writeUntilFull(dir string) error {
	signal.Ignore(syscall.SIGXFSZ)
	ctx := context.Background()
	j, err := Open(ctx, Config{Dir: dir})
	if err != nil {
		return err
	}
	var original syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &original); err != nil {
		return err
	}
	appended := 0
	add := func(size uint64) error {
		_, fresh, err := appendPush(ctx, j, Push{Account: "app", OpenID: "u", Key: fmt.Sprint(appended), Body: make([]byte, size)})
		if err == nil && !fresh {
			return fmt.Errorf("push %d was there although its append had failed", appended)
		}
		if err == nil {
			appended++
		}
		return err
	}
	for _, size := range []uint64{300_000, 600_000} {
		limit := original
		limit.Cur = size
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
			return err
		}
		var failed error
		for failed == nil && appended < 1000 {
			failed = add(3000)
		}
		if !errors.Is(failed, ErrUnavailable) {
			return fmt.Errorf("after %d appends into %d bytes: error %w, want ErrUnavailable", appended, size, failed)
		}
		for range 3 {
			if err := add(size); !errors.Is(err, ErrUnavailable) {
				return fmt.Errorf("another append: error %w, want ErrUnavailable", err)
			}
		}
		if list, err := j.NextPushes(ctx, "app", "u", 0, 10_000); err != nil || len(list) != appended {
			return fmt.Errorf("%d pushes wait, %w, want %d", len(list), err, appended)
		}
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &original); err != nil {
			return err
		}
		if err := add(size); err != nil {
			return fmt.Errorf("appending once there is room again: %w", err)
		}
	}
	if err := j.Close(); err != nil {
		return err
	}
	if j, err = Open(ctx, Config{Dir: dir}); err != nil {
		return err
	}
	list, err := j.NextPushes(ctx, "app", "u", 0, 10_000)
	if err != nil {
		return err
	}
	for i, p := range list {
		if p.Key != fmt.Sprint(i) {
			return fmt.Errorf("push %d is %s", i, p.Key)
		}
	}
	if len(list) != appended {
		return fmt.Errorf("%d pushes after reopening, want %d", len(list), appended)
	}
	return j.Close()
}
