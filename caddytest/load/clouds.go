package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/caddy-wechat/caddy-wechat/caddytest/simulator"
)

// What the clouds are told in the environment.
const (
	cloudsWebhook = "CADDY_WECHAT_LOAD_WEBHOOK"
	cloudsUsers   = "CADDY_WECHAT_LOAD_USERS"
)

// addresses is what the clouds say when they are ready: base URLs.
type addresses struct {
	WeChat string `json:"wechat"`
	Bot    string `json:"bot"`
	Report string `json:"report"`
}

// counted is what has arrived at the clouds.
type counted struct {
	Bot    tally   `json:"bot"`
	Seen   tally   `json:"seen"`
	Stamps []stamp `json:"stamps,omitempty"` // of Seen, if asked for
}

// runClouds is the process of the simulators. It ends with a signal, or with its
// parent.
func runClouds(stdout io.Writer) error {
	users, err := strconv.Atoi(os.Getenv(cloudsUsers))
	if err != nil {
		return fmt.Errorf("reading number of users: %w", err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	bot, seen := newLedger(), newLedger()
	wc := simulator.NewWeChat(simulator.WeChatConfig{
		AppID: appID, AppSecret: appSecret, Token: token, AESKey: aesKey, OriginalID: originalID,
		NoAllowance: true, KeepSeen: 10,
		OnSeen: func(_ string, s simulator.Seen) {
			for m := range messagesIn([]byte(s.Text)) {
				seen.note(m)
			}
		},
	})
	defer wc.Close()
	for i := range users {
		wc.Follow(openID(i))
	}
	bp := simulator.NewBotpress(simulator.BotpressConfig{
		WebhookID: webhookID, EncryptionKey: encryptionKey,
		WebhookURL: os.Getenv(cloudsWebhook), WebhookSecret: webhookSecret,
		Bot: func(ctx context.Context, t *simulator.BotTurn) {
			for m := range messagesIn([]byte(t.Text())) {
				bot.note(m)
			}
			simulator.EchoBot(ctx, t)
		},
		Keep: 40,
	})
	defer bp.Close()

	report := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := counted{Bot: bot.sum(), Seen: seen.sum()}
		if r.URL.Path == "/stamps" {
			c.Stamps = seen.arrivals(0)
		}
		_ = json.NewEncoder(w).Encode(c)
	})
	var at addresses
	for _, s := range []struct {
		h  http.Handler
		at *string
	}{{wc, &at.WeChat}, {bp, &at.Bot}, {report, &at.Report}} {
		srv, base, err := serve(s.h)
		if err != nil {
			return err
		}
		defer func() { _ = srv.Close() }()
		*s.at = base
	}
	if err := json.NewEncoder(stdout).Encode(at); err != nil {
		return fmt.Errorf("telling addresses: %w", err)
	}
	<-ctx.Done()
	return nil
}

// serve answers on any address of loopback.
func serve(h http.Handler) (*http.Server, string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, "", fmt.Errorf("listening on loopback: %w", err)
	}
	srv := &http.Server{Handler: h, ReadHeaderTimeout: answerWithin}
	go func() { _ = srv.Serve(ln) }()
	return srv, "http://" + ln.Addr().String(), nil
}

// clouds is the process of the simulators, seen from its parent.
type clouds struct {
	*child
	addresses
}

// startClouds starts both simulators in a process of their own.
func startClouds(ctx context.Context, webhook string, users int) (*clouds, error) {
	r, w := io.Pipe()
	c, err := startChild(roleClouds, nil, []string{
		cloudsWebhook + "=" + webhook, cloudsUsers + "=" + strconv.Itoa(users),
	}, w)
	if err != nil {
		return nil, err
	}
	said := make(chan string, 1)
	go func() { // ends with the child, at the latest
		defer func() { _ = r.Close() }()
		line, _ := bufio.NewReader(r).ReadString('\n')
		said <- line
	}()
	go func() {
		<-c.ended
		_ = w.Close()
	}()
	cl := &clouds{child: c}
	select {
	case line := <-said:
		err = json.Unmarshal([]byte(line), &cl.addresses)
	case <-ctx.Done():
		err = ctx.Err()
	case <-time.After(startWithin):
		err = errors.New("it does not tell its addresses")
	}
	if err != nil {
		_ = c.stop()
		return nil, fmt.Errorf("starting simulators: %w\n%s", err, c.log)
	}
	return cl, nil
}

// count asks what has arrived; with stamps if they are wanted.
func (c *clouds) count(ctx context.Context, stamps bool) (counted, error) {
	var out counted
	url := c.Report + "/count"
	if stamps {
		url = c.Report + "/stamps"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return out, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return out, fmt.Errorf("asking simulators: %w", err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil {
		return out, fmt.Errorf("asking simulators: %w", err)
	}
	return out, nil
}
