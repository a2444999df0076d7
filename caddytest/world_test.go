package caddytest

import (
	"context"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-wechat/caddy-wechat/caddytest/simulator"
)

// The account and the bot of the tests. They open nothing.
const (
	appID         = "wx0123456789abcdef"
	appSecret     = "5ecret00000000000000000000000000"
	token         = "testtoken"
	aesKey        = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
	encryptionKey = "test-encryption-key"
	webhookSecret = "test-webhook-secret"
)

// bulk takes what slows a single user down out of the way.
const bulk = `
		reply push
		settle 0
		pace 0
		allowance 1000000 48h 1000000 48h
		limits {
			user 1000000/1s
		}`

// world is a WeChat, a Caddy and a Botpress on loopback.
type world struct {
	t        *testing.T
	wechat   *simulator.WeChat
	botpress *simulator.Botpress
	caddy    *process
	site     string // address
	wechatAt string // base URL
	botAt    string

	// What of the configuration a test changes. Reloads take it up.
	encryption string
	secret     string // the account's AppSecret as the operator knows it
	botKey     string // the bot's encryption key as the operator knows it
	botSecret  string // of its webhook, as the operator knows it
	options    string // further lines of the wechat block
	journal    string // lines of the journal block
	media      string // further lines of the media block
	global     string // further global options
}

// setup is what a test wants of its world.
type setup struct {
	mode     string // default plain
	options  string
	wechat   func(*simulator.WeChatConfig)
	botpress func(*simulator.BotpressConfig)
	idle     bool // do not start Caddy yet
}

func newWorld(t *testing.T, s setup) *world {
	t.Helper()
	if s.mode == "" {
		s.mode = simulator.ModePlain
	}
	w := &world{
		t:          t,
		caddy:      newProcess(t),
		site:       freeAddr(t),
		encryption: s.mode,
		secret:     appSecret,
		botKey:     encryptionKey,
		botSecret:  webhookSecret,
		options:    s.options,
	}
	wc := simulator.WeChatConfig{
		AppID:       appID,
		AppSecret:   appSecret,
		Token:       token,
		AESKey:      aesKey,
		Mode:        s.mode,
		CallbackURL: "http://" + w.site + "/wechat",
		RetryPause:  100 * time.Millisecond,
	}
	if s.wechat != nil {
		s.wechat(&wc)
	}
	bp := simulator.BotpressConfig{
		EncryptionKey: encryptionKey,
		WebhookURL:    "http://" + w.site + "/wechat/botpress",
		WebhookSecret: webhookSecret,
		AnswerEvents:  true,
	}
	if s.botpress != nil {
		s.botpress(&bp)
	}
	w.wechat = simulator.NewWeChat(wc)
	w.botpress = simulator.NewBotpress(bp)
	wechatServer, botpressServer := httptest.NewServer(w.wechat), httptest.NewServer(w.botpress)
	w.wechatAt, w.botAt = wechatServer.URL, botpressServer.URL
	w.wechat.SetPublicURL(w.wechatAt)
	w.botpress.SetPublicURL(w.botAt)
	t.Cleanup(func() {
		w.caddy.stop()
		w.wechat.Close()
		w.botpress.Close()
		wechatServer.CloseClientConnections()
		botpressServer.CloseClientConnections()
		wechatServer.Close()
		botpressServer.Close()
	})
	if !s.idle {
		w.caddy.start(w.config())
	}
	return w
}

// config is the Caddyfile.
func (w *world) config() string {
	return strings.NewReplacer(
		"ADMIN", w.caddy.admin,
		"STORAGE", filepath.Join(w.caddy.dir, "storage"),
		"JOURNALDIR", w.journalDir(),
		"JOURNALOPTIONS", w.journal,
		"GLOBAL", w.global,
		"MEDIAOPTIONS", w.media,
		"SITE", w.site,
		"APPID", appID,
		"APPSECRET", w.secret,
		"TOKEN", token,
		"AESKEY", aesKey,
		"ENCRYPTION", w.encryption,
		"WECHATAPI", w.wechatAt,
		"BOTID", w.botpress.WebhookID(),
		"BOTAPI", w.botAt,
		"BOTKEY", w.botKey,
		"BOTSECRET", w.botSecret,
		"OPTIONS", w.options,
	).Replace(`{
	admin ADMIN
	persist_config off
	storage file_system STORAGE
	log {
		level DEBUG
		exclude admin.api http.log.access
	}
	wechat {
		journal {
			dir JOURNALDIR
			JOURNALOPTIONS
		}
	}
	GLOBAL
}
http://SITE {
	wechat {
		app_id     APPID
		app_secret APPSECRET
		token      TOKEN
		aes_key    AESKEY
		encryption ENCRYPTION
		api        WECHATAPI
		media {
			allow 127.0.0.0/8
			MEDIAOPTIONS
		}
		OPTIONS
		bot botpress BOTID {
			api            BOTAPI
			encryption_key BOTKEY
			webhook_secret BOTSECRET
		}
	}
	respond "not the bridge"
}
`)
}

// within is a context for a part of a test.
func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// conversation is the id under which the bot knows a user.
func conversation(openid string) string { return "wx-" + appID + "-" + openid }

// texts are what the user has read, in order.
func texts(seen []simulator.Seen) []string {
	var all []string
	for _, s := range seen {
		all = append(all, s.Text)
	}
	return all
}

// said are the texts that the bot got, in order.
func said(turns []simulator.Turn) []string {
	var all []string
	for _, turn := range turns {
		all = append(all, turn.Text())
	}
	return all
}

// listenersChange is how long a reload may still cut connections after it has
// answered: Caddy closes the old listener, and the kernel resets what waits to
// be accepted on it.
const listenersChange = 200 * time.Millisecond

// reload has Caddy take up what the test has changed.
func (w *world) reload() {
	w.t.Helper()
	if err := w.caddy.reload(w.config()); err != nil {
		w.t.Fatal(err)
	}
	time.Sleep(listenersChange)
}

// restart ends Caddy and starts it again.
func (w *world) restart() {
	w.t.Helper()
	w.caddy.stop()
	w.caddy.start(w.config())
}

// journalDir is where the journal lies.
func (w *world) journalDir() string { return filepath.Join(w.caddy.dir, "journal") }
