package module

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
)

const (
	// webhookBody bounds a webhook's body. Botpress stores messages of up to
	// 128 KB. (Botpress Chat API: limits.)
	webhookBody = 2 << 20

	// webhookWait bounds how long a webhook waits for the journal. Botpress waits
	// with it, and so does the user's message that it is about.
	webhookWait = 10 * time.Second
)

// webhook takes a signal of the bot. It answers as soon as the reply is on disk;
// what it cannot take is found later, when the conversation is listed.
func (h *Handler) webhook(w http.ResponseWriter, r *http.Request) error {
	hurry(w, r)
	authorized := h.receiver.Authorized(r)
	h.evidence.webhook(authorized)
	if !authorized {
		return h.stranger(w, r)
	}
	if err := h.hear(w, r); err != nil {
		return h.turnAway(w, err)
	}
	return bare(w, http.StatusOK)
}

// stranger answers a webhook without the secret. What it has in its place may be
// the one from before a change.
func (h *Handler) stranger(w http.ResponseWriter, r *http.Request) error {
	const says = "webhook refused: wrong or missing secret"
	h.logger.Debug(says)
	if r.Header.Get("X-Secret-Key") != "" {
		h.unknown.Do(func() {
			h.logger.Warn(says + "; is webhook_secret the Webhook Secret of the bot's Chat integration?")
		})
	}
	return bare(w, http.StatusUnauthorized)
}

// turnAway answers a webhook that has the secret and cannot be taken.
func (h *Handler) turnAway(w http.ResponseWriter, err error) error {
	status := http.StatusServiceUnavailable
	if he, ok := errors.AsType[caddyhttp.HandlerError](err); ok {
		status, err = he.StatusCode, he.Err
	}
	h.logger.Warn("webhook not taken", zap.Int("status", status), zap.Error(err))
	return bare(w, status)
}

// hear puts the replies of a webhook on disk.
func (h *Handler) hear(w http.ResponseWriter, r *http.Request) error {
	var m room
	defer m.free()
	body, err := readBody(w, r, webhookBody, &m)
	if err != nil {
		return err
	}
	replies, err := h.receiver.Receive(body)
	if err != nil {
		return caddyhttp.Error(http.StatusBadRequest, err)
	}
	ctx, cancel := context.WithTimeout(r.Context(), webhookWait)
	defer cancel()
	rt, done, err := h.account.enter(ctx)
	if err != nil {
		return err
	}
	defer done()
	known, err := rt.Hear(ctx, replies)
	if err != nil {
		return err
	}
	h.logger.Debug("webhook taken", zap.Int("replies", len(replies)), zap.Int("ours", known))
	return nil
}
