package botpress

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"

	"github.com/tmaxmax/go-sse"
)

const (
	// DefaultSilence is longer than two of the pings that Botpress sends after 30 s without an event.
	DefaultSilence = 75 * time.Second

	// maxEvent bounds one event of a stream; a message has at most 128 KB, and its metadata.
	maxEvent = 2 << 20
)

var (
	// ErrSilent is that a stream has said nothing for longer than [Config.Silence].
	ErrSilent = errors.New("nothing was heard for too long")

	errNoAnswer = errors.New("no answer in time")
)

// Listen opens a conversation's event stream and hands on the signals in it, one after the other, until the stream or
// the context ends, or hear fails, whose error it returns. It always returns an error; any other than hear's is an
// [*Error]. One that is [Error.Temporary] asks for another Listen after a while.
//
// Opened is called once the stream is open. Nothing is ever repeated: what was said before that, or while no stream
// was open, has to be looked up with [Client.ListMessages]; what is said after it is heard. What cannot be read as a
// signal is left out.
func (c *Client) Listen(ctx context.Context, userID, conversationID string, opened func(), hear func(Signal) error) error {
	if err := checkIDs(opListen, userID, conversationID); err != nil {
		return err
	}
	k := call{
		op: opListen, method: http.MethodGet, path: "/conversations/" + conversationID + "/listen",
		user: userID, other: conversationID,
	}
	key, e := c.key(k)
	if e != nil {
		return e
	}
	seq, err := c.gate.enter(ctx)
	if err != nil {
		return unsent(k.op, err)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	body, e := c.open(ctx, cancel, k, seq, key)
	if e != nil {
		return c.finish(e, k, key, nil)
	}
	defer func() { _ = body.Close() }()
	opened()
	// From here on the stream says when it was last alive.
	watchdog := time.AfterFunc(c.silence, func() { cancel(ErrSilent) })
	defer watchdog.Stop()
	heard, err := c.follow(ctx, body, func() { watchdog.Reset(c.silence) }, hear)
	if heard != nil {
		return heard
	}
	e, ok := errors.AsType[*Error](err)
	if !ok {
		e = network(err, false)
	}
	return c.finish(e, k, key, nil)
}

// open asks for a stream, in which an answer takes no longer than that of another call.
func (c *Client) open(ctx context.Context, cancel context.CancelCauseFunc, k call, seq uint64, key string) (io.ReadCloser, *Error) {
	told := false
	defer func() {
		if !told { // the transport panicked
			c.gate.lost(seq, false)
		}
	}()
	slow := time.AfterFunc(c.timeout, func() { cancel(errNoAnswer) })
	defer slow.Stop()
	resp, err := c.connect(ctx, k, key)
	told = true
	if err != nil {
		c.gate.lost(seq, failedDial(err))
		return nil, network(because(ctx, err), false)
	}
	e := c.refused(ctx, resp)
	status := resp.StatusCode
	if e != nil {
		_ = resp.Body.Close()
		status = e.Status
	}
	wait := c.gate.heard(seq, status, resp.Header)
	if e == nil && !slow.Stop() {
		_ = resp.Body.Close()
		e = network(errNoAnswer, false)
	}
	if e != nil {
		e.RetryAfter = wait
		return nil, e
	}
	return resp.Body, nil
}

func (c *Client) connect(ctx context.Context, k call, key string) (*http.Response, error) {
	req, err := c.request(ctx, k, key, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "text/event-stream")
	req.Header.Set("Accept-Encoding", "identity") // what is compressed may be held back
	req.Header.Set("Cache-Control", "no-cache")
	long := *c.http
	long.Timeout = 0 // a stream has no end
	return long.Do(req)
}

// refused is why an answer is no stream, nil if it is one. A stream has no length.
func (c *Client) refused(ctx context.Context, resp *http.Response) *Error {
	good := resp.StatusCode == http.StatusOK
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if good && (kind == "text/event-stream" || kind == "" && resp.ContentLength < 0) {
		return nil
	}
	a := &answer{status: resp.StatusCode, header: resp.Header}
	var err error
	if a.body, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer)); err != nil {
		// Without the body nobody knows what is wrong: a 403 can mean several things. Ask again.
		return network(fmt.Errorf("reading answer: %w", bare(because(ctx, err))), false)
	}
	if e := failure(a); e != nil {
		return e
	}
	return unreadable(a.status, errors.New("answer is no event stream"))
}

// follow reads a stream to its end, and returns why it has ended: by hear, or otherwise.
func (c *Client) follow(ctx context.Context, body io.Reader, alive func(), hear func(Signal) error) (heard, end error) {
	r := bufio.NewReader(body)
	if b, _ := r.Peek(2); string(b) == `{"` {
		// An error under a success status: behind the proxy a stream begins with {} or with an event.
		raw, err := io.ReadAll(io.LimitReader(r, maxAnswer))
		if e := failure(&answer{status: http.StatusOK, body: raw}); e != nil {
			return nil, e
		}
		return nil, fmt.Errorf("reading stream: %w", because(ctx, err))
	}
	for event, err := range sse.Read(r, &sse.ReadConfig{MaxEventSize: maxEvent}) {
		if err != nil {
			return nil, fmt.Errorf("reading stream: %w", bare(because(ctx, err)))
		}
		alive()
		// Botpress names every event "message", and what the proxy puts before the first hides its name.
		s, err := ParseSignal([]byte(event.Data))
		if err != nil { // a ping, for one
			continue
		}
		if err := hear(s); err != nil {
			return err, nil
		}
	}
	return nil, fmt.Errorf("reading stream: %w", because(ctx, io.EOF))
}

// because is the cause for which a context has ended, or else the error.
func because(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if err == nil {
		return io.EOF
	}
	return err
}
