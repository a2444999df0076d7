package module

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-wechat/caddy-wechat/module/internal/bridge"
	"github.com/caddy-wechat/caddy-wechat/module/internal/journal"
	"github.com/caddy-wechat/caddy-wechat/module/wechat"
)

const (
	// operatorBody bounds a request's body. The longest is a menu.
	operatorBody = 1 << 20

	// operatorWait bounds a call for an operator who waits.
	operatorWait = 20 * time.Second
)

func init() {
	caddy.RegisterModule(new(operatorAPI))
}

// operatorAPI acts for an account on Caddy's admin endpoint: it sends a message,
// sets the menu, makes QR codes, and tells what a diagnosis needs to know. Calls go
// out with the running account's access token.
//
//	POST   /wechat/send     {"app_id","openid","text"}: {"outcome":"sent|waiting|parked|dead"}
//	GET    /wechat/menu     ?app_id=: {"menu":{"button":[...]}}, null for none
//	POST   /wechat/menu     ?app_id=, the menu: {"menu":...}
//	DELETE /wechat/menu     ?app_id=: {"menu":null}
//	POST   /wechat/qrcode   {"app_id","scene","seconds"}: {"ticket","url","image","seconds"}; 0 s = for good
//	GET    /wechat/evidence ?app_id=: what has come in since the start
//	POST   /wechat/check    {"app_id","query","body"}: whether a callback would be taken; it is not
//
// The app_id may be left out where there is one account.
type operatorAPI struct{}

// CaddyModule implements caddy.Module.
func (*operatorAPI) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "admin.api.wechat_account",
		New: func() caddy.Module { return new(operatorAPI) },
	}
}

// Routes implements caddy.AdminRouter.
func (a *operatorAPI) Routes() []caddy.AdminRoute {
	return []caddy.AdminRoute{
		{Pattern: "/wechat/send", Handler: caddy.AdminHandlerFunc(a.send)},
		{Pattern: "/wechat/menu", Handler: caddy.AdminHandlerFunc(a.menu)},
		{Pattern: "/wechat/qrcode", Handler: caddy.AdminHandlerFunc(a.qrcode)},
		{Pattern: "/wechat/evidence", Handler: caddy.AdminHandlerFunc(a.evidence)},
		{Pattern: "/wechat/check", Handler: caddy.AdminHandlerFunc(a.check)},
	}
}

func (a *operatorAPI) send(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		AppID  string `json:"app_id"`
		OpenID string `json:"openid"`
		Text   string `json:"text"`
	}
	if err := operatorInput(w, r, http.MethodPost, &in); err != nil {
		return err
	}
	return withRuntime(r, in.AppID, func(ctx context.Context, rt *bridge.Runtime) error {
		fate, err := rt.Say(ctx, in.OpenID, in.Text)
		if err != nil {
			return err
		}
		outcome := map[journal.Fate]string{
			journal.FateWaiting: "waiting", journal.FateDone: "sent", journal.FateParked: "parked", journal.FateDead: "dead",
		}[fate]
		return operatorAnswer(w, map[string]string{"outcome": outcome})
	})
}

func (a *operatorAPI) menu(w http.ResponseWriter, r *http.Request) error {
	var menu json.RawMessage
	switch r.Method {
	case http.MethodGet, http.MethodDelete:
	case http.MethodPost:
		if err := operatorInput(w, r, http.MethodPost, &menu); err != nil {
			return err
		}
	default:
		return operatorMethod(w, "GET, POST, DELETE")
	}
	return withRuntime(r, r.URL.Query().Get("app_id"), func(ctx context.Context, rt *bridge.Runtime) error {
		client, err := rt.Client(ctx)
		if err != nil {
			return err
		}
		switch r.Method {
		case http.MethodPost:
			err = client.CreateMenu(ctx, menu)
		case http.MethodDelete:
			err = client.DeleteMenu(ctx)
		}
		if err != nil {
			return err
		}
		now, err := client.Menu(ctx)
		if err != nil {
			return err
		}
		return operatorAnswer(w, map[string]any{"menu": now})
	})
}

func (a *operatorAPI) qrcode(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		AppID   string `json:"app_id"`
		Scene   string `json:"scene"`
		Seconds int64  `json:"seconds"`
	}
	if err := operatorInput(w, r, http.MethodPost, &in); err != nil {
		return err
	}
	return withRuntime(r, in.AppID, func(ctx context.Context, rt *bridge.Runtime) error {
		client, err := rt.Client(ctx)
		if err != nil {
			return err
		}
		if in.Seconds < 0 || in.Seconds > int64(time.Duration(1<<62)/time.Second) {
			return operatorError(http.StatusBadRequest, errors.New("seconds is out of range"))
		}
		q, err := client.CreateQRCode(ctx, in.Scene, time.Duration(in.Seconds)*time.Second)
		if err != nil {
			return err
		}
		return operatorAnswer(w, map[string]any{
			"ticket": q.Ticket, "url": q.URL, "image": q.Image(), "seconds": int64(q.Expires / time.Second),
		})
	})
}

// evidence tells what has come in for an account. It works without its journal.
func (a *operatorAPI) evidence(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodGet {
		return operatorMethod(w, "GET")
	}
	acct, err := accountInForce(r.URL.Query().Get("app_id"))
	if err != nil {
		return err
	}
	callbacks, webhooks := evidenceOf(acct.settings.AppID).read()
	return operatorAnswer(w, map[string]any{"callbacks": callbacks, "webhooks": webhooks})
}

// check judges a callback as the running configuration would, and takes nothing.
func (a *operatorAPI) check(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		AppID string `json:"app_id"`
		Query string `json:"query"`
		Body  []byte `json:"body"`
	}
	if err := operatorInput(w, r, http.MethodPost, &in); err != nil {
		return err
	}
	acct, err := accountInForce(in.AppID)
	if err != nil {
		return err
	}
	var reason string
	q, err := wechat.ParseQuery(in.Query)
	if err == nil {
		err = acct.callback.Verify(q)
	}
	if err == nil {
		_, err = acct.callback.Open(q, in.Body)
	}
	if err != nil {
		if reason = reasonOf(err); reason == "" {
			reason = "signature"
		}
	}
	return operatorAnswer(w, map[string]any{"taken": err == nil, "reason": reason})
}

// accountInForce gives an account of the configuration in force.
func accountInForce(appid string) (*account, error) {
	v, err := caddy.ActiveContext().AppIfConfigured("wechat")
	app, ok := v.(*App)
	if err != nil || !ok {
		return nil, operatorError(http.StatusNotFound, errors.New("no wechat account is configured"))
	}
	app.mu.Lock()
	defer app.mu.Unlock()
	known := slices.Sorted(maps.Keys(app.accounts))
	if appid == "" && len(known) == 1 {
		appid = known[0]
	}
	if acct := app.accounts[appid]; acct != nil {
		return acct, nil
	}
	if appid == "" {
		return nil, operatorError(http.StatusBadRequest, fmt.Errorf("which account? there are %s", strings.Join(known, ", ")))
	}
	return nil, operatorError(http.StatusNotFound, fmt.Errorf("account %s is not configured; there are %s", appid, strings.Join(known, ", ")))
}

// withRuntime calls f with an account's runtime.
func withRuntime(r *http.Request, appid string, f func(context.Context, *bridge.Runtime) error) error {
	acct, err := accountInForce(appid)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), operatorWait)
	defer cancel()
	rt, done, err := acct.enter(ctx)
	if err != nil {
		return operatorError(http.StatusServiceUnavailable, fmt.Errorf("waiting for the account: %w", err))
	}
	defer done()
	return operatorFault(f(ctx, rt))
}

// operatorFault gives an error its status.
func operatorFault(err error) error {
	var api caddy.APIError
	var not bridge.NotSent
	var refused *wechat.Error
	switch {
	case err == nil || errors.As(err, &api):
		return err
	case errors.As(err, &not):
		return operatorError(http.StatusConflict, err)
	case errors.As(err, &refused) && refused.Action() == wechat.ActionNoPermission:
		return operatorError(http.StatusBadGateway, fmt.Errorf("%w. WeChat does not let this account use this API", err))
	case errors.As(err, &refused):
		if remedy := refused.Remedy(); remedy != "" {
			err = fmt.Errorf("%w. %s", err, remedy)
		}
		return operatorError(http.StatusBadGateway, err)
	case errors.As(err, new(*wechat.TransportError)):
		return operatorError(http.StatusBadGateway, err)
	case errors.Is(err, context.DeadlineExceeded):
		return operatorError(http.StatusGatewayTimeout, err)
	case errors.Is(err, journal.ErrUnavailable), errors.Is(err, journal.ErrClosed):
		return operatorError(http.StatusServiceUnavailable, err)
	}
	return operatorError(http.StatusBadRequest, err)
}

func operatorError(status int, err error) error {
	return caddy.APIError{HTTPStatus: status, Err: err}
}

func operatorMethod(w http.ResponseWriter, methods string) error {
	w.Header().Set("Allow", methods)
	return operatorError(http.StatusMethodNotAllowed, errors.New("method not allowed"))
}

// operatorInput reads a request's JSON body.
func operatorInput(w http.ResponseWriter, r *http.Request, method string, into any) error {
	if r.Method != method {
		return operatorMethod(w, method)
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, operatorBody))
	if err != nil {
		return operatorError(http.StatusRequestEntityTooLarge, errors.New("body too large or cut off"))
	}
	if err := json.Unmarshal(body, into); err != nil {
		return operatorError(http.StatusBadRequest, fmt.Errorf("reading the JSON body: %w", err))
	}
	return nil
}

func operatorAnswer(w http.ResponseWriter, v any) error {
	w.Header().Set("Content-Type", "application/json")
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// Interface guards
var _ caddy.AdminRouter = (*operatorAPI)(nil)
