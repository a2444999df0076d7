package module

import (
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-wechat/caddy-wechat/module/bots"
	"github.com/caddy-wechat/caddy-wechat/module/internal/bridge"
	"github.com/caddy-wechat/caddy-wechat/module/wechat"
)

// TestUnread: whoever does not read an answer, whichever it is, is cut off, and Caddy is
// given no error to log the request with.
func TestUnread(t *testing.T) {
	for name, tc := range map[string]struct {
		request string
		status  string
	}{
		"refused":                    {"GET /wechat", "403"},
		"refused push":               {"POST /wechat", "403"},
		"echo":                       {"GET /wechat?echostr=1&timestamp=1&nonce=2&signature=" + wechat.Sign(fuzzToken, "1", "2"), "200"},
		"large push":                 {"POST /wechat?timestamp=1&nonce=2&signature=" + wechat.Sign(fuzzToken, "1", "2"), "413"},
		"not allowed":                {"PUT /wechat", "405"},
		"webhook without the secret": {"POST /wechat/botpress", "401"},
		"no file":                    {"GET /wechat/media/", "404"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := new(Handler)
				h.logger, h.evidence, h.account = zap.NewNop(), evidenceOf(t.Name()), &account{settings: &bridge.Settings{}}
				h.receiver = &bots.Botpress{}
				h.callback = bridge.Callback{Path: "/wechat", MaxBody: 3, Callback: &wechat.Callback{Tokens: []string{fuzzToken}, Encryption: wechat.Plain}}
				ln := make(pipes, 1)
				srv := &http.Server{ReadHeaderTimeout: time.Hour, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if err := h.ServeHTTP(w, r, caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return nil })); err != nil {
						t.Errorf("Caddy is given %v", err)
					}
				})}
				go func() { _ = srv.Serve(ln) }()
				defer func() {
					close(ln)
					_ = srv.Close()
				}()
				for _, waits := range []time.Duration{0, time.Hour} {
					ours, theirs := net.Pipe()
					defer ours.Close()
					ln <- theirs
					_, _ = io.WriteString(ours, tc.request+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 4\r\n\r\nbody")
					time.Sleep(waits)
					got, _ := io.ReadAll(ours)
					if answered := len(got) > 12 && string(got[9:12]) == tc.status; answered == (waits > 0) {
						t.Errorf("after %v: %q, want %s, and nothing after an hour", waits, got, tc.status)
					}
				}
			})
		})
	}
}
