package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
)

const (
	// callTime bounds one call of the admin endpoint. It may have to wait for
	// WeChat.
	callTime = 40 * time.Second

	// maxAnswer bounds what is read of an answer, in bytes.
	maxAnswer = 64 << 20
)

// ErrNotRunning says that no Caddy answers at the admin address.
var ErrNotRunning = errors.New("no Caddy answers")

// Refusal is an answer of the admin endpoint that says no.
type Refusal struct {
	Status int
	Reason string
}

// Error implements error.
func (r *Refusal) Error() string { return r.Reason }

// Admin calls the admin endpoint of a running Caddy.
type Admin struct {
	address string
	base    string
	http    *http.Client
}

// NewAdmin returns a client for an admin address in the form that Caddy knows:
// host:port, or a socket such as unix//run/caddy.sock.
func NewAdmin(address string) (*Admin, error) {
	at, err := caddy.ParseNetworkAddress(address)
	if err != nil || at.PortRangeSize() > 1 {
		return nil, fmt.Errorf("admin address %q is not valid", address)
	}
	a := &Admin{address: address}
	host := "127.0.0.1" // a socket has no name, and Caddy looks at it all the same
	if !at.IsUnixNetwork() && !at.IsFdNetwork() {
		host = at.JoinHostPort(0)
	}
	a.base = "http://" + host
	target := at.JoinHostPort(0)
	if at.IsUnixNetwork() {
		target, _, _ = strings.Cut(target, "|") // the socket's mode
	}
	d := &net.Dialer{Timeout: 5 * time.Second}
	a.http = &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return d.DialContext(ctx, at.Network, target)
		},
	}}
	return a, nil
}

// Close ends idle connections.
func (a *Admin) Close() { a.http.CloseIdleConnections() }

// Get reads what is at a path.
func (a *Admin) Get(ctx context.Context, path string, query url.Values, into any) error {
	return a.Call(ctx, http.MethodGet, path, query, nil, into)
}

// Post sends a JSON document.
func (a *Admin) Post(ctx context.Context, path string, body, into any) error {
	return a.Call(ctx, http.MethodPost, path, nil, body, into)
}

// Call makes one call. Its error is a *Refusal if Caddy says no, and matches
// ErrNotRunning if there is none.
func (a *Admin) Call(ctx context.Context, method, path string, query url.Values, body, into any) error {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	resp, err := a.do(ctx, method, path, query, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("reading what Caddy answers: %w", err)
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(b, into); err != nil {
		return fmt.Errorf("reading what Caddy answers: %w", err)
	}
	return nil
}

// do makes a request and gives the answer if it is a good one.
func (a *Admin) do(ctx context.Context, method, path string, query url.Values, body any) (*http.Response, error) {
	var r io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("encoding request: %w", err)
		}
		r = bytes.NewReader(b)
	}
	target := a.base + path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, target, r)
	if err != nil {
		return nil, fmt.Errorf("making request: %w", err)
	}
	req.Header.Set("Origin", a.base)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := a.http.Do(req)
	if err != nil {
		if ue, ok := errors.AsType[*url.Error](err); ok {
			err = ue.Err
		}
		if ctx.Err() != nil {
			return nil, fmt.Errorf("waiting for Caddy at %s: %w", a.address, ctx.Err())
		}
		return nil, fmt.Errorf("%w at the admin address %s: %w", ErrNotRunning, a.address, err)
	}
	if resp.StatusCode < 300 {
		return resp, nil
	}
	defer resp.Body.Close()
	return nil, refusal(resp)
}

// refusal reads an answer that says no.
func refusal(resp *http.Response) error {
	b, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	var said struct {
		Error string `json:"error"`
	}
	switch {
	case json.Unmarshal(b, &said) == nil && said.Error != "":
		return &Refusal{resp.StatusCode, said.Error}
	case resp.StatusCode == http.StatusNotFound:
		return &Refusal{resp.StatusCode, "the Caddy that runs there does not know the request: it is another build, or runs without this module"}
	}
	return &Refusal{resp.StatusCode, "Caddy answers " + resp.Status}
}
