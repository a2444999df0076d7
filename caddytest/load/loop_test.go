package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

func TestDueAt(t *testing.T) {
	began := time.Unix(1000, 0)
	for _, tc := range []struct {
		name string
		i    int64
		rate int
		want time.Duration
	}{
		{"the first at once", 0, 200, 0},
		{"the second", 1, 200, 5 * time.Millisecond},
		{"after a second", 200, 200, time.Second},
		{"no drift", 3_000_000, 3, 1_000_000 * time.Second},
		{"a day at a high rate", 86_400 * 100_000, 100_000, 24 * time.Hour},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := dueAt(began, tc.i, tc.rate).Sub(began); got != tc.want {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
}

// TestDueAtIsEven: requests keep their distance, to the nanosecond.
func TestDueAtIsEven(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.IntRange(1, maxRate).Draw(t, "rate")
		i := rapid.Int64Range(0, 1e9).Draw(t, "i")
		began := time.Unix(0, 0)
		gap := dueAt(began, i+1, rate).Sub(dueAt(began, i, rate))
		if want := time.Second / time.Duration(rate); gap < want-time.Nanosecond || gap > want+time.Duration(rate) {
			t.Fatalf("gap of %v, want %v", gap, want)
		}
	})
}

func TestSleepUntil(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		due := time.Now().Add(3 * time.Second)
		if err := sleepUntil(t.Context(), due); err != nil || !time.Now().Equal(due) {
			t.Errorf("woke %v late, %v", time.Since(due), err)
		}
		if err := sleepUntil(t.Context(), due.Add(-time.Hour)); err != nil || !time.Now().Equal(due) {
			t.Errorf("slept for what is past, %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		if err := sleepUntil(ctx, due.Add(time.Hour)); !errors.Is(err, context.Canceled) || time.Since(due) != time.Second {
			t.Errorf("canceled: %v after %v", err, time.Since(due))
		}
	})
}

// counting is a server that answers success, and calls before with the number of
// the request.
func counting(t *testing.T, before func(n int64)) (addr string, count *atomic.Int64) {
	t.Helper()
	count = new(atomic.Int64)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n := count.Add(1)
		if before != nil {
			before(n)
		}
		_, _ = w.Write([]byte(success))
	}))
	t.Cleanup(srv.Close)
	return srv.Listener.Addr().String(), count
}

func asks(n int) []feed {
	return same(n, fixed{[]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), success})
}

// TestOpenLoopOmitsNothing: a server that stands still once makes all requests late
// that were due meanwhile, not just those it had.
func TestOpenLoopOmitsNothing(t *testing.T) {
	const rate, stall = 200, 300 * time.Millisecond
	addr, count := counting(t, func(n int64) {
		if n == 20 {
			time.Sleep(stall)
		}
	})
	workers := newWorkers(addr, asks(1))
	defer closeAll(workers)
	r, err := openLoop(t.Context(), workers, rate, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if r.n != rate || count.Load() != rate || len(workers[0].due) != rate {
		t.Errorf("%d requests, %d at the server, %d noted, want %d", r.n, count.Load(), len(workers[0].due), rate)
	}
	late := 0
	for _, d := range r.latencies {
		if d >= stall/2 {
			late++
		}
	}
	if want := int(stall.Seconds() * rate / 2); late < want {
		t.Errorf("%d requests took more than %v, want at least %d", late, stall/2, want)
	}
	for i := 1; i < rate; i++ {
		if gap := workers[0].due[i].Sub(workers[0].due[i-1]); gap != time.Second/rate {
			t.Fatalf("request %d was due %v after the one before it", i, gap)
		}
	}
	if r.elapsed < time.Second-time.Second/rate {
		t.Errorf("it took %v", r.elapsed)
	}
}

func TestClosedLoop(t *testing.T) {
	t.Run("time", func(t *testing.T) {
		addr, count := counting(t, nil)
		workers := newWorkers(addr, asks(3))
		defer closeAll(workers)
		for range 2 { // a second run begins anew
			count.Store(0)
			r, err := closedLoop(t.Context(), workers, 50*time.Millisecond)
			if err != nil || r.n == 0 || int64(r.n) != count.Load() || len(r.latencies) != r.n || r.elapsed < 50*time.Millisecond {
				t.Errorf("%d of %d requests in %v, %v", r.n, count.Load(), r.elapsed, err)
			}
		}
	})
	t.Run("feeds that end", func(t *testing.T) {
		addr, count := counting(t, nil)
		tmpl := newSigner(addr).plain()
		workers := newWorkers(addr, []feed{
			&pushes{walk: walk{count: 2, limit: 5}, t: tmpl.clone()},
			&pushes{walk: walk{first: 2, count: 1, limit: 2}, t: tmpl.clone()},
		})
		defer closeAll(workers)
		r, err := closedLoop(t.Context(), workers, time.Hour)
		if err != nil || r.n != 7 || count.Load() != 7 {
			t.Errorf("%d of %d requests, want 7, %v", r.n, count.Load(), err)
		}
	})
	t.Run("a wrong answer", func(t *testing.T) {
		addr, _ := counting(t, nil)
		workers := newWorkers(addr, same(1, fixed{asks(1)[0].(*fixed).raw, "other"}))
		defer closeAll(workers)
		if _, err := closedLoop(t.Context(), workers, time.Hour); err == nil {
			t.Error("it was taken")
		}
	})
	t.Run("canceled", func(t *testing.T) {
		addr, _ := counting(t, nil)
		workers := newWorkers(addr, asks(2))
		defer closeAll(workers)
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if _, err := closedLoop(ctx, workers, time.Hour); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("nobody there", func(t *testing.T) {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ln.Close()
		if _, err := closedLoop(t.Context(), newWorkers(ln.Addr().String(), asks(1)), time.Hour); err == nil {
			t.Error("no error")
		}
	})
}

func TestTogether(t *testing.T) {
	got := together(
		run{n: 2, elapsed: time.Second, latencies: durations(3, 9), again: 1},
		run{n: 1, elapsed: time.Second, latencies: durations(5)},
	)
	if got.n != 3 || got.rate() != 1.5 || got.again != 1 || percentile(got.latencies, 0.5) != 5*time.Millisecond {
		t.Errorf("got %+v", got)
	}
}
