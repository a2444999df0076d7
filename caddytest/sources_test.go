package caddytest

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-wechat/caddy-wechat/caddytest/simulator"
)

// TestPublishedIPs accepts callbacks from the addresses that WeChat publishes. The
// pushes of the test come from loopback.
func TestPublishedIPs(t *testing.T) {
	t.Parallel()
	const (
		ours, others = "127.0.0.0/8", "192.0.2.0/24"
		refused      = "callback refused: it is signed, but callback_ips does not allow its address"
	)
	unavailable := simulator.WeChatFault{Path: "/cgi-bin/getcallbackip", HTTPStatus: http.StatusBadGateway, Body: "<html>"}
	for _, tc := range []struct {
		name    string
		options string
		list    string // what WeChat publishes; empty: its API does not tell
		want    int    // status
	}{
		{"listed", "callback_ips wechat", ours, http.StatusOK},
		{"listed, closed", "callback_ips wechat closed", ours, http.StatusOK},
		{"not listed", "callback_ips wechat", others, http.StatusForbidden},
		{"not listed, closed", "callback_ips wechat closed", others, http.StatusForbidden},
		{"unknown", "callback_ips wechat", "", http.StatusOK},
		{"unknown, closed", "callback_ips wechat closed", "", http.StatusForbidden},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, setup{options: tc.options, idle: true, wechat: func(c *simulator.WeChatConfig) { c.DisableKeepAlives = true }})
			w.wechat.SetCallbackIPs(tc.list)
			if tc.list == "" {
				w.wechat.Fail(unavailable)
			}
			w.caddy.start(w.config())
			expect := func(when string, want int) {
				t.Helper()
				ctx := within(t, 30*time.Second)
				_, a := w.wechat.Verify(ctx)
				d := w.wechat.Push(ctx, w.wechat.Text(alice, when))
				if a.Status != want || d.Attempts[0].Status != want {
					t.Errorf("%s: verification answered %d, push %d, want %d", when, a.Status, d.Attempts[0].Status, want)
				}
			}
			expect("at the start", tc.want)
			if told := len(w.caddy.log.await(min(1, tc.want/http.StatusForbidden), refused)) > 0; told != (tc.want == http.StatusForbidden) {
				t.Errorf("the log tells of a refusal: %t", told)
			}
			if tc.list != "" { // it is kept: WeChat is not asked by the next process
				w.wechat.SetCallbackIPs(others, "10.0.0.0/8")
				w.restart()
				expect("after a restart", tc.want)
				return
			}
			w.wechat.ClearFaults()
			w.wechat.SetCallbackIPs(ours)
			w.reload() // asks at once
			expect("when it is known", http.StatusOK)
		})
	}
}

// TestClientBehindProxy: callback_ips looks at the client that a proxy names, if Caddy
// trusts the proxy, and then at no other.
func TestClientBehindProxy(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{options: "callback_ips 192.0.2.1", idle: true})
	trusting := "persist_config off\n\tservers {\n\t\ttrusted_proxies static 127.0.0.0/8\n\t\ttrusted_proxies_strict\n\t}"
	w.caddy.start(strings.Replace(w.config(), "persist_config off", trusting, 1))
	for _, tc := range []struct {
		name, forwarded string
		status          int
	}{
		{"named by the proxy", "192.0.2.1", http.StatusOK},
		{"named by the client of the proxy", "192.0.2.1, 192.0.2.9", http.StatusForbidden},
		{"another", "192.0.2.9", http.StatusForbidden},
		{"the proxy itself", "", http.StatusForbidden},
	} {
		rq := request{name: tc.name, path: "/wechat", query: signedQuery(echoed), status: tc.status}
		if tc.forwarded != "" {
			rq.header = http.Header{"X-Forwarded-For": {tc.forwarded}}
		}
		if tc.status == http.StatusOK {
			rq.want = echo
		}
		w.do(rq)
	}
}
