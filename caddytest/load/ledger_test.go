package main

import (
	"testing"

	"pgregory.net/rapid"
)

func TestLedger(t *testing.T) {
	for _, tc := range []struct {
		name string
		in   []message
		want tally
	}{
		{"nothing", nil, tally{}},
		{"in order", []message{{0, 0}, {1, 0}, {0, 1}, {1, 1}}, tally{Distinct: 4}},
		{"twice", []message{{0, 0}, {0, 0}, {0, 1}, {0, 0}}, tally{Distinct: 2, Duplicates: 2}},
		{"one lost", []message{{0, 0}, {0, 2}}, tally{Distinct: 2, Gaps: 1}},
		{"two lost", []message{{0, 1}, {0, 3}}, tally{Distinct: 2, Gaps: 2}},
		{"overtaken", []message{{0, 0}, {0, 2}, {0, 1}}, tally{Distinct: 3, Disorder: 1}},
		{"early and twice", []message{{0, 1}, {0, 1}, {0, 0}}, tally{Distinct: 2, Duplicates: 1, Disorder: 1}},
		{"users are apart", []message{{0, 0}, {1, 1}}, tally{Distinct: 2, Gaps: 1}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := newLedger()
			for _, m := range tc.in {
				l.note(m)
			}
			if got := l.sum(); got != tc.want {
				t.Errorf("got %+v, want %+v", got, tc.want)
			}
			if n := len(l.arrivals(0)); n != tc.want.Distinct || l.distinct() != n {
				t.Errorf("%d stamps, %d distinct, want %d", n, l.distinct(), tc.want.Distinct)
			}
		})
	}
}

// TestLedgerModel compares with sets of what has arrived.
func TestLedgerModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := rapid.SliceOf(rapid.Custom(func(t *rapid.T) message {
			return message{rapid.IntRange(0, 2).Draw(t, "user"), rapid.IntRange(0, 6).Draw(t, "seq")}
		})).Draw(t, "messages")
		l := newLedger()
		had := make(map[message]bool)
		last := map[int]int{0: -1, 1: -1, 2: -1}
		want := tally{}
		for _, m := range in {
			if l.note(m) == had[m] {
				t.Fatalf("%v was new: %t", m, !had[m])
			}
			if had[m] {
				want.Duplicates++
			}
			had[m] = true
			last[m.user] = max(last[m.user], m.seq)
		}
		want.Distinct = len(had)
		for user, seq := range last {
			for k := range seq + 1 {
				if !had[message{user, k}] {
					want.Gaps++
				}
			}
		}
		got := l.sum()
		got.Disorder = 0
		if got != want {
			t.Fatalf("got %+v, want %+v", got, want)
		}
	})
}
