package module

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-wechat/caddy-wechat/module/internal/bridge"
	"github.com/caddy-wechat/caddy-wechat/module/wechat"
)

const (
	// silence is how long a push is held that cannot be answered. WeChat hangs up
	// after 5 s and sends it again; whoever does not hang up is cut off.
	silence = 30 * time.Second

	// sending is how long a client may take to send a body. WeChat, and Botpress with
	// it, are done in moments; WeChat gives up after 5 s.
	sending = 5 * time.Second

	success = "success"
)

// errRefused is all that a refused caller learns.
var errRefused = errors.New("refused")

// errAddress is that a callback with a good signature comes from elsewhere.
var errAddress = errors.New("address not allowed by callback_ips")

// refuse answers a callback that is not WeChat's. The reason is for the log. What
// WeChat itself may have signed is refused for want of something that an operator
// can mend, so the log says that aloud, though not each time.
func (h *Handler) refuse(r *http.Request, q wechat.Query, reason error) error {
	h.evidence.callback(reason)
	h.logger.Debug("callback refused", zap.Error(reason))
	bridge.NoteRefused(h.account.settings.AppID, reason)
	switch {
	case errors.Is(reason, wechat.ErrStale):
		h.skewed.Do(func() {
			fields := []zap.Field{zap.Error(reason), zap.Duration("freshness", h.callback.Freshness)}
			if sec, err := strconv.ParseInt(q.Timestamp, 10, 64); err == nil {
				fields = append(fields, zap.Duration("off", time.Since(time.Unix(sec, 0)).Round(time.Second)))
			}
			h.logger.Warn("callback refused: its timestamp is too far from this machine's clock; check the clock, or the freshness option", fields...)
		})
	case errors.Is(reason, errAddress):
		h.strange.Do(func() {
			addr, _ := client(r)
			h.logger.Warn("callback refused: it is signed, but callback_ips does not allow its address; behind a proxy, set trusted_proxies",
				zap.Stringer("address", addr))
		})
	}
	return caddyhttp.Error(http.StatusForbidden, errRefused)
}

// signed checks where a callback comes from, before its body is read. The address
// comes last: only who knows the token is waited with for the list of addresses, and
// told of in the log.
func (h *Handler) signed(r *http.Request) (wechat.Query, error) {
	q, err := wechat.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return q, err
	}
	if err := h.callback.Verify(q); err != nil {
		return q, err
	}
	if !h.allowed(r) {
		return q, errAddress
	}
	return q, nil
}

// verify answers WeChat's check of the URL. (WeChat: access guide, verifying the
// message's origin.)
func (h *Handler) verify(w http.ResponseWriter, r *http.Request) error {
	hurry(w, r)
	q, err := h.signed(r)
	if err != nil {
		return h.refuse(r, q, err)
	}
	if q.EchoStr == "" {
		return h.refuse(r, q, errors.New("echostr is missing"))
	}
	return text(w, []byte(q.EchoStr))
}

// push takes a push. From the good signature on there are three answers: success
// or a passive reply, once the push is on disk, or silence, which makes WeChat send
// it again. Only where not even silence can be afforded it is 503.
func (h *Handler) push(w http.ResponseWriter, r *http.Request) error {
	came := time.Now()
	hurry(w, r)
	q, err := h.signed(r)
	if err != nil {
		return h.refuse(r, q, err)
	}
	var m room
	defer m.free()
	body, err := readBody(w, r, h.callback.MaxBody, &m)
	if err != nil {
		return err
	}
	env, err := h.callback.Open(q, body)
	if err != nil {
		return h.refuse(r, q, err)
	}
	h.evidence.callback(nil)
	h.heedExit(r)
	var s stay
	defer s.end()
	a, err := h.take(r, came, env, &s)
	switch {
	case errors.Is(err, bridge.ErrBusy):
		return caddyhttp.Error(http.StatusServiceUnavailable, err)
	case err != nil:
		h.logger.Error("push not taken; WeChat will send it again", zap.Error(err))
		panic(http.ErrAbortHandler) // nothing may be answered
	case a.Abort:
		panic(http.ErrAbortHandler)
	case a.Silent:
		s.end()
		h.stayMute(r.Context())
		panic(http.ErrAbortHandler)
	case a.XML == nil:
		return text(w, []byte(success))
	}
	h.reply(w, r, env, a)
	return nil
}

// heedExit has the windows of the account end when the process exits: the server
// waits for its requests then, and a request may wait for a reply. On a reload they
// stay open.
func (h *Handler) heedExit(r *http.Request) {
	srv, ok := r.Context().Value(http.ServerContextKey).(*http.Server)
	if !ok {
		return
	}
	if _, known := h.servers.LoadOrStore(srv, true); known {
		return
	}
	acct := h.account
	srv.RegisterOnShutdown(func() {
		if caddy.Exiting() {
			acct.end()
		}
	})
}

// stayMute waits until WeChat hangs up. Whoever does not is cut off; so is, at once,
// whoever comes when as many wait as windows may be open.
func (h *Handler) stayMute(ctx context.Context) {
	defer h.mute.Add(-1)
	if h.mute.Add(1) > int64(h.account.settings.Limits.Windows) {
		return
	}
	t := time.NewTimer(silence)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// reply answers with a passive reply, in the form of the request.
func (h *Handler) reply(w http.ResponseWriter, r *http.Request, env *wechat.Envelope, a bridge.Answer) {
	err := errors.New("answer not written")
	defer func() { a.Written(err) }()
	// What is written into a connection that WeChat has closed is not read, and
	// writing it need not fail.
	if r.Context().Err() != nil {
		panic(http.ErrAbortHandler)
	}
	sealed, sealing := env.Seal(a.XML, time.Now())
	if sealing != nil { // no randomness
		h.logger.Error("sealing passive reply", zap.Error(sealing))
		panic(http.ErrAbortHandler)
	}
	// Whoever reads slowly must not keep the replies behind this one.
	if err = answer(w, http.StatusOK, "text/xml; charset=utf-8", sealed, writing); err != nil {
		return
	}
	if err = http.NewResponseController(w).Flush(); errors.Is(err, http.ErrNotSupported) {
		err = nil
	}
}

// stay is a request's use of its account.
type stay struct{ exit func() }

// end is called, once or more, when the request is answered.
func (s *stay) end() {
	if s.exit != nil {
		s.exit()
		s.exit = nil
	}
}

// take puts an opened push on disk and finds out what to answer. While that cannot
// be done, it keeps trying as long as WeChat waits. The stay begins.
func (h *Handler) take(r *http.Request, came time.Time, env *wechat.Envelope, s *stay) (a bridge.Answer, err error) {
	ctx := newPatience(r.Context(), silence)
	defer ctx.end()
	defer func() {
		if p := recover(); p != nil {
			h.logger.Error("taking push panicked", zap.Stack("stack"))
			<-ctx.Done()
			err = errors.New("panic")
		}
	}()
	rt, exit, err := h.account.enter(ctx)
	if err != nil {
		<-ctx.Done()
		return a, err
	}
	s.exit = exit
	p, err := wechat.ParsePush(env.XML)
	if err != nil {
		fresh, failed := rt.Bury(ctx, env.XML, err)
		if fresh {
			h.logger.Warn("push cannot be parsed; put aside as dead letter", zap.Error(err))
		}
		return a, failed
	}
	base := ""
	if h.account.settings.PublicURL == "" {
		base = h.reached(r)
	}
	body := env.XML
	env.XML = nil // or it would be kept as long as WeChat waits
	return rt.ReceiveAt(ctx, came, base, p, body)
}

// hurry gives a request's body a time by which it has to be there. It comes before
// anything else: of a request that is refused, net/http still reads what there is,
// and a client that sends nothing would hold the connection.
func hurry(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength != 0 {
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(sending))
	}
}

// readBody reads a body of at most limit bytes. The room that it takes up is the
// caller's to free.
func readBody(w http.ResponseWriter, r *http.Request, limit int64, m *room) ([]byte, error) {
	// As long as the request says, or a little longer, so that the end is seen
	// without growing; but on its word alone, no more than is free.
	size := bytes.MinRead
	if r.ContentLength >= 0 && r.ContentLength <= limit {
		size = int(r.ContentLength) + 1
	}
	body, err := m.readAll(http.MaxBytesReader(w, r.Body, limit), make([]byte, 0, min(size, bodyFree)))
	if err == nil {
		// From here on reading only tells that the client hangs up.
		_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
		return body, nil
	}
	var he caddyhttp.HandlerError
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &he): // a request_body directive has its own limit
		return nil, he
	case errors.As(err, &tooLarge):
		return nil, caddyhttp.Error(http.StatusRequestEntityTooLarge, errors.New("body too large"))
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, caddyhttp.Error(http.StatusRequestTimeout, errors.New("body too slow"))
	}
	return nil, caddyhttp.Error(http.StatusBadRequest, errors.New("body cut off"))
}
