package botpress

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

var errBoom = errors.New("boom")

func flightOf(id, name string) flightKey { return flightKey{id, UserFields{Name: name}} }

func TestFlightSharesFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f flights
		var runs atomic.Int32
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				err := f.do(t.Context(), flightOf("a", ""), func() error {
					runs.Add(1)
					time.Sleep(time.Second)
					return errBoom
				})
				if !errors.Is(err, errBoom) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if runs.Load() != 1 {
			t.Errorf("%d runs", runs.Load())
		}
	})
}

func TestFlightWritesOtherFieldsToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f flights
		var mu sync.Mutex
		written := map[string]int{}
		var wg sync.WaitGroup
		for _, name := range []string{"old", "new", "old", "new"} {
			wg.Go(func() {
				_ = f.do(t.Context(), flightOf("a", name), func() error {
					time.Sleep(time.Second)
					mu.Lock()
					defer mu.Unlock()
					written[name]++
					return nil
				})
			})
		}
		wg.Wait()
		if written["old"] < 1 || written["new"] < 1 {
			t.Errorf("written: %v", written)
		}
	})
}

func TestFlightLeaderGoesAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f flights
		ctx, cancel := context.WithCancel(t.Context())
		var led, followed error
		var wg sync.WaitGroup
		wg.Go(func() {
			led = f.do(ctx, flightOf("a", ""), func() error { <-ctx.Done(); return ctx.Err() })
		})
		synctest.Wait()
		wg.Go(func() {
			followed = f.do(t.Context(), flightOf("a", ""), func() error { return errBoom })
		})
		synctest.Wait()
		cancel()
		wg.Wait()
		if !errors.Is(led, context.Canceled) || !errors.Is(followed, errBoom) {
			t.Errorf("leader got %v, follower %v", led, followed)
		}
	})
}

func TestFlightFollowerGoesAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f flights
		done := make(chan error, 1)
		go func() {
			done <- f.do(t.Context(), flightOf("a", ""), func() error { time.Sleep(time.Hour); return nil })
		}()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := f.do(ctx, flightOf("a", ""), func() error { t.Error("ran twice"); return nil })
		if e := asError(t, err); !errors.Is(err, context.DeadlineExceeded) || !e.Unsent {
			t.Errorf("follower got %+v", e)
		}
		if err := <-done; err != nil {
			t.Errorf("leader got %v", err)
		}
	})
}

func TestFlightLeaderPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f flights
		go func() {
			defer func() { _ = recover() }()
			_ = f.do(t.Context(), flightOf("a", ""), func() error { time.Sleep(time.Second); panic("x") })
		}()
		synctest.Wait()
		if err := f.do(t.Context(), flightOf("a", ""), func() error { return errBoom }); !errors.Is(err, errBoom) {
			t.Errorf("follower got %v", err)
		}
	})
}
