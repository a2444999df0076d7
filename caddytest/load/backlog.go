package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

const (
	// backlogEach is how many messages each user has waiting.
	backlogEach = 20

	// backlogConnections push them.
	backlogConnections = 64

	// pileFor bounds how long they push.
	pileFor = 10 * time.Minute

	// stalledFor is how long nothing may be handed on while something waits.
	stalledFor = 5 * time.Second
)

// runIdle compares the memory of a Caddy with the bridge to that of one without.
func runIdle(ctx context.Context, b *bench, _ int) (r round, err error) {
	sk, err := newSink("")
	if err != nil {
		return r, err
	}
	defer sk.close()
	plain, began, err := b.plainCaddy(ctx)
	if err != nil {
		return r, err
	}
	s, err := b.place()
	if err != nil {
		return r, err
	}
	defer os.RemoveAll(s.dir)
	took, err := s.start(ctx, bridged(sk, setup{})(s))
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	if err := s.await(ctx, s.bridge, newSigner(s.bridge).plain().fill(message{})); err != nil {
		return r, fmt.Errorf("asking the bridge: %w", err)
	}
	if err := await(ctx, sk.bot, 1, b.o.drain); err != nil {
		return r, err
	}
	if err := sleepUntil(ctx, time.Now().Add(b.o.idleFor())); err != nil {
		return r, err
	}
	mem := s.memory()
	r.readings = []reading{
		{"resident memory", "MiB", mem.now, plain.now},
		alone("above plain Caddy", "MiB", mem.now-plain.now),
		{"start", "s", took.Seconds(), began.Seconds()},
	}
	return r, nil
}

// plainCaddy is a Caddy without the bridge: its memory when idle, and how long it
// takes to start.
func (b *bench) plainCaddy(ctx context.Context) (mem memory, took time.Duration, err error) {
	s, err := b.place()
	if err != nil {
		return mem, 0, err
	}
	defer os.RemoveAll(s.dir)
	if took, err = s.start(ctx, setup{}); err != nil {
		return mem, 0, err
	}
	err = sleepUntil(ctx, time.Now().Add(b.o.idleFor()))
	mem = s.memory()
	return mem, took, errors.Join(err, s.stop())
}

// runBacklog has messages wait for a bot that is down, restarts Caddy, and lets the
// bot come back.
func runBacklog(ctx context.Context, b *bench, n int) (r round, err error) {
	sk, err := newSink("")
	if err != nil {
		return r, err
	}
	defer sk.close()
	plain, began, err := b.plainCaddy(ctx)
	if err != nil {
		return r, err
	}
	s, err := b.place()
	if err != nil {
		return r, err
	}
	defer os.RemoveAll(s.dir)
	c := bridged(sk, setup{})(s)
	if _, err := s.start(ctx, c); err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, s.stop()) }()

	// Messages of the first users are handed on from an otherwise empty journal.
	few := min(max(n/5, backlogEach), 20_000)
	sk.be(holding)
	if _, err := b.pile(ctx, s, few, 0); err != nil {
		return r, err
	}
	empty, _, err := b.handOn(ctx, sk, few)
	if err != nil {
		return r, err
	}

	sk.be(down)
	piled, err := b.pile(ctx, s, n, users(few))
	if err != nil {
		return r, err
	}
	if err := s.stop(); err != nil {
		return r, err
	}
	restart, err := s.restart(ctx, c, users(few)+users(n))
	if err != nil {
		return r, err
	}
	if err := sleepUntil(ctx, time.Now().Add(b.o.idleFor())); err != nil {
		return r, err
	}
	mem := s.memory()
	r.readings = []reading{
		alone("piled up", "/s", piled.rate()),
		{"restart", "s", restart.Seconds(), began.Seconds()},
		{"resident memory", "MiB", mem.now, plain.now},
		alone("above plain Caddy", "MiB", mem.now-plain.now),
	}
	return b.drainBacklog(ctx, s, sk, r, empty, n+1)
}

// drainBacklog lets the bot come back.
func (b *bench) drainBacklog(ctx context.Context, s *server, sk *sink, r round, empty float64, n int) (round, error) {
	rate, left, err := b.handOn(ctx, sk, n)
	t := sk.bot.sum()
	if left > 0 && err == nil {
		r.notes = append(r.notes, fmt.Sprintf("handing on was not waited for longer than %v: %d messages still waited", b.o.drain, left))
	}
	r.readings = append(r.readings,
		alone("handed on, empty journal", "/s", empty),
		alone("handed on", "/s", rate),
		alone("of an empty journal's", "", rate/empty),
		alone("peak memory", "MiB", s.memory().peak),
		alone(figureLost, "", float64(t.Gaps)),
		alone(figureDuplicates, "", float64(t.Duplicates)),
		alone(figureDisorder, "", float64(t.Disorder)),
	)
	return r, err
}

// users is how many it takes to say so many things.
func users(n int) int { return (n + backlogEach - 1) / backlogEach }

// pile pushes n messages of users from first on, as fast as they are taken.
func (b *bench) pile(ctx context.Context, s *server, n, first int) (run, error) {
	t := newSigner(s.bridge).plain()
	count := users(n)
	conns := min(backlogConnections, count)
	var feeds []feed
	for i := range conns {
		// Each connection has its share of the users, and of the messages.
		from, to := count*i/conns, count*(i+1)/conns
		limit := min(to*backlogEach, n) - min(from*backlogEach, n)
		feeds = append(feeds, &pushes{walk: walk{first: first + from, count: to - from, limit: limit}, t: t.clone()})
	}
	workers := newWorkers(s.bridge, feeds)
	defer closeAll(workers)
	r, err := closedLoop(ctx, workers, pileFor)
	if err == nil && r.n < n {
		err = fmt.Errorf("after %v there were only %d of %d", pileFor, r.n, n)
	}
	if err != nil {
		return r, fmt.Errorf("piling up: %w", err)
	}
	return r, nil
}

// restart starts Caddy again, and tells how long it was until a push was answered.
func (s *server) restart(ctx context.Context, c setup, user int) (time.Duration, error) {
	raw := newSigner(s.bridge).plain().fill(message{user, 0})
	began := time.Now()
	if _, err := s.start(ctx, c); err != nil {
		return 0, err
	}
	if err := s.await(ctx, s.bridge, raw); err != nil {
		return 0, fmt.Errorf("restarting Caddy: %w\n%s", err, s.child.log)
	}
	return time.Since(began), nil
}

// handOn lets the bot come back, all calls at once, until n messages more have reached it, or the time is
// over: left is how many had not by then.
func (b *bench) handOn(ctx context.Context, sk *sink, n int) (rate float64, left int, err error) {
	// Whoever waits to try again shall be there when the bot is.
	sk.be(holding)
	if err := sleepUntil(ctx, time.Now().Add(b.o.holdFor())); err != nil {
		return unknown(), n, err
	}
	had := sk.bot.distinct()
	sk.be(answering)
	err = await(ctx, sk.bot, had+n, b.o.drain)
	all := sk.bot.arrivals(had)
	if left = n - len(all); errors.Is(err, errSlow) {
		err = nil
		if len(all) == 0 || time.Since(all[len(all)-1].At) > stalledFor {
			err = fmt.Errorf("handing on has stopped with %d of %d messages missing", left, n)
		}
	}
	return middleRate(times(all)), left, err
}
