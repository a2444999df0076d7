package wechat

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	testSecret = "0123456789abcdef0123456789abcdef"
	tokenJSON  = `{"access_token":"TOKEN-%d","expires_in":7200}`
	okJSON     = `{"errcode":0,"errmsg":"ok"}`
)

// cloud is WeChat's side as a RoundTripper: it issues tokens TOKEN-1, TOKEN-2, ...
// and answers other calls by a function. It records what it was asked.
type cloud struct {
	// token answers the n-th request for a token; nil issues TOKEN-n.
	token func(n int, r *http.Request) (*http.Response, error)
	// call answers the n-th other request; nil says ok.
	call func(n int, r *http.Request) (*http.Response, error)

	mu     sync.Mutex
	tokens []*http.Request
	calls  []*http.Request
	bodies [][]byte // of calls
}

func (cl *cloud) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		body, _ = io.ReadAll(r.Body)
		r.Body.Close()
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	cl.mu.Lock()
	isToken := strings.HasSuffix(r.URL.Path, pathToken)
	if isToken {
		cl.tokens = append(cl.tokens, r)
	} else {
		cl.calls, cl.bodies = append(cl.calls, r), append(cl.bodies, body)
	}
	nt, nc := len(cl.tokens), len(cl.calls)
	cl.mu.Unlock()
	switch {
	case isToken && cl.token != nil:
		return cl.token(nt, r)
	case isToken:
		return answer(fmt.Sprintf(tokenJSON, nt)), nil
	case cl.call != nil:
		return cl.call(nc, r)
	}
	return answer(okJSON), nil
}

// asked returns how many requests for tokens and for other things there were.
func (cl *cloud) asked() [2]int {
	cl.mu.Lock()
	defer cl.mu.Unlock()
	return [2]int{len(cl.tokens), len(cl.calls)}
}

func answer(body string) *http.Response {
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}
}

func mustClient(t testing.TB, rt http.RoundTripper, change ...func(*Config)) *Client {
	t.Helper()
	cfg := Config{AppID: madeAppID, AppSecret: testSecret, HTTP: &http.Client{Transport: rt}}
	for _, f := range change {
		f(&cfg)
	}
	c, err := NewClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestNewClient(t *testing.T) {
	tests := []struct {
		name, appID, secret, base string
		ok                        bool
	}{
		{"default", madeAppID, testSecret, "", true},
		{"path prefix", madeAppID, testSecret, "http://127.0.0.1:8/wechat/", true},
		{"no AppID", "", testSecret, "", false},
		{"no secret", madeAppID, "", "", false},
		{"no scheme", madeAppID, testSecret, "api.weixin.qq.com", false},
		{"other scheme", madeAppID, testSecret, "ftp://api.weixin.qq.com", false},
		{"no host", madeAppID, testSecret, "https://:443/", false},
		{"user", madeAppID, testSecret, "https://sesame:open@x/", false},
		{"query", madeAppID, testSecret, "https://x/?sesame=1", false},
		{"fragment", madeAppID, testSecret, "https://x/#sesame", false},
		{"not a URL", madeAppID, testSecret, "https://sesame:%zz@x", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := NewClient(Config{AppID: tt.appID, AppSecret: tt.secret, BaseURL: tt.base})
			if (err == nil) != tt.ok {
				t.Fatalf("error = %v, want ok %v", err, tt.ok)
			}
			if err != nil {
				if strings.Contains(err.Error(), "sesame") || strings.Contains(err.Error(), testSecret) {
					t.Errorf("the error shows a secret: %v", err)
				}
				return
			}
			c.Close()
		})
	}
}

func TestRequests(t *testing.T) {
	cl := &cloud{}
	c := mustClient(t, cl, func(cfg *Config) { cfg.BaseURL, cfg.UserAgent = "https://hk.example/base/", "agent/1" })
	if err := c.Send(t.Context(), "oA", TextMessage("hi")); err != nil {
		t.Fatal(err)
	}
	token, send := cl.tokens[0], cl.calls[0]
	if got := token.Method + " " + token.URL.String(); got != "POST https://hk.example/base/cgi-bin/stable_token" {
		t.Errorf("token request: %s", got)
	}
	body, _ := io.ReadAll(token.Body)
	if want := `{"grant_type":"client_credential","appid":"` + madeAppID + `","secret":"` + testSecret + `","force_refresh":false}`; string(body) != want {
		t.Errorf("token request: %s", body)
	}
	if got := send.Method + " " + send.URL.String(); got != "POST https://hk.example/base/cgi-bin/message/custom/send?access_token=TOKEN-1" {
		t.Errorf("send request: %s", got)
	}
	for _, r := range []*http.Request{token, send} {
		if r.Header.Get("User-Agent") != "agent/1" || r.Header.Get("Content-Type") != "application/json; charset=utf-8" {
			t.Errorf("header: %v", r.Header)
		}
		if _, ok := r.Context().Deadline(); !ok {
			t.Errorf("%s has no deadline", r.URL.Path)
		}
	}
}

func TestDeadlines(t *testing.T) {
	cl := &cloud{call: func(_ int, r *http.Request) (*http.Response, error) {
		switch r.URL.Path {
		case pathUpload:
			return answer(`{"media_id":"m"}`), nil
		case pathCallbackIPs:
			return answer(`{"ip_list":["192.0.2.1"]}`), nil
		}
		return answer(okJSON), nil
	}}
	c := mustClient(t, cl)
	ctx := context.WithoutCancel(t.Context())
	start := time.Now()
	_, err1 := c.CallbackIPs(ctx)
	_, err2 := c.Upload(ctx, MediaImage, "a.png", []byte("x"))
	err := errors.Join(err1, err2, c.Send(ctx, "o", TextMessage("a")), c.Typing(ctx, "o", true))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range append(cl.tokens, cl.calls...) {
		want := 10 * time.Second
		if r.URL.Path == pathUpload {
			want = 30 * time.Second
		}
		end, ok := r.Context().Deadline()
		if d := end.Sub(start); !ok || d < want || d > want+5*time.Second {
			t.Errorf("%s: deadline in %v, want %v", r.URL.Path, d, want)
		}
	}
}

func TestCallbackIPs(t *testing.T) {
	prefixes := func(ss ...string) (out []netip.Prefix) {
		for _, s := range ss {
			out = append(out, netip.MustParsePrefix(s))
		}
		return out
	}
	tests := []struct {
		name, reply string
		want        []netip.Prefix
	}{
		{"addresses and prefixes", `{"ip_list":["101.226.62.77","101.226.103.7/25"," 2001:db8::1 ","::ffff:192.0.2.1"]}`, prefixes("101.226.62.77/32", "101.226.103.0/25", "2001:db8::1/128", "192.0.2.1/32")},
		{"some cannot be read", `{"ip_list":["x","101.226.62.*","192.0.2.1","fe80::1%eth0",""]}`, prefixes("192.0.2.1/32")},
		{"none can be read", `{"ip_list":["x"]}`, nil},
		{"empty", `{"ip_list":[]}`, nil},
		{"absent", `{}`, nil},
		{"other type", `{"ip_list":"192.0.2.1"}`, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cl := &cloud{call: func(int, *http.Request) (*http.Response, error) { return answer(tt.reply), nil }}
			got, err := mustClient(t, cl).CallbackIPs(t.Context())
			var te *TransportError
			if tt.want == nil && (!errors.As(err, &te) || te.Ambiguous()) || tt.want != nil && err != nil {
				t.Fatalf("error = %v", err)
			}
			if diff := cmp.Diff(tt.want, got, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
				t.Error(diff)
			}
			if got := cl.calls[0].Method + " " + cl.calls[0].URL.RequestURI(); got != "GET /cgi-bin/getcallbackip?access_token=TOKEN-1" {
				t.Errorf("asked %s", got)
			}
		})
	}
}

func TestOwnTransport(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == pathToken {
			fmt.Fprintf(w, tokenJSON, 1)
			return
		}
		fmt.Fprint(w, okJSON)
	}))
	defer srv.Close()
	c := mustClient(t, nil, func(cfg *Config) { cfg.HTTP, cfg.BaseURL = nil, srv.URL })
	if err := c.Send(t.Context(), "oA", TextMessage("hi")); err != nil {
		t.Fatal(err)
	}
}
