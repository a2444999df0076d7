package module

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
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

// failingWriter is a connection that WeChat has closed: what is written fails.
type failingWriter struct{ *httptest.ResponseRecorder }

func (failingWriter) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

// TestUnwritten: a passive reply that could not be written is kept, and goes another way.
func TestUnwritten(t *testing.T) {
	for name, tc := range map[string]struct {
		writes bool
		left   int64 // replies
	}{"written": {writes: true}, "broken": {left: 1}} {
		t.Run(name, func(t *testing.T) {
			h, store := newFuzzHandler(t, func(s *bridge.Settings) { s.Reply, s.Wait = bridge.ReplyPassive, 5*time.Second })
			query, body := fuzzSigned(h, 2, "", []byte(fuzzXML))
			rec := httptest.NewRecorder()
			var w http.ResponseWriter = rec
			if !tc.writes {
				w = failingWriter{rec}
			}
			answered := make(chan any, 1)
			go func() {
				defer func() { answered <- recover() }()
				r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/wechat?"+query, bytes.NewReader(body))
				_ = h.push(w, r)
			}()
			says := func() int {
				rec := httptest.NewRecorder()
				r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/wechat/botpress", bytes.NewReader([]byte(
					`{"type":"message_created","data":{"id":"m","conversationId":"wx-`+fuzzAppID+`-oAlice","userId":"bot","isBot":true,`+
						`"createdAt":"2026-07-23T14:15:17.123Z","payload":{"type":"text","text":"hi"}}}`)))
				r.Header.Set("X-Secret-Key", fuzzSecret)
				_ = h.webhook(rec, r)
				return rec.Code
			}
			j, err := store.Get(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for { // until the bot has the user's message
				if u, ok, err := j.User(t.Context(), fuzzAppID, "oAlice"); err != nil {
					t.Fatal(err)
				} else if ok && !u.Watermark.IsZero() {
					break
				}
				time.Sleep(5 * time.Millisecond)
			}
			if code := says(); code != http.StatusOK {
				t.Fatalf("the webhook was answered %d", code)
			}
			if p := <-answered; p != nil {
				t.Errorf("panicked: %v", p)
			}
			if got := rec.Body.Len() > 0; got != tc.writes {
				t.Errorf("answered %q", rec.Body)
			}
			var waiting, parked int64
			for try := 0; try == 0 || try < 20 && waiting+parked != tc.left; try++ {
				time.Sleep(500 * time.Millisecond) // until the lane has written down what became of it
				if _, waiting, parked, err = j.CountWaiting(t.Context(), fuzzAppID); err != nil {
					break
				}
			}
			if err != nil || waiting+parked != tc.left {
				t.Errorf("%d replies wait, %d are parked (%v); want %d", waiting, parked, err, tc.left)
			}
		})
	}
}
