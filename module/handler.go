package module

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"github.com/caddy-wechat/caddy-wechat/module/bots"
	"github.com/caddy-wechat/caddy-wechat/module/internal/bridge"
)

// handlerState is what a Handler holds while its configuration is loaded. The
// secrets are in here, where nothing prints them.
type handlerState struct {
	logger   *zap.Logger
	callback bridge.Callback
	ips      callbackIPs
	ready    bool
	receiver bots.Receiver // nil: no webhook
	account  *account
	evidence *evidence      // of what comes in
	skewed   rate.Sometimes // for the log line about clocks
	strange  rate.Sometimes // for the one about addresses
	unknown  rate.Sometimes // for the one about the webhook's secret
	crowded  rate.Sometimes // for the one about pushes that there is no room for
	servers  sync.Map       // *http.Server that say when they shut down
	arrived  atomic.Pointer[based]
	mute     atomic.Int64 // callbacks that get no answer, and wait for WeChat to hang up
}

func init() {
	caddy.RegisterModule(new(Handler))
}

// CaddyModule implements caddy.Module.
func (*Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.wechat",
		New: func() caddy.Module { return new(Handler) },
	}
}

// Provision implements caddy.Provisioner. Nothing of it takes effect before the
// app starts.
func (h *Handler) Provision(ctx caddy.Context) error {
	h.logger = ctx.Logger()
	fingerprint, err := h.fingerprint()
	if err != nil {
		return err
	}
	r, err := h.resolve(caddy.NewReplacer())
	if err != nil {
		return err
	}
	v, err := ctx.LoadModule(h, "BotRaw")
	if err != nil {
		return fmt.Errorf("loading bot: %w", err)
	}
	bot, ok := v.(bots.Bot)
	if !ok {
		return fmt.Errorf("loading bot: %T is not a bot", v)
	}
	h.callback, h.ips, h.ready = r.callback, r.callbackIPs, r.ready
	h.skewed = rate.Sometimes{Interval: time.Minute}
	h.strange = rate.Sometimes{Interval: time.Minute}
	h.unknown = rate.Sometimes{Interval: time.Minute}
	h.crowded = rate.Sometimes{Interval: time.Minute}
	if rc, ok := bot.(bots.Receiver); ok && rc.Receives() {
		h.receiver = rc
	}
	s := r.settings
	s.Bot, s.UserAgent, s.Path = bot, bots.UserAgent, h.callback.Path
	s.Published = h.ips.wechat
	s.Logger = h.logger.With(zap.String("app_id", s.AppID))

	a, err := ctx.App("wechat")
	if err != nil {
		return fmt.Errorf("loading wechat app: %w", err)
	}
	h.evidence = evidenceOf(s.AppID)
	h.account, err = a.(*App).register(&s, &h.callback, fingerprint)
	return err
}

// fingerprint tells whether two handlers have the same settings.
func (h *Handler) fingerprint() (string, error) {
	raw, err := json.Marshal(h)
	if err != nil {
		return "", fmt.Errorf("comparing settings: %w", err)
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:]), nil
}

// ServeHTTP implements caddyhttp.MiddlewareHandler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	rest, ok := h.below(r.URL.Path)
	if !ok {
		return next.ServeHTTP(w, r)
	}
	switch {
	case rest == "":
		switch r.Method {
		case http.MethodGet:
			return h.turnDown(w, h.verify(w, r))
		case http.MethodPost:
			return h.turnDown(w, h.push(w, r))
		}
		return notAllowed(w, r, "GET, POST")
	case rest == "botpress" && h.receiver != nil:
		if r.Method != http.MethodPost {
			return notAllowed(w, r, "POST")
		}
		return h.webhook(w, r)
	case rest == "media" || strings.HasPrefix(rest, "media/"):
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			return notAllowed(w, r, "GET, HEAD")
		}
		return h.media(w, r, strings.TrimPrefix(rest, "media/"))
	case rest == "ready" && h.ready:
		if r.Method != http.MethodGet {
			return notAllowed(w, r, "GET")
		}
		return h.serveReady(w, r)
	}
	return next.ServeHTTP(w, r)
}

// below is what of a request's path lies below ours, without a trailing slash.
// A path that names something else when it is cleaned is not ours.
func (h *Handler) below(p string) (string, bool) {
	p = strings.TrimSuffix(p, "/")
	if p == h.callback.Path || p == "" && h.callback.Path == "/" {
		return "", true
	}
	rest, ok := strings.CutPrefix(p, strings.TrimSuffix(h.callback.Path, "/")+"/")
	if !ok || path.Clean(p) != p {
		return "", false
	}
	return rest, true
}

// notAllowed answers a method that a path of ours does not take.
func notAllowed(w http.ResponseWriter, r *http.Request, methods string) error {
	hurry(w, r)
	w.Header().Set("Allow", methods)
	return bare(w, http.StatusMethodNotAllowed)
}

// serveReady answers load balancers: 200 once pushes can be taken.
func (h *Handler) serveReady(w http.ResponseWriter, r *http.Request) error {
	hurry(w, r)
	w.Header().Set("Cache-Control", "no-store")
	status, says := http.StatusOK, "ready\n"
	if !h.account.able() {
		status, says = http.StatusServiceUnavailable, "not ready\n"
	}
	_ = answer(w, status, "text/plain; charset=utf-8", []byte(says), reading)
	return nil
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
