package wechat

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync/atomic"
	"time"
)

// maxAnswer bounds what is read of an answer, in bytes. The longest that WeChat
// sends to these calls is a list of addresses.
const maxAnswer = 1 << 20

// request is one call of the API, so that it can be made more than once.
type request struct {
	method, path string
	query        url.Values // beside the token; may be nil
	contentType  string
	body         []byte
	timeout      time.Duration
	// repeatable says that nothing is lost or doubled by making the call
	// again, so that its failures are never ambiguous.
	repeatable bool
}

// exchange makes a request once, within its timeout, and reads the answer into
// answer, which may be nil. An empty token is left out. It returns *Error or
// *TransportError.
func (c *Client) exchange(ctx context.Context, rq request, token string, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, rq.timeout)
	defer cancel()

	// As soon as there is a connection, the request may be on its way.
	var connected atomic.Bool
	trace := &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connected.Store(true) }}
	hr, err := c.newRequest(httptrace.WithClientTrace(ctx, trace), rq, token)
	if err != nil {
		return &TransportError{API: rq.path, reason: "the request cannot be made"}
	}
	resp, err := c.http.Do(hr)
	if err != nil {
		return c.transportError(rq, token, err, connected.Load())
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return c.transportError(rq, token, err, true)
	}
	return c.judge(rq, token, resp.StatusCode, body, answer)
}

func (c *Client) newRequest(ctx context.Context, rq request, token string) (*http.Request, error) {
	q := url.Values{}
	maps.Copy(q, rq.query)
	if token != "" {
		q.Set("access_token", token)
	}
	target := c.base + rq.path
	if len(q) > 0 {
		target += "?" + q.Encode()
	}
	var body io.Reader
	if rq.body != nil {
		body = bytes.NewReader(rq.body)
	}
	hr, err := http.NewRequestWithContext(ctx, rq.method, target, body)
	if err != nil {
		return nil, err
	}
	hr.Header.Set("User-Agent", c.userAgent)
	hr.Header.Set("Accept", "application/json")
	if rq.contentType != "" {
		hr.Header.Set("Content-Type", rq.contentType)
	}
	return hr, nil
}

// transportError drops the URL, which holds the token, and keeps of the cause what
// a caller may branch on: whether the context ended.
func (c *Client) transportError(rq request, token string, err error, sent bool) error {
	te := &TransportError{API: rq.path, ambiguous: sent && !rq.repeatable}
	if ue, ok := errors.AsType[*url.Error](err); ok {
		err = ue.Err
	}
	var timeout interface{ Timeout() bool }
	switch {
	case errors.Is(err, context.Canceled):
		te.cause, te.reason = context.Canceled, "canceled"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		te.cause, te.reason = context.DeadlineExceeded, "timed out"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		te.reason = "the connection was cut"
	default:
		te.reason = cutText(c.scrub(cleanText(err.Error()), token), maxReason)
	}
	return te
}

// judge reads an answer. WeChat answers 200 to errors too, so what counts first is
// errcode in the body.
func (c *Client) judge(rq request, token string, status int, body []byte, answer any) error {
	bad := func(reason string) error {
		// 3xx and 4xx are refusals; of the rest nobody knows whether WeChat
		// did what it was asked before the answer went wrong.
		doubt := (status < 300 || status >= 500) && !rq.repeatable
		return &TransportError{API: rq.path, Status: status, reason: reason, ambiguous: doubt}
	}
	var head struct {
		Code int    `json:"errcode"`
		Msg  string `json:"errmsg"`
	}
	// json.Unmarshal would take null, too.
	isObject := bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n"), []byte("{"))
	parsed := isObject && len(body) <= maxAnswer && json.Unmarshal(body, &head) == nil
	switch {
	case parsed && head.Code != 0:
		return c.newError(rq.path, head.Code, head.Msg, token)
	case status < 200 || status > 299:
		return bad(fmt.Sprintf("HTTP status %d", status))
	case len(body) > maxAnswer:
		return bad("the answer is too large")
	case len(body) == 0:
		return bad("the answer is empty")
	case !parsed:
		return bad("the answer is not the expected JSON")
	case answer == nil:
		return nil
	}
	if err := json.Unmarshal(body, answer); err != nil {
		return bad("the answer is not the expected JSON")
	}
	return nil
}
