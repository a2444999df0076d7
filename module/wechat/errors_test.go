package wechat

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestTransportErrors takes a send through everything that can go wrong on the way
// to WeChat and back, over real connections.
func TestTransportErrors(t *testing.T) {
	var strayed, swallowed atomic.Bool
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { strayed.Store(true) }))
	defer elsewhere.Close()
	cut := func(w http.ResponseWriter, some string) {
		conn, buf, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		buf.WriteString(some)
		buf.Flush()
		conn.Close()
	}
	say := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			io.WriteString(w, body)
		}
	}
	tests := []struct {
		name      string
		h         http.HandlerFunc
		status    int
		ambiguous bool
		want      string
		is        error
	}{
		{"HTML", say(200, "<html>secret words</html>"), 200, true, "not the expected JSON", nil},
		{"empty", say(200, ""), 200, true, "empty", nil},
		{"half a JSON", say(200, `{"errcode":0,"errm`), 200, true, "not the expected JSON", nil},
		{"JSON and more", say(200, okJSON+"x"), 200, true, "not the expected JSON", nil},
		{"null", say(200, "null"), 200, true, "not the expected JSON", nil},
		{"list", say(200, "[]"), 200, true, "not the expected JSON", nil},
		{"code of another type", say(200, `{"errcode":"secret"}`), 200, true, "not the expected JSON", nil},
		{"too large", say(200, `{"errcode":0,"errmsg":"`+strings.Repeat("x", maxAnswer)+`"}`), 200, true, "too large", nil},
		{"endless", func(w http.ResponseWriter, _ *http.Request) {
			for range 64 {
				if _, err := io.WriteString(w, strings.Repeat("x", maxAnswer)); err != nil {
					return
				}
			}
			swallowed.Store(true)
		}, 200, true, "too large", nil},
		{"HTTP 500", say(500, "oops secret"), 500, true, "HTTP status 500", nil},
		{"HTTP 502, ok inside", say(502, okJSON), 502, true, "HTTP status 502", nil},
		{"HTTP 404", say(404, "secret"), 404, false, "HTTP status 404", nil},
		{"HTTP 429", say(429, ""), 429, false, "HTTP status 429", nil},
		{"redirect", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL+"/?"+r.URL.RawQuery, http.StatusTemporaryRedirect)
		}, 307, false, "HTTP status 307", nil},
		{"redirect to nonsense", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "http://%zz/?"+r.URL.RawQuery)
			w.WriteHeader(http.StatusFound)
		}, 0, true, "", nil},
		{"cut at once", func(w http.ResponseWriter, _ *http.Request) { cut(w, "") }, 0, true, "connection was cut", nil},
		{"cut in the answer", func(w http.ResponseWriter, _ *http.Request) {
			cut(w, "HTTP/1.1 200 OK\r\nContent-Length: 27\r\n\r\n{\"errcode\":0")
		}, 0, true, "connection was cut", nil},
		{"not HTTP", func(w http.ResponseWriter, r *http.Request) { cut(w, "SSH-2.0 "+r.URL.RawQuery+"\r\n\r\n") }, 0, true, "", nil},
		{"no answer", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, 0, true, "timed out", context.DeadlineExceeded},
		{"half an answer", func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, `{"errcode":`)
			http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}, 0, true, "timed out", context.DeadlineExceeded},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				// Without reading to the end the server sees no hang-up.
				io.Copy(io.Discard, r.Body)
				if r.URL.Path == pathToken {
					fmt.Fprintf(w, tokenJSON, 1)
					return
				}
				tt.h(w, r)
			}))
			defer srv.Close()
			c := mustClient(t, nil, func(cfg *Config) {
				cfg.HTTP, cfg.BaseURL = nil, srv.URL
				if tt.is != nil {
					cfg.Timeout = time.Second
				}
			})
			defer c.Close()
			checkTransportError(t, c.Send(t.Context(), "oA", TextMessage("my words")), tt.status, tt.ambiguous, tt.want, tt.is)
		})
	}
	if strayed.Load() {
		t.Error("a redirect was followed")
	}
	if swallowed.Load() {
		t.Error("an answer of 64 MiB was read to its end")
	}
}

func checkTransportError(t *testing.T, err error, status int, ambiguous bool, want string, is error) {
	t.Helper()
	var te *TransportError
	if !errors.As(err, &te) {
		t.Fatalf("error = %v, want a TransportError", err)
	}
	if te.API != pathSend || te.Status != status || te.Ambiguous() != ambiguous || !strings.Contains(err.Error(), want) {
		t.Errorf("error = %v (%+v), want status %d, ambiguous %v, %q", err, te, status, ambiguous, want)
	}
	if is != nil && !errors.Is(err, is) {
		t.Errorf("error = %v is not %v", err, is)
	}
	checkNothingShown(t, err)
}

// checkNothingShown walks down an error.
func checkNothingShown(t *testing.T, err error) {
	t.Helper()
	for ; err != nil; err = errors.Unwrap(err) {
		for _, text := range []string{err.Error(), fmt.Sprintf("%+v", err), fmt.Sprintf("%#v", err)} {
			for _, secret := range []string{"TOKEN-", testSecret, "secret", "words", "access_token=T", "oA"} {
				if strings.Contains(text, secret) {
					t.Errorf("the error shows %q: %s", secret, text)
				}
			}
		}
		if ue, ok := errors.AsType[*url.Error](err); ok {
			t.Errorf("a url.Error inside: %v", ue)
		}
	}
}

func TestNoConnection(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close() // nobody listens there now
	c := mustClient(t, nil, func(cfg *Config) { cfg.HTTP, cfg.BaseURL = nil, "http://"+l.Addr().String() })
	c.token.set("TOKEN-1", time.Now(), time.Hour)
	checkTransportError(t, c.Send(t.Context(), "oA", TextMessage("my words")), 0, false, "send: dial tcp", nil)
}

// TestTokenConnectionCut: what happened to a request for a token casts no doubt on
// the message, which was not sent.
func TestTokenConnectionCut(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	defer srv.Close()
	c := mustClient(t, nil, func(cfg *Config) { cfg.HTTP, cfg.BaseURL = nil, srv.URL })
	defer c.Close()
	err := c.Send(t.Context(), "oA", TextMessage("my words"))
	var te *TransportError
	if !errors.As(err, &te) || te.API != pathToken || te.Ambiguous() {
		t.Errorf("error = %v, want an unambiguous TransportError", err)
	}
	checkNothingShown(t, err)
}

func TestCanceled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		cancel()
		<-r.Context().Done()
	}))
	defer srv.Close()
	c := mustClient(t, nil, func(cfg *Config) { cfg.HTTP, cfg.BaseURL = nil, srv.URL })
	defer c.Close()
	c.token.set("TOKEN-1", time.Now(), time.Hour)
	checkTransportError(t, c.Send(ctx, "oA", TextMessage("my words")), 0, true, "canceled", context.Canceled)
	// The second time the context is over before anything is sent.
	if err := c.Send(ctx, "oA", TextMessage("my words")); !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v", err)
	}
}

func TestTransportErrorScrubbed(t *testing.T) {
	cl := &cloud{call: func(_ int, r *http.Request) (*http.Response, error) {
		return nil, fmt.Errorf("proxy http://user:sesame@proxy.example said %s%s", strings.Repeat("x", 230), r.URL)
	}}
	err := mustClient(t, cl).Send(t.Context(), "oA", TextMessage("a"))
	checkTransportError(t, err, 0, false, "send: proxy ", nil)
	if strings.Contains(err.Error(), "sesame") || len(err.Error()) > 400 {
		t.Errorf("error = %v", err)
	}
}

func TestError(t *testing.T) {
	tests := []struct {
		name, answer string
		status       int
		msg, rid     string
	}{
		{"rid", `{"errcode":45015,"errmsg":"response out of time limit or subscription is canceled rid: 65a1b2c3-0d4e5f60-7a8b9c0d"}`, 200, "response out of time limit or subscription is canceled rid: 65a1b2c3-0d4e5f60-7a8b9c0d", "65a1b2c3-0d4e5f60-7a8b9c0d"},
		{"hint", `{"errcode":45015,"errmsg":"response out of time hint: [abc]"}`, 200, "response out of time hint: [abc]", ""},
		{"no errmsg", `{"errcode":45015}`, 200, "", ""},
		{"with HTTP 500", `{"errcode":45015,"errmsg":"x"}`, 500, "x", ""},
		{"with HTTP 403", `{"errcode":45015,"errmsg":"x"}`, 403, "x", ""},
		{"white space in front", "\n {\"errcode\":45015,\"errmsg\":\" a\\r\\nb\\u0007 \"}", 200, "a b", ""},
		{"token", `{"errcode":45015,"errmsg":"TOKEN-1 of access_token=other and ` + testSecret + `"}`, 200, "[redacted] of access_token=[redacted] and [redacted]", ""},
		{"escaped token", `{"errcode":45015,"errmsg":"odd%2Ftoken%3D and odd/token= "}`, 200, "[redacted] and [redacted]", ""},
		{"quoted token", `{"errcode":45015,"errmsg":"in {\"access_token\": \"other\", \"secret\":\"other\"}"}`, 200, "in {\"access_token=[redacted]\", \"secret=[redacted]\"}", ""},
		{"long", `{"errcode":45015,"errmsg":"` + strings.Repeat("你", 200) + `"}`, 200, strings.Repeat("你", 100), ""},
		{"token at the cut", `{"errcode":45015,"errmsg":"` + strings.Repeat("x", 297) + `TOKEN-1"}`, 200, strings.Repeat("x", 297) + "[re", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cl := &cloud{call: func(int, *http.Request) (*http.Response, error) {
				r := answer(tt.answer)
				r.StatusCode = tt.status
				return r, nil
			}}
			c := mustClient(t, cl)
			if tt.name == "escaped token" {
				c.token.set("odd/token=", time.Now(), time.Hour)
			}
			err := c.Send(t.Context(), "oA", TextMessage("a"))
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("error = %v", err)
			}
			if want := (Error{API: pathSend, Code: 45015, Msg: tt.msg, RID: tt.rid}); *e != want {
				t.Errorf("error = %+v\nwant %+v", *e, want)
			}
			if want := "calling /cgi-bin/message/custom/send: WeChat error 45015: " + tt.msg; err.Error() != want {
				t.Errorf("error = %v", err)
			}
		})
	}
}

func TestActions(t *testing.T) {
	want := map[Action][]int{
		ActionRetry:        {-1},
		ActionWait:         {45011},
		ActionRefresh:      {40001, 40014, 42001},
		ActionPark:         {45015, 45047},
		ActionDrop:         {40003, 43004, 43019, 43101, 46004, 48002, 49003, 50005},
		ActionSplit:        {45002},
		ActionReupload:     {40007},
		ActionHold:         {40013, 40125, 40164, 40243, 45009, 48004, 48006, 50002, 61004, 61024, 89503, 89506, 89507},
		ActionNoPermission: {48001},
		ActionDropMedia:    {40004, 40005, 40006, 40009, 40010, 40011, 40012, 45001, 45007, 48008},
		ActionTrim:         {45003, 45004, 45005, 45006},
		ActionDropAgent:    {61450, 61451, 61452, 61453, 61454, 61455, 61456, 61457, 65400, 65401},
		ActionIgnore:       {40200, 45080, 45081},
		ActionBug: {
			40002, 40008, 40033, 40201, 40202, 40203, 41001, 41002, 41004, 41005, 41006, 43002, 43003, 44002, 44003, 44004,
			45008, 45056, 45058, 45059, 45072, 45157, 45158, 47001, 99999, 0,
		},
	}
	known := 0
	names := map[string]bool{}
	for action, list := range want {
		if name := action.String(); name == "" || name == "unknown" || names[name] {
			t.Errorf("action %d is called %q", action, name)
		} else {
			names[name] = true
		}
		for _, code := range list {
			e := &Error{API: pathSend, Code: code}
			if got := e.Action(); got != action {
				t.Errorf("code %d: %v, want %v", code, got, action)
			}
			if needs := action == ActionHold || action == ActionNoPermission; needs && e.Remedy() == "" {
				t.Errorf("code %d: no remedy", code)
			}
			if _, ok := codes[code]; ok {
				known++
			}
		}
	}
	if known != len(codes) {
		t.Errorf("%d of %d codes are tested", known, len(codes))
	}
	if got := Action(0).String() + Action(99).String(); got != "unknownunknown" {
		t.Errorf("no actions: %q", got)
	}
}

func TestRemedy(t *testing.T) {
	tests := []struct {
		e    Error
		want string // a part of it
	}{
		{Error{API: pathToken, Code: 40164, Msg: "invalid ip 203.0.113.9 ipv6 ::ffff:203.0.113.9, not in whitelist rid: 65a1b2c3-0d4e5f60"}, "Add 203.0.113.9 to"},
		{Error{API: pathToken, Code: 40164, Msg: "invalid ip 2001:db8::7, not in whitelist"}, "Add 2001:db8::7 to"},
		{Error{API: pathToken, Code: 40164, Msg: "invalid ip ::ffff:203.0.113.9."}, "Add 203.0.113.9 to"},
		{Error{API: pathToken, Code: 40164, Msg: "not in whitelist"}, "Add this server's address to"},
		{Error{API: pathToken, Code: 40001}, "app_secret"},
		{Error{API: pathToken, Code: 40125}, "app_secret"},
		{Error{API: pathToken, Code: 40013}, "app_id"},
		{Error{API: pathToken, Code: 12345}, "12345"},
		{Error{API: pathToken, Code: 41004}, "41004"},
		{Error{API: pathSend, Code: 48001}, "passive"},
	}
	for _, tt := range tests {
		if got := tt.e.Remedy(); !strings.Contains(got, tt.want) || !strings.HasSuffix(got, ".") {
			t.Errorf("code %d: %q, want one with %q", tt.e.Code, got, tt.want)
		}
	}
	for _, e := range []Error{{API: pathSend, Code: 40001}, {API: pathSend, Code: 45015}, {API: pathSend, Code: 12345}, {API: pathToken, Code: -1}} {
		if got := e.Remedy(); got != "" {
			t.Errorf("code %d: %q, want none", e.Code, got)
		}
	}
}
