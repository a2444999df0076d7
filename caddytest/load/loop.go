package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// worker is a connection with what it says.
type worker struct {
	*client
	feed feed

	latencies []time.Duration // of the present run
	due       []time.Time     // of the present run, in an open loop only
	err       error
}

func newWorkers(addr string, feeds []feed) []*worker {
	all := make([]*worker, len(feeds))
	for i, f := range feeds {
		all[i] = &worker{client: newClient(addr), feed: f}
	}
	return all
}

func closeAll(workers []*worker) {
	for _, w := range workers {
		w.close()
	}
}

// run is what came of one run of a loop.
type run struct {
	n         int
	elapsed   time.Duration
	latencies []time.Duration // sorted
	again     int             // requests that were sent again on another connection
}

func (r run) rate() float64 {
	if r.elapsed <= 0 {
		return unknown()
	}
	return float64(r.n) / r.elapsed.Seconds()
}

// together makes one run of several.
func together(runs ...run) run {
	var all run
	for _, r := range runs {
		all.n += r.n
		all.elapsed += r.elapsed
		all.again += r.again
		all.latencies = append(all.latencies, r.latencies...)
	}
	slices.Sort(all.latencies)
	return all
}

// closedLoop has each worker make one request after the other, until the time is
// over or its feed has ended.
func closedLoop(ctx context.Context, workers []*worker, d time.Duration) (run, error) {
	return runAll(ctx, workers, func(w *worker, began time.Time) error {
		end := began.Add(d)
		for at := time.Now(); at.Before(end) && ctx.Err() == nil; {
			done, err := w.once(ctx, at)
			if err != nil || done.IsZero() {
				return err
			}
			at = done
		}
		return ctx.Err()
	})
}

// openLoop makes requests at a fixed rate by whichever worker is free. A request
// is due when its turn has come, whatever became of those before it, and that is
// when its latency begins.
func openLoop(ctx context.Context, workers []*worker, rate int, d time.Duration) (run, error) {
	n := int64(d.Seconds() * float64(rate))
	var next atomic.Int64
	return runAll(ctx, workers, func(w *worker, began time.Time) error {
		for {
			i := next.Add(1) - 1
			if i >= n {
				return nil
			}
			due := dueAt(began, i, rate)
			if err := sleepUntil(ctx, due); err != nil {
				return err
			}
			w.due = append(w.due, due)
			done, err := w.once(ctx, due)
			if err != nil {
				return err
			}
			if done.IsZero() {
				return errors.New("the prepared requests have run out")
			}
		}
	})
}

// dueAt is when request i of an open loop is due.
func dueAt(began time.Time, i int64, rate int) time.Time {
	whole, rest := i/int64(rate), i%int64(rate)
	return began.Add(time.Duration(whole)*time.Second + time.Duration(rest)*time.Second/time.Duration(rate))
}

func sleepUntil(ctx context.Context, t time.Time) error {
	d := time.Until(t)
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// once makes one request, whose latency counts from when it was due. It returns
// when the answer was there, the zero time if there was no request left.
func (w *worker) once(ctx context.Context, due time.Time) (time.Time, error) {
	raw, ok := w.feed.next()
	if !ok {
		return time.Time{}, nil
	}
	a, err := w.do(ctx, raw)
	if err != nil {
		return time.Time{}, err
	}
	if err := w.feed.judge(a); err != nil {
		return time.Time{}, err
	}
	now := time.Now()
	w.latencies = append(w.latencies, now.Sub(due))
	return now, nil
}

// runAll connects all workers, starts them at once and waits for them.
func runAll(ctx context.Context, workers []*worker, work func(w *worker, began time.Time) error) (run, error) {
	for _, w := range workers {
		if err := w.connect(ctx); err != nil {
			return run{}, err
		}
		w.latencies, w.due, w.err = w.latencies[:0], w.due[:0], nil
		w.again = 0
	}
	var wg sync.WaitGroup
	began := time.Now()
	for _, w := range workers {
		wg.Go(func() { w.err = work(w, began) })
	}
	wg.Wait()
	r := run{elapsed: time.Since(began)}
	for _, w := range workers {
		if w.err != nil {
			return r, fmt.Errorf("making requests: %w", w.err)
		}
		r.n += len(w.latencies)
		r.again += w.again
		r.latencies = append(r.latencies, w.latencies...)
	}
	slices.Sort(r.latencies)
	return r, nil
}
