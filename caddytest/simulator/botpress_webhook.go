package simulator

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// WebhookMode is what goes wrong with a webhook POST.
type WebhookMode string

const (
	// WebhookSkip never sends it. The default.
	WebhookSkip WebhookMode = "skip"
	// WebhookCut breaks the connection in the middle of the body.
	WebhookCut WebhookMode = "cut"
	// WebhookHangUp sends all of it, and hangs up without waiting for the answer.
	WebhookHangUp WebhookMode = "hangup"
	// WebhookTwice sends it two times. Botpress does not, proxies may.
	WebhookTwice WebhookMode = "twice"
	// WebhookBadSecret sends it with a wrong x-secret-key.
	WebhookBadSecret WebhookMode = "badsecret"
	// WebhookLate sends it after Delay, otherwise unharmed.
	WebhookLate WebhookMode = "late"
)

// WebhookFault spoils webhook POSTs. Faults are looked at in the order they were added.
type WebhookFault struct {
	// Mode is what happens. Default WebhookSkip.
	Mode WebhookMode
	// Times is how many POSTs it hits: 0 is one, -1 all until ClearFaults.
	Times int
	// After is how many matching POSTs go through first.
	After int
	// Conversation restricts it to one, by the client's id.
	Conversation string
	// Kind restricts it to one signal type, such as "message_created".
	Kind string
	// Echoes also hits the echoes of users' own messages; otherwise only what the bot sends.
	Echoes bool
	// Delay passes before the POST.
	Delay time.Duration
}

// WebhookPost is one webhook call that was due.
type WebhookPost struct {
	At           time.Time `json:"at"`
	Kind         string    `json:"type"`
	Conversation string    `json:"conversation"`
	MessageID    string    `json:"messageId,omitempty"`
	Bot          bool      `json:"bot"`
	// Status is the answer's, 0 if there was none.
	Status int `json:"status"`
	// Fault is the injected mode, if any.
	Fault WebhookMode `json:"fault,omitempty"`
	// Error tells why there was no answer, empty if there was one.
	Error string        `json:"error,omitempty"`
	Took  time.Duration `json:"took"`
}

// bpHookEvent is a WebhookPost with what was posted.
type bpHookEvent struct {
	WebhookPost
	Body string `json:"body"`
}

// WebhookCounts sums up all webhook calls since the start.
type WebhookCounts struct {
	Sent     int64         `json:"sent"`     // POSTs attempted
	OK       int64         `json:"ok"`       // answered 2xx
	Failed   int64         `json:"failed"`   // anything else
	Skipped  int64         `json:"skipped"`  // never sent, by fault
	Statuses map[int]int64 `json:"statuses"` // by answer
}

const bpHookLog = 4096

type bpHooks struct {
	client *http.Client
	dialer *net.Dialer
	feed   *feed

	mu          sync.Mutex
	url, secret string
	faults      []*WebhookFault
	counts      WebhookCounts
	log         []WebhookPost // a ring once it is full
	next        int
}

func newBPHooks(cfg BotpressConfig, f *feed) *bpHooks {
	h := &bpHooks{url: cfg.WebhookURL, secret: cfg.WebhookSecret, feed: f}
	h.counts.Statuses = map[int]int64{}
	h.dialer = &net.Dialer{Timeout: 10 * time.Second}
	h.client = &http.Client{
		Transport: &http.Transport{
			DialContext:         h.dialer.DialContext,
			MaxIdleConns:        4096,
			MaxIdleConnsPerHost: 4096,
			IdleConnTimeout:     30 * time.Second,
			DisableKeepAlives:   cfg.DisableKeepAlives,
			DisableCompression:  true,
		},
		// A redirect is followed only in the way that spoils it: as a GET without the body.
		CheckRedirect: func(r *http.Request, via []*http.Request) error {
			if r.Method != http.MethodGet || len(via) > 5 {
				return http.ErrUseLastResponse
			}
			return nil
		},
	}
	return h
}

func (h *bpHooks) set(url, secret string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.url, h.secret = url, secret
}

func (h *bpHooks) reset() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.faults, h.log, h.next = nil, nil, 0
	h.counts = WebhookCounts{Statuses: map[int]int64{}}
}

// FailWebhook adds a fault.
func (b *Botpress) FailWebhook(f WebhookFault) {
	if f.Mode == "" {
		f.Mode = WebhookSkip
	}
	if f.Times == 0 {
		f.Times = 1
	}
	b.hooks.mu.Lock()
	defer b.hooks.mu.Unlock()
	b.hooks.faults = append(b.hooks.faults, &f)
}

// Webhooks gives the last 4096 webhook calls, oldest first.
func (b *Botpress) Webhooks() []WebhookPost {
	h := b.hooks
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Concat(h.log[h.next:], h.log[:h.next])
}

// WebhookCounts sums up the webhook calls.
func (b *Botpress) WebhookCounts() WebhookCounts {
	h := b.hooks
	h.mu.Lock()
	defer h.mu.Unlock()
	c := h.counts
	c.Statuses = maps.Clone(c.Statuses)
	return c
}

// take gives the target and the fault that hits this signal.
func (h *bpHooks) take(s bpSignal) (url, secret string, fault WebhookFault) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.url == "" {
		return "", "", fault
	}
	for i, f := range h.faults {
		if (!s.bot && !f.Echoes) || (f.Conversation != "" && f.Conversation != s.conv) || (f.Kind != "" && f.Kind != s.kind) {
			continue
		}
		if f.After > 0 {
			f.After--
			continue
		}
		if f.Times--; f.Times == 0 {
			h.faults = slices.Delete(h.faults, i, i+1)
		}
		return h.url, h.secret, *f
	}
	return h.url, h.secret, fault
}

// post delivers a signal once: no retry whatever comes of it. The error is what the streaming action
// of the bot would see; for messages it is only logged.
func (h *bpHooks) post(ctx context.Context, s bpSignal) error {
	url, secret, fault := h.take(s)
	if url == "" {
		return nil
	}
	if fault.Delay > 0 {
		t := time.NewTimer(fault.Delay)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if fault.Mode == WebhookSkip {
		h.record(s, fault.Mode, 0, nil, 0)
		return nil
	}
	if fault.Mode == WebhookTwice {
		_ = h.send(ctx, url, secret, s, fault.Mode)
	}
	return h.send(ctx, url, secret, s, fault.Mode)
}

func (h *bpHooks) send(ctx context.Context, url, secret string, s bpSignal, mode WebhookMode) error {
	if mode == WebhookBadSecret {
		secret = "not-" + secret
	}
	start, status := time.Now(), 0
	r, err := bpWebhookRequest(ctx, url, secret, s.body)
	switch {
	case err != nil:
	case mode == WebhookHangUp:
		err = h.hangUp(r)
	case mode == WebhookCut:
		r.Body = io.NopCloser(io.MultiReader(bytes.NewReader(s.body[:len(s.body)/2]), bpBroken{}))
		status, err = h.roundTrip(r)
	default:
		status, err = h.roundTrip(r)
	}
	h.record(s, mode, status, err, time.Since(start))
	switch {
	case err != nil:
		return fmt.Errorf("posting webhook: %w", err)
	case status/100 != 2:
		return fmt.Errorf("posting webhook: status %d", status)
	}
	return nil
}

// bpBroken is a body that fails half-way, which makes the transport break the connection.
type bpBroken struct{}

func (bpBroken) Read([]byte) (int, error) { return 0, errors.New("cut by fault") }

// bpWebhookRequest posts to url with a slash appended, as a client does whose base is url and whose
// path is "/".
func bpWebhookRequest(ctx context.Context, url, secret string, body []byte) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimRight(url, "/")+"/", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if secret != "" {
		r.Header.Set("x-secret-key", secret)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/plain, */*")
	r.Header.Set("User-Agent", "axios/1.2.5")
	return r, nil
}

func (h *bpHooks) roundTrip(r *http.Request) (int, error) {
	resp, err := h.client.Do(r)
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<20))
	return resp.StatusCode, errors.Join(err, resp.Body.Close())
}

// hangUp writes the whole request, on a connection of its own, and closes it. The transport offers no
// moment at which all has been written and nothing read.
func (h *bpHooks) hangUp(r *http.Request) error {
	conn, err := h.dialer.DialContext(r.Context(), "tcp", bpHostPort(r.URL))
	if err != nil {
		return err
	}
	if r.URL.Scheme == "https" {
		conn = tls.Client(conn, &tls.Config{ServerName: r.URL.Hostname(), MinVersion: tls.VersionTLS12})
	}
	if err := errors.Join(r.Write(conn), conn.Close()); err != nil {
		return err
	}
	return errors.New("hung up by fault")
}

func bpHostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = u.Scheme // a service name does as well
	}
	return net.JoinHostPort(u.Hostname(), port)
}

func (h *bpHooks) record(s bpSignal, mode WebhookMode, status int, err error, took time.Duration) {
	p := WebhookPost{
		At: time.Now(), Kind: s.kind, Conversation: s.conv, MessageID: s.message, Bot: s.bot,
		Status: status, Fault: mode, Took: took,
	}
	if err != nil {
		p.Error = err.Error()
	}
	if h.feed != nil {
		h.feed.add("webhook", p.Conversation, bpHookEvent{p, string(s.body)})
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case mode == WebhookSkip:
		h.counts.Skipped++
	case err == nil && status/100 == 2:
		h.counts.OK++
	default:
		h.counts.Failed++
	}
	if mode != WebhookSkip {
		h.counts.Sent++
	}
	if status != 0 {
		h.counts.Statuses[status]++
	}
	if len(h.log) < bpHookLog {
		h.log = append(h.log, p)
		return
	}
	h.log[h.next] = p
	h.next = (h.next + 1) % bpHookLog
}
