package main

import (
	"fmt"
	"strconv"
)

// reading is what one round says about one figure. Either value is unknown() if
// there is none.
type reading struct {
	name, unit string
	value      float64
	respond    float64 // the same of respond "success"
}

// alone is a reading that has nothing to be compared with.
func alone(name, unit string, value float64) reading {
	return reading{name, unit, value, unknown()}
}

// figure is what all rounds say.
type figure struct {
	name, unit      string
	values, respond []float64 // by round
}

// ratios are those of the single rounds.
func (f *figure) ratios() []float64 {
	all := make([]float64, len(f.values))
	for i := range all {
		all[i] = unknown()
		if f.respond[i] != 0 {
			all[i] = f.values[i] / f.respond[i]
		}
	}
	return all
}

// outcome is what came of a scenario with one of its settings.
type outcome struct {
	scenario *scenario
	setting  string // such as "64 connections"; empty if it has none
	figures  []*figure
	notes    []string // what has to be known to read the figures, each once
	problems []string // errors, and what must not be
	rounds   int      // that were run
	over     bool     // there was no time for more
}

// add takes in a round.
func (o *outcome) add(round []reading) {
	for _, r := range round {
		f := o.figure(r.name)
		if f == nil {
			f = &figure{name: r.name, unit: r.unit}
			o.figures = append(o.figures, f)
		}
		f.values = append(f.values, r.value)
		f.respond = append(f.respond, r.respond)
	}
}

func (o *outcome) figure(name string) *figure {
	for _, f := range o.figures {
		if f.name == name {
			return f
		}
	}
	return nil
}

// goal is what a figure must reach.
type goal struct {
	figure string
	ratio  bool // it is the ratio to respond that counts
	atMost bool // else at least
	limit  float64
}

func (g goal) String() string {
	sign, of := "≥", ""
	if g.atMost {
		sign = "≤"
	}
	if g.ratio {
		of = " × respond"
	}
	return fmt.Sprintf("%s %s%s", sign, strconv.FormatFloat(g.limit, 'f', -1, 64), of)
}

// reached judges by the median; ok is false if nothing was measured.
func (g goal) reached(f *figure) (reached, ok bool) {
	values := f.values
	if g.ratio {
		values = f.ratios()
	}
	m := spreadOf(values).median
	if !known(m) {
		return false, false
	}
	if g.atMost {
		return m <= g.limit, true
	}
	return m >= g.limit, true
}

// goal is the one of a figure, or nil.
func (o *outcome) goal(f *figure) *goal {
	for i := range o.scenario.goals {
		if o.scenario.goals[i].figure == f.name {
			return &o.scenario.goals[i]
		}
	}
	return nil
}
