package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Bounds of what can be asked for, so that a slip of the finger does not fill the
// memory or the disk.
const (
	maxConnections = 10_000
	maxDuration    = 4 * time.Minute // signatures are made once per round, and age
	maxRate        = 100_000
	maxBacklog     = 9_999_999
	maxRounds      = 1000
)

// options are the command line.
type options struct {
	connections []int         // of the closed loops
	duration    time.Duration // of each closed loop
	rounds      int
	scenarios   []string      // empty: all
	rate        int           // callbacks per second of latency
	hopsRate    int           // messages per second of hops
	backlog     []int         // how many pushes wait
	drain       time.Duration // how long handing on is waited for
	budget      time.Duration // after that no round begins
	dir         string        // where temporary directories are made; empty: the system's place
	profile     string        // directory for CPU profiles; empty: none are taken
	json        bool
	quick       bool
	list        bool
}

// quick is what -quick sets of those that are not given.
var quick = map[string]string{
	"connections": "64",
	"duration":    "500ms",
	"rounds":      "1",
	"backlog":     "5000",
	"drain":       "20s",
	"budget":      "1m",
}

// parseOptions reads the command line; usage and its errors go to w.
func parseOptions(args []string, w io.Writer) (*options, error) {
	o := new(options)
	var connections, scenarios, backlog string
	fs := flag.NewFlagSet("load", flag.ContinueOnError)
	fs.SetOutput(w)
	fs.StringVar(&connections, "connections", "64,256", "connections of the closed loops, a `list`: each is a run of its own")
	fs.DurationVar(&o.duration, "duration", 2*time.Second, "how long each closed loop lasts; open loops last 2.5 times as long, endtoend 4 times")
	fs.IntVar(&o.rounds, "rounds", 3, "rounds; backlog has one")
	fs.StringVar(&scenarios, "scenario", "all", "scenarios, a `list`; see -list")
	fs.IntVar(&o.rate, "rate", 1000, "callbacks per second of latency")
	fs.IntVar(&o.hopsRate, "hops-rate", 200, "messages per second of hops")
	fs.StringVar(&backlog, "backlog", "100000,1000000", "how many pushes wait in backlog, a `list`: each is a run of its own")
	fs.DurationVar(&o.drain, "drain", time.Minute, "how long handing on what waits may take")
	fs.DurationVar(&o.budget, "budget", 10*time.Minute, "no round begins after that; the rounds until then are reported")
	fs.StringVar(&o.dir, "dir", "", "where the journals lie; a disk, not memory (default: the system's place for temporary files)")
	fs.StringVar(&o.profile, "profile", "", "a `directory` for CPU profiles of the bridge in each round of all but backlog and idle; taking them costs some speed")
	fs.BoolVar(&o.json, "json", false, "report as JSON")
	fs.BoolVar(&o.quick, "quick", false, "one short round, for a first look: less than a minute")
	fs.BoolVar(&o.list, "list", false, "list the scenarios")
	if err := fs.Parse(args); err != nil {
		return nil, err
	}
	if fs.NArg() > 0 {
		return nil, fmt.Errorf("stray argument %q", fs.Arg(0))
	}
	if o.quick {
		given := make(map[string]bool)
		fs.Visit(func(f *flag.Flag) { given[f.Name] = true })
		for name, value := range quick {
			if given[name] {
				continue
			}
			if err := fs.Set(name, value); err != nil {
				return nil, err
			}
		}
	}
	var err error
	if o.connections, err = numbers("-connections", connections, maxConnections); err != nil {
		return nil, err
	}
	if o.backlog, err = numbers("-backlog", backlog, maxBacklog); err != nil {
		return nil, err
	}
	if scenarios != "all" {
		o.scenarios = strings.Split(scenarios, ",")
	}
	return o, o.check()
}

// numbers reads a list of numbers from 1 to most.
func numbers(name, s string, most int) ([]int, error) {
	var all []int
	for part := range strings.SplitSeq(s, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(part))
		if err != nil || n < 1 || n > most {
			return nil, fmt.Errorf("%s: %q is not a number from 1 to %d", name, part, most)
		}
		if slices.Contains(all, n) {
			return nil, fmt.Errorf("%s: %d stands there twice", name, n)
		}
		all = append(all, n)
	}
	return all, nil
}

func (o *options) check() error {
	switch {
	case o.duration <= 0 || o.duration > maxDuration:
		return fmt.Errorf("-duration: more than 0 and at most %v", maxDuration)
	case o.rounds < 1 || o.rounds > maxRounds:
		return fmt.Errorf("-rounds: from 1 to %d", maxRounds)
	case o.rate < 1 || o.rate > maxRate, o.hopsRate < 1 || o.hopsRate > maxRate:
		return fmt.Errorf("-rate, -hops-rate: from 1 to %d", maxRate)
	case o.drain <= 0 || o.budget <= 0:
		return errors.New("-drain, -budget: more than 0")
	}
	for _, name := range o.scenarios {
		if !slices.ContainsFunc(scenarios, func(s *scenario) bool { return s.name == name }) {
			return fmt.Errorf("-scenario: there is no %q; -list shows what there is", name)
		}
	}
	return nil
}

// wants tells whether a scenario was asked for.
func (o *options) wants(name string) bool {
	return len(o.scenarios) == 0 || slices.Contains(o.scenarios, name)
}

// openFor is how long an open loop lasts: percentiles need many requests.
func (o *options) openFor() time.Duration { return o.duration * 5 / 2 }

// idleFor is how long a process is left alone before its memory is looked at.
func (o *options) idleFor() time.Duration { return min(4*o.duration, 2*time.Second) }

// holdFor is how long a bot that was down takes calls without answering before it
// answers: longer than the bridge then waits between tries.
func (o *options) holdFor() time.Duration { return min(10*o.duration, 4*time.Second) }

// warmFor is how long a loop runs before it counts.
func (o *options) warmFor() time.Duration { return min(o.duration/10, time.Second) }
