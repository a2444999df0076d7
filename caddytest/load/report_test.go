package main

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"
)

// sample is a report with a bit of everything.
func sample() *report {
	r := newReport(&options{rounds: 2}, "tmpfs")
	a := &outcome{scenario: &scenario{name: "plain", about: "pushes", goals: answeredGoal(0.5)}, setting: "64 connections"}
	a.add([]reading{{"answered", "/s", 12000, 30000}, alone("p99", "ms", 0.5)})
	a.add([]reading{{"answered", "/s", 18000, 30000}, alone("p99", "ms", unknown())})
	b := &outcome{scenario: &scenario{name: "idle", about: "memory", goals: []goal{
		{figure: "above", atMost: true, limit: 30}, {figure: "never", limit: 1},
	}}}
	b.add([]reading{alone("above", "MiB", 31.25), alone("never", "", math.Inf(1))})
	b.note([]string{"a note", "a note"})
	b.problems = []string{"round 1: 3 messages lost"}
	r.outcomes = []*outcome{a, b}
	return r
}

func TestTable(t *testing.T) {
	var w bytes.Buffer
	if err := sample().writeTable(&w); err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(w.String()) {
		got = append(got, strings.Join(strings.Fields(line), " "))
	}
	want := []string{
		"",
		"plain, 64 connections: pushes",
		"median min – max respond ratio min – max goal",
		"answered 15000 12000 – 18000 /s 30000 0.500 0.400 – 0.600 ≥ 0.5 × respond: reached",
		"p99 0.500 ms",
		"",
		"idle: memory",
		"median min – max respond ratio min – max goal",
		"above 31.2 MiB ≤ 30: not reached",
		"a note",
		"PROBLEM: round 1: 3 messages lost",
	}
	if len(got) != len(want)+2 || !strings.Contains(got[1], "in memory") {
		t.Fatalf("got\n%s", w.String())
	}
	for i, line := range got[2:] {
		if line != want[i] {
			t.Errorf("line %d is %q, want %q", i, line, want[i])
		}
	}
}

func TestJSON(t *testing.T) {
	var w bytes.Buffer
	if err := sample().writeJSON(&w); err != nil {
		t.Fatal(err)
	}
	var got jsonReport
	if err := json.Unmarshal(w.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if got.Clean || len(got.Scenarios) != 2 || got.FileSystem != "tmpfs" {
		t.Fatalf("got %+v", got)
	}
	plain, idle := got.Scenarios[0], got.Scenarios[1]
	f := plain.Figures[0]
	if *f.Value.Median != 15000 || *f.Ratio.Min != 0.4 || *f.Respond.Max != 30000 || f.Reached == nil || !*f.Reached || len(f.Value.Rounds) != 2 {
		t.Errorf("got %s", w.String())
	}
	if p99 := plain.Figures[1]; p99.Ratio != nil || p99.Value.Rounds[1] != nil || p99.Goal != "" {
		t.Errorf("p99: %+v", p99)
	}
	if above := idle.Figures[0]; above.Reached == nil || *above.Reached {
		t.Errorf("above: %+v", above)
	}
	if never := idle.Figures[1]; never.Reached != nil || never.Value.Median != nil || never.Goal == "" {
		t.Errorf("never: %+v", never)
	}
	if len(idle.Problems) != 1 || len(idle.Notes) != 1 {
		t.Errorf("idle: %+v", idle)
	}
}

func TestGoal(t *testing.T) {
	f := &figure{values: []float64{1, 2, 3}, respond: []float64{4, 4, 4}}
	for _, tc := range []struct {
		name    string
		g       goal
		reached bool
	}{
		{"at least", goal{limit: 2}, true},
		{"not quite", goal{limit: 2.1}, false},
		{"at most", goal{atMost: true, limit: 2}, true},
		{"too much", goal{atMost: true, limit: 1.9}, false},
		{"ratio", goal{ratio: true, limit: 0.5}, true},
		{"ratio too small", goal{ratio: true, limit: 0.51}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got, ok := tc.g.reached(f); !ok || got != tc.reached {
				t.Errorf("got %t, %t", got, ok)
			}
		})
	}
	if _, ok := (goal{ratio: true}).reached(&figure{values: []float64{1}, respond: []float64{unknown()}}); ok {
		t.Error("a goal was judged without a figure")
	}
}

func TestDigitsOf(t *testing.T) {
	for in, want := range map[float64]string{
		0: "0", 3: "3", 12345.6: "12346", 123.4: "123", 12.34: "12.3", 1.234: "1.23", 0.1234: "0.123", -5.55: "-5.55",
	} {
		if got := digitsOf(in); got != want {
			t.Errorf("%v is %q, want %q", in, got, want)
		}
	}
	if got := digitsOf(math.NaN()); got != "" {
		t.Errorf("unknown is %q", got)
	}
}
