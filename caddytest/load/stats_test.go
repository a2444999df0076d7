package main

import (
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func durations(ms ...int) []time.Duration {
	all := make([]time.Duration, len(ms))
	for i := range ms {
		all[i] = time.Duration(ms[i]) * time.Millisecond
	}
	return all
}

func TestPercentile(t *testing.T) {
	thousand := make([]int, 1000)
	for i := range thousand {
		thousand[i] = i + 1
	}
	for _, tc := range []struct {
		name string
		in   []int
		p    float64
		want int
	}{
		{"none", nil, 0.5, 0},
		{"one", []int{7}, 0.999, 7},
		{"one, low", []int{7}, 0, 7},
		{"middle of three", []int{1, 2, 9}, 0.5, 2},
		{"middle of four", []int{1, 2, 3, 9}, 0.5, 2},
		{"p90 of ten", []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, 0.9, 9},
		{"p99 of ten", []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, 0.99, 10},
		{"p99.9 of a thousand", thousand, 0.999, 999},
		{"all", thousand, 1, 1000},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := percentile(durations(tc.in...), tc.p); got != time.Duration(tc.want)*time.Millisecond {
				t.Errorf("got %v, want %dms", got, tc.want)
			}
		})
	}
}

// TestPercentileCovers: at least the share does not exceed a percentile, and less
// than the share is below it.
func TestPercentileCovers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := durations(rapid.SliceOfN(rapid.IntRange(0, 50), 1, 200).Draw(t, "ms")...)
		p := rapid.Float64Range(0.01, 1).Draw(t, "p")
		slices.Sort(all)
		got := percentile(all, p)
		atMost, below := 0, 0
		for _, d := range all {
			if d <= got {
				atMost++
			}
			if d < got {
				below++
			}
		}
		n := float64(len(all))
		if float64(atMost) < p*n-1e-6 || float64(below) >= p*n {
			t.Fatalf("%v of %v: %d are at most %v, %d below", p, all, atMost, got, below)
		}
	})
}

func TestSpread(t *testing.T) {
	nan := math.NaN()
	for _, tc := range []struct {
		name string
		in   []float64
		want spread
	}{
		{"one", []float64{4}, spread{4, 4, 4, 1}},
		{"three", []float64{9, 1, 4}, spread{4, 1, 9, 3}},
		{"four", []float64{9, 1, 4, 6}, spread{5, 1, 9, 4}},
		{"some unknown", []float64{nan, 3, math.Inf(1)}, spread{3, 3, 3, 1}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			in := slices.Clone(tc.in)
			if got := spreadOf(in); got != tc.want {
				t.Errorf("got %+v, want %+v", got, tc.want)
			}
			if len(in) == 3 && in[0] == 9 && in[1] != 1 {
				t.Error("the rounds were put into another order")
			}
		})
	}
	if got := spreadOf([]float64{nan}); got.n != 0 || known(got.median) || known(got.min) || known(got.max) {
		t.Errorf("of nothing known: %+v", got)
	}
}

func TestRates(t *testing.T) {
	began := time.Unix(1000, 0)
	at := func(ms ...int) []time.Time {
		var all []time.Time
		for _, d := range durations(ms...) {
			all = append(all, began.Add(d))
		}
		return all
	}
	t.Run("the ends do not count", func(t *testing.T) {
		// Ten a second, but for a slow start and a slow end.
		got := middleRate(at(0, 5000, 5100, 5200, 5300, 5400, 5500, 5600, 5700, 5800, 9000))
		if math.Abs(got-10) > 1e-9 {
			t.Errorf("got %v, want 10", got)
		}
	})
	t.Run("too few", func(t *testing.T) {
		if got := middleRate(at(1)); known(got) {
			t.Errorf("got %v", got)
		}
		if got := middleRate(nil); known(got) {
			t.Errorf("got %v", got)
		}
		if got := middleRate(at(1, 1, 1)); known(got) {
			t.Errorf("all at once: got %v", got)
		}
	})
	t.Run("within a time", func(t *testing.T) {
		got := rateBetween(at(0, 999, 1000, 1500, 2999, 3000), began.Add(time.Second), began.Add(3*time.Second))
		if got != 1.5 {
			t.Errorf("got %v, want 1.5", got)
		}
		if got := rateBetween(at(1), began, began); known(got) {
			t.Errorf("in no time: got %v", got)
		}
	})
}
