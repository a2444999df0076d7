package simulator

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"go.uber.org/goleak"
)

const bpTestKey = "a secret of the bot's owner"

// bpRig is a simulator on loopback with a client that speaks raw HTTP.
type bpRig struct {
	*Botpress
	t      *testing.T
	server *httptest.Server
	client *http.Client
}

// bpStart starts a simulator in personal mode, unless cfg says "shared" as its key.
func bpStart(t *testing.T, cfg BotpressConfig) *bpRig {
	t.Helper()
	ignore := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, ignore) })
	switch cfg.EncryptionKey {
	case "":
		cfg.EncryptionKey = bpTestKey
	case "shared":
		cfg.EncryptionKey = ""
	}
	b := NewBotpress(cfg)
	s := httptest.NewServer(b)
	rig := &bpRig{b, t, s, &http.Client{
		Transport: &http.Transport{MaxIdleConnsPerHost: 64},
		Timeout:   30 * time.Second,
	}}
	t.Cleanup(func() {
		rig.client.CloseIdleConnections()
		b.Close()
		s.Close()
	})
	return rig
}

func bpKeyFor(id string) string {
	return bpSign(jwt.SigningMethodHS256, bpTestKey, jwt.MapClaims{"id": id})
}

func bpSign(method jwt.SigningMethod, secret string, claims jwt.MapClaims) string {
	s, err := jwt.NewWithClaims(method, claims).SignedString([]byte(secret))
	if err != nil {
		panic(err)
	}
	return s
}

// bpAnswer is a raw answer.
type bpAnswer struct {
	status int
	header http.Header
	body   string
	err    error
}

// at reads a field of the JSON body, named by a path such as "message.payload.text".
func (a bpAnswer) at(path string) any {
	var v any
	if json.Unmarshal([]byte(a.body), &v) != nil {
		return nil
	}
	for name := range strings.SplitSeq(path, ".") {
		m, _ := v.(map[string]any)
		v = m[name]
	}
	return v
}

func (a bpAnswer) text(path string) string {
	s, _ := a.at(path).(string)
	return s
}

// do calls the Chat API; user is whose key to send: none if empty, verbatim if it has a dot.
func (r *bpRig) do(method, path, user, body string) bpAnswer {
	r.t.Helper()
	url := r.server.URL + "/" + r.WebhookID() + path
	return r.raw(method, url, user, body)
}

func (r *bpRig) raw(method, url, user, body string) bpAnswer {
	r.t.Helper()
	var in io.Reader
	if body != "" {
		in = strings.NewReader(body)
	}
	req, err := http.NewRequest(method, url, in)
	if err != nil {
		r.t.Fatal(err)
	}
	switch {
	case strings.Contains(user, "."):
		req.Header.Set("x-user-key", user)
	case user != "":
		req.Header.Set("x-user-key", bpKeyFor(user))
	}
	resp, err := r.client.Do(req)
	if err != nil {
		return bpAnswer{err: err}
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	return bpAnswer{resp.StatusCode, resp.Header, string(raw), err}
}

// ok is do that must succeed.
func (r *bpRig) ok(method, path, user, body string) bpAnswer {
	r.t.Helper()
	a := r.do(method, path, user, body)
	if a.err != nil || a.status != http.StatusOK {
		r.t.Fatalf("%s %s: %d %s %v", method, path, a.status, a.body, a.err)
	}
	return a
}

// join makes user and conversation of one id.
func (r *bpRig) join(id string) {
	r.t.Helper()
	r.ok("POST", "/users/get-or-create", id, `{}`)
	r.ok("POST", "/conversations/get-or-create", id, `{"id":"`+id+`"}`)
}

func bpTextBody(conv, text string) string {
	return string(bpJSON(map[string]any{"conversationId": conv, "payload": map[string]string{"type": "text", "text": text}}))
}

// send sends a text as the user of that id into the conversation of that id.
func (r *bpRig) send(id, text string) bpAnswer {
	r.t.Helper()
	return r.ok("POST", "/messages", id, bpTextBody(id, text))
}

func (r *bpRig) idle() {
	r.t.Helper()
	if err := r.WaitIdle(bpSoon(r.t)); err != nil {
		r.t.Fatalf("waiting for the bot: %v", err)
	}
}

// said gives the texts of the bot's messages, in the order they were stored.
func (r *bpRig) said(conv string) []string {
	var out []string
	for _, m := range r.Messages(conv) {
		if m.Bot {
			out = append(out, Turn{Payload: m.Payload}.Text())
		}
	}
	return out
}

func bpSoon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// bpHook receives webhooks.
type bpHook struct {
	server *httptest.Server
	// answer, if set, runs before the answer; it gives the status.
	answer func(s bpHeard) int

	mu    sync.Mutex
	heard []bpHeard
	more  chan struct{}
}

type bpHeard struct {
	method, uri string
	header      http.Header
	bpAnswer    // the body
	broken      bool
}

func bpListen(t *testing.T, answer func(bpHeard) int) *bpHook {
	h := &bpHook{answer: answer, more: make(chan struct{}, 100_000)}
	h.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var buf bytes.Buffer
		_, err := buf.ReadFrom(r.Body)
		s := bpHeard{r.Method, r.RequestURI, r.Header, bpAnswer{body: buf.String()}, err != nil}
		status := http.StatusOK
		if h.answer != nil {
			status = h.answer(s)
		}
		h.mu.Lock()
		h.heard = append(h.heard, s)
		h.mu.Unlock()
		h.more <- struct{}{}
		if status/100 == 3 {
			w.Header().Set("Location", "/elsewhere")
		}
		w.WriteHeader(status)
	}))
	t.Cleanup(h.server.Close)
	return h
}

func (h *bpHook) all() []bpHeard {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]bpHeard(nil), h.heard...)
}

// texts gives the texts of the bot's messages, as heard.
func (h *bpHook) texts(conv string) []string {
	var out []string
	for _, s := range h.all() {
		if s.text("type") == "message_created" && s.at("data.isBot") == true && s.text("data.conversationId") == conv {
			out = append(out, s.text("data.payload.text"))
		}
	}
	return out
}
