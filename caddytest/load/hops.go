package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// The two ways of hops.
const (
	toBot    = "push to bot "
	toWeChat = "bot to WeChat "
)

// runHops is messages at a fixed rate, through the bridge and back.
func runHops(ctx context.Context, b *bench, rate int) (r round, err error) {
	sk, err := newSink(wanted)
	if err != nil {
		return r, err
	}
	defer sk.close()
	err = b.served(ctx, bridged(sk, setup{}), func(s *server) error {
		r, err = b.hops(ctx, s, sk, rate)
		return err
	})
	return r, err
}

func (b *bench) hops(ctx context.Context, s *server, sk *sink, rate int) (r round, err error) {
	feeds, walks, err := volume{conns: openConnections}.feeds(newSigner(s.bridge), 0)
	if err != nil {
		return r, err
	}
	workers := newWorkers(s.bridge, feeds)
	defer closeAll(workers)
	// The first message of a user has the bridge introduce the user to the bot, and
	// list the conversation.
	for _, w := range workers {
		for range usersEach {
			if _, err := w.once(ctx, time.Now()); err != nil {
				return r, fmt.Errorf("asking the bridge: %w", err)
			}
		}
	}
	warm := total(walks)
	if err := await(ctx, sk.seen, warm, b.o.drain); err != nil {
		return r, fmt.Errorf("waiting for the first replies: %w", err)
	}
	m, err := b.profiled(ctx, s, func(ctx context.Context, workers []*worker, d time.Duration) (run, error) {
		return openLoop(ctx, workers, rate, d)
	}, workers, b.o.openFor())
	if err != nil {
		return r, fmt.Errorf("asking the bridge: %w", err)
	}
	sent := total(walks)
	err = await(ctx, sk.seen, sent, b.o.drain)
	if errors.Is(err, errSlow) {
		err = fmt.Errorf("after %v, replies were missing at WeChat's API", b.o.drain)
	}

	there := travelled(dueTimes(workers, walks), sk.bot.arrivals(warm))
	back := travelled(byMessage(sk.posted.arrivals(warm)), sk.seen.arrivals(warm))
	r.readings = append(latencies(toBot, there, nil), latencies(toWeChat, back, nil)...)
	r.readings = append(r.readings, latencies("callback ", m.latencies, nil)...)
	r.readings = append(r.readings,
		alone("CPU", "s/1000", m.cpu/float64(m.n)*1000),
		alone("allocations", "per message", m.allocs/float64(m.n)),
		alone("peak memory", "MiB", s.memory().peak),
		alone("webhooks failed", "", float64(sk.failed.Load())),
	)
	r.count(sk, sent)
	return r, err
}

// count adds what was lost on either way.
func (r *round) count(sk *sink, sent int) {
	at, seen := sk.bot.sum(), sk.seen.sum()
	both := tally{
		Distinct:   min(at.Distinct, seen.Distinct),
		Duplicates: at.Duplicates + seen.Duplicates,
		Disorder:   at.Disorder + seen.Disorder,
	}
	r.readings = append(r.readings, losses(both, sent)...)
}

// dueTimes is when each message of an open loop was due.
func dueTimes(workers []*worker, walks []*walk) map[message]time.Time {
	all := make(map[message]time.Time)
	for i, w := range workers {
		first := walks[i].k - len(w.due) // those before were not of this run
		for k, at := range w.due {
			all[walks[i].at(first+k)] = at
		}
	}
	return all
}

func byMessage(stamps []stamp) map[message]time.Time {
	all := make(map[message]time.Time, len(stamps))
	for _, s := range stamps {
		all[message{s.User, s.Seq}] = s.At
	}
	return all
}

// travelled is how long messages took from there to here, sorted.
func travelled(from map[message]time.Time, to []stamp) []time.Duration {
	var all []time.Duration
	for _, s := range to {
		if began, ok := from[message{s.User, s.Seq}]; ok {
			all = append(all, s.At.Sub(began))
		}
	}
	slices.Sort(all)
	return all
}
