package module

import (
	"context"
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// TestReached: where a push has arrived, as Caddy sees it, and as a proxy says that
// Caddy trusts.
func TestReached(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name     string
		host     string
		tls      bool
		original string // path, before an earlier directive has changed it
		forward  []string
		trusted  bool
		want     string
	}{
		{name: "https", host: "bot.example.com", tls: true, want: "https://bot.example.com"},
		{name: "http", host: "bot.example.com:8080", want: "http://bot.example.com:8080"},
		{name: "an address", host: "[2001:db8::1]:8080", want: "http://[2001:db8::1]:8080"},
		{name: "below a path", host: "bot.example.com", tls: true, original: "/bots/one/wechat", want: "https://bot.example.com/bots/one"},
		{name: "rewritten", host: "bot.example.com", tls: true, original: "/other", want: "https://bot.example.com"},
		{name: "behind a proxy", host: "10.0.0.1", forward: []string{"https", "bot.example.com"}, trusted: true, want: "https://bot.example.com"},
		{name: "behind a proxy that keeps the host", host: "bot.example.com", forward: []string{"https", ""}, trusted: true, want: "https://bot.example.com"},
		{name: "behind anybody", host: "bot.example.com", forward: []string{"https", "evil.example"}, want: "http://bot.example.com"},
		{name: "a proxy's nonsense", host: "bot.example.com", forward: []string{"gopher", ""}, trusted: true, want: "http://bot.example.com"},
		{name: "no host", host: ""},
		{name: "a path in the host", host: "bot.example.com/evil"},
		{name: "a user in the host", host: "user@bot.example.com"},
		{name: "a query in the host", host: "bot.example.com?x"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/wechat", nil)
			r.Host = tc.host
			if tc.tls {
				r.TLS = &tls.ConnectionState{}
			}
			if tc.forward != nil {
				r.Header.Set("X-Forwarded-Proto", tc.forward[0])
				r.Header.Set("X-Forwarded-Host", tc.forward[1])
			}
			original := *r.Clone(r.Context())
			if tc.original != "" {
				original.URL.Path = tc.original
			}
			ctx := context.WithValue(r.Context(), caddyhttp.VarsCtxKey, map[string]any{caddyhttp.TrustedProxyVarKey: tc.trusted})
			ctx = context.WithValue(ctx, caddyhttp.OriginalRequestCtxKey, original)
			if got := arrivedAt(r.WithContext(ctx)).base(); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}
