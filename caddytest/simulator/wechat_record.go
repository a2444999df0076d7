package simulator

import (
	"bytes"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// wcRing keeps the newest values, up to a bound. Adding costs the same however many it holds.
type wcRing[T any] struct {
	keep  int
	buf   []T
	start int // of the oldest, once full
}

func newWcRing[T any](keep int) wcRing[T] { return wcRing[T]{keep: max(keep, 1)} }

func (r *wcRing[T]) add(v T) {
	if len(r.buf) < r.keep {
		r.buf = append(r.buf, v)
		return
	}
	r.buf[r.start] = v
	r.start = (r.start + 1) % r.keep
}

// all returns a copy, oldest first.
func (r *wcRing[T]) all() []T {
	out := make([]T, 0, len(r.buf))
	out = append(out, r.buf[r.start:]...)
	return append(out, r.buf[:r.start]...)
}

// Call is one request to the API below /cgi-bin/.
type Call struct {
	At     time.Time     `json:"at"` // real time, of its start
	Took   time.Duration `json:"took_ns"`
	Method string        `json:"method"`
	Path   string        `json:"path"`
	Remote string        `json:"remote"`          // address without port
	OpenID string        `json:"openid,omitzero"` // touser or openid, if it could be read
	Body   string        `json:"body,omitzero"`   // the first 16 KiB; empty for uploads
	Code   int           `json:"code"`            // errcode answered
	Fault  bool          `json:"fault,omitzero"`  // what was answered came from an injected fault
}

const wcKeepBody = 16 << 10

// wcLedger records deliveries and calls, the newest of each, and counts calls by path.
type wcLedger struct {
	counts sync.Map // path -> *atomic.Int64

	mu         sync.Mutex
	calls      wcRing[Call]
	deliveries wcRing[Delivery]
	pushed     int64
}

func newWcLedger(deliveries, calls int) *wcLedger {
	return &wcLedger{deliveries: newWcRing[Delivery](deliveries), calls: newWcRing[Call](calls)}
}

func (l *wcLedger) clear() {
	l.counts.Clear()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls = newWcRing[Call](l.calls.keep)
	l.deliveries = newWcRing[Delivery](l.deliveries.keep)
	l.pushed = 0
}

func (l *wcLedger) count(path string) {
	v, ok := l.counts.Load(path)
	if !ok {
		v, _ = l.counts.LoadOrStore(path, new(atomic.Int64))
	}
	v.(*atomic.Int64).Add(1)
}

func (l *wcLedger) addCall(c Call) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls.add(c)
}

// addDelivery records d. Of an answer that is longer than any good one only the head is kept.
func (l *wcLedger) addDelivery(d Delivery) {
	for i, a := range d.Attempts {
		if len(a.Body) > wcKeepBody {
			d.Attempts = slices.Clone(d.Attempts)
			d.Attempts[i].Body = bytes.Clone(a.Body[:wcKeepBody])
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.deliveries.add(d)
	l.pushed++
}

// Calls returns the newest API calls that have been answered, oldest first.
func (w *WeChat) Calls() []Call {
	w.ledger.mu.Lock()
	defer w.ledger.mu.Unlock()
	return w.ledger.calls.all()
}

// CountCalls tells how often path (e.g. "/cgi-bin/message/custom/send") was called since
// the start or the last Reset, whatever was answered and however many calls are kept.
func (w *WeChat) CountCalls(path string) int {
	v, ok := w.ledger.counts.Load(path)
	if !ok {
		return 0
	}
	return int(v.(*atomic.Int64).Load())
}

// Deliveries returns the newest finished deliveries, in the order in which they finished.
func (w *WeChat) Deliveries() []Delivery {
	w.ledger.mu.Lock()
	defer w.ledger.mu.Unlock()
	return w.ledger.deliveries.all()
}
