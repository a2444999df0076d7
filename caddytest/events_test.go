package caddytest

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap"

	"github.com/caddy-wechat/caddy-wechat/caddytest/simulator"
)

// eventTeller is a handler of Caddy's events that writes them to the log.
type eventTeller struct{ logger *zap.Logger }

func init() { caddy.RegisterModule(new(eventTeller)) }

func (*eventTeller) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "events.handlers.tell", New: func() caddy.Module { return new(eventTeller) }}
}

func (e *eventTeller) Provision(ctx caddy.Context) error {
	e.logger = ctx.Logger()
	return nil
}

func (*eventTeller) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	return nil
}

func (e *eventTeller) Handle(_ context.Context, event caddy.Event) error {
	e.logger.Info("heard", zap.String("event", event.Name()), zap.Any("data", event.Data))
	return nil
}

// TestEvents: operators hear of what they have to know, once each, also after a
// reload.
func TestEvents(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{options: "reply auto\nwait 0\nsettle 0\npace 0", idle: true})
	w.global = "events {\non wechat_held tell\non wechat_released tell\non wechat_dead_letter tell\non wechat_passive_only tell\non wechat_may_push tell\n}"
	w.caddy.start(w.config())
	const alice, sendPath = "oAlice", "/cgi-bin/message/custom/send"
	heard := func(n int, texts ...string) {
		t.Helper()
		texts = append(texts, `"msg":"heard"`)
		for deadline := time.Now().Add(30 * time.Second); len(w.caddy.log.lines(texts...)) < n; time.Sleep(20 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("not heard %d times: %v; heard was:\n%s", n, texts, strings.Join(w.caddy.log.lines(`"msg":"heard"`), ""))
			}
		}
		lines := w.caddy.log.lines(texts...)
		for _, line := range lines {
			w.clean("an event", []byte(line))
		}
		if len(lines) > n {
			t.Errorf("heard %d times, want %d:\n%s", len(lines), n, strings.Join(lines, ""))
		}
	}
	w.wechat.Fail(simulator.WeChatFault{Path: sendPath, Code: 40164, Msg: "invalid ip 192.0.2.7"})
	w.push(w.wechat.Text(alice, secretWords))
	heard(1, `"event":"wechat_held"`, `"side":"wechat"`, `"remedy":"Add 192.0.2.7`, `"app_id":"`+appID+`"`)
	w.wechat.ClearFaults()
	heard(1, `"event":"wechat_released"`, `"side":"wechat"`)

	w.reload()
	w.botpress.Fail(simulator.BotpressFault{Op: "createMessage", Times: 1, Status: http.StatusBadRequest})
	w.push(w.wechat.Text(alice, secretWords))
	heard(1, `"event":"wechat_dead_letter"`, `"openid":"`+alice+`"`, `"kind":"text"`)

	w.wechat.Fail(simulator.WeChatFault{Path: sendPath, Times: 1, Code: 48001})
	w.push(w.wechat.Text(alice, secretWords))
	heard(1, `"event":"wechat_passive_only"`)
}
