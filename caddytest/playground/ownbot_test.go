package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/caddy-wechat/caddy-wechat/caddytest/simulator"
)

// TestOwnBot: the webhook id of a bot's Chat integration is all that it takes to
// talk to that bot, which has neither an encryption key nor a webhook. Only the
// address of Botpress is another here.
func TestOwnBot(t *testing.T) {
	t.Setenv("BOTPRESS_ENCRYPTION_KEY", "")
	t.Setenv("BOTPRESS_WEBHOOK_SECRET", "")
	const id = "0f0e0d0c-aaaa-4bbb-8ccc-dddddddddddd"
	own := simulator.NewBotpress(simulator.BotpressConfig{WebhookID: id})
	srv := httptest.NewServer(own)
	t.Cleanup(func() {
		own.Close()
		srv.CloseClientConnections()
		srv.Close()
	})
	out := playground(t, "BOTPRESS_WEBHOOK_ID="+id, "BOTPRESS_API="+srv.URL)
	send := out.find(t, `curl -d '(.*)' (http://\S+)`)
	read := out.find(t, `curl '(http://\S+/seen\?\S+)'`)
	out.find(t, `Your bot answers`)
	out.find(t, `serving initial configuration`)

	resp, err := http.Post(send[2], "application/x-www-form-urlencoded", strings.NewReader(send[1]))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp, err = http.Get(read[1]); err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var seen struct{ Messages []struct{ Text string } }
	if err := json.NewDecoder(resp.Body).Decode(&seen); err != nil || len(seen.Messages) != 1 || seen.Messages[0].Text != "echo: hello" {
		t.Errorf("the user saw %+v (%v)", seen, err)
	}
	for range 200 { // the stream may open after the reply has come
		if own.State().Streams > 0 {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if s := own.State(); s.Calls["createUser"] != 1 || s.Streams != 1 || s.WebhookURL != "" {
		t.Errorf("the bot knows %+v", s)
	}
	if log := out.String(); strings.Contains(log, id) || strings.Contains(log, "eyJ") {
		t.Errorf("the log shows the webhook id, or a key:\n%s", log)
	}
}

// TestOwnBotEnvironment: nothing of Botpress is set for a caller who has a bot.
func TestOwnBotEnvironment(t *testing.T) {
	for _, name := range []string{"BOTPRESS_API", "BOTPRESS_ENCRYPTION_KEY", "BOTPRESS_WEBHOOK_SECRET"} {
		t.Setenv(name, "")
		os.Unsetenv(name)
	}
	t.Setenv("BOTPRESS_WEBHOOK_ID", "mine")
	s, err := startSimulators()
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	v, err := s.environment(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for name := range v {
		if strings.HasPrefix(name, "BOTPRESS") {
			t.Errorf("%s is set", name)
		}
	}
	if s.botpress.State().WebhookURL != "" {
		t.Error("the simulated bot would post to a bridge that does not know it")
	}
}
