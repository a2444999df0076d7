package simulator

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

const (
	wcTestAppID  = "wx0123456789abcdef"
	wcTestSecret = "0123456789abcdef0123456789abcdef"
	wcTestUser   = "oTEST0000000000000000000000a"
)

// wcServer stands in for the operator's server: it records pushes and answers as told.
type wcServer struct {
	*httptest.Server
	mu     sync.Mutex
	got    []wcPushed
	answer func(n int, p wcPushed, rw http.ResponseWriter)
}

type wcPushed struct {
	q    url.Values
	body string
	xml  string // decrypted, if it was encrypted
}

// wcNewPair starts a callback server and a simulator that pushes to it.
func wcNewPair(t *testing.T, change func(*WeChatConfig)) (*WeChat, *wcServer, *httptest.Server) {
	t.Helper()
	ignore := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, ignore) })
	s := &wcServer{}
	s.Server = httptest.NewServer(http.HandlerFunc(s.serve))
	cfg := WeChatConfig{
		AppID: wcTestAppID, AppSecret: wcTestSecret, Token: "testtoken", AESKey: wcKeyAbc,
		CallbackURL: s.URL + "/wechat", RetryPause: -1, Timeout: 5 * time.Second,
	}
	if change != nil {
		change(&cfg)
	}
	w := NewWeChat(cfg)
	api := httptest.NewServer(w)
	t.Cleanup(func() {
		w.Close()
		api.Client().CloseIdleConnections()
		api.Close()
		s.Close()
	})
	return w, s, api
}

func (s *wcServer) serve(rw http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	p := wcPushed{q: r.URL.Query(), body: string(body), xml: string(body)}
	if n, err := parseWcXML(body); err == nil && n.child("Encrypt") != nil {
		msg, _, _, err := mustWcCipher(wcKeyAbc).open(n.child("Encrypt").text)
		p.xml = string(msg)
		if err != nil {
			p.xml = "does not open"
		}
	}
	s.mu.Lock()
	s.got = append(s.got, p)
	n, answer := len(s.got), s.answer
	s.mu.Unlock()
	if answer == nil {
		_, _ = io.WriteString(rw, "success")
		return
	}
	answer(n, p, rw)
}

func (s *wcServer) pushes() []wcPushed {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]wcPushed(nil), s.got...)
}

// says makes the server answer every push with body.
func (s *wcServer) says(status int, body string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = func(_ int, _ wcPushed, rw http.ResponseWriter) {
		rw.WriteHeader(status)
		_, _ = io.WriteString(rw, body)
	}
}

// wcCall calls the API and decodes the answer.
func wcCall(t *testing.T, api *httptest.Server, method, path, body string) map[string]any {
	t.Helper()
	raw, resp := wcRaw(t, api, method, path, "application/json", strings.NewReader(body))
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: status %d", path, resp.StatusCode)
	}
	var out map[string]any
	if err := json.Unmarshal(raw, &out); err != nil {
		t.Fatalf("%s: %v in %q", path, err, raw)
	}
	return out
}

// wcHead is what an answer has besides its body.
type wcHead struct {
	StatusCode int
	Header     http.Header
}

func wcRaw(t *testing.T, api *httptest.Server, method, path, contentType string, body io.Reader) ([]byte, wcHead) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, api.URL+path, body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	resp, err := api.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return raw, wcHead{resp.StatusCode, resp.Header}
}

// wcCode is the errcode of an answer; 0 if there is none.
func wcCode(out map[string]any) int {
	n, _ := out["errcode"].(float64)
	return int(n)
}

// wcTokenOf gets the stable token.
func wcTokenOf(t *testing.T, api *httptest.Server) string {
	t.Helper()
	out := wcCall(t, api, "POST", "/cgi-bin/stable_token",
		`{"grant_type":"client_credential","appid":"`+wcTestAppID+`","secret":"`+wcTestSecret+`"}`)
	token, _ := out["access_token"].(string)
	if token == "" {
		t.Fatalf("no token: %v", out)
	}
	return token
}

// wcSend sends a customer-service message with the stable token.
func wcSend(t *testing.T, api *httptest.Server, body string) int {
	t.Helper()
	return wcCode(wcCall(t, api, "POST", "/cgi-bin/message/custom/send?access_token="+wcTokenOf(t, api), body))
}

func wcTextBody(openid, text string) string {
	return string(wcJSON(map[string]any{"touser": openid, "msgtype": "text", "text": map[string]any{"content": text}}, ""))
}

// wcUpload uploads a file and returns the answer.
func wcUpload(t *testing.T, api *httptest.Server, path, field, name string, data []byte) map[string]any {
	t.Helper()
	var b bytes.Buffer
	m := multipart.NewWriter(&b)
	part, err := m.CreateFormFile(field, name)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = part.Write(data)
	_ = m.Close()
	raw, _ := wcRaw(t, api, "POST", path+"access_token="+wcTokenOf(t, api), m.FormDataContentType(), &b)
	var out map[string]any
	if err := json.Unmarshal(raw, &out); err != nil {
		t.Fatalf("%v in %q", err, raw)
	}
	return out
}

func wcSoon(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}
