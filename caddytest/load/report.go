package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"runtime"
	"strconv"
	"text/tabwriter"
)

// report is all that was measured.
type report struct {
	o          *options
	fileSystem string // of the journals; empty: not known
	outcomes   []*outcome
}

func newReport(o *options, fileSystem string) *report {
	return &report{o: o, fileSystem: fileSystem}
}

// clean tells whether nothing was lost or went wrong.
func (r *report) clean() bool {
	for _, o := range r.outcomes {
		if len(o.problems) > 0 {
			return false
		}
	}
	return true
}

// inMemory tells whether durable means little where the journals lie.
func (r *report) inMemory() bool { return r.fileSystem == "tmpfs" || r.fileSystem == "ramfs" }

// writeTable prints a block for each outcome.
func (r *report) writeTable(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "%s/%s, %d CPUs, %s; journals on %s; median of the rounds (%d, backlog 1), min – max\n",
		runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version(), orUnknown(r.fileSystem), r.o.rounds)
	if r.inMemory() {
		fmt.Fprintln(t, "The journals lay in memory, where sync costs nothing: see -dir.")
	}
	for _, o := range r.outcomes {
		fmt.Fprintf(t, "\n%s: %s\n", o.title(), o.scenario.about)
		if len(o.figures) > 0 {
			fmt.Fprintln(t, "  \tmedian\tmin – max\t\trespond\tratio\tmin – max\tgoal")
		}
		for _, f := range o.figures {
			if spreadOf(f.values).n > 0 {
				o.writeFigure(t, f)
			}
		}
		for _, s := range o.notes {
			fmt.Fprintf(t, "  %s\n", s)
		}
		for _, s := range o.problems {
			fmt.Fprintf(t, "  PROBLEM: %s\n", s)
		}
		if err := t.Flush(); err != nil { // so that each block has columns of its own
			return err
		}
	}
	return t.Flush()
}

func (o *outcome) writeFigure(w io.Writer, f *figure) {
	v, base, ratio := spreadOf(f.values), spreadOf(f.respond), spreadOf(f.ratios())
	fmt.Fprintf(w, "  %s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", f.name,
		digitsOf(v.median), v.between(), f.unit, digitsOf(base.median), digitsOf(ratio.median), ratio.between(), o.verdict(f))
}

// verdict is a figure's goal, and whether it is reached.
func (o *outcome) verdict(f *figure) string {
	g := o.goal(f)
	if g == nil {
		return ""
	}
	reached, ok := g.reached(f)
	switch {
	case !ok:
		return g.String() + ": not measured"
	case reached:
		return g.String() + ": reached"
	}
	return g.String() + ": not reached"
}

func (s spread) between() string {
	if s.n < 2 {
		return ""
	}
	return digitsOf(s.min) + " – " + digitsOf(s.max)
}

// digitsOf writes a number with about three digits that mean something, and
// nothing for what is unknown.
func digitsOf(f float64) string {
	if !known(f) {
		return ""
	}
	places := 0
	switch a := math.Abs(f); {
	case f == math.Trunc(f) || a >= 100:
	case a >= 10:
		places = 1
	case a >= 1:
		places = 2
	default:
		places = 3
	}
	return strconv.FormatFloat(f, 'f', places, 64)
}

func orUnknown(s string) string {
	if s == "" {
		return "an unknown file system"
	}
	return s
}

// The report as JSON. What is unknown is null.
type (
	jsonReport struct {
		System     string        `json:"system"`
		CPUs       int           `json:"cpus"`
		Go         string        `json:"go"`
		FileSystem string        `json:"file_system,omitempty"`
		Rounds     int           `json:"rounds"`
		DurationMS float64       `json:"duration_ms"`
		Clean      bool          `json:"clean"` // nothing lost, doubled, out of order, or gone wrong
		Scenarios  []jsonOutcome `json:"scenarios"`
	}
	jsonOutcome struct {
		Name     string       `json:"name"`
		Setting  string       `json:"setting,omitempty"`
		About    string       `json:"about"`
		Figures  []jsonFigure `json:"figures"`
		Notes    []string     `json:"notes,omitempty"`
		Problems []string     `json:"problems,omitempty"`
	}
	jsonFigure struct {
		Name    string      `json:"name"`
		Unit    string      `json:"unit,omitempty"`
		Value   jsonSpread  `json:"value"`
		Respond *jsonSpread `json:"respond,omitempty"`
		Ratio   *jsonSpread `json:"ratio,omitempty"`
		Goal    string      `json:"goal,omitempty"`
		Reached *bool       `json:"reached,omitempty"`
	}
	jsonSpread struct {
		Median *float64   `json:"median"`
		Min    *float64   `json:"min"`
		Max    *float64   `json:"max"`
		Rounds []*float64 `json:"rounds"`
	}
)

func (r *report) writeJSON(w io.Writer) error {
	out := jsonReport{
		System: runtime.GOOS + "/" + runtime.GOARCH, CPUs: runtime.NumCPU(), Go: runtime.Version(),
		FileSystem: r.fileSystem, Rounds: r.o.rounds, DurationMS: milliseconds(r.o.duration), Clean: r.clean(),
		Scenarios: []jsonOutcome{},
	}
	for _, o := range r.outcomes {
		j := jsonOutcome{
			Name: o.scenario.name, Setting: o.setting, About: o.scenario.about,
			Figures: []jsonFigure{}, Notes: o.notes, Problems: o.problems,
		}
		for _, f := range o.figures {
			j.Figures = append(j.Figures, o.jsonFigure(f))
		}
		out.Scenarios = append(out.Scenarios, j)
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(out)
}

func (o *outcome) jsonFigure(f *figure) jsonFigure {
	j := jsonFigure{Name: f.name, Unit: f.unit, Value: jsonSpreadOf(f.values)}
	if spreadOf(f.respond).n > 0 {
		respond, ratio := jsonSpreadOf(f.respond), jsonSpreadOf(f.ratios())
		j.Respond, j.Ratio = &respond, &ratio
	}
	if g := o.goal(f); g != nil {
		j.Goal = g.String()
		if reached, ok := g.reached(f); ok {
			j.Reached = &reached
		}
	}
	return j
}

func jsonSpreadOf(values []float64) jsonSpread {
	s := spreadOf(values)
	j := jsonSpread{Median: orNull(s.median), Min: orNull(s.min), Max: orNull(s.max)}
	for _, v := range values {
		j.Rounds = append(j.Rounds, orNull(v))
	}
	return j
}

func orNull(f float64) *float64 {
	if !known(f) {
		return nil
	}
	return &f
}
