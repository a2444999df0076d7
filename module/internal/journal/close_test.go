package journal

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestCloseDrains: what was let in is committed and answered, what comes later is ErrClosed.
func TestCloseDrains(t *testing.T) {
	dir := t.TempDir()
	j := testOpen(t, Config{Dir: dir})
	inside, release := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := j.w.do(context.Background(), func(*tx) error { close(inside); <-release; return nil }); err != nil {
			t.Errorf("blocking operation: %v", err)
		}
	})
	<-inside
	for i := range 20 {
		wg.Go(func() {
			if err := j.w.do(context.Background(), set(fmt.Sprint(i))); err != nil {
				t.Errorf("operation %d: %v", i, err)
			}
		})
	}
	for len(j.w.queue) < 20 {
		time.Sleep(50 * time.Microsecond)
	}
	wg.Go(func() {
		if err := j.Close(); err != nil {
			t.Errorf("closing: %v", err)
		}
	})
	<-j.w.quit
	if err := j.w.do(context.Background(), set("late")); !errors.Is(err, ErrClosed) {
		t.Errorf("error %v, want ErrClosed", err)
	}
	close(release)
	wg.Wait()
	j = testOpen(t, Config{Dir: dir})
	for i := range 20 {
		if !isSet(t, j, fmt.Sprint(i)) {
			t.Errorf("operation %d is lost", i)
		}
	}
}

// TestCloseRace: callers that race with Close get an answer, and it is true.
func TestCloseRace(t *testing.T) {
	for range 20 {
		dir := t.TempDir()
		j := testOpen(t, Config{Dir: dir, Sync: Normal})
		var wg sync.WaitGroup
		var done [16]atomic.Int64
		for w := range done {
			wg.Go(func() {
				for i := 0; ; i++ {
					switch err := j.w.do(context.Background(), set(fmt.Sprintf("%d/%d", w, i))); {
					case err == nil:
						done[w].Add(1)
					case errors.Is(err, ErrClosed):
						return
					default:
						t.Errorf("error %v, want ErrClosed", err)
						return
					}
				}
			})
		}
		for done[0].Load() < 3 {
			time.Sleep(50 * time.Microsecond)
		}
		noErr(t, j.Close())
		wg.Wait()
		j = testOpen(t, Config{Dir: dir})
		for w := range done {
			n := done[w].Load()
			if n > 0 && !isSet(t, j, fmt.Sprintf("%d/%d", w, n-1)) {
				t.Fatal("an answered operation is lost")
			}
			if isSet(t, j, fmt.Sprintf("%d/%d", w, n)) {
				t.Fatal("an operation took effect although it was told that the journal is closed")
			}
		}
		noErr(t, j.Close())
	}
}

// TestCloseIsBounded: a write that hangs does not hang Close, and the rest happens once it ends.
func TestCloseIsBounded(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		j := testOpen(t, Config{Dir: dir})
		hang := make(chan struct{})
		answer := make(chan error, 1)
		go func() { answer <- j.w.do(context.Background(), func(*tx) error { <-hang; return nil }) }()
		synctest.Wait()
		if err := j.Close(); !errors.Is(err, ErrUnavailable) {
			t.Errorf("error %v, want ErrUnavailable", err)
		}
		if _, err := Open(context.Background(), Config{Dir: dir}); !errors.Is(err, ErrLocked) {
			t.Errorf("opened beside a write that still runs: %v", err)
		}
		close(hang)
		noErr(t, <-answer)
		noErr(t, <-j.end)
		noErr(t, testOpen(t, Config{Dir: dir}).Close())
	})
}

func TestClosed(t *testing.T) {
	ctx := context.Background()
	j := testOpen(t, Config{})
	push(t, j, "u", "k")
	if _, err := j.NextPushes(ctx, "app", "u", 0, 1); err != nil {
		t.Fatal(err)
	}
	noErr(t, j.Close())
	calls := map[string]func() error{
		"Close":      j.Close,
		"AppendPush": func() error { _, _, err := appendPush(ctx, j, Push{Key: "l"}); return err },
		"NextPushes": func() error { _, err := j.NextPushes(ctx, "app", "u", 0, 1); return err },
		"User":       func() error { _, _, err := j.User(ctx, "app", "u"); return err },
		"PushDone":   func() error { return j.PushDone(ctx, PushDone{ID: 1}) },
		"Prune":      func() error { _, err := j.Prune(ctx); return err },
	}
	for name, call := range calls {
		if err := call(); !errors.Is(err, ErrClosed) {
			t.Errorf("%s: error %v, want ErrClosed", name, err)
		}
	}
	j.Configure(Normal, time.Hour, 0) // must not panic
}
