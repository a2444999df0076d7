package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	// usersEach is how many users each connection speaks for.
	usersEach = 4

	// preparedMost bounds how many encrypted pushes are in memory, a kilobyte each.
	preparedMost = 500_000
)

// walkOf is what connection i says.
func walkOf(i int) walk { return walk{first: i * usersEach, count: usersEach} }

// same gives all connections the same.
func same(n int, f fixed) []feed {
	all := make([]feed, n)
	for i := range all {
		one := f
		all[i] = &one
	}
	return all
}

// runGet is WeChat's check of the URL.
func runGet(ctx context.Context, b *bench, conns int) (round, error) {
	return b.idempotent(ctx, conns, 0, func(s *signer) fixed {
		raw, want := s.verification()
		return fixed{[]byte(raw), want}
	})
}

// runDuplicate is a push that was taken long ago.
func runDuplicate(ctx context.Context, b *bench, conns int) (round, error) {
	return b.idempotent(ctx, conns, 1, func(s *signer) fixed {
		return fixed{s.plain().fill(message{}), success}
	})
}

// idempotent asks the same again and again, of which the bot hears so many
// messages.
func (b *bench) idempotent(ctx context.Context, conns, heard int, ask func(*signer) fixed) (r round, err error) {
	sk, err := newSink("")
	if err != nil {
		return r, err
	}
	defer sk.close()
	err = b.served(ctx, bridged(sk, setup{}), func(s *server) error {
		v := b.versus(closedLoop, b.o.duration)
		v.respond = same(conns, fixed{ask(newSigner(s.respond)).raw, success})
		v.bridge = func(float64) ([]feed, error) {
			return same(conns, ask(newSigner(s.bridge))), nil
		}
		m, base, err := v.run(ctx, s)
		if err != nil {
			return err
		}
		r.readings = compare(m, base, s.memory())
		r.readings = append(r.readings, alone("reconnections", "", float64(m.again)))
		if heard == 0 {
			return nil
		}
		more, err := handedOn(ctx, sk, heard, b.o.drain)
		r.readings = append(r.readings, more...)
		return err
	})
	return r, err
}

// bridged is a setup with a sink on both sides.
func bridged(sk *sink, c setup) func(*server) setup {
	c.bridge, c.wechat, c.bot = true, sk.base, sk.base
	return func(s *server) setup {
		if sk.hook == wanted {
			sk.hook = s.webhook()
		}
		return c
	}
}

// wanted stands for a webhook whose address is not known yet.
const wanted = "wanted"

// runPlain, runSafe and runNormal are new pushes as fast as they are answered.
func runPlain(ctx context.Context, b *bench, conns int) (round, error) {
	return b.volume(ctx, volume{conns: conns})
}

func runSafe(ctx context.Context, b *bench, conns int) (round, error) {
	return b.volume(ctx, volume{conns: conns, setup: setup{encryption: "safe"}})
}

func runNormal(ctx context.Context, b *bench, conns int) (round, error) {
	return b.volume(ctx, volume{conns: conns, setup: setup{sync: "normal"}})
}

// runLatency is new pushes at a fixed rate.
func runLatency(ctx context.Context, b *bench, rate int) (round, error) {
	return b.volume(ctx, volume{conns: openConnections, rate: rate})
}

// openConnections is how many requests of an open loop can be under way.
const openConnections = 64

// volume is a scenario of new pushes.
type volume struct {
	setup
	conns int
	rate  int // of an open loop; 0: a closed one
}

func (b *bench) volume(ctx context.Context, o volume) (r round, err error) {
	sk, err := newSink("")
	if err != nil {
		return r, err
	}
	defer sk.close()
	err = b.served(ctx, bridged(sk, o.setup), func(s *server) error {
		v, walks, err := b.versusOf(o, s)
		if err != nil {
			return err
		}
		sk.be(holding)
		m, base, err := v.run(ctx, s)
		if err != nil {
			return err
		}
		r.readings = compare(m, base, s.memory())
		sent := total(*walks)
		sk.be(answering)
		r.readings = append(r.readings, alone("reconnections", "", float64(m.again)))
		more, err := handedOn(ctx, sk, sent, b.o.drain)
		r.readings = append(r.readings, more...)
		return err
	})
	return r, err
}

// versusOf prepares a volume. The walks are those of its feeds, once they are made.
func (b *bench) versusOf(o volume, s *server) (versus, *[]*walk, error) {
	v := b.versus(closedLoop, b.o.duration)
	if o.rate > 0 {
		v.d = b.o.openFor()
		v.loop = func(ctx context.Context, workers []*worker, d time.Duration) (run, error) {
			return openLoop(ctx, workers, o.rate, d)
		}
	}
	raw, err := o.example(newSigner(s.respond))
	if err != nil {
		return v, nil, err
	}
	v.respond = same(o.conns, fixed{raw, success})
	walks := new([]*walk)
	v.bridge = func(perSecond float64) (all []feed, err error) {
		each := int(min(perSecond*(v.d+v.warm).Seconds(), preparedMost))/o.conns + 1
		all, *walks, err = o.feeds(newSigner(s.bridge), each)
		return all, err
	}
	return v, walks, nil
}

// example is one push, for respond: as long as those that the bridge gets.
func (o volume) example(sg *signer) ([]byte, error) {
	if o.encryption != "safe" {
		return sg.plain().fill(message{}), nil
	}
	safe, err := sg.safe()
	if err != nil {
		return nil, err
	}
	return safe.seal(message{})
}

// feeds are distinct pushes for all connections; where they are encrypted, so many
// for each.
func (o volume) feeds(sg *signer, each int) (all []feed, walks []*walk, err error) {
	plain := sg.plain()
	safe, err := sg.safe()
	if err != nil {
		return nil, nil, err
	}
	for i := range o.conns {
		if o.encryption != "safe" {
			f := &pushes{walk: walkOf(i), t: plain.clone()}
			all, walks = append(all, f), append(walks, &f.walk)
			continue
		}
		f, err := prepare(safe, walkOf(i), each)
		if err != nil {
			return nil, nil, err
		}
		all, walks = append(all, f), append(walks, &f.walk)
	}
	return all, walks, nil
}

// total is how many messages were sent.
func total(walks []*walk) int {
	n := 0
	for _, w := range walks {
		n += w.k
	}
	return n
}

// handedOn waits until all pushes have reached the bot.
func handedOn(ctx context.Context, sk *sink, sent int, within time.Duration) ([]reading, error) {
	err := await(ctx, sk.bot, sent, within)
	t := sk.bot.sum()
	all := []reading{alone("handed on", "/s", middleRate(times(sk.bot.arrivals(0))))}
	if errors.Is(err, errSlow) {
		err = fmt.Errorf("after %v, %d of %d pushes had not reached the bot", within, sent-t.Distinct, sent)
	}
	return append(all, losses(t, sent)...), err
}
