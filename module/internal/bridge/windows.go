package bridge

import (
	"slices"
	"sync"
	"time"

	"github.com/caddy-wechat/caddy-wechat/module/wechat"
)

const (
	// attemptEvery is how long WeChat waits for an answer before it sends the push
	// again. (WeChat: receiving messages.)
	attemptEvery = 5 * time.Second

	// attemptGrace is how much later than that the next attempt may come.
	attemptGrace = 3 * time.Second

	// lastAttempt is the attempt after which WeChat sends a push no more.
	lastAttempt = 3

	// overKept is how long it is remembered how a window ended: longer than the
	// next attempt takes to come.
	overKept = 15 * time.Second

	// overMost bounds how many of those are remembered.
	overMost = 20_000

	sweepEvery = 5 * time.Second
)

// windows are the pushes that a passive reply may still answer. They know
// nothing of HTTP: a callback is whoever waits to be told what to answer. Every
// method takes the time, none waits.
type windows struct {
	mu     sync.Mutex
	byKey  map[string]*window
	byUser map[string][]*window // those that are not over, oldest first
	over   []*window            // in the order in which they ended
	held   int                  // callbacks
	swept  time.Time
}

// window is one push on which WeChat waits, through all its attempts.
type window struct {
	key, openid string
	push        int64        // in the journal
	from        *wechat.Push // whom an answer is for
	opened      time.Time
	event       bool // the bot got it as a custom event: it never lapses

	state    windowState
	callback *callback // the newest, nil while there is none
	giving   *callback // the one that is writing the answer
	until    time.Time // without a callback: when no further attempt is to be expected
	final    bool      // the callback is about to get its last word
	answer   []byte    // what is or was answered; nil for success
	ended    time.Time
}

type windowState int

const (
	windowOpen    windowState = iota
	windowGiving              // an answer is being written
	windowOver                // answered, one way or other
	windowDropped             // over, and not to be remembered
)

// callback is one request of WeChat's that is held.
type callback struct {
	w       *window
	attempt int
	entered time.Time
	say     chan word  // what to answer; at most one
	written chan error // whether that could be written; at most one
}

// word is what a callback is told to answer.
type word struct {
	silent bool    // nothing
	xml    []byte  // nil for success
	w      *window // whose writing is waited for, nil if nobody waits
	full   string  // why no callback is held; empty if that is not what it says
}

// arrival is a push that opens a window, or an attempt of one that did.
type arrival struct {
	key, openid string
	push        int64
	from        *wechat.Push
	attempt     int
	opened      time.Time // when the user did it
	event       bool
	silent      bool // a callback whose push was sent again stays silent
	fresh       bool // may open a window
	limit       int  // of callbacks held
	slowed      bool // its turn with the bot comes late: one window of such is enough
}

func newWindows() *windows {
	return &windows{byKey: make(map[string]*window), byUser: make(map[string][]*window)}
}

// enter holds a callback, or says at once what to answer: what was answered
// before, or success if the push opens no window.
func (ws *windows) enter(now time.Time, a arrival) (*callback, word) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	ws.sweepLocked(now)
	if !a.event {
		// What the bot says from here on is for this message, unless it came before.
		for _, w := range slices.Clone(ws.byUser[a.openid]) {
			if w.event && w.key != a.key && w.state == windowOpen && w.push <= a.push {
				ws.endLocked(now, w, nil)
			}
		}
	}
	w := ws.byKey[a.key]
	switch {
	case w != nil && w.state == windowOver:
		return nil, word{xml: w.answer}
	case w == nil && !a.fresh:
		return nil, word{}
	case ws.held >= a.limit:
		if w != nil && w.state == windowOpen && w.callback == nil {
			ws.endLocked(now, w, nil) // nothing is to wait for an attempt that was turned away
		}
		return nil, word{full: "too many windows"}
	case w == nil && a.slowed && len(ws.byUser[a.openid]) > 0:
		return nil, word{full: "user is slowed"}
	case w == nil:
		w = &window{key: a.key, openid: a.openid, push: a.push, from: a.from, opened: a.opened, event: a.event}
		ws.byKey[a.key] = w
		ws.byUser[a.openid] = append(ws.byUser[a.openid], w)
	}
	if old := w.callback; old != nil && old != w.giving {
		old.say <- word{silent: a.silent}
	}
	w.final = false
	w.callback = &callback{w: w, attempt: a.attempt, entered: now, say: make(chan word, 1), written: make(chan error, 1)}
	ws.held++
	return w.callback, word{}
}

// leave takes a callback back, however it ended. It must be called once for
// each.
func (ws *windows) leave(now time.Time, cb *callback) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	ws.held--
	ws.goneLocked(cb)
	if cb.w.giving == cb {
		ws.writtenLocked(now, cb, errHungUp)
	}
}

// goneLocked notes that a callback takes no answer any more.
func (ws *windows) goneLocked(cb *callback) {
	if w := cb.w; w.callback == cb {
		w.callback, w.final, w.until = nil, false, time.Time{}
		if cb.attempt < lastAttempt { // should there be a further one, it is welcome
			w.until = cb.entered.Add(attemptEvery + attemptGrace)
		}
	}
}

// lapse lets a callback go without an answer, so that WeChat sends the push
// again.
func (ws *windows) lapse(cb *callback) bool {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if cb.w.callback != cb || cb.w.state != windowOpen {
		return false
	}
	ws.goneLocked(cb)
	return true
}

// last notes that a callback is about to get its last word.
func (ws *windows) last(cb *callback) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if cb.w.callback == cb {
		cb.w.final = true
	}
}

// end closes a callback's window with an answer, nil for success. It is false if
// the callback has been told something else.
func (ws *windows) end(now time.Time, cb *callback, answer []byte) bool {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if cb.w.callback != cb || cb.w.state != windowOpen {
		return false
	}
	cb.w.callback = nil
	ws.endLocked(now, cb.w, answer)
	return true
}

// endLocked closes a window. A callback it still has is told the answer.
func (ws *windows) endLocked(now time.Time, w *window, answer []byte) {
	w.state, w.answer, w.ended = windowOver, answer, now
	if cb := w.callback; cb != nil {
		w.callback = nil
		cb.say <- word{xml: answer}
	}
	ws.forgetUserLocked(w)
	ws.over = append(ws.over, w)
}

func (ws *windows) forgetUserLocked(w *window) {
	rest := slices.DeleteFunc(ws.byUser[w.openid], func(o *window) bool { return o == w })
	if len(rest) == 0 {
		delete(ws.byUser, w.openid)
	} else {
		ws.byUser[w.openid] = rest
	}
}

// give hands an answer to a window's callback. The channel tells whether it was
// written; it is nil if the window takes no answer now.
func (ws *windows) give(w *window, answer []byte) <-chan error {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if w.state != windowOpen || w.callback == nil {
		return nil
	}
	w.state, w.giving, w.answer = windowGiving, w.callback, answer
	w.giving.say <- word{xml: answer, w: w}
	return w.giving.written
}

// written tells how the writing of a given answer ended.
func (ws *windows) written(now time.Time, cb *callback, err error) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	ws.writtenLocked(now, cb, err)
}

func (ws *windows) writtenLocked(now time.Time, cb *callback, err error) {
	w := cb.w
	if w.giving != cb {
		return
	}
	w.giving = nil
	if w.callback == cb {
		ws.goneLocked(cb)
	}
	if err == nil {
		ws.endLocked(now, w, w.answer) // tells a newer attempt the same
	} else {
		w.state, w.answer = windowOpen, nil
	}
	cb.written <- err
}

// opening is what the planner sees of a user's oldest window.
type opening struct {
	w      *window
	opened time.Time
	live   bool      // a callback waits
	final  bool      // and is about to get its last word
	until  time.Time // if none does: until when one may come
}

// oldest is the user's oldest window that may take a reply, and how many there
// are. With lapses, one whose next attempt is still to come is one of them.
func (ws *windows) oldest(now time.Time, openid string, lapses bool) (first *opening, n int) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for _, w := range ws.byUser[openid] {
		live := w.callback != nil && w.state == windowOpen
		if !live && (!lapses || w.event || !now.Before(w.until)) {
			continue
		}
		if n++; first == nil {
			first = &opening{w: w, opened: w.opened, live: live, final: w.final, until: w.until}
		}
	}
	return first, n
}

// said is what a push was answered, if its window is over.
func (ws *windows) said(key string) ([]byte, bool) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	w := ws.byKey[key]
	if w == nil || w.state != windowOver {
		return nil, false
	}
	return w.answer, true
}

// sweepLocked forgets what no attempt will ask for any more.
func (ws *windows) sweepLocked(now time.Time) {
	n := 0
	for n < len(ws.over) && (now.Sub(ws.over[n].ended) > overKept || len(ws.over)-n > overMost) {
		delete(ws.byKey, ws.over[n].key)
		ws.over[n] = nil
		n++
	}
	ws.over = ws.over[n:]
	if now.Sub(ws.swept) < sweepEvery {
		return
	}
	ws.swept = now
	for key, w := range ws.byKey {
		if w.state == windowOpen && w.callback == nil && now.Sub(w.until) > overKept {
			w.state = windowDropped
			ws.forgetUserLocked(w)
			delete(ws.byKey, key)
		}
	}
}
