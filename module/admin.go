package module

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-wechat/caddy-wechat/module/internal/bridge"
)

const (
	// adminTime bounds what is looked at for one request, save the trace.
	adminTime = 20 * time.Second
)

// Admin is the part of Caddy's admin endpoint at which the bridge is looked at and
// mended. Nothing here shows a secret, and nothing but a single dead letter, asked
// for by its id, shows what somebody wrote.
//
//	GET  /wechat/accounts             all accounts: health, holds, what waits
//	GET  /wechat/accounts/{app_id}    one of them
//	GET  /wechat/trace                decisions as they are made (server-sent events)
//	GET  /wechat/waiting              what waits, by user
//	GET  /wechat/parked               replies that wait for their user to act
//	POST /wechat/parked/deliver       {"app_id","openid"}: they wait to be sent
//	POST /wechat/parked/drop          {"app_id","openid"}: they are let go
//	GET  /wechat/dead                 dead letters
//	GET  /wechat/dead/{id}            one of them, with what it holds
//	POST /wechat/dead/replay          {"app_id","ids"} or {"app_id","all":true}: they wait again
//	POST /wechat/dead/drop            the same: they are deleted
//	POST /wechat/release              {"app_id","side"}: a held side is tried at once
//
// Lists take app_id, which may be left out where there is one account, limit and
// after. Errors are JSON: {"error": "..."}.
type Admin struct{}

func init() {
	caddy.RegisterModule(Admin{})
}

// CaddyModule implements caddy.Module.
func (Admin) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "admin.api.wechat",
		New: func() caddy.Module { return new(Admin) },
	}
}

// Routes implements caddy.AdminRouter.
func (Admin) Routes() []caddy.AdminRoute {
	return []caddy.AdminRoute{{Pattern: "/wechat/", Handler: caddy.AdminHandlerFunc(serveAdmin)}}
}

// adminRoute is one address of the API. A path that ends with a slash takes one more
// segment, which is the id.
type adminRoute struct {
	method, path string
	serve        func(r *http.Request, id string) (any, error)
}

var adminRoutes = []adminRoute{
	{http.MethodGet, "accounts", adminAccounts},
	{http.MethodGet, "accounts/", adminAccount},
	{http.MethodGet, "waiting", adminWaiting},
	{http.MethodGet, "parked", adminParked},
	{http.MethodPost, "parked/deliver", adminDeliver},
	{http.MethodPost, "parked/drop", adminDropParked},
	{http.MethodGet, "dead", adminDead},
	{http.MethodGet, "dead/", adminDeadLetter},
	{http.MethodPost, "dead/replay", adminDeadAction((*bridge.Runtime).ReplayDead)},
	{http.MethodPost, "dead/drop", adminDeadAction((*bridge.Runtime).DropDead)},
	{http.MethodPost, "release", adminRelease},
}

// serveAdmin finds the route. It looks at the method by itself: Caddy does not.
func serveAdmin(w http.ResponseWriter, r *http.Request) error {
	path := strings.TrimPrefix(r.URL.Path, "/wechat/")
	if path == "trace" {
		if r.Method != http.MethodGet {
			return adminNotAllowed(w, http.MethodGet)
		}
		return adminTrace(w, r)
	}
	var allowed []string
	for _, route := range adminRoutes {
		id, ok := route.match(path)
		if !ok {
			continue
		}
		if route.method != r.Method {
			allowed = append(allowed, route.method)
			continue
		}
		wait := adminTime
		if r.Method == http.MethodPost {
			wait = adminActing
		}
		ctx, cancel := context.WithTimeout(r.Context(), wait)
		defer cancel()
		v, err := route.serve(r.WithContext(ctx), id)
		if err != nil {
			return adminError(err)
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		return json.NewEncoder(w).Encode(v)
	}
	if len(allowed) > 0 {
		return adminNotAllowed(w, allowed...)
	}
	return adminStatus(http.StatusNotFound, "there is nothing at this address")
}

func (a *adminRoute) match(path string) (id string, ok bool) {
	if !strings.HasSuffix(a.path, "/") {
		return "", path == a.path
	}
	id, ok = strings.CutPrefix(path, a.path)
	return id, ok && id != "" && !strings.Contains(id, "/")
}

func adminNotAllowed(w http.ResponseWriter, methods ...string) error {
	w.Header().Set("Allow", strings.Join(methods, ", "))
	return adminStatus(http.StatusMethodNotAllowed, "method not allowed")
}

func adminStatus(status int, format string, args ...any) error {
	return caddy.APIError{HTTPStatus: status, Err: fmt.Errorf(format, args...)}
}

// adminError gives an error its status. One that is nobody's fault but the
// journal's is worth another try.
func adminError(err error) error {
	if _, ok := errors.AsType[caddy.APIError](err); ok {
		return err
	}
	return caddy.APIError{HTTPStatus: http.StatusServiceUnavailable, Err: err}
}

// adminRuntimes are the accounts of this process, by appid. Of an account whose
// journal has just moved, only the new home is one.
func adminRuntimes() []*bridge.Runtime {
	var all []*bridge.Runtime
	runtimes.Range(func(_, v any) bool {
		if rt, ok := v.(*pooledRuntime); ok {
			all = append(all, rt.Runtime)
		}
		return true
	})
	all = slices.DeleteFunc(all, func(rt *bridge.Runtime) bool {
		_, live := rt.InForce()
		return !live
	})
	slices.SortFunc(all, func(a, b *bridge.Runtime) int { return strings.Compare(a.AppID(), b.AppID()) })
	return all
}

// adminRuntime is the account of an appid. It may be left out where there is but one.
func adminRuntime(appid string) (*bridge.Runtime, error) {
	all := adminRuntimes()
	if appid == "" {
		if len(all) == 1 {
			return all[0], nil
		}
		return nil, adminStatus(http.StatusBadRequest, "app_id is missing, and there are %d accounts", len(all))
	}
	for _, rt := range all {
		if rt.AppID() == appid {
			return rt, nil
		}
	}
	return nil, adminStatus(http.StatusNotFound, "account %q is not configured", appid)
}

func adminAccounts(r *http.Request, _ string) (any, error) {
	accounts := []bridge.Account{}
	for _, rt := range adminRuntimes() {
		accounts = append(accounts, adminStatusOf(r.Context(), rt))
	}
	return map[string]any{"accounts": accounts}, nil
}

func adminAccount(r *http.Request, id string) (any, error) {
	rt, err := adminRuntime(id)
	if err != nil {
		return nil, err
	}
	return adminStatusOf(r.Context(), rt), nil
}

func adminStatusOf(ctx context.Context, rt *bridge.Runtime) bridge.Account {
	a := rt.Status(ctx)
	if s, _ := rt.InForce(); s != nil {
		if m, ok := s.Bot.(caddy.Module); ok {
			a.Bot = m.CaddyModule().ID.Name()
		}
	}
	return a
}

// Interface guards
var (
	_ caddy.Module      = Admin{}
	_ caddy.AdminRouter = Admin{}
)
