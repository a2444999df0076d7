package simulator

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// Happening is one thing that happened at a simulator. Both tell them, the oldest first, to
// whoever reads GET events of their control API, or calls Happenings. They are kept only
// if KeepEvents says how many.
//
// Of WeChat, by kind:
//
//	push      a user did something: Pushed
//	request   an attempt begins: PushRequest
//	answer    the attempt is over: PushAnswer
//	delivery  the push is over: PushEnd
//	seen      the user sees something: SeenEvent
//	typing    {"on","seconds"}
//	call      a call of the API: CallEvent
//	menu      the account's menu, or null
//	state     a setting was changed: as GET state
//	reset     everything before is forgotten
//
// Of Botpress: turn (Turn), message (BotpressMessage), webhook (WebhookPost), call
// (CallEvent), state and reset.
type Happening struct {
	Seq  int64     `json:"seq"` // 1, 2, ... per simulator; goes on after a reset
	At   time.Time `json:"at"`  // real time
	Kind string    `json:"kind"`
	// OpenID is the user's, at Botpress the conversation's id; empty if it is nobody's.
	OpenID string          `json:"openid,omitempty"`
	Data   json.RawMessage `json:"data,omitempty"`
}

// CallEvent is one request to a simulated API, with what was answered.
type CallEvent struct {
	Method string  `json:"method"`
	Path   string  `json:"path"`
	Body   string  `json:"body,omitempty"` // the first 16 KiB; of files only what they are
	Status int     `json:"status"`         // 0: the connection was cut
	Code   int     `json:"code,omitempty"` // errcode
	Answer string  `json:"answer,omitempty"`
	Fault  bool    `json:"fault,omitempty"` // an injected one
	TookMS float64 `json:"took_ms"`
}

// feed keeps the newest happenings, for any number of readers. A nil feed keeps none.
type feed struct {
	mu      sync.Mutex
	ring    wcRing[Happening]
	seq     int64
	changed chan struct{} // closed by the next happening
}

func newFeed(keep int) *feed {
	if keep <= 0 {
		return nil
	}
	return &feed{ring: newWcRing[Happening](keep), changed: make(chan struct{})}
}

func (f *feed) add(kind, openid string, data any) {
	if f == nil {
		return
	}
	var raw json.RawMessage
	if data != nil {
		raw = wcJSON(data, "")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.put(kind, openid, raw)
}

// put is add with the lock held.
func (f *feed) put(kind, openid string, raw json.RawMessage) {
	f.seq++
	f.ring.add(Happening{f.seq, time.Now(), kind, openid, raw})
	close(f.changed)
	f.changed = make(chan struct{})
}

// reset forgets, and tells that it did.
func (f *feed) reset() {
	if f == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ring = newWcRing[Happening](f.ring.keep)
	f.put("reset", "", nil)
}

// after gives what is newer than seq, as far as it is kept, and a channel that the next
// happening closes. A seq that has not been yet counts as 0: it is of another simulator.
func (f *feed) after(seq int64) ([]Happening, <-chan struct{}) {
	if f == nil {
		return nil, nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if seq > f.seq || seq < 0 {
		seq = 0
	}
	return f.ring.tail(f.seq - seq), f.changed
}

// tail returns a copy of the newest n, oldest first.
func (r *wcRing[T]) tail(n int64) []T {
	size := len(r.buf)
	n = min(n, int64(size))
	out := make([]T, 0, n)
	for i := size - int(n); i < size; i++ {
		out = append(out, r.buf[(r.start+i)%size])
	}
	return out
}

// serve streams happenings as server-sent events: those newer than ?since= (default 0), and
// all that follow. A comment every 15 s keeps the connection open.
func (f *feed) serve(rw http.ResponseWriter, r *http.Request, end <-chan struct{}) {
	if f == nil {
		http.Error(rw, `{"error":"KeepEvents is not set"}`, http.StatusNotFound)
		return
	}
	since, err := strconv.ParseInt(r.URL.Query().Get("since"), 10, 64)
	if err != nil {
		since = 0
	}
	rw.Header().Set("Content-Type", "text/event-stream")
	rw.Header().Set("Cache-Control", "no-store")
	out := http.NewResponseController(rw)
	tick := time.NewTicker(15 * time.Second)
	defer tick.Stop()
	for {
		news, changed := f.after(since)
		for _, h := range news {
			since = h.Seq
			if _, err := fmt.Fprintf(rw, "id: %d\nevent: %s\ndata: %s\n\n", h.Seq, h.Kind, wcJSON(h, "")); err != nil {
				return
			}
		}
		if out.Flush() != nil {
			return
		}
		select {
		case <-changed:
		case <-tick.C:
			if _, err := io.WriteString(rw, ":\n\n"); err != nil {
				return
			}
		case <-r.Context().Done():
			return
		case <-end:
			return
		}
	}
}

// overheard is an answer, and the request to it, that is kept while it passes.
type overheard struct {
	http.ResponseWriter
	status int
	answer headWriter
	body   headWriter
	start  time.Time
}

// overhear wraps an exchange. The request's body is kept as it is read.
func overhear(rw http.ResponseWriter, r *http.Request) *overheard {
	o := &overheard{ResponseWriter: rw, start: time.Now()}
	r.Body = struct {
		io.Reader
		io.Closer
	}{io.TeeReader(r.Body, &o.body), r.Body}
	return o
}

// Unwrap is for http.ResponseController.
func (o *overheard) Unwrap() http.ResponseWriter { return o.ResponseWriter }

// Flush is for those who ask for http.Flusher.
func (o *overheard) Flush() { _ = http.NewResponseController(o.ResponseWriter).Flush() }

// WriteHeader notes the status.
func (o *overheard) WriteHeader(status int) {
	if o.status == 0 {
		o.status = status
	}
	o.ResponseWriter.WriteHeader(status)
}

func (o *overheard) Write(b []byte) (int, error) {
	if o.status == 0 {
		o.status = http.StatusOK
	}
	_, _ = o.answer.Write(b)
	return o.ResponseWriter.Write(b)
}

// event is the exchange as far as it went.
func (o *overheard) event(r *http.Request) CallEvent {
	return CallEvent{
		Method: r.Method, Path: r.URL.Path, Status: o.status,
		Body: o.body.text(r.Header.Get("Content-Type")), Answer: o.answer.text(o.Header().Get("Content-Type")),
		TookMS: float64(time.Since(o.start).Microseconds()) / 1000,
	}
}

// headWriter keeps the first 16 KiB.
type headWriter struct {
	buf  bytes.Buffer
	size int
}

func (h *headWriter) Write(b []byte) (int, error) {
	h.size += len(b)
	h.buf.Write(b[:max(0, min(len(b), wcKeepBody-h.buf.Len()))])
	return len(b), nil
}

// text is what was written, or, if that is nothing to read, what it is.
func (h *headWriter) text(contentType string) string {
	head := h.buf.Bytes()
	if h.size > len(head) { // not to cut a character in two
		for i := 0; i < utf8.UTFMax && !utf8.Valid(head); i++ {
			head = head[:len(head)-1]
		}
	}
	if strings.HasPrefix(contentType, "multipart/") || !utf8.Valid(head) {
		return fmt.Sprintf("[%d bytes, %s]", h.size, contentType)
	}
	return string(head)
}
