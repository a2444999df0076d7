package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"
)

const (
	// underWay is how many messages may be between their push and the reply to it.
	underWay = 512

	// asking is how often the simulators are asked how far they are.
	asking = 10 * time.Millisecond
)

// throttled are pushes that wait while too many are under way.
type throttled struct {
	pushes
	ctx        context.Context
	sent, seen *atomic.Int64 // of all connections
	at         []time.Time   // when each was sent
}

func (f *throttled) next() ([]byte, bool) {
	for f.sent.Load()-f.seen.Load() >= underWay {
		if sleepUntil(f.ctx, time.Now().Add(time.Millisecond)) != nil {
			return nil, false
		}
	}
	f.sent.Add(1)
	f.at = append(f.at, time.Now())
	return f.pushes.next()
}

// runEndToEnd is the whole way, through both simulators.
func runEndToEnd(ctx context.Context, b *bench, conns int) (r round, err error) {
	s, err := b.place()
	if err != nil {
		return r, err
	}
	defer os.RemoveAll(s.dir)
	cl, err := startClouds(ctx, s.webhook(), conns*usersEach)
	if err != nil {
		return r, err
	}
	// Caddy would wait for connections that the simulators have made and not used.
	defer func() { err = errors.Join(err, cl.stop(), s.stop()) }()
	if _, err := s.start(ctx, setup{bridge: true, wechat: cl.WeChat, bot: cl.Bot}); err != nil {
		return r, err
	}
	return b.endToEnd(ctx, s, cl, conns)
}

func (b *bench) endToEnd(ctx context.Context, s *server, cl *clouds, conns int) (r round, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var sent, seen atomic.Int64
	asked := make(chan error, 1)
	go func() { asked <- follow(ctx, cl, &seen) }()

	t := newSigner(s.bridge).plain()
	var feeds []feed
	var all []*throttled
	for i := range conns {
		f := &throttled{pushes: pushes{walk: walkOf(i), t: t.clone()}, ctx: ctx, sent: &sent, seen: &seen}
		feeds, all = append(feeds, f), append(all, f)
	}
	workers := newWorkers(s.bridge, feeds)
	defer closeAll(workers)
	if _, err := closedLoop(ctx, workers, b.o.duration); err != nil {
		return r, fmt.Errorf("asking the bridge: %w", err)
	}
	from := time.Now()
	m, err := b.profiled(ctx, s, closedLoop, workers, 3*b.o.duration)
	if err != nil {
		return r, fmt.Errorf("asking the bridge: %w", err)
	}
	to := time.Now()
	n := int(sent.Load())
	for deadline := to.Add(b.o.drain); int(seen.Load()) < n && time.Now().Before(deadline); {
		if err := sleepUntil(ctx, time.Now().Add(asking)); err != nil {
			return r, err
		}
	}
	if err := sleepUntil(ctx, time.Now().Add(settleFor)); err != nil {
		return r, err
	}
	mem := s.memory()
	cancel()
	if err := <-asked; err != nil {
		return r, err
	}
	c, err := cl.count(context.WithoutCancel(ctx), true)
	if err != nil {
		return r, err
	}
	rate := rateBetween(times(c.Stamps), from, to)
	r.readings = []reading{alone("sustained", "/s", rate)}
	r.readings = append(r.readings, latencies("push to user ", travelled(sendTimes(all, from), c.Stamps), nil)...)
	r.readings = append(r.readings,
		alone("CPU", "s/1000", m.cpu/(rate*to.Sub(from).Seconds())*1000),
		alone("allocations", "per message", m.allocs/(rate*to.Sub(from).Seconds())),
		alone("peak memory", "MiB", mem.peak),
	)
	both := tally{min(c.Bot.Distinct, c.Seen.Distinct), c.Bot.Duplicates + c.Seen.Duplicates, c.Bot.Disorder + c.Seen.Disorder, 0}
	r.readings = append(r.readings, losses(both, n)...)
	return r, nil
}

// sendTimes is when each message was sent, of those from a time on.
func sendTimes(feeds []*throttled, from time.Time) map[message]time.Time {
	all := make(map[message]time.Time)
	for _, f := range feeds {
		for k, at := range f.at {
			if !at.Before(from) {
				all[f.pushes.at(k)] = at
			}
		}
	}
	return all
}

// follow keeps asking how many replies have been seen.
func follow(ctx context.Context, cl *clouds, seen *atomic.Int64) error {
	for {
		c, err := cl.count(ctx, false)
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		seen.Store(int64(c.Seen.Distinct))
		if sleepUntil(ctx, time.Now().Add(asking)) != nil {
			return nil
		}
	}
}
