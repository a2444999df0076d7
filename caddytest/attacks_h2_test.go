package caddytest

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-wechat/caddy-wechat/caddytest/simulator"
)

// TestAttackStreams sends the beginning of a body, and no more, by HTTP/2, where a
// connection has many requests: each has its own deadline, and the others go on.
func TestAttackStreams(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{mode: simulator.ModePlain, idle: true})
	w.caddy.start(strings.Replace(w.config(), "persist_config off", "persist_config off\n\tservers {\n\t\tprotocols h1 h2c\n\t}", 1))
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: protocols}
	defer transport.CloseIdleConnections()
	do := func(t *testing.T, method, path string, header http.Header, body io.Reader) (status int) {
		r, err := http.NewRequestWithContext(within(t, 30*time.Second), method, "http://"+w.site+path, body)
		if err != nil {
			t.Fatal(err)
		}
		r.Header = header
		resp, err := transport.RoundTrip(r)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			return 0
		}
		defer resp.Body.Close()
		if resp.ProtoMajor != 2 {
			t.Errorf("answered by %s", resp.Proto)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		return resp.StatusCode
	}
	signed := "/wechat?" + signedQuery(echoed)
	for _, tc := range []struct {
		name, path string
		header     http.Header
		status     int
	}{
		{"push", signed, http.Header{}, http.StatusRequestTimeout},
		{"push, not signed", "/wechat", http.Header{}, http.StatusForbidden},
		{"webhook", "/wechat/botpress", http.Header{"X-Secret-Key": {webhookSecret}}, http.StatusRequestTimeout},
		{"webhook without the secret", "/wechat/botpress", http.Header{}, http.StatusUnauthorized},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			body, more := io.Pipe()
			defer more.Close()
			go func() { _, _ = fmt.Fprint(more, "<xml>") }()
			if status := do(t, http.MethodPost, tc.path, tc.header, body); status != tc.status {
				t.Errorf("answered %d, want %d", status, tc.status)
			}
			if status := do(t, http.MethodGet, signed, http.Header{}, nil); status != http.StatusOK {
				t.Errorf("another request on the connection: %d", status)
			}
		})
	}
}
