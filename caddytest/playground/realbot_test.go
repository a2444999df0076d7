package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddy-wechat/caddy-wechat/caddytest/simulator"
)

// TestRealBot: the webhook id of a bot somewhere else is all that the playground needs to
// talk to it. Keys are the ones Botpress issues, and replies come by listening.
func TestRealBot(t *testing.T) {
	const id = "99999999-8888-4777-8666-555555555555"
	bot := simulator.NewBotpress(simulator.BotpressConfig{WebhookID: id})
	srv := httptest.NewServer(bot)
	t.Cleanup(func() {
		bot.Close()
		srv.Close()
	})
	t.Setenv("BOTPRESS_WEBHOOK_ID", id)
	t.Setenv("BOTPRESS_API", srv.URL) // where the real one is, is the default
	out := playground(t)
	base := out.find(t, `(http://[^\s/]+)`)[1]
	out.find(t, `serving initial configuration`)

	r := readEvents(t, base, "")
	if hello := r.next("hello"); hello["real_bot"] != true {
		t.Errorf("hello: %v", hello)
	}
	resp, err := http.Post(base+"/control/wechat/push", "application/json", strings.NewReader(`{"openid":"oAlice","text":"hello"}`))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	for {
		e := r.next("wechat")
		if e["kind"] != "seen" {
			continue
		}
		if data, err := json.Marshal(e["data"]); err != nil || !strings.Contains(string(data), `"text":"echo: hello"`) {
			t.Errorf("the user sees %s (%v)", data, err)
		}
		break
	}
	if bot.CountTurns() != 1 {
		t.Errorf("the bot had %d turns", bot.CountTurns())
	}
}
