package module

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-wechat/caddy-wechat/module/wechat"
)

const (
	// silence is how long a push is held that cannot be answered. WeChat hangs up
	// after 5 s and sends it again; whoever does not hang up is cut off.
	silence = 30 * time.Second

	success = "success"
)

// errRefused is all that a refused caller learns.
var errRefused = errors.New("refused")

// refuse answers a callback that is not WeChat's. The reason is for the log.
func (h *Handler) refuse(reason error) error {
	h.logger.Debug("callback refused", zap.Error(reason))
	if errors.Is(reason, wechat.ErrStale) {
		h.skewed.Do(func() {
			h.logger.Warn("callback refused: its timestamp is too far from this machine's clock; check the clock, or the freshness option", zap.Error(reason))
		})
	}
	return caddyhttp.Error(http.StatusForbidden, errRefused)
}

// signed checks where a callback comes from, before its body is read.
func (h *Handler) signed(r *http.Request) (wechat.Query, error) {
	if !h.allowed(r) {
		return wechat.Query{}, errors.New("address not allowed by callback_ips")
	}
	q, err := wechat.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return q, err
	}
	return q, h.callback.Verify(q)
}

// verify answers WeChat's check of the URL. (WeChat: access guide, verifying the
// message's origin.)
func (h *Handler) verify(w http.ResponseWriter, r *http.Request) error {
	q, err := h.signed(r)
	if err != nil {
		return h.refuse(err)
	}
	if q.EchoStr == "" {
		return h.refuse(errors.New("echostr is missing"))
	}
	return answer(w, "text/plain; charset=utf-8", []byte(q.EchoStr))
}

// push takes a push. From the good signature on there are two answers: success
// once the push is on disk, or silence, which makes WeChat send it again.
func (h *Handler) push(w http.ResponseWriter, r *http.Request) error {
	q, err := h.signed(r)
	if err != nil {
		return h.refuse(err)
	}
	body, err := readBody(w, r, h.callback.MaxBody)
	if err != nil {
		return err
	}
	env, err := h.callback.Open(q, body)
	if err != nil {
		return h.refuse(err)
	}
	if err := h.take(r, env); err != nil {
		h.logger.Error("push not taken; WeChat will send it again", zap.Error(err))
		panic(http.ErrAbortHandler) // nothing may be answered
	}
	return answer(w, "text/plain; charset=utf-8", []byte(success))
}

// take puts an opened push on disk. While that cannot be done, it keeps trying
// as long as WeChat waits.
func (h *Handler) take(r *http.Request, env *wechat.Envelope) (err error) {
	ctx, cancel := context.WithTimeout(r.Context(), silence)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			h.logger.Error("taking push panicked", zap.Stack("stack"))
			<-ctx.Done()
			err = errors.New("panic")
		}
	}()
	rt, done, err := h.account.enter(ctx)
	if err != nil {
		<-ctx.Done()
		return err
	}
	defer done()
	p, err := wechat.ParsePush(env.XML)
	if err != nil {
		h.logger.Warn("push cannot be parsed; put aside as dead letter", zap.Error(err))
		return rt.Bury(ctx, env.XML, err)
	}
	fresh, err := rt.Accept(ctx, p, env.XML)
	if err != nil {
		return err
	}
	h.logger.Debug("push taken", zap.String("type", p.MsgType), zap.String("event", p.Event), zap.Bool("duplicate", !fresh))
	return nil
}

// readBody reads a body of at most limit bytes.
func readBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if err == nil {
		return body, nil
	}
	var he caddyhttp.HandlerError
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &he): // a request_body directive has its own limit
		return nil, he
	case errors.As(err, &tooLarge):
		return nil, caddyhttp.Error(http.StatusRequestEntityTooLarge, errors.New("body too large"))
	}
	return nil, caddyhttp.Error(http.StatusBadRequest, errors.New("body cut off"))
}

func answer(w http.ResponseWriter, contentType string, body []byte) error {
	header := w.Header()
	header.Set("Content-Type", contentType)
	header.Set("Content-Length", strconv.Itoa(len(body)))
	header.Set("X-Content-Type-Options", "nosniff")
	_, err := w.Write(body)
	return err
}
