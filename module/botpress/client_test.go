package botpress

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

const (
	testWebhook = "f3b1c2d4-0000-4000-8000-000000000001"
	testKey     = " s3cret+/Zz9 密钥== " // raw bytes sign, base64 or not
	testUser    = "wx-wx1234567890abcdef-oABCDEFGHIJKLMNOPQRSTUVWXYZ1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// seen is one request as a fake server got it.
type seen struct {
	Method, Path, Query, Body string
	Header                    http.Header
}

// script answers requests one after the other, the last answer for ever, and keeps what it was asked.
type script struct {
	mu       sync.Mutex
	requests []seen
	answers  []http.HandlerFunc
}

func (s *script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	n := len(s.requests)
	s.requests = append(s.requests, seen{r.Method, r.URL.EscapedPath(), r.URL.RawQuery, string(body), r.Header.Clone()})
	h := s.answers[min(n, len(s.answers)-1)]
	s.mu.Unlock()
	h(w, r)
}

func (s *script) all() []seen {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]seen(nil), s.requests...)
}

// reply answers as the cloud's proxy does: with no Content-Type.
func reply(status int, body string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Type"] = nil
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func newTestClient(t *testing.T, base string, change ...func(*Config)) *Client {
	t.Helper()
	cfg := Config{BaseURL: base, WebhookID: testWebhook, EncryptionKey: testKey}
	for _, f := range change {
		f(&cfg)
	}
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func serve(t *testing.T, answers ...http.HandlerFunc) (*Client, *script) {
	t.Helper()
	return serveScript(t, &script{answers: answers})
}

func serveScript(t *testing.T, s *script, change ...func(*Config)) (*Client, *script) {
	t.Helper()
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	return newTestClient(t, srv.URL, change...), s
}

func asError(t *testing.T, err error) *Error {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("got %T (%v), want an *Error", err, err)
	}
	return e
}

func TestNewChecksSettings(t *testing.T) {
	for name, tc := range map[string]struct {
		cfg  Config
		want string // part of the error; empty: fine
	}{
		"defaults":            {Config{WebhookID: testWebhook, EncryptionKey: "k"}, ""},
		"path prefix":         {Config{BaseURL: "http://h:1/a/", WebhookID: testWebhook, EncryptionKey: "k"}, ""},
		"no webhook id":       {Config{EncryptionKey: "k"}, "webhook id"},
		"webhook URL":         {Config{WebhookID: "https://webhook.botpress.cloud/x", EncryptionKey: "k"}, "webhook id"},
		"no key":              {Config{WebhookID: testWebhook}, ""},
		"relative base":       {Config{BaseURL: "chat.botpress.cloud", WebhookID: testWebhook, EncryptionKey: "k"}, "absolute"},
		"other scheme":        {Config{BaseURL: "ftp://h", WebhookID: testWebhook, EncryptionKey: "k"}, "absolute"},
		"query in base":       {Config{BaseURL: "https://h/?secretQuery=1", WebhookID: testWebhook, EncryptionKey: "k"}, "query"},
		"credentials in base": {Config{BaseURL: "https://u:secretPass@h", WebhookID: testWebhook, EncryptionKey: "k"}, "credentials"},
		"unparsable base":     {Config{BaseURL: "https://u:secretPass@h:port", WebhookID: testWebhook, EncryptionKey: "k"}, "parsing"},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := New(tc.cfg)
			if tc.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				c.Close()
				return
			}
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("got %v, want an error about %q", err, tc.want)
			}
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("error shows a secret: %v", err)
			}
		})
	}
}

func TestHello(t *testing.T) {
	c, s := serve(t, reply(200, "Hello, Botpress User 🤖"))
	if err := c.Hello(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := s.all()[0]
	if got.Method != http.MethodGet || got.Path != "/"+testWebhook+"/hello" || got.Header.Get("X-User-Key") != "" {
		t.Errorf("asked %+v", got)
	}
	if got.Header.Get("User-Agent") != "caddy-wechat" {
		t.Errorf("user agent %q", got.Header.Get("User-Agent"))
	}

	c, _ = serve(t, reply(200, `{"id":"err_1","code":404,"type":"ResourceNotFound","message":"Webhook not found"}`))
	if e := asError(t, c.Hello(t.Context())); !e.Operator() || !strings.Contains(e.Remedy(), "webhook id") || e.Gone() {
		t.Errorf("wrong webhook id: %+v, remedy %q", e, e.Remedy())
	}
}

// The key is checked as a server would, not with the library that made it.
func TestUserKey(t *testing.T) {
	c, s := serve(t, reply(200, `{"user":{"id":"`+testUser+`"}}`))
	for range 2 {
		if _, err := c.GetOrCreateUser(t.Context(), testUser, UserFields{}); err != nil {
			t.Fatal(err)
		}
	}
	requests := s.all()
	key := requests[0].Header.Get("X-User-Key")
	if again := requests[1].Header.Get("X-User-Key"); again != key {
		t.Error("the same user has two keys")
	}
	parts := strings.Split(key, ".")
	if len(parts) != 3 {
		t.Fatalf("key has %d parts", len(parts))
	}
	mac := hmac.New(sha256.New, []byte(testKey))
	mac.Write([]byte(parts[0] + "." + parts[1]))
	if want := base64.RawURLEncoding.EncodeToString(mac.Sum(nil)); parts[2] != want {
		t.Errorf("signature %q, want %q", parts[2], want)
	}
	var head, claims map[string]any
	for i, v := range []*map[string]any{&head, &claims} {
		raw, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(raw, v); err != nil {
			t.Fatal(err)
		}
	}
	if head["alg"] != "HS256" {
		t.Errorf("header %v", head)
	}
	if diff := cmp.Diff(map[string]any{"id": testUser}, claims); diff != "" {
		t.Errorf("claims (-want +got):\n%s", diff)
	}
}

func TestKeyringIsBounded(t *testing.T) {
	k := newKeyring("x")
	k.capacity = 3
	first, err := k.key("u0")
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"u1", "u2", "u3", "u0", "u4", "u5", "u6", "u7", "u8"} {
		if _, err := k.key(id); err != nil {
			t.Fatal(err)
		}
		if n := len(k.young) + len(k.old); n > 2*k.capacity {
			t.Fatalf("%d keys kept", n)
		}
	}
	if again, _ := k.key("u0"); again != first {
		t.Error("a forgotten key is signed differently")
	}
	if other, _ := k.key("u1"); other == first {
		t.Error("two users share a key")
	}
}

func TestRedirectIsRefused(t *testing.T) {
	followed := make(chan struct{}, 1)
	target := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { followed <- struct{}{} }))
	defer target.Close()
	for _, status := range []int{301, 302, 307, 308} {
		c, _ := serve(t, reply(status, "", "Location", target.URL+"/?token=x"))
		c.http.Jar = nil
		_, err := c.CreateMessage(t.Context(), testUser, testUser, TextPayload("hi"), nil)
		e := asError(t, err)
		if e.Status != status || !e.Operator() || e.Temporary() || e.Ambiguous() {
			t.Errorf("%d: %+v", status, e)
		}
	}
	select {
	case <-followed:
		t.Error("redirect was followed")
	default:
	}
}

func TestGivenHTTPClientIsNotChanged(t *testing.T) {
	given := &http.Client{}
	newTestClient(t, "http://127.0.0.1:1", func(cfg *Config) { cfg.HTTP = given })
	if given.CheckRedirect != nil {
		t.Error("the caller's client was changed")
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestRefusedValuesNeverLeave(t *testing.T) {
	c := newTestClient(t, "http://127.0.0.1:1", func(cfg *Config) {
		cfg.HTTP = &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) {
			t.Error("a request was made")
			return nil, io.EOF
		})}
	})
	ctx := t.Context()
	user := func(id string, u UserFields) func() error {
		return func() error { _, err := c.GetOrCreateUser(ctx, id, u); return err }
	}
	for name, tc := range map[string]struct {
		call func() error
		want string
	}{
		"empty id":        {user("", UserFields{}), "user id is empty"},
		"71 characters":   {user(strings.Repeat("a", 71), UserFields{}), "71 characters"},
		"slash":           {user("a/b", UserFields{}), "byte 1"},
		"backslash":       {user(`ab\`, UserFields{}), "byte 2"},
		"dot":             {user("a.b", UserFields{}), "byte 1"},
		"non-ASCII":       {user("微信", UserFields{}), "byte 0"},
		"percent":         {user("a%2F", UserFields{}), "byte 1"},
		"long profile":    {user("a", UserFields{Profile: strings.Repeat("x", 1001)}), "profile has 1001"},
		"profile, UTF-16": {user("a", UserFields{Profile: strings.Repeat("😀", 501)}), "profile has 1002"},
		"conversation": {func() error {
			_, err := c.GetOrCreateConversation(ctx, "a", "b c")
			return err
		}, "conversation id"},
		"message": {func() error {
			_, err := c.CreateMessage(ctx, "a", "b/c", TextPayload("x"), nil)
			return err
		}, "conversation id"},
		"event": {func() error { _, err := c.CreateEvent(ctx, "a b", "c", nil); return err }, "user id"},
		"list":  {func() error { _, err := c.ListMessages(ctx, "a", "../users/me", ""); return err }, "conversation id"},
		"not JSON": {func() error {
			_, err := c.CreateMessage(ctx, "a", "b", make(chan int), nil)
			return err
		}, "encoding request"},
	} {
		t.Run(name, func(t *testing.T) {
			e := asError(t, tc.call())
			if !strings.Contains(e.Error(), tc.want) {
				t.Errorf("got %q, want something about %q", e, tc.want)
			}
			if !e.Unsent || e.Temporary() || e.Ambiguous() || e.Operator() || e.Gone() {
				t.Errorf("classified as %+v", e)
			}
		})
	}
}

func TestAllowedValues(t *testing.T) {
	c, _ := serve(t, reply(200, `{"user":{"id":"x"}}`))
	for _, id := range []string{strings.Repeat("a", 70), "A-z_09", testUser, "user_01J0000000000000000000000"} {
		if _, err := c.GetOrCreateUser(context.Background(), id, UserFields{Profile: strings.Repeat("字", 1000)}); err != nil {
			t.Errorf("%s: %v", id, err)
		}
	}
}
