package botpress

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync/atomic"
	"time"
)

const (
	maxAnswer  = 2 << 20
	maxListing = 8 << 20 // about 20 messages a page, each up to 128 KB and its metadata
)

// call is one operation of the Chat API.
type call struct {
	op     string
	method string
	path   string // below the webhook id
	user   string // whose key signs it; empty for none
	other  string // the conversation in path, not to be shown in errors either
	body   any    // nil for none; Botpress wants a JSON object with every POST
	limit  int64  // of the answer's body; default maxAnswer

	out      any         // decoded from the answer; nil if it does not matter
	complete func() bool // whether out has what every good answer has
}

// answer is what came back, read in full.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// do makes one call: gate, exchange, verdict. Every error is an *Error.
func (c *Client) do(ctx context.Context, k call) error {
	body, err := encode(k.body)
	if err != nil {
		return refuse(k.op, err.Error())
	}
	key, e := c.key(k)
	if e != nil {
		return e
	}
	seq, err := c.gate.enter(ctx)
	if err != nil {
		return unsent(k.op, err)
	}
	if e = c.exchange(ctx, k, seq, key, body); e == nil {
		return nil
	}
	return c.finish(e, k, key, body)
}

// finish makes an error fit to be shown.
func (c *Client) finish(e *Error, k call, key string, body []byte) *Error {
	e.Op = k.op
	e.issued = key != "" && c.keys == nil
	e.Message = redact(e.Message, c.secrets, append(values(body), key, k.user, k.other))
	return e
}

// exchange sends the request and judges the answer, also for the gate.
func (c *Client) exchange(ctx context.Context, k call, seq uint64, key string, body []byte) *Error {
	told := false
	defer func() {
		if !told { // the transport panicked
			c.gate.lost(seq, false)
		}
	}()
	a, e := c.send(ctx, k, key, body)
	told = true
	if a == nil {
		c.gate.lost(seq, e.Unsent)
		return e
	}
	if e == nil {
		e = failure(a)
	}
	status := a.status
	if e != nil {
		status = e.Status
	}
	wait := c.gate.heard(seq, status, a.header)
	if e != nil {
		e.RetryAfter = wait
		return e
	}
	if k.out == nil {
		return nil
	}
	if err := decode(a.body, k.out); err != nil {
		return unreadable(a.status, err)
	}
	if !k.complete() {
		return unreadable(a.status, errors.New("answer lacks what it should carry"))
	}
	return nil
}

// send returns an answer, or an answer that could not be read and why, or no answer and why.
func (c *Client) send(ctx context.Context, k call, key string, body []byte) (*answer, *Error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	var path sentTrace
	req, err := c.request(httptrace.WithClientTrace(ctx, path.trace()), k, key, body)
	if err != nil {
		return nil, network(err, true)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, network(err, path.unsent() || failedDial(err))
	}
	defer func() { _ = resp.Body.Close() }()
	limit := k.limit
	if limit == 0 {
		limit = maxAnswer
	}
	a := &answer{status: resp.StatusCode, header: resp.Header}
	a.body, err = io.ReadAll(io.LimitReader(resp.Body, limit+1))
	switch {
	case err != nil && a.status >= 400 && a.status < 500 && a.status != http.StatusTooManyRequests:
		// Without the body nobody knows what is wrong: a 403 can mean three things. Ask again.
		return nil, network(fmt.Errorf("reading answer: %w", bare(err)), false)
	case a.status < 200 || a.status > 299:
		return a, nil // the status says enough, however much of the body came
	case err != nil:
		return a, unreadable(a.status, fmt.Errorf("reading answer: %w", bare(err)))
	case int64(len(a.body)) > limit:
		return a, unreadable(a.status, fmt.Errorf("reading answer: longer than %d bytes", limit))
	}
	return a, nil
}

func (c *Client) request(ctx context.Context, k call, key string, body []byte) (*http.Request, error) {
	var r io.Reader
	if body != nil {
		r = bytes.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, k.method, c.root+k.path, r)
	if err != nil {
		return nil, err
	}
	c.header(ctx, req.Header)
	req.Header.Set("User-Agent", c.userAgent)
	req.Header.Set("Accept", "application/json")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if key != "" {
		req.Header.Set("X-User-Key", key)
	}
	return req, nil
}

// sentTrace knows whether a request was ever given a connection. A transport that does not tell counts as one
// that may have sent it.
type sentTrace struct{ asked, got atomic.Bool }

func (s *sentTrace) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		// net/http asks again, for a POST, only where nothing of the first attempt reached the server.
		GetConn: func(string) { s.asked.Store(true); s.got.Store(false) },
		GotConn: func(httptrace.GotConnInfo) { s.got.Store(true) },
	}
}

func (s *sentTrace) unsent() bool { return s.asked.Load() && !s.got.Load() }

func failedDial(err error) bool {
	var op *net.OpError
	var dns *net.DNSError
	return errors.As(err, &dns) || errors.As(err, &op) && op.Op == "dial"
}

// bare takes off what repeats the URL.
func bare(err error) error {
	var ue *url.Error
	for errors.As(err, &ue) {
		err = ue.Err
	}
	return err
}

func network(err error, unsent bool) *Error {
	err = bare(err)
	return &Error{Message: err.Error(), Unsent: unsent, Err: err}
}

func unsent(op string, err error) *Error {
	return &Error{Op: op, Message: "waiting to send: " + err.Error(), Unsent: true, Err: err}
}

func unreadable(status int, err error) *Error {
	return &Error{Status: status, Message: err.Error(), Err: err}
}

func encode(v any) ([]byte, error) {
	if v == nil {
		return nil, nil
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("encoding request: %w", err)
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}

// decode reads JSON whatever the Content-Type said, and lets members of an unexpected kind be as if absent.
func decode(body []byte, out any) error {
	err := json.Unmarshal(body, out)
	var kind *json.UnmarshalTypeError
	if err == nil || errors.As(err, &kind) {
		return nil
	}
	// The decoder's own words can quote the body.
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Errorf("parsing JSON: invalid at byte %d of %d", syntax.Offset, len(body))
	}
	return errors.New("parsing JSON: invalid")
}

// timestamp is a time that may be missing or malformed without spoiling what it stands in.
type timestamp struct{ time.Time }

func (t *timestamp) UnmarshalJSON(b []byte) error {
	var parsed time.Time
	if parsed.UnmarshalJSON(b) == nil {
		t.Time = parsed.UTC()
	}
	return nil
}

// metadata is an object; anything else counts as absent.
type metadata map[string]any

func (m *metadata) UnmarshalJSON(b []byte) error {
	var v map[string]any
	if json.Unmarshal(b, &v) == nil {
		*m = v
	}
	return nil
}
