package main

import (
	"math"
	"slices"
	"time"
)

// unknown stands for a figure that could not be had.
func unknown() float64 { return math.NaN() }

func known(f float64) bool { return !math.IsNaN(f) && !math.IsInf(f, 0) }

// percentile is the smallest value that at least the share p of all values does
// not exceed (nearest rank). The values are sorted; without any it is 0.
func percentile(sorted []time.Duration, p float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	// The product of 0.999 and 1000 is a hair above 999.
	rank := int(math.Ceil(p*float64(len(sorted)) - 1e-9))
	return sorted[min(max(rank, 1), len(sorted))-1]
}

// spread sums up what several rounds gave.
type spread struct {
	median, min, max float64
	n                int
}

// spreadOf leaves out what is unknown. Of an even number of values the median lies
// midway between the middle two; without values all is unknown.
func spreadOf(values []float64) spread {
	var v []float64
	for _, f := range values {
		if known(f) {
			v = append(v, f)
		}
	}
	n := len(v)
	if n == 0 {
		return spread{unknown(), unknown(), unknown(), 0}
	}
	slices.Sort(v)
	return spread{(v[(n-1)/2] + v[n/2]) / 2, v[0], v[n-1], n}
}

// middleRate is how many arrivals a second there were between the first tenth and
// the last: starting up and running dry are left out. The times are in order.
func middleRate(at []time.Time) float64 {
	first, last := len(at)/10, len(at)-1-len(at)/10
	if last-first < 1 {
		return unknown()
	}
	d := at[last].Sub(at[first]).Seconds()
	if d <= 0 {
		return unknown()
	}
	return float64(last-first) / d
}

// rateBetween is how many arrivals a second there were within a time.
func rateBetween(at []time.Time, from, to time.Time) float64 {
	n := 0
	for _, t := range at {
		if !t.Before(from) && t.Before(to) {
			n++
		}
	}
	d := to.Sub(from).Seconds()
	if d <= 0 {
		return unknown()
	}
	return float64(n) / d
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
