package doctor

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/caddy-wechat/caddy-wechat/module/botpress"
)

// bot talks to the bot as a user of its own, wx-<appid>-doctor, whose conversation
// the bridge does not know.
func (x *examination) bot(ctx context.Context) {
	if x.Bot.EncryptionKey == "" {
		x.found("bot.issued_keys")
		return
	}
	t := transport(nil)
	defer t.CloseIdleConnections()
	rec := &recorder{next: t}
	c, err := botpress.New(botpress.Config{
		BaseURL: x.Bot.API, WebhookID: x.Bot.WebhookID, EncryptionKey: x.Bot.EncryptionKey,
		HTTP: &http.Client{Transport: rec}, Timeout: callTime,
	})
	if err != nil {
		x.found("bot.odd", err)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 4*callTime)
	defer cancel()
	if err := c.Hello(ctx); err != nil {
		x.noBot(err)
		return
	}
	id := "wx-" + x.AppID + "-doctor"
	if _, err := c.GetOrCreateUser(ctx, id, botpress.UserFields{Name: "doctor"}); err != nil {
		x.noBot(err)
		return
	}
	if _, err := c.GetOrCreateConversation(ctx, id, id); err != nil {
		x.noConversation(err)
		return
	}
	x.found("bot.ok")
	if !x.webhook(ctx, c, id) {
		return
	}
	x.limits(rec)
}

// noBot says why the bot could not be talked to.
func (x *examination) noBot(err error) {
	e, ok := errors.AsType[*botpress.Error](err)
	switch {
	case !ok:
		x.found("bot.odd", err)
	case e.Status == http.StatusUnauthorized:
		x.found("bot.key")
	case e.Status == http.StatusPaymentRequired, e.Type == "QuotaExceeded":
		x.found("bot.quota")
	case e.Status == http.StatusTooManyRequests:
		x.found("limits.reached", e.RetryAfter)
	case e.Status == http.StatusNotFound:
		x.found("bot.webhook_id")
	case e.Operator():
		x.found("bot.remedy", e, e.Remedy())
	case e.Status == 0:
		x.found("bot.unreachable", x.Bot.API, e)
	default:
		x.found("bot.odd", e)
	}
}

func (x *examination) noConversation(err error) {
	if e, ok := errors.AsType[*botpress.Error](err); ok && !e.Operator() && e.Status != 0 && e.Status != http.StatusTooManyRequests {
		x.found("bot.conversation", e)
		return
	}
	x.noBot(err)
}

// webhook has Botpress call the webhook: it does so for every event in a
// conversation, also for ours, of which no bot takes notice that was not told to.
// It is false if the bot cannot be asked any more.
func (x *examination) webhook(ctx context.Context, c *botpress.Client, id string) bool {
	switch {
	case x.Bot.WebhookSecret == "":
		x.found("webhook.none")
		return true
	case !x.running:
		x.found("webhook.not_running")
		return true
	}
	before, err := x.evidence(ctx)
	if err != nil {
		x.found("webhook.unknown", err)
		return true
	}
	began := time.Now()
	_, err = c.CreateEvent(ctx, id, id, map[string]string{"source": "caddy-wechat", "event": "doctor"})
	if err != nil {
		x.noBot(err)
		return false
	}
	for {
		now, err := x.evidence(ctx)
		switch {
		case err != nil:
			x.found("webhook.unknown", err)
			return true
		case now.Webhooks.Taken > before.Webhooks.Taken:
			x.found("webhook.ok", time.Since(began).Round(time.Millisecond))
			return true
		case now.Webhooks.Refused > before.Webhooks.Refused:
			x.found("webhook.secret")
			return true
		case time.Since(began) > x.Patience || ctx.Err() != nil:
			x.found("webhook.missing", x.URL)
			return true
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

// limits looks at what Botpress says is left of its rate limits.
func (x *examination) limits(rec *recorder) {
	h, _ := rec.last()
	limit, err1 := strconv.Atoi(h.Get("RateLimit-Limit"))
	left, err2 := strconv.Atoi(h.Get("RateLimit-Remaining"))
	switch {
	case err1 != nil || err2 != nil:
		x.found("limits.unknown")
	case left*10 < limit:
		x.found("limits.low", left, limit)
	default:
		x.found("limits.ok", left, limit)
	}
}
