package main

import (
	"sync"
	"time"
)

// stamp is the arrival of a message.
type stamp struct {
	User int       `json:"user"`
	Seq  int       `json:"seq"`
	At   time.Time `json:"at"`
}

// tally sums up what arrived somewhere.
type tally struct {
	Distinct   int `json:"distinct"`   // messages
	Duplicates int `json:"duplicates"` // arrivals beyond the first of a message
	Disorder   int `json:"disorder"`   // messages that a later one of their user was before
	Gaps       int `json:"gaps"`       // messages missing where a later one of their user arrived
}

// ledger counts the messages that arrive somewhere, and in which order.
type ledger struct {
	mu     sync.Mutex
	next   map[int]int      // by user: all before this one have arrived
	early  map[message]bool // those that came before their turn
	stamps []stamp          // first arrivals, in order
	tally  tally
}

func newLedger() *ledger {
	return &ledger{next: make(map[int]int), early: make(map[message]bool)}
}

// note takes in an arrival. It returns false for what has arrived before.
func (l *ledger) note(m message) bool {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	next := l.next[m.user]
	switch {
	case m.seq < next || l.early[m]:
		l.tally.Duplicates++
		return false
	case m.seq > next:
		l.early[m] = true
	default:
		next++
		for l.early[message{m.user, next}] { // those came too early
			delete(l.early, message{m.user, next})
			l.tally.Disorder++
			next++
		}
		l.next[m.user] = next
	}
	l.tally.Distinct++
	l.stamps = append(l.stamps, stamp{m.user, m.seq, now})
	return true
}

// sum is the state of things. Whatever is early now without its turn having come
// counts as what is missing before it.
func (l *ledger) sum() tally {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.tally
	last := make(map[int]int)
	count := make(map[int]int)
	for m := range l.early {
		last[m.user] = max(last[m.user], m.seq)
		count[m.user]++
	}
	for user, seq := range last {
		t.Gaps += seq + 1 - l.next[user] - count[user]
	}
	return t
}

func (l *ledger) distinct() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.tally.Distinct
}

// arrivals are the first arrivals from the one numbered from, in order.
func (l *ledger) arrivals(from int) []stamp {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]stamp(nil), l.stamps[min(from, len(l.stamps)):]...)
}

func times(all []stamp) []time.Time {
	at := make([]time.Time, len(all))
	for i := range all {
		at[i] = all[i].At
	}
	return at
}
