package caddytest

import (
	"database/sql"
	"encoding/base64"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"github.com/caddy-wechat/caddy-wechat/caddytest/simulator"
)

// phrase is what a user writes, and the bot after it. It stands for all that
// somebody says.
const phrase = "plantedPhraseOfAUser"

// planted are the secrets of a configuration. None is part of another.
var planted = map[string]string{
	"WECHAT_APP_SECRET":       "5ecretPlanted0000000000000000000",
	"WECHAT_TOKEN":            "plantedToken",
	"WECHAT_TOKEN_BEFORE":     "plantedFormerToken",
	"WECHAT_AES_KEY":          "plantedAESkey0plantedAESkey0plantedAESkey00",
	"WECHAT_AES_KEY_BEFORE":   "plantedFormerKeyplantedFormerKeyplantedForm",
	"BOTPRESS_ENCRYPTION_KEY": "planted-encryption-key",
	"BOTPRESS_WEBHOOK_SECRET": "planted-webhook-secret",
	"WECHAT_PROXY":            "http://egress:plantedProxyPassword@PROXY",
}

// seeing is a proxy towards WeChat that remembers the access tokens it sees.
type seeing struct {
	mu     sync.Mutex
	tokens map[string]bool
	proxy  httputil.ReverseProxy
}

func (s *seeing) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	if token := r.URL.Query().Get("access_token"); token != "" {
		s.mu.Lock()
		s.tokens[token] = true
		s.mu.Unlock()
	}
	s.proxy.ServeHTTP(rw, r)
}

// secretWorld is a world whose configuration has its secrets from the environment,
// as the README says, and logs all there is to log. The keys of the bot's users are
// made here, or issued by Botpress.
func secretWorld(t *testing.T, issued bool) (*world, *seeing) {
	t.Helper()
	see := &seeing{tokens: make(map[string]bool), proxy: httputil.ReverseProxy{Rewrite: func(*httputil.ProxyRequest) {}}}
	egress := httptest.NewServer(see)
	t.Cleanup(egress.Close)
	w := newWorld(t, setup{
		mode: simulator.ModeSafe, options: bulk + "\n profile on\n api_proxy {env.WECHAT_PROXY}\n ready on", idle: true,
		wechat: func(c *simulator.WeChatConfig) {
			c.AppSecret, c.Token, c.AESKey = planted["WECHAT_APP_SECRET"], planted["WECHAT_TOKEN"], planted["WECHAT_AES_KEY"]
			c.NoAllowance = true
		},
		botpress: func(c *simulator.BotpressConfig) {
			c.EncryptionKey, c.WebhookSecret = planted["BOTPRESS_ENCRYPTION_KEY"], planted["BOTPRESS_WEBHOOK_SECRET"]
			if issued {
				c.EncryptionKey = ""
			}
		},
	})
	for name, value := range planted {
		if issued && name == "BOTPRESS_ENCRYPTION_KEY" {
			value = ""
		}
		w.caddy.env = append(w.caddy.env, name+"="+strings.Replace(value, "PROXY", strings.TrimPrefix(egress.URL, "http://"), 1))
	}
	w.secret, w.botKey = "{env.WECHAT_APP_SECRET}", "{env.BOTPRESS_ENCRYPTION_KEY}"
	return w, see
}

// secretConfig is the configuration of secretWorld.
func (w *world) secretConfig() string {
	return strings.NewReplacer(
		"token      "+token, "token {env.WECHAT_TOKEN} {env.WECHAT_TOKEN_BEFORE}",
		"aes_key    "+aesKey, "aes_key {env.WECHAT_AES_KEY} {env.WECHAT_AES_KEY_BEFORE}",
		"webhook_secret "+webhookSecret, "webhook_secret {env.BOTPRESS_WEBHOOK_SECRET}",
		"exclude admin.api http.log.access", "",
		"persist_config off", "persist_config off\n\tdebug\n\tmetrics\n",
		"\trespond ", readmeLog+"\n\trespond ",
	).Replace(w.config())
}

// readmeLog is the access log as the README wants it.
const readmeLog = `	log {
		format filter {
			request>uri query {
				replace signature REDACTED
				replace msg_signature REDACTED
				replace timestamp REDACTED
				replace nonce REDACTED
				replace echostr REDACTED
				replace openid REDACTED
			}
			request>headers>X-Secret-Key delete
		}
	}`

// TestNothingLeaks runs through all that may go right and wrong, and looks for
// secrets, and for what people said, in all that the process has written: logs at
// debug level, Caddy's admin endpoint with the configuration, metrics.
func TestNothingLeaks(t *testing.T) {
	t.Parallel()
	t.Run("keys made here", func(t *testing.T) {
		t.Parallel()
		nothingLeaks(t, false)
	})
	t.Run("keys issued by Botpress", func(t *testing.T) {
		t.Parallel()
		nothingLeaks(t, true)
	})
}

func nothingLeaks(t *testing.T, issued bool) {
	t.Helper()
	w, see := secretWorld(t, issued)
	w.caddy.start(w.secretConfig())
	w.talk()
	w.suffer()
	written := w.written()
	written["log"] = w.caddy.log.String()
	written["badly configured"] = w.badlyConfigured()

	secrets := map[string]string{"phrase": phrase, "user keys": "eyJ", "media key": w.inJournal("SELECT value FROM state WHERE name = 'media_key'")}
	if issued {
		secrets["issued key"] = w.inJournal("SELECT issued FROM keys LIMIT 1")
	}
	maps.Copy(secrets, planted)
	secrets["WECHAT_PROXY"] = "plantedProxyPassword"
	if issued { // it is not ours, then
		delete(secrets, "BOTPRESS_ENCRYPTION_KEY")
	}
	raw, err := base64.StdEncoding.DecodeString(planted["WECHAT_AES_KEY"] + "=")
	if err != nil {
		t.Fatal(err)
	}
	secrets["AES key"] = fmt.Sprintf("%x", raw)
	see.mu.Lock()
	if len(see.tokens) == 0 {
		t.Error("no access token was used")
	}
	for token := range see.tokens {
		secrets["access token "+token[:4]] = token
	}
	see.mu.Unlock()
	for where, text := range written {
		if len(text) == 0 {
			t.Errorf("%s: nothing was written", where)
		}
		for name, secret := range secrets {
			for _, form := range []string{secret, url.QueryEscape(secret), base64.StdEncoding.EncodeToString([]byte(secret))} {
				if i := strings.Index(text, form); i >= 0 {
					t.Errorf("%s holds %s: ...%s", where, name, text[max(0, i-300):min(len(text), i+80)])
					break
				}
			}
		}
	}
	// By these somebody could sign pushes of their own, in the clear.
	if at := regexp.MustCompile(`signature=[0-9a-f]{40}`).FindStringIndex(written["log"]); at != nil {
		t.Errorf("the log holds a signature: ...%s", written["log"][max(0, at[0]-300):at[1]])
	}
	if info, err := os.Stat(filepath.Join(w.journalDir(), "journal.db")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the journal: %v, %v", info, err)
	}
}

// talk has people say the phrase in all ways.
func (w *world) talk() {
	w.t.Helper()
	wc := w.wechat
	for _, p := range []simulator.SimPush{
		wc.Text(alice, phrase), wc.Location(alice, 1, 2, phrase), wc.Link(alice, phrase, phrase, "https://example.com/?"+phrase),
		wc.Event(alice, "CLICK", phrase), wc.Event(alice, "SCAN", phrase), wc.Message(alice, "hologram", "<A>"+phrase+"</A>"),
		wc.Image(alice), wc.Voice(alice),
	} {
		w.push(p)
	}
	ctx := within(w.t, 30*time.Second)
	if _, err := w.botpress.WaitTurns(ctx, conversation(alice), 8); err != nil {
		w.t.Fatal(err)
	}
	for _, payload := range []map[string]any{
		{"type": "text", "text": phrase},
		{"type": "choice", "text": phrase, "options": []any{map[string]any{"label": phrase, "value": phrase}}},
		{"type": "image", "imageUrl": "http://127.0.0.1:1/x.png?" + phrase, "title": phrase},
		{"type": "image", "imageUrl": "http://10.0.0.1/x.png?" + phrase, "title": phrase},
		{"type": "carousel", "items": []any{map[string]any{"title": phrase, "actions": []any{map[string]any{"action": "url", "label": phrase, "value": "https://example.com/" + phrase}}}}},
		{"type": phrase, "text": phrase},
		{"type": "nothing", "x": map[string]any{"y": phrase}},
	} {
		w.botpress.Say(conversation(alice), payload)
	}
	if _, err := w.wechat.Wait(ctx, alice, 7); err != nil {
		w.t.Fatal(err)
	}
}

// suffer has everything go wrong.
func (w *world) suffer() {
	w.t.Helper()
	ctx := within(w.t, 60*time.Second)
	secret := planted["BOTPRESS_WEBHOOK_SECRET"]
	header := http.Header{"X-Secret-Key": {secret}}
	for _, rq := range []request{
		{name: "a webhook by the wrong method", method: "PUT", path: "/wechat/botpress", header: header, status: 405, allow: "POST"},
		{name: "a malformed webhook", method: "POST", path: "/wechat/botpress", header: header, body: `{"a":"` + phrase, status: 400},
		{name: "a large webhook", method: "POST", path: "/wechat/botpress", header: header, body: strings.Repeat(phrase, 200_000), status: 413},
		{name: "a webhook with two secrets", method: "POST", path: "/wechat/botpress", header: http.Header{"X-Secret-Key": {secret, secret}}, body: phrase, status: 401},
		{name: "a push without signature", method: "POST", path: "/wechat", query: "signature=0123456789012345678901234567890123456789&timestamp=1&nonce=1", body: phrase, status: 403},
		{name: "by the wrong method", method: "DELETE", path: "/wechat", header: header, status: 405, allow: "GET, POST"},
	} {
		w.do(rq)
	}
	for _, p := range []simulator.SimPush{
		{OpenID: alice, MsgType: "text", Raw: []byte("<xml><Content>" + phrase + "</Content>")},
		{OpenID: alice, MsgType: "text", Raw: []byte("<!DOCTYPE " + phrase + "><xml/>")},
		{OpenID: alice, MsgType: "text", Raw: []byte(phrase)},
		{OpenID: alice, MsgType: "text", Body: []byte(phrase)},
	} {
		w.wechat.Push(ctx, p)
	}
	w.failWeChat()
	w.failBotpress()
}

// failWeChat has WeChat's API answer wrongly, and with what it was sent.
func (w *world) failWeChat() {
	w.t.Helper()
	all := strings.Join([]string{planted["WECHAT_APP_SECRET"], phrase}, " ")
	for _, f := range []simulator.WeChatFault{
		{Path: "/cgi-bin/message/custom/send", Code: -1, Msg: "system error"},
		{Path: "/cgi-bin/message/custom/send", Code: 40001, Msg: "invalid credential, appsecret: " + planted["WECHAT_APP_SECRET"]},
		{Path: "/cgi-bin/message/custom/send", HTTPStatus: 502, Body: "<html>" + all},
		{Path: "/cgi-bin/message/custom/send", Body: "{" + all},
		{Path: "/cgi-bin/message/custom/send", Cut: true},
		{Path: "/cgi-bin/stable_token", Code: 40125, Msg: "invalid appsecret " + planted["WECHAT_APP_SECRET"]},
		{Path: "/cgi-bin/media/get", Body: all},
		{Path: "/cgi-bin/media/get", Cut: true},
	} {
		f.Times = 1
		w.wechat.Fail(f)
		w.wechat.RevokeTokens()
		w.push(w.wechat.Text("oBob", phrase))
		w.push(w.wechat.Image("oBob"))
	}
	if _, err := w.wechat.Wait(within(w.t, 60*time.Second), "oBob", 8); err != nil {
		w.t.Fatal(err)
	}
	w.wechat.ClearFaults()
}

// failBotpress has Botpress answer wrongly, and with what it was sent.
func (w *world) failBotpress() {
	w.t.Helper()
	const before = 16 // of failWeChat: what fails is to be what the phrase is in
	if _, err := w.botpress.WaitTurns(within(w.t, 60*time.Second), conversation("oBob"), before); err != nil {
		w.t.Fatal(err)
	}
	all := planted["BOTPRESS_ENCRYPTION_KEY"] + " " + phrase + " " + w.botpress.WebhookID()
	for _, f := range []simulator.BotpressFault{
		{Status: 500, Body: all},
		{Status: 502, Body: "<html>" + all},
		{Status: 400, Body: `{"id":"err_1","code":400,"type":"InvalidPayload","message":"` + all + `"}`},
		{Status: 200, Body: "{" + all},
		{ResetBefore: true},
	} {
		f.Op = "createMessage"
		w.botpress.Fail(f)
		w.push(w.wechat.Text("oBob", phrase))
	}
	// One of them is refused for good.
	if _, err := w.botpress.WaitTurns(within(w.t, 60*time.Second), conversation("oBob"), before+4); err != nil {
		w.t.Fatal(err)
	}
	w.botpress.ClearFaults()
}

// written are the answers of Caddy's admin endpoint.
func (w *world) written() map[string]string {
	w.t.Helper()
	all := make(map[string]string)
	for _, path := range []string{
		"/config/", "/metrics", "/wechat/accounts", "/wechat/accounts/" + appID, "/wechat/evidence", "/wechat/waiting", "/wechat/parked", "/wechat/dead",
		"/wechat/nothing", "/debug/pprof/goroutine?debug=2", "/debug/pprof/cmdline",
	} {
		resp, err := http.Get("http://" + w.caddy.admin + path)
		if err != nil {
			w.t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			w.t.Fatal(err)
		}
		all[path] = string(body)
	}
	return all
}

// badlyConfigured is what is answered to configurations that cannot be.
func (w *world) badlyConfigured() string {
	w.t.Helper()
	var said strings.Builder
	good := w.secretConfig()
	for _, change := range [][2]string{
		{"{env.WECHAT_AES_KEY}", "{env.WECHAT_APP_SECRET}"},
		{"{env.WECHAT_TOKEN}", "{env.WECHAT_PROXY}"},
		{"{env.WECHAT_PROXY}", "{env.WECHAT_PROXY}x:y"},
		{"bot botpress " + w.botpress.WebhookID(), "bot botpress {env.WECHAT_PROXY}"},
		{"{env.WECHAT_AES_KEY_BEFORE}", "{env.WECHAT_PROXY}"},
		{"{env.WECHAT_APP_SECRET}", "{env.WECHAT_APP_SECRET} {env.WECHAT_TOKEN}"},
	} {
		err := w.caddy.reload(strings.Replace(good, change[0], change[1], 1))
		fmt.Fprintf(&said, "%v\n", err)
		if err == nil {
			w.t.Errorf("%s was taken for %s", change[1], change[0])
		}
	}
	return said.String()
}

// inJournal is a value in the journal.
func (w *world) inJournal(query string) (value string) {
	w.t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(w.journalDir(), "journal.db")+"?mode=ro")
	if err != nil {
		w.t.Fatal(err)
	}
	defer db.Close()
	if err := db.QueryRow(query).Scan(&value); err != nil {
		w.t.Fatal(err)
	}
	return value
}
