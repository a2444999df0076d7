package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// bench is where scenarios run.
type bench struct {
	o    *options
	root string // what is below it is ours
	made int    // directories
	now  string // what is measured, as part of a file's name
}

// served runs Caddy for as long as do takes, with a directory of its own.
func (b *bench) served(ctx context.Context, c func(*server) setup, do func(*server) error) error {
	s, err := b.place()
	if err != nil {
		return err
	}
	defer os.RemoveAll(s.dir)
	if _, err := s.start(ctx, c(s)); err != nil {
		return err
	}
	err = do(s)
	return errors.Join(err, s.stop())
}

// versus begins a comparison.
func (b *bench) versus(l loop, d time.Duration) versus {
	return versus{b: b, loop: l, d: d, warm: b.o.warmFor()}
}

// place makes a server that has not been started.
func (b *bench) place() (*server, error) {
	b.made++
	dir := filepath.Join(b.root, strconv.Itoa(b.made))
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making a directory: %w", err)
	}
	return newServer(dir)
}

// measured is a run with what the server used for it.
type measured struct {
	run
	cpu    float64 // seconds
	allocs float64 // objects
}

// loop is how requests are made.
type loop func(context.Context, []*worker, time.Duration) (run, error)

// measure runs a loop and looks what it cost the server.
func measure(ctx context.Context, s *server, l loop, workers []*worker, d time.Duration) (measured, error) {
	before := s.usage(ctx)
	r, err := l(ctx, workers, d)
	if err != nil {
		return measured{}, err
	}
	after := s.usage(ctx)
	return measured{r, after.cpu - before.cpu, after.allocs - before.allocs}, nil
}

// versus is what is compared in a round: the same requests to respond and to the
// bridge.
type versus struct {
	b       *bench
	loop    loop
	d, warm time.Duration
	respond []feed

	// bridge makes what the bridge is asked, knowing how many requests a second
	// respond answers.
	bridge func(perSecond float64) ([]feed, error)
}

// run asks respond for half of the time, the bridge for all of it, and respond for
// the other half.
func (v versus) run(ctx context.Context, s *server) (bridge, respond measured, err error) {
	base := newWorkers(s.respond, v.respond)
	defer closeAll(base)
	first, err := v.half(ctx, s, base)
	if err != nil {
		return bridge, respond, fmt.Errorf("asking respond: %w", err)
	}
	feeds, err := v.bridge(first.rate())
	if err != nil {
		return bridge, respond, err
	}
	workers := newWorkers(s.bridge, feeds)
	defer closeAll(workers)
	if _, err = v.loop(ctx, workers, v.warm); err == nil {
		bridge, err = v.b.profiled(ctx, s, v.loop, workers, v.d)
	}
	if err != nil {
		return bridge, respond, fmt.Errorf("asking the bridge: %w", err)
	}
	second, err := v.half(ctx, s, base)
	if err != nil {
		return bridge, respond, fmt.Errorf("asking respond: %w", err)
	}
	respond = measured{together(first.run, second.run), first.cpu + second.cpu, first.allocs + second.allocs}
	return bridge, respond, nil
}

// profiled is measure with a CPU profile of the bridge, if one is wanted.
func (b *bench) profiled(ctx context.Context, s *server, l loop, workers []*worker, d time.Duration) (measured, error) {
	if b.o.profile == "" {
		return measure(ctx, s, l, workers, d)
	}
	p := s.profile(ctx, filepath.Join(b.o.profile, b.now+".pprof"), d)
	m, err := measure(ctx, s, l, workers, d)
	return m, errors.Join(err, p.wait())
}

func (v versus) half(ctx context.Context, s *server, base []*worker) (measured, error) {
	if _, err := v.loop(ctx, base, v.warm/2); err != nil {
		return measured{}, err
	}
	return measure(ctx, s, v.loop, base, v.d/2)
}

// compare is what a round says of a comparison.
func compare(m, base measured, mem memory) []reading {
	perRequest := func(total float64, n int) float64 { return total / float64(n) }
	all := []reading{{"answered", "/s", m.rate(), base.rate()}}
	all = append(all, latencies("", m.latencies, base.latencies)...)
	return append(all,
		reading{"allocations", "per request", perRequest(m.allocs, m.n), perRequest(base.allocs, base.n)},
		reading{"CPU", "s/1000", perRequest(m.cpu, m.n) * 1000, perRequest(base.cpu, base.n) * 1000},
		alone("peak memory", "MiB", mem.peak),
	)
}

// latencies are the percentiles of sorted times, and of those of respond if there
// are any.
func latencies(what string, sorted, respond []time.Duration) []reading {
	var all []reading
	for _, p := range []struct {
		name  string
		share float64
	}{{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p99.9", 0.999}} {
		r := alone(what+p.name, "ms", unknown())
		if len(sorted) > 0 {
			r.value = milliseconds(percentile(sorted, p.share))
		}
		if len(respond) > 0 {
			r.respond = milliseconds(percentile(respond, p.share))
		}
		all = append(all, r)
	}
	return all
}

// settleFor is how long after the last arrival is waited for more: duplicates come
// late.
const settleFor = 300 * time.Millisecond

// errSlow says that what was waited for did not come in time.
var errSlow = errors.New("not in time")

// await waits until so many messages have arrived, or as many as will.
func await(ctx context.Context, l *ledger, n int, within time.Duration) error {
	deadline := time.Now().Add(within)
	for l.distinct() < n {
		if err := sleepUntil(ctx, time.Now().Add(5*time.Millisecond)); err != nil {
			return err
		}
		if time.Now().After(deadline) {
			return errSlow
		}
	}
	return sleepUntil(ctx, time.Now().Add(settleFor))
}

// Names of the figures that have to be 0.
const (
	figureLost       = "lost"
	figureDuplicates = "duplicates"
	figureDisorder   = "out of order"
)

// losses compares what arrived with what was sent.
func losses(t tally, sent int) []reading {
	return []reading{
		alone(figureLost, "", float64(max(sent-t.Distinct, 0))),
		alone(figureDuplicates, "", float64(t.Duplicates)),
		alone(figureDisorder, "", float64(t.Disorder)),
	}
}
