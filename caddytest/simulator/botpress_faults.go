package simulator

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// BotpressFault spoils calls of the Chat API that are well-formed. Of several faults that match a
// call, the one added first hits it. A fault with no effect set answers 500 Internal; one with nothing
// but Headers adds them to the ordinary answer.
type BotpressFault struct {
	// Op restricts it to one operation, such as "createMessage", "listMessages" or
	// "getOrCreateUser". Default: every operation.
	Op string
	// Path restricts it to paths below the webhook id that start so, such as "/conversations".
	Path string
	// Conversation restricts it to calls that name this conversation, by path or body.
	Conversation string
	// Times is how many calls it hits: 0 is one, -1 all until ClearFaults.
	Times int
	// Skip is how many matching calls go through first.
	Skip int

	// Delay passes before the call takes effect, LateBy after it and before the answer. Either alone
	// leaves the answer as it is.
	Delay, LateBy time.Duration
	// ResetBefore cuts the connection without effect, ResetAfter once the call has taken effect.
	ResetBefore, ResetAfter bool
	// Race makes a get-or-create that creates answer 500 "already assigned to another value" after
	// creating, as the loser of a race is told; the other fields above the blank line still select.
	Race bool
	// Status is the answer's. Default 500.
	Status int
	// After lets the call take effect before Status is answered.
	After bool
	// Shape is the form of the error. Default ShapeAPI; ShapeLimited for 429.
	Shape BotpressShape
	// Type and Message go into the error. Default: what Botpress says under that status.
	Type, Message string
	// Body is the whole body, in place of Shape, Type and Message.
	Body string
	// Headers are added, such as RateLimit-Reset or Retry-After.
	Headers map[string]string
	// OKWithErrorBody sends the error under status 200.
	OKWithErrorBody bool
}

type bpFaults struct {
	any  atomic.Bool
	mu   sync.Mutex
	list []*BotpressFault
}

// Fail adds a fault.
func (b *Botpress) Fail(f BotpressFault) {
	if f.Times == 0 {
		f.Times = 1
	}
	b.faults.mu.Lock()
	defer b.faults.mu.Unlock()
	b.faults.list = append(b.faults.list, &f)
	b.faults.any.Store(true)
}

// ClearFaults ends all faults of the Chat API, the webhook and the streams. It does not end SetDown.
func (b *Botpress) ClearFaults() {
	b.faults.mu.Lock()
	b.faults.list = nil
	b.faults.any.Store(false)
	b.faults.mu.Unlock()
	b.hooks.mu.Lock()
	b.hooks.faults = nil
	b.hooks.mu.Unlock()
	b.SilenceStreams(false)
}

// take gives the first fault that matches, used up by one; nil is none.
func (l *bpFaults) take(match func(*BotpressFault) bool) *BotpressFault {
	if !l.any.Load() {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, f := range l.list {
		if !match(f) {
			continue
		}
		if f.Skip > 0 {
			f.Skip--
			continue
		}
		if f.Times--; f.Times == 0 {
			l.list = slices.Delete(l.list, i, i+1)
		}
		hit := *f
		return &hit
	}
	return nil
}

func (f *BotpressFault) matches(c *bpCall, segs []string) bool {
	if f.Op != "" && f.Op != c.op.name {
		return false
	}
	if f.Path != "" && !strings.HasPrefix("/"+strings.Join(segs, "/"), f.Path) {
		return false
	}
	return f.Conversation == "" || f.Conversation == c.params[0] || f.Conversation == c.in.target
}

// answers reports whether the fault replaces the answer.
func (f *BotpressFault) answers() bool {
	return f.Status != 0 || f.Body != "" || f.OKWithErrorBody || f.Shape != "" || f.Type != "" || f.Message != "" ||
		(f.Delay == 0 && f.LateBy == 0 && !f.ResetAfter && len(f.Headers) == 0)
}

// before acts ahead of the call's effect; true means that nothing more is to be done.
func (f *BotpressFault) before(b *Botpress, w http.ResponseWriter, down <-chan struct{}) bool {
	if !b.pause(f.Delay, down) || f.ResetBefore {
		bpReset(w)
		return true
	}
	if f.answers() && !f.After && f.LateBy == 0 && !f.ResetAfter {
		f.answer(b, w)
		return true
	}
	for k, v := range f.Headers {
		w.Header().Set(k, v)
	}
	return false
}

// after acts once the call has taken effect.
func (f *BotpressFault) after(b *Botpress, w http.ResponseWriter, down <-chan struct{}) bool {
	if !b.pause(f.LateBy, down) || f.ResetAfter {
		bpReset(w)
		return true
	}
	if f.answers() {
		f.answer(b, w)
		return true
	}
	return false
}

func (f *BotpressFault) answer(b *Botpress, w http.ResponseWriter) {
	status := f.Status
	if status == 0 {
		status = http.StatusInternalServerError
	}
	fail := &bpFailure{status: status, shape: f.Shape, kind: f.Type, message: f.Message}
	if fail.shape == "" && status == http.StatusTooManyRequests {
		fail.shape = ShapeLimited
	}
	if fail.kind == "" {
		fail.kind = bpKinds[status]
	}
	if fail.message == "" {
		fail.message = "Injected: " + http.StatusText(status)
		if fail.shape == ShapeLimited {
			fail.message = "The request has been rate-limited."
		}
	}
	body := fail.body(b.cfg.Now())
	if f.Body != "" {
		body = []byte(f.Body)
	}
	if f.OKWithErrorBody {
		status = http.StatusOK
	}
	if f.Shape == ShapeText {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	}
	b.write(w, status, body, f.Headers)
}

var bpKinds = map[int]string{
	400: "InvalidPayload", 401: "Unauthorized", 402: "PaymentRequired", 403: "Forbidden", 404: "ResourceNotFound",
	405: "MethodNotFound", 409: "AlreadyExists", 410: "ResourceGone", 413: "PayloadTooLarge", 415: "UnsupportedMediaType",
	429: "RateLimited", 500: "Internal", 502: "Unknown", 503: "Unknown", 504: "OperationTimeout",
}

// bpLimiter is a sliding window.
type bpLimiter struct {
	limit  int
	window time.Duration

	mu   sync.Mutex
	hits []time.Time // ascending, within the window
}

// take asks for a place, or, if the call does not count, only how things stand. reset is when the
// next place is free, or the window if all are.
func (l *bpLimiter) take(now time.Time, counts bool) (ok bool, remaining int, reset time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	old := 0
	for old < len(l.hits) && now.Sub(l.hits[old]) >= l.window {
		old++
	}
	l.hits = l.hits[old:]
	ok = true
	if counts {
		if ok = len(l.hits) < l.limit; ok {
			l.hits = append(l.hits, now)
		}
	}
	reset = l.window
	if len(l.hits) > 0 {
		reset = l.window - now.Sub(l.hits[0])
	}
	return ok, l.limit - len(l.hits), reset
}

func (l *bpLimiter) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hits = nil
}
