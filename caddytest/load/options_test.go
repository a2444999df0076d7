package main

import (
	"io"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestOptions(t *testing.T) {
	for _, tc := range []struct {
		args string
		ok   func(*options) bool // nil: an error
	}{
		{"", func(o *options) bool {
			return slices.Equal(o.connections, []int{64, 256}) && o.rounds == 3 && o.wants("get") &&
				slices.Equal(o.backlog, []int{100_000, 1_000_000})
		}},
		{"-quick", func(o *options) bool {
			return slices.Equal(o.connections, []int{64}) && o.rounds == 1 && o.duration == 500*time.Millisecond
		}},
		{"-rounds 2 -quick", func(o *options) bool { return o.rounds == 2 && o.duration == 500*time.Millisecond }},
		{"-scenario plain,safe", func(o *options) bool { return o.wants("safe") && !o.wants("get") }},
		{"-connections 1,2,3", func(o *options) bool { return slices.Equal(o.connections, []int{1, 2, 3}) }},
		{"-duration 10ms", func(o *options) bool { return o.openFor() == 25*time.Millisecond && o.warmFor() == time.Millisecond }},
		{"-scenario plain,nothing", nil},
		{"-scenario=", nil},
		{"-connections 0", nil},
		{"-connections 64,64", nil},
		{"-connections 64,", nil},
		{"-connections 1000000", nil},
		{"-backlog x", nil},
		{"-backlog 10000000", nil},
		{"-duration 0", nil},
		{"-duration 5m", nil},
		{"-rounds 0", nil},
		{"-rate 0", nil},
		{"-hops-rate -1", nil},
		{"-drain 0", nil},
		{"-budget 0", nil},
		{"-nothing", nil},
		{"plain", nil},
	} {
		t.Run(tc.args, func(t *testing.T) {
			o, err := parseOptions(strings.Fields(tc.args), io.Discard)
			switch {
			case tc.ok == nil && err == nil:
				t.Errorf("taken: %+v", o)
			case tc.ok != nil && (err != nil || !tc.ok(o)):
				t.Errorf("got %+v, %v", o, err)
			}
		})
	}
}

// TestScenarios: each goal is for a figure of its own scenario, and nothing is
// listed twice.
func TestScenarios(t *testing.T) {
	seen := make(map[string]bool)
	for _, s := range scenarios {
		if seen[s.name] || s.about == "" || s.run == nil {
			t.Errorf("scenario %q", s.name)
		}
		seen[s.name] = true
	}
	var w strings.Builder
	listScenarios(&w)
	for name := range seen {
		if !strings.Contains(w.String(), name) {
			t.Errorf("%s is not listed", name)
		}
	}
}
