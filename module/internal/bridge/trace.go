package bridge

import (
	"context"
	"errors"
	"sync"
	"time"
)

const (
	// traceKept is how many decisions are kept to look back at: some seconds of a
	// busy server, hours of a quiet one. About 1 MiB.
	traceKept = 4096

	// traceBatch is how many of them are looked at under one lock: nobody who decides
	// something is to wait for somebody who watches.
	traceBatch = 128

	// traceWatchers bounds who watches at once.
	traceWatchers = 64
)

// ErrWatched is that too many watch the decisions already.
var ErrWatched = errors.New("too many watch the trace already")

// decisions are those of all accounts of the process.
var decisions trace

// trace keeps the latest decisions for whoever looks back, and hands new ones to
// whoever watches. Whoever decides pays for one copy under a lock and waits for
// nobody: a reader that is too slow finds what it has not read overwritten.
type trace struct {
	mu       sync.Mutex
	kept     []note // of traceKept; nil before the first
	last     uint64 // seq of the newest; the first has 1
	watchers []*Watch
}

func (t *trace) add(n *note) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.kept == nil {
		t.kept = make([]note, traceKept)
	}
	t.last++
	t.kept[t.last%traceKept] = *n
	if alarming[n.step] {
		alarm(n.decision(t.last))
	}
	for _, w := range t.watchers {
		select {
		case w.news <- struct{}{}:
		default:
		}
	}
}

// Filter says which decisions are of interest. Empty fields take all. Decisions that
// concern no account, such as trouble with the journal, pass for every account.
type Filter struct {
	AppID, OpenID string
}

func (f Filter) takes(n *note) bool {
	return (f.AppID == "" || n.appid == "" || n.appid == f.AppID) && (f.OpenID == "" || n.openid == f.OpenID)
}

// Since says from where on decisions are watched.
type Since struct {
	// Kept asks for what is kept of the past behind Seq; without it only new
	// decisions are seen.
	Kept bool
	Seq  uint64
}

// Watch is somebody who watches the decisions of all accounts. It belongs to one
// goroutine.
type Watch struct {
	t      *trace
	filter Filter
	cursor uint64 // seq of the last one that was looked at
	news   chan struct{}
}

// WatchDecisions begins to watch. Close must be called in the end. Its error is
// ErrWatched.
func WatchDecisions(f Filter, since Since) (*Watch, error) { return decisions.watch(f, since) }

func (t *trace) watch(f Filter, since Since) (*Watch, error) {
	w := &Watch{t: t, filter: f, news: make(chan struct{}, 1)}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.watchers) >= traceWatchers {
		return nil, ErrWatched
	}
	w.cursor = t.last
	if since.Kept {
		oldest := t.last - min(t.last, traceKept) // the one before the oldest
		w.cursor = max(since.Seq, oldest)
		if since.Seq > t.last { // of a process before this one
			w.cursor = oldest
		}
	}
	t.watchers = append(t.watchers, w)
	return w, nil
}

// Close ends the watching.
func (w *Watch) Close() {
	t := w.t
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, other := range t.watchers {
		if other == w {
			t.watchers = append(t.watchers[:i], t.watchers[i+1:]...)
			return
		}
	}
}

// Next waits for decisions and returns some, in order. Lost is how many were
// overwritten before they could be read, whatever they were about. The error is the
// context's.
func (w *Watch) Next(ctx context.Context) (got []Decision, lost uint64, err error) {
	for {
		more := true
		for more {
			var missed uint64
			got, missed, more = w.read()
			lost += missed
			if len(got) > 0 || lost > 0 {
				return got, lost, nil
			}
		}
		select {
		case <-w.news:
		case <-ctx.Done():
			return nil, 0, ctx.Err()
		}
	}
}

// read looks at the next few decisions. More says that there are others behind them.
func (w *Watch) read() (got []Decision, lost uint64, more bool) {
	notes, first, lost, more := w.copy()
	for i := range notes {
		if w.filter.takes(&notes[i]) {
			got = append(got, notes[i].decision(first+uint64(i)))
		}
	}
	return got, lost, more
}

func (w *Watch) copy() (notes []note, first, lost uint64, more bool) {
	t := w.t
	t.mu.Lock()
	defer t.mu.Unlock()
	if oldest := t.last - min(t.last, traceKept); w.cursor < oldest {
		lost = oldest - w.cursor
		w.cursor = oldest
	}
	first = w.cursor + 1
	for w.cursor < t.last && len(notes) < traceBatch {
		w.cursor++
		notes = append(notes, t.kept[w.cursor%traceKept])
	}
	return notes, first, lost, w.cursor < t.last
}

// note is a decision as it is kept. Its texts must not be cut from larger ones:
// those would be kept with them.
type note struct {
	at     time.Time
	step   step
	appid  string
	openid string
	key    string // of the push
	reply  string // the bot's id of it
	kind   string
	road   road
	reason string
	side   string
	err    string
	remedy string
	took   time.Duration

	attempt int32
	code    int32
	left    int32 // of the allowance, plus one; 0 = not said
}
