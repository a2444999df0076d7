package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// passiveProbe is how many pushes show whether there are passive replies at all.
const passiveProbe = 8

// runPassive is callbacks that are held until the bot's reply is there.
func runPassive(ctx context.Context, b *bench, conns int) (r round, err error) {
	sk, err := newSink(wanted)
	if err != nil {
		return r, err
	}
	defer sk.close()
	err = b.served(ctx, bridged(sk, setup{reply: "auto"}), func(s *server) error {
		r, err = b.passive(ctx, s, sk, conns)
		return err
	})
	return r, err
}

func (b *bench) passive(ctx context.Context, s *server, sk *sink, conns int) (r round, err error) {
	t := newSigner(s.bridge).plain()
	var feeds []feed
	var all []*replied
	for i := range conns {
		f := &replied{pushes: pushes{walk: walkOf(i), t: t.clone()}, received: func(m message) { sk.seen.note(m) }}
		feeds, all = append(feeds, f), append(all, f)
	}
	workers := newWorkers(s.bridge, feeds)
	defer closeAll(workers)
	for range passiveProbe {
		if _, err := workers[0].once(ctx, time.Now()); err != nil {
			return r, fmt.Errorf("asking the bridge: %w", err)
		}
	}
	if all[0].passive == 0 {
		r.notes = append(r.notes, "not supported: callbacks are answered success at once, and replies go by push")
		return r, nil
	}
	if _, err := closedLoop(ctx, workers, b.o.warmFor()); err != nil {
		return r, fmt.Errorf("asking the bridge: %w", err)
	}
	m, err := b.profiled(ctx, s, closedLoop, workers, b.o.duration)
	if err != nil {
		return r, fmt.Errorf("asking the bridge: %w", err)
	}
	sent, passive := 0, 0
	for _, f := range all {
		sent, passive = sent+f.k, passive+f.passive
	}
	err = await(ctx, sk.seen, sent, b.o.drain)
	if errors.Is(err, errSlow) {
		err = fmt.Errorf("after %v, replies were missing", b.o.drain)
	}
	none := measured{cpu: unknown(), allocs: unknown()}
	r.readings = append(compare(m, none, s.memory()),
		alone("answered by the reply", "%", 100*float64(passive)/float64(sent)),
		alone("webhooks failed", "", float64(sk.failed.Load())))
	r.count(sk, sent)
	return r, err
}
