package botpress

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

type verdict struct{ temporary, ambiguous, operator, gone bool }

func verdictOf(e *Error) verdict {
	return verdict{e.Temporary(), e.Ambiguous(), e.Operator(), e.Gone()}
}

var (
	poison    = verdict{}
	later     = verdict{temporary: true}
	inDoubt   = verdict{temporary: true, ambiguous: true}
	mendable  = verdict{operator: true}
	recreated = verdict{gone: true}
)

func api(code int, typ, message string) string {
	return fmt.Sprintf(`{"id":"err_20260723141517x1A2B3C4D","code":%d,"type":%q,"message":%q}`, code, typ, message)
}

// errorShapes are answers to createMessage.
var errorShapes = map[string]struct {
	status  int
	body    string
	want    Error
	verdict verdict
}{
	"API error": {403, api(403, "Forbidden", "You are not a participant in this message's conversation"), Error{
		Status: 403, Type: "Forbidden", ID: "err_20260723141517x1A2B3C4D",
		Message: "You are not a participant in this message's conversation",
	}, recreated},
	"not found":               {404, api(404, "ResourceNotFound", "x"), Error{Status: 404, Type: "ResourceNotFound"}, recreated},
	"gone":                    {410, api(410, "ResourceGone", "x"), Error{Status: 410, Type: "ResourceGone"}, recreated},
	"unauthorized":            {401, api(401, "Unauthorized", "Invalid user key"), Error{Status: 401, Type: "Unauthorized", Message: "Invalid user key"}, mendable},
	"payment":                 {402, api(402, "PaymentRequired", "x"), Error{Status: 402, Type: "PaymentRequired"}, mendable},
	"quota":                   {403, api(403, "QuotaExceeded", "x"), Error{Status: 403, Type: "QuotaExceeded"}, mendable},
	"firewall":                {403, "<html>no</html>", Error{Status: 403, Message: "answered with a web page"}, mendable},
	"payload":                 {400, api(400, "InvalidPayload", "x"), Error{Status: 400, Type: "InvalidPayload"}, poison},
	"conflict":                {409, api(409, "AlreadyExists", "x"), Error{Status: 409, Type: "AlreadyExists"}, poison},
	"locked":                  {409, api(409, "ResourceLockedConflict", "x"), Error{Status: 409, Type: "ResourceLockedConflict"}, later},
	"too large":               {413, api(413, "PayloadTooLarge", "x"), Error{Status: 413, Type: "PayloadTooLarge"}, poison},
	"media type":              {415, api(415, "UnsupportedMediaType", "x"), Error{Status: 415, Type: "UnsupportedMediaType"}, poison},
	"internal":                {500, api(500, "Internal", "x"), Error{Status: 500, Type: "Internal"}, inDoubt},
	"unknown":                 {500, api(500, "Unknown", "x"), Error{Status: 500, Type: "Unknown"}, inDoubt},
	"operation timeout":       {504, api(504, "OperationTimeout", "x"), Error{Status: 504, Type: "OperationTimeout"}, inDoubt},
	"rate limited, API shape": {429, api(429, "RateLimited", "x"), Error{Status: 429, Type: "RateLimited"}, later},

	"router: schema": {400, `{"message":"must have required property 'conversationId'"}`, Error{
		Status: 400, Message: "must have required property 'conversationId'",
	}, poison},
	"router: route":  {404, `{"message":"Route doesn't exist"}`, Error{Status: 404, Message: "Route doesn't exist"}, poison},
	"router: method": {404, `{"message":"Method doesn't exist"}`, Error{Status: 404, Message: "Method doesn't exist"}, poison},
	"webhook domain": {
		400, `{"message":"Chat API should be called from the chat domain \"chat.botpress.cloud\" not directly from the webhook domain \"webhook.botpress.cloud\"."}`,
		Error{Status: 400},
		mendable,
	},

	"plain text": {500, "connect ECONNREFUSED (Status Code: 503)", Error{
		Status: 500, Message: "connect ECONNREFUSED (Status Code: 503)",
	}, inDoubt},
	"empty 502":   {502, "", Error{Status: 502}, inDoubt},
	"HTML 503":    {503, "<html><body>busy</body></html>", Error{Status: 503, Message: "answered with a web page"}, inDoubt},
	"broken JSON": {500, `{"code":5`, Error{Status: 500, Message: `{"code":5`}, inDoubt},
	"JSON list":   {500, `["x"]`, Error{Status: 500, Message: `["x"]`}, inDoubt},
	"odd members": {500, `{"code":"x","type":7,"message":{"a":1},"id":[]}`, Error{Status: 500}, inDoubt},

	"error under 200":        {200, api(401, "Unauthorized", "Invalid user key"), Error{Status: 401, Type: "Unauthorized", Message: "Invalid user key"}, mendable},
	"error under 201":        {201, api(500, "Internal", "x"), Error{Status: 500, Type: "Internal"}, inDoubt},
	"gone under 200":         {200, api(404, "ResourceNotFound", "x"), Error{Status: 404, Type: "ResourceNotFound"}, recreated},
	"rate limited, other":    {429, `{"type":"RateLimited","description":"The request has been rate-limited.","status":429}`, Error{Status: 429, Type: "RateLimited", Message: "The request has been rate-limited."}, later},
	"rate limited under 200": {200, `{"type":"RateLimited","description":"x","status":429}`, Error{Status: 429, Type: "RateLimited"}, later},
	"code of no error":       {200, `{"code":200,"message":"ok"}`, Error{Status: 200}, inDoubt}, // no message in it
	"200, not JSON":          {200, "<html>sign in</html>", Error{Status: 200}, inDoubt},
	"200, empty object":      {200, "{}", Error{Status: 200}, inDoubt},
	"200, nothing":           {200, "", Error{Status: 200}, inDoubt},
	"204":                    {204, "", Error{Status: 204}, inDoubt},
}

func TestErrorShapes(t *testing.T) {
	for name, tc := range errorShapes {
		t.Run(name, func(t *testing.T) {
			c, _ := serve(t, reply(tc.status, tc.body))
			_, err := c.CreateMessage(t.Context(), testUser, testUser, TextPayload("hi"), nil)
			e := asError(t, err)
			if e.Op != "createMessage" || e.Status != tc.want.Status || e.Type != tc.want.Type {
				t.Errorf("got op %q, status %d, type %q; want status %d, type %q", e.Op, e.Status, e.Type, tc.want.Status, tc.want.Type)
			}
			if tc.want.Message != "" && e.Message != tc.want.Message {
				t.Errorf("message %q, want %q", e.Message, tc.want.Message)
			}
			if tc.want.ID != "" && e.ID != tc.want.ID {
				t.Errorf("id %q, want %q", e.ID, tc.want.ID)
			}
			if e.Unsent {
				t.Error("claims not to have been sent")
			}
			if got := verdictOf(e); got != tc.verdict {
				t.Errorf("verdict %+v, want %+v", got, tc.verdict)
			}
			if e.Operator() != (e.Remedy() != "") {
				t.Errorf("operator %v, remedy %q", e.Operator(), e.Remedy())
			}
		})
	}
}

// A code inside what the answer carries is not the answer's.
func TestNestedCodeIsNoError(t *testing.T) {
	c, _ := serve(t, reply(200, `{"message":{"id":"msg_1","payload":{"type":"text","text":"x","code":404},"metadata":{"status":500}}}`))
	if _, err := c.CreateMessage(t.Context(), testUser, testUser, TextPayload("hi"), nil); err != nil {
		t.Fatal(err)
	}
}

func TestAmbiguityIsForWhatCannotBeRepeated(t *testing.T) {
	for name, tc := range map[string]struct {
		call func(*Client, context.Context) error
		want verdict
	}{
		"createMessage": {func(c *Client, ctx context.Context) error {
			_, err := c.CreateMessage(ctx, "u", "c", TextPayload("x"), nil)
			return err
		}, inDoubt},
		"createEvent": {func(c *Client, ctx context.Context) error {
			_, err := c.CreateEvent(ctx, "u", "c", map[string]any{})
			return err
		}, inDoubt},
		"listMessages": {func(c *Client, ctx context.Context) error {
			_, err := c.ListMessages(ctx, "u", "c", "")
			return err
		}, later},
		"getOrCreateUser": {func(c *Client, ctx context.Context) error {
			_, err := c.GetOrCreateUser(ctx, "u", UserFields{})
			return err
		}, later},
		"getOrCreateConversation": {func(c *Client, ctx context.Context) error {
			_, err := c.GetOrCreateConversation(ctx, "u", "c")
			return err
		}, later},
		"hello": {(*Client).Hello, later},
	} {
		t.Run(name, func(t *testing.T) {
			c, _ := serve(t, reply(502, "bad gateway"))
			e := asError(t, tc.call(c, t.Context()))
			if got := verdictOf(e); e.Op != name || got != tc.want {
				t.Errorf("%s: %+v, want %+v", e.Op, got, tc.want)
			}
		})
	}
}

// hang keeps a request until its connection goes.
func hang(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

func cut(after string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			panic(err)
		}
		_, _ = conn.Write([]byte(after))
		if after == "" {
			_ = conn.(*net.TCPConn).SetLinger(0) // a reset rather than an end
		}
		_ = conn.Close()
	}
}

func TestNetworkFailures(t *testing.T) {
	closed := httptest.NewServer(nil)
	closed.Close()
	for name, tc := range map[string]struct {
		base    string // where nobody listens, instead of answer
		answer  http.HandlerFunc
		status  int
		unsent  bool
		verdict verdict
	}{
		"refused":           {base: closed.URL, unsent: true, verdict: later},
		"no such host":      {base: "http://nowhere.invalid", unsent: true, verdict: later},
		"TLS to plain":      {base: "tls", unsent: true, verdict: later},
		"reset":             {answer: cut(""), verdict: inDoubt},
		"end of file":       {answer: cut("HTTP/1.1 "), verdict: inDoubt},
		"garbage":           {answer: cut("SSH-2.0-x\r\n\r\n"), verdict: inDoubt},
		"timeout":           {answer: hang, verdict: inDoubt},
		"cut within answer": {answer: cut("HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n{\"message\":{\"id\""), status: 200, verdict: inDoubt},
		"cut within error":  {answer: cut("HTTP/1.1 403 Forbidden\r\nContent-Length: 90\r\n\r\n{\"code\":403"), verdict: inDoubt},
		"cut within 429":    {answer: cut("HTTP/1.1 429 Too Many Requests\r\nContent-Length: 90\r\n\r\n{"), status: 429, verdict: later},
		"endless answer": {
			answer: reply(200, `{"message":{"id":"m"},"x":"`+strings.Repeat("x", maxAnswer)+`"}`),
			status: 200, verdict: inDoubt,
		},
	} {
		t.Run(name, func(t *testing.T) {
			base := tc.base
			if base == "" || base == "tls" {
				srv := httptest.NewServer(&script{answers: []http.HandlerFunc{tc.answer}})
				defer srv.Close()
				base = srv.URL
				if tc.base == "tls" {
					base = strings.Replace(srv.URL, "http:", "https:", 1)
				}
			}
			c := newTestClient(t, base, func(cfg *Config) {
				if name == "timeout" {
					cfg.Timeout = time.Second
				}
			})
			_, err := c.CreateMessage(t.Context(), testUser, testUser, TextPayload("hi"), nil)
			e := asError(t, err)
			if e.Status != tc.status || e.Unsent != tc.unsent || verdictOf(e) != tc.verdict {
				t.Errorf("status %d, unsent %v, %+v; want %d, %v, %+v (%v)", e.Status, e.Unsent, verdictOf(e), tc.status, tc.unsent, tc.verdict, e)
			}
			if ue := new(url.Error); errors.As(err, &ue) {
				t.Error("wraps what shows the URL")
			}
			if e.Message == "" || strings.Contains(e.Error(), testWebhook) {
				t.Errorf("text: %q", e)
			}
		})
	}
}

type endless struct{ read int }

func (r *endless) Read(p []byte) (int, error) {
	if r.read += len(p); r.read > 8*maxAnswer {
		return 0, io.EOF // enough to know
	}
	clear(p)
	return len(p), nil
}

func (r *endless) Close() error { return nil }

func TestAnswersAreBounded(t *testing.T) {
	for _, status := range []int{200, 500} {
		body := &endless{}
		c := newTestClient(t, "http://h", func(cfg *Config) {
			cfg.Timeout = time.Minute
			cfg.HTTP = &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: status, Body: body}, nil
			})}
		})
		_, err := c.CreateMessage(t.Context(), testUser, testUser, TextPayload("hi"), nil)
		if e := asError(t, err); e.Status != status || verdictOf(e) != inDoubt {
			t.Errorf("%+v", e)
		}
		if body.read > 2*maxAnswer {
			t.Errorf("read %d bytes", body.read)
		}
	}
}

// A transport that tells nothing of connections may have sent the request.
func TestSilentTransportIsAmbiguous(t *testing.T) {
	c := newTestClient(t, "http://h", func(cfg *Config) {
		cfg.HTTP = &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) {
			return nil, errors.New("broken")
		})}
	})
	_, err := c.CreateMessage(t.Context(), testUser, testUser, TextPayload("hi"), nil)
	if e := asError(t, err); verdictOf(e) != inDoubt {
		t.Errorf("%+v", e)
	}
}

func TestCallerGoesAway(t *testing.T) {
	c, s := serve(t, hang)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for len(s.all()) == 0 {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	_, err := c.CreateMessage(ctx, testUser, testUser, TextPayload("hi"), nil)
	if e := asError(t, err); !errors.Is(err, context.Canceled) || verdictOf(e) != inDoubt {
		t.Errorf("%+v", e)
	}
	_, err = c.CreateMessage(ctx, testUser, testUser, TextPayload("hi"), nil)
	if e := asError(t, err); !errors.Is(err, context.Canceled) || verdictOf(e) != later || !e.Unsent {
		t.Errorf("gone beforehand: %+v", e)
	}
}

func TestErrorsTellNoSecrets(t *testing.T) {
	words := "我的密码是 hunter2, please"
	key, err := newKeyring(testKey).key(testUser)
	if err != nil {
		t.Fatal(err)
	}
	private := []string{testKey, testWebhook, key, testUser, words, "hunter2", "tok123", "wechatId99", "oABCDEF", "eyJh.eyJpZCI6MX0.sig"}
	everything := strings.Join(append(slices.Clone(private), "https://u:tok123@h/p?access_token=unsent9#unsent9"), " | ")
	send := func(c *Client) error {
		_, err := c.CreateMessage(t.Context(), testUser, testUser,
			Outgoing{"type": "text", "text": words, "extra": []any{"hunter2", "tok123", "oABCDEF"}}, map[string]any{"wechatMsgId": "wechatId99"})
		return err
	}
	check := func(t *testing.T, err error) {
		t.Helper()
		got := fmt.Sprintf("%v", err)
		for _, p := range append(slices.Clone(private), "unsent9", "密码", "please", strings.TrimSpace(testKey)) {
			if strings.Contains(got, p) {
				t.Errorf("%q is in %q", p, got)
			}
		}
		if len(got) > maxMessage+200 || strings.ContainsAny(got, "\r\n\t") {
			t.Errorf("not one short line: %q", got)
		}
	}
	for name, body := range map[string]string{
		"plain text": everything + "\r\n\t" + strings.Repeat("长", 500),
		"API":        fmt.Sprintf(`{"code":400,"id":%q,"type":%q,"message":%q}`, everything, everything, everything),
		"router":     fmt.Sprintf(`{"message":%q}`, everything),
	} {
		t.Run(name, func(t *testing.T) {
			c, _ := serve(t, reply(500, body))
			check(t, send(c))
		})
	}
	t.Run("unparsable answer", func(t *testing.T) {
		c, _ := serve(t, reply(200, everything))
		check(t, send(c))
	})
	t.Run("network", func(t *testing.T) {
		c, _ := serve(t, cut("HTTP/9.9 "+everything+"\r\n\r\n"))
		check(t, send(c))
	})
	t.Run("listing", func(t *testing.T) {
		c, _ := serve(t, reply(500, "no "+testUser+" for tok123"))
		_, err := c.ListMessages(t.Context(), "someone", testUser, "tok123")
		if strings.Contains(err.Error(), testUser) || strings.Contains(err.Error(), "someone") {
			t.Errorf("ids in %q", err)
		}
	})
	t.Run("still says what is wrong", func(t *testing.T) {
		c, _ := serve(t, reply(400, `{"id":"err_1","code":400,"type":"InvalidPayload","message":"must be text"}`))
		if got := send(c).Error(); got != "calling Botpress createMessage: 400 InvalidPayload: must be text (err_1)" {
			t.Error(got)
		}
	})
}
