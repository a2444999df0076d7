package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/caddy-wechat/caddy-wechat/caddytest/simulator"
)

// The credentials of the simulated account and bot. They open nothing.
const (
	appID         = "wx0123456789abcdef"
	appSecret     = "0123456789abcdef0123456789abcdef"
	token         = "playground"
	aesKey        = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
	originalID    = "gh_0123456789ab"
	webhookID     = "11111111-2222-4333-8444-555555555555"
	encryptionKey = "playground-encryption-key"
	webhookSecret = "playground-webhook-secret"
)

// The addresses that are tried first. Where one is taken, any other will do. Caddy's two
// are free until it listens, and it shares an address that another Caddy has; so they are
// only for the playground that holds wechatAddr, which of several is one, however close
// together they start.
const (
	caddyAddr    = "127.0.0.1:8080"
	wechatAddr   = "127.0.0.1:8081"
	botpressAddr = "127.0.0.1:8082"
	pageAddr     = "127.0.0.1:8083"
	adminAddr    = "127.0.0.1:2019"
	anyAddr      = "127.0.0.1:0" // of thousands another one each time
)

// keptEvents is how many happenings of each simulator the page finds after a reload.
const keptEvents = 10000

// simulators are the two clouds on loopback, and the page that shows them.
type simulators struct {
	wechat   *simulator.WeChat
	botpress *simulator.Botpress
	servers  []*http.Server
	wechatAt string // base URL
	botAt    string
	pageAt   string
	usual    bool // the usual addresses are for this playground
	realBot  bool // Botpress's side is not ours

	stop context.CancelFunc // ends what the page follows
	done sync.WaitGroup
}

func startSimulators() (*simulators, error) {
	s := &simulators{stop: func() {}}
	s.wechat = simulator.NewWeChat(simulator.WeChatConfig{
		AppID:      appID,
		AppSecret:  appSecret,
		Token:      token,
		AESKey:     aesKey,
		OriginalID: originalID,
		Mode:       simulator.ModeCompatible,
		KeepEvents: keptEvents,
	})
	s.botpress = simulator.NewBotpress(simulator.BotpressConfig{
		WebhookID:     webhookID,
		EncryptionKey: encryptionKey,
		WebhookSecret: webhookSecret,
		AnswerEvents:  true,
		KeepEvents:    keptEvents,
	})
	var err error
	if s.wechatAt, err = s.serve(wechatAddr, s.wechat); err != nil {
		s.close()
		return nil, err
	}
	s.usual = s.wechatAt == "http://"+wechatAddr
	if s.botAt, err = s.serve(botpressAddr, s.botpress); err != nil {
		s.close()
		return nil, err
	}
	s.wechat.SetPublicURL(s.wechatAt)
	s.botpress.SetPublicURL(s.botAt)
	return s, nil
}

// serve answers on an address, or on any other of loopback if it is taken.
func (s *simulators) serve(addr string, h http.Handler) (string, error) {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		ln, err = net.Listen("tcp", anyAddr)
	}
	if err != nil {
		return "", fmt.Errorf("listening on loopback: %w", err)
	}
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	s.servers = append(s.servers, srv)
	go func() { _ = srv.Serve(ln) }()
	return "http://" + ln.Addr().String(), nil
}

// servePage serves the page. admin is where Caddy's admin endpoint will be.
func (s *simulators) servePage(admin string) error {
	p := newPage(s, admin)
	at, err := s.serve(pageAddr, p.handler())
	if err != nil {
		return err
	}
	s.pageAt = at
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	client := &http.Client{Transport: &http.Transport{ResponseHeaderTimeout: 10 * time.Second}}
	s.done.Go(func() {
		defer client.CloseIdleConnections()
		p.trace.follow(ctx, client, p.admin)
	})
	return nil
}

func (s *simulators) close() {
	s.stop()
	s.done.Wait()
	for _, srv := range s.servers {
		_ = srv.Close()
	}
	s.wechat.Close()
	s.botpress.Close()
}

// variables are what Caddy gets to see in its environment.
type variables map[string]string

func (v variables) list() []string {
	var all []string
	for name, value := range v {
		all = append(all, name+"="+value)
	}
	sort.Strings(all)
	return all
}

// variablesOf are those of the example configuration, for a playground with these
// addresses. Whatever is set is left alone; with a real bot, nothing of Botpress is ours.
func variablesOf(site, admin, wechatAt, botAt string) variables {
	v := variables{
		"WECHAT_APP_ID":     appID,
		"WECHAT_APP_SECRET": appSecret,
		"WECHAT_TOKEN":      token,
		"WECHAT_AES_KEY":    aesKey,
		"WECHAT_SITE":       "http://" + site,
		"WECHAT_API":        wechatAt,
		"WECHAT_ENCRYPTION": "compatible",
		"BOT_MEDIA_ALLOW":   "127.0.0.0/8",
		"CADDY_ADMIN":       admin,
	}
	if os.Getenv("BOTPRESS_WEBHOOK_ID") == "" {
		v["BOTPRESS_API"] = botAt
		v["BOTPRESS_WEBHOOK_ID"] = webhookID
		v["BOTPRESS_ENCRYPTION_KEY"] = encryptionKey
		v["BOTPRESS_WEBHOOK_SECRET"] = webhookSecret
	}
	for name := range v {
		if given := os.Getenv(name); given != "" {
			v[name] = given
		}
	}
	return v
}

// environment is what Caddy gets, which keeps its data below a folder.
func (s *simulators) environment(data string) (variables, error) {
	site, err := s.free(caddyAddr)
	if err != nil {
		return nil, err
	}
	admin, err := s.free(adminAddr)
	if err != nil {
		return nil, err
	}
	s.realBot = os.Getenv("BOTPRESS_WEBHOOK_ID") != ""
	v := variablesOf(site, admin, s.wechatAt, s.botAt)
	v["XDG_DATA_HOME"], v["XDG_CONFIG_HOME"] = filepath.Join(data, "data"), filepath.Join(data, "config")
	base := strings.TrimSuffix(v["WECHAT_SITE"], "/")
	s.wechat.SetCallbackURL(base + "/wechat")
	if v["BOTPRESS_WEBHOOK_ID"] != "" {
		s.botpress.SetWebhook(base+"/wechat/botpress", v["BOTPRESS_WEBHOOK_SECRET"])
	}
	return v, nil
}

// free gives an address that nobody listens on: the usual one if possible.
func (s *simulators) free(addr string) (string, error) {
	if !s.usual {
		addr = anyAddr
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		ln, err = net.Listen("tcp", anyAddr)
	}
	if err != nil {
		return "", fmt.Errorf("looking for a free address: %w", err)
	}
	defer ln.Close()
	return ln.Addr().String(), nil
}

// address is the option that names Caddy's admin endpoint, where it is not the usual one.
func address(admin string) string {
	if admin == adminAddr {
		return ""
	}
	return " --address " + admin
}

// explain tells what to do next.
func (s *simulators) explain(w io.Writer, v variables) {
	fmt.Fprintf(w, `
Open %[3]s in a browser, and chat.

The bridge runs at %[1]s/wechat, between a simulated WeChat and a bot.
Without a browser, send a message as a user, and read what the user sees:

  curl -d '{"openid":"oAlice","text":"hello"}' %[2]s/control/wechat/push
  curl '%[2]s/control/wechat/seen?openid=oAlice&wait=1'

How it does, and what becomes of each message, as an operator sees it:

  go run ./caddytest/playground wechat status%[4]s
  go run ./caddytest/playground wechat tail --past%[4]s

`, v["WECHAT_SITE"], s.wechatAt, s.pageAt, address(v["CADDY_ADMIN"]))
	if s.realBot {
		fmt.Fprintf(w, "Your bot answers: the one whose webhook id BOTPRESS_WEBHOOK_ID is.\n\n")
		return
	}
	fmt.Fprintf(w, `The bot answers "echo: ..."; say "help" for what else it can do. Its side of the conversation:

  curl '%s/control/botpress/turns'

`, s.botAt)
}
