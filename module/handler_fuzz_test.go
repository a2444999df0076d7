package module

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-wechat/caddy-wechat/module/bots"
	"github.com/caddy-wechat/caddy-wechat/module/internal/bridge"
	"github.com/caddy-wechat/caddy-wechat/module/internal/journal"
	"github.com/caddy-wechat/caddy-wechat/module/wechat"
)

const (
	fuzzAppID  = "wx0123456789abcdef"
	fuzzToken  = "testtoken"
	fuzzKey    = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
	fuzzSecret = "webhook-secret"
	fuzzXML    = "<xml><ToUserName>gh_0</ToUserName><FromUserName>oAlice</FromUserName><CreateTime>1700000000</CreateTime>" +
		"<MsgType>text</MsgType><Content>hello</Content><MsgId>1</MsgId></xml>"
)

// quietBot takes what it is told, without a network.
type quietBot struct{ *bots.Botpress }

func (quietBot) Introduce(context.Context, bots.Peer) error { return nil }
func (quietBot) List(context.Context, bots.Peer, bots.Mark) ([]bots.Reply, bool, error) {
	return nil, false, nil
}

func (quietBot) Deliver(_ context.Context, t bots.Turn) (bots.Receipt, error) {
	return bots.Receipt{ID: t.ID, At: time.Now()}, nil
}

// newFuzzHandler is a handler as Provision and Start leave it, with a journal.
func newFuzzHandler(f testing.TB, change func(*bridge.Settings)) (*Handler, *bridge.Store) {
	f.Helper()
	bot := quietBot{&bots.Botpress{WebhookID: "w", API: "http://127.0.0.1:1", EncryptionKey: "k", WebhookSecret: fuzzSecret}}
	if err := bot.Provision(caddy.Context{Context: f.Context()}); err != nil {
		f.Fatal(err)
	}
	cipher, err := wechat.NewCipher(fuzzKey, fuzzAppID)
	if err != nil {
		f.Fatal(err)
	}
	h := new(Handler)
	h.logger, h.receiver, h.evidence, h.ready = zap.NewNop(), bot, evidenceOf(fuzzAppID), true
	h.callback = bridge.Callback{
		Path: "/wechat", MaxBody: 1 << 20,
		Callback: &wechat.Callback{
			Tokens: []string{fuzzToken}, Ciphers: []*wechat.Cipher{cipher}, Encryption: wechat.Compatible, Freshness: 5 * time.Minute,
		},
	}
	s := &bridge.Settings{
		AppID: fuzzAppID, AppSecret: "secret", API: "http://127.0.0.1:1", Path: "/wechat", Reply: bridge.ReplyPush,
		Limits: bridge.Limits{Windows: 100, Lanes: 10}, Media: bridge.MediaSettings{MaxSize: 1 << 20, Keep: time.Hour, Store: 1 << 20},
		Bot: bot, Logger: h.logger,
	}
	if change != nil {
		change(s)
	}
	store, err := bridge.OpenStore(f.TempDir(), f, bridge.Keeping{Sync: journal.Normal, Keep: time.Hour}, h.logger)
	if err != nil {
		f.Fatal(err)
	}
	rt := bridge.NewRuntime(store, fuzzAppID)
	h.account = &account{settings: s, callback: &h.callback, ready: make(chan struct{}), void: make(chan struct{}), idle: make(chan struct{})}
	h.account.start(rt)
	if err := rt.Apply(h, s); err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() {
		_ = rt.Destruct()
		_ = store.Destruct()
		_ = bot.Cleanup()
	})
	return h, store
}

// fuzzSigned is a query with a good signature for a body, and the body in the form
// that goes with it: 1 in the clear, 2 sealed, 3 as the text of an envelope that was
// signed, whatever it is.
func fuzzSigned(h *Handler, how uint8, query string, body []byte) (string, []byte) {
	stamp, nonce := strconv.FormatInt(time.Now().Unix(), 10), "nonce"
	q, _ := url.ParseQuery(query)
	for _, ours := range []string{"signature", "timestamp", "nonce", "encrypt_type", "msg_signature"} {
		q.Del(ours)
	}
	q.Set("timestamp", stamp)
	q.Set("nonce", nonce)
	q.Set("signature", wechat.Sign(fuzzToken, stamp, nonce))
	if how == 1 {
		return q.Encode(), body
	}
	text := string(body)
	if how == 2 {
		text, _ = h.callback.Ciphers[0].Encrypt(body)
	}
	q.Set("encrypt_type", "aes")
	q.Set("msg_signature", wechat.Sign(fuzzToken, stamp, nonce, text))
	return q.Encode(), []byte("<xml><Encrypt><![CDATA[" + text + "]]></Encrypt></xml>")
}

// FuzzHandler makes requests, signed and not, of the handler as it serves them, with
// a journal behind it. Nothing panics, nobody is let in without a signature or the
// secret, and a good signature is answered in one of WeChat's ways.
func FuzzHandler(f *testing.F) {
	for how := range uint8(4) {
		f.Add(uint8(0), "signature=a&timestamp=1&nonce=2&encrypt_type=aes&msg_signature=b", "", []byte(fuzzXML), how)
		f.Add(uint8(0), "nonce=%zz&nonce=1;a=b", "", []byte("<!DOCTYPE xml [<!ENTITY a \"b\">]><xml>&a;</xml>"), how)
		f.Add(uint8(0), "", "", []byte("<xml><Encrypt>AAAA</Encrypt><Encrypt/></xml>"), how)
		f.Add(uint8(1), "echostr=%3Cscript%3E", "", []byte{}, how)
	}
	f.Add(uint8(2), "", fuzzSecret, []byte(`{"type":"message_created","data":{"id":"m","conversationId":"wx-`+fuzzAppID+`-oAlice","isBot":true,"payload":{"type":"text","text":"hi"}}}`), uint8(0))
	f.Add(uint8(2), "", fuzzSecret, bytes.Repeat([]byte("["), 1000), uint8(0))
	f.Add(uint8(2), "", "", []byte("{}"), uint8(0))
	f.Add(uint8(3), "/media/AAAA.png", "", []byte{}, uint8(0))
	f.Add(uint8(3), "/media/../botpress", "", []byte{}, uint8(0))
	h, _ := newFuzzHandler(f, nil)
	f.Fuzz(func(t *testing.T, target uint8, query, secret string, body []byte, how uint8) {
		method, path := http.MethodPost, "/wechat"
		how %= 4
		switch target % 4 {
		case 1:
			method = http.MethodGet
		case 2:
			path, how = "/wechat/botpress", 0
		case 3:
			path, query, how = "/wechat"+query, "", 0
			if !isPath(path) {
				return
			}
		}
		if how > 0 {
			query, body = fuzzSigned(h, how, query, body)
		}
		r := httptest.NewRequestWithContext(t.Context(), method, "/", bytes.NewReader(body))
		r.URL.Path, r.URL.RawQuery = path, query
		r.Header.Set("X-Secret-Key", secret)
		status, answer := fuzzServe(t, h, r)
		checkFuzzed(t, target%4, how, secret == fuzzSecret, status, answer)
	})
}

func isPath(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return true
}

const passedOn = http.StatusTeapot

// fuzzServe has a request served as Caddy does.
func fuzzServe(t *testing.T, h *Handler, r *http.Request) (status int, answer string) {
	t.Helper()
	rec := httptest.NewRecorder()
	next := caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
		w.WriteHeader(passedOn)
		return nil
	})
	err := h.ServeHTTP(rec, r, next)
	status = rec.Code
	if err != nil {
		var he caddyhttp.HandlerError
		if !errors.As(err, &he) {
			t.Fatalf("an error without a status: %v", err)
		}
		if status = he.StatusCode; rec.Body.Len() > 0 {
			t.Fatalf("an error behind an answer: %v", err)
		}
	}
	return status, rec.Body.String()
}

func checkFuzzed(t *testing.T, target, how uint8, secret bool, status int, answer string) {
	t.Helper()
	switch {
	case target == 3: // whatever it is, there is no such file, and no signature
		if status == http.StatusOK && answer != "ready\n" || status >= http.StatusInternalServerError && status != http.StatusServiceUnavailable {
			t.Errorf("answered %d %q", status, answer)
		}
	case target == 2:
		good := status == http.StatusOK || status == http.StatusBadRequest
		if secret && !good || !secret && status != http.StatusUnauthorized || answer != "" {
			t.Errorf("webhook, with the secret: %t: answered %d %q", secret, status, answer)
		}
	case how == 0:
		if status != http.StatusForbidden || answer != "" {
			t.Errorf("without a signature: answered %d %q", status, answer)
		}
	case status == http.StatusForbidden && (how == 3 || target == 1):
	case target == 0 && (status != http.StatusOK || answer != "success"):
		t.Errorf("signed, form %d: answered %d %q", how, status, answer)
	}
}
