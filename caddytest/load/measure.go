package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// measureAll runs what was asked for, round by round. If ctx ends, it returns what
// it has; its error is that nothing could be begun. What it is doing goes to
// progress.
func measureAll(ctx context.Context, o *options, progress io.Writer) (_ *report, err error) {
	root, err := os.MkdirTemp(o.dir, "caddy-wechat-load-")
	if err != nil {
		return nil, fmt.Errorf("making a place for data: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(root)) }()
	if root, err = filepath.Abs(root); err != nil {
		return nil, fmt.Errorf("locating the place for data: %w", err)
	}
	b := &bench{o: o, root: root}
	r := newReport(o, fileSystem(root))

	plan, began := planned(o), time.Now()
	for _, p := range plan {
		r.outcomes = append(r.outcomes, p.outcome)
	}
	for n := range o.rounds {
		for _, p := range plan {
			if ctx.Err() != nil {
				return r, nil
			}
			if n > 0 && p.outcome.scenario.once || len(p.outcome.problems) > 0 {
				continue
			}
			if p.outcome.over = p.outcome.over || time.Since(began) > o.budget; p.outcome.over {
				continue
			}
			fmt.Fprintf(progress, "round %d of %d: %s\n", n+1, o.rounds, p.outcome.title())
			p.round(ctx, b, n)
			p.outcome.rounds++
		}
	}
	for _, o := range r.outcomes {
		if o.over {
			o.notes = append(o.notes, fmt.Sprintf("the time was up after %d of %d rounds: see -budget", o.rounds, r.o.rounds))
		}
	}
	return r, nil
}

// part is a scenario with one of its settings.
type part struct {
	outcome *outcome
	setting int
}

// planned is what runs in each round.
func planned(o *options) []part {
	var plan []part
	for _, s := range scenarios {
		if !o.wants(s.name) {
			continue
		}
		if s.settings == nil {
			plan = append(plan, part{&outcome{scenario: s}, 0})
			continue
		}
		for _, n := range s.settings(o) {
			plan = append(plan, part{&outcome{scenario: s, setting: fmt.Sprintf("%d %s", n, s.unit)}, n})
		}
	}
	return plan
}

// round runs one round and takes in what came of it.
func (p part) round(ctx context.Context, b *bench, n int) {
	b.now = fmt.Sprintf("%s-%d-%d", p.outcome.scenario.name, p.setting, n+1)
	r, err := p.outcome.scenario.run(ctx, b, p.setting)
	if ctx.Err() != nil { // half a round says nothing
		return
	}
	p.outcome.add(r.readings)
	p.outcome.note(r.notes)
	if err != nil {
		p.outcome.problems = append(p.outcome.problems, fmt.Sprintf("round %d: %v", n+1, err))
	}
	for _, x := range r.readings {
		switch x.name {
		case figureLost, figureDuplicates, figureDisorder:
			if x.value != 0 {
				p.outcome.problems = append(p.outcome.problems, fmt.Sprintf("round %d: %.0f messages %s", n+1, x.value, x.name))
			}
		}
	}
}

func (o *outcome) note(notes []string) {
next:
	for _, s := range notes {
		for _, had := range o.notes {
			if had == s {
				continue next
			}
		}
		o.notes = append(o.notes, s)
	}
}

// title names an outcome.
func (o *outcome) title() string {
	if o.setting == "" {
		return o.scenario.name
	}
	return o.scenario.name + ", " + o.setting
}
