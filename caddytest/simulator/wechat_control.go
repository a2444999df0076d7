package simulator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// wcControl is where the control API is.
const wcControl = "/control/wechat/"

// wcControlRoute is one endpoint of the control API.
type wcControlRoute struct {
	method string
	name   string
	about  string // what it takes, for the index
	serve  func(*WeChat, *http.Request) (any, error)
}

// wcControls is a function, not a variable, because the index is one of the endpoints.
func wcControls() []wcControlRoute {
	return []wcControlRoute{
		{"POST", "push", `{"openid","type","text","wait",...}: do something as a user`, (*WeChat).controlPush},
		{"GET", "seen", `?openid=&after=&wait=1: what a user sees`, (*WeChat).controlSeen},
		{"GET", "deliveries", `?openid=&limit=: what became of pushes`, (*WeChat).controlDeliveries},
		{"GET", "calls", `?path=&limit=: calls of the API`, (*WeChat).controlCalls},
		{"GET", "events", `?since=: all that happens, as server-sent events`, nil},
		{"POST", "verify", `{"forge":{"signature":true}}: verify the callback URL`, (*WeChat).controlVerify},
		{"GET", "faults", `faults in force`, (*WeChat).controlFaults},
		{"POST", "faults", `{"path","code","times",...}: make API calls fail`, (*WeChat).controlFail},
		{"DELETE", "faults", `end all faults`, (*WeChat).controlClearFaults},
		{"POST", "down", `{"down":true}: close every API connection`, (*WeChat).controlDown},
		{"POST", "clock", `{"advance":"49h"}: move the account's clock`, (*WeChat).controlClock},
		{"POST", "mode", `{"mode":"safe"}: plain, compatible, safe`, (*WeChat).controlMode},
		{"POST", "kind", `{"kind":"individual"}: verified, individual, sandbox`, (*WeChat).controlKind},
		{"POST", "secret", `{"secret":"..."}: change the AppSecret`, (*WeChat).controlSecret},
		{"POST", "ips", `{"allow":["10.0.0.1"]}: IP allowlist; [] = off`, (*WeChat).controlIPs},
		{"POST", "tokens", `{"end":"expired"}: expired (42001) or revoked (40001)`, (*WeChat).controlTokens},
		{"POST", "windows", `{"openid"}: the user's allowance ends now; "" = everybody's`, (*WeChat).controlWindows},
		{"POST", "menu", `{"button":[...]}: as the menu API takes it`, (*WeChat).controlMenu},
		{"DELETE", "menu", `no menu`, (*WeChat).controlNoMenu},
		{"POST", "reset", `forget users, messages, records, faults`, (*WeChat).controlReset},
		{"GET", "state", `settings and counters`, (*WeChat).controlState},
		{"GET", "", `this list`, (*WeChat).controlIndex},
	}
}

// wcBadControl is a mistake in a control request.
type wcBadControl struct{ error }

func wcBad(format string, args ...any) error { return wcBadControl{fmt.Errorf(format, args...)} }

func (w *WeChat) serveControl(rw http.ResponseWriter, r *http.Request) {
	name := strings.Trim(strings.TrimPrefix(r.URL.Path+"/", wcControl), "/")
	var allow []string
	for _, route := range wcControls() {
		if route.name != name {
			continue
		}
		if route.method != r.Method {
			allow = append(allow, route.method)
			continue
		}
		if route.serve == nil {
			w.serveEvents(rw, r)
			return
		}
		out, err := route.serve(w, r)
		status := http.StatusOK
		if name != "push" && r.Method != http.MethodGet {
			w.tellState()
		}
		if err != nil {
			status = http.StatusInternalServerError
			if errors.As(err, &wcBadControl{}) {
				status = http.StatusBadRequest
			}
			out = map[string]string{"error": err.Error()}
		}
		wcWriteControl(rw, status, out)
		return
	}
	if allow != nil {
		rw.Header().Set("Allow", strings.Join(allow, ", "))
		wcWriteControl(rw, http.StatusMethodNotAllowed, map[string]string{"error": "use " + strings.Join(allow, " or ")})
		return
	}
	wcWriteControl(rw, http.StatusNotFound, map[string]string{"error": "no such endpoint; GET " + wcControl + " lists them"})
}

func wcWriteControl(rw http.ResponseWriter, status int, out any) {
	rw.Header().Set("Content-Type", "application/json; charset=utf-8")
	rw.WriteHeader(status)
	_, _ = rw.Write(append(wcJSON(out, "  "), '\n'))
}

// wcInput reads the JSON body, whatever its Content-Type says: curl -d sends a form's. An
// unknown name is an error, so that a typo does not pass unnoticed.
func wcInput(r *http.Request, into any) error {
	d := json.NewDecoder(io.LimitReader(r.Body, 32<<20))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil && !errors.Is(err, io.EOF) {
		return wcBad("reading the JSON body: %w", err)
	}
	return nil
}

// wcLimit cuts a list to its newest ?limit= entries, 100 by default.
func wcLimit[T any](r *http.Request, list []T) []T {
	limit, err := strconv.Atoi(r.URL.Query().Get("limit"))
	if err != nil || limit < 0 {
		limit = 100
	}
	return list[max(len(list)-limit, 0):]
}

type wcSeenAnswer struct {
	OpenID   string `json:"openid"`
	Last     int    `json:"last"` // seq of the newest; the next call's after
	Typing   bool   `json:"typing"`
	Messages []Seen `json:"messages"`
}

// controlSeen tells what a user sees. wait=1 holds the request, up to 30 s, until there is
// something newer than after or, without after, newer than the user's last push.
func (w *WeChat) controlSeen(r *http.Request) (any, error) {
	q := r.URL.Query()
	openid := q.Get("openid")
	if openid == "" {
		return nil, wcBad("openid is missing; the users are %q", w.Users())
	}
	after, since := 0, -1
	if v := q.Get("after"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil {
			return nil, wcBad("after is not a number")
		}
		after, since = n, n
	}
	if v := q.Get("wait"); v != "" && v != "0" && v != "false" {
		ctx, cancel := context.WithTimeout(r.Context(), 30*time.Second)
		defer cancel()
		_ = w.await(ctx, openid, func(u *wcUser) bool {
			if since < 0 {
				return u.seq > u.atPush
			}
			return u.seq > since
		})
	}
	out := wcSeenAnswer{OpenID: openid, Last: after, Typing: w.Typing(openid), Messages: []Seen{}}
	for _, s := range w.Seen(openid) {
		if s.Seq > after {
			out.Messages, out.Last = append(out.Messages, s), s.Seq
		}
	}
	return out, nil
}

func (w *WeChat) controlDeliveries(r *http.Request) (any, error) {
	all := w.Deliveries()
	if openid := r.URL.Query().Get("openid"); openid != "" {
		all = slices.DeleteFunc(all, func(d Delivery) bool { return d.OpenID != openid })
	}
	return wcLimit(r, all), nil
}

func (w *WeChat) controlCalls(r *http.Request) (any, error) {
	all := w.Calls()
	if path := r.URL.Query().Get("path"); path != "" {
		all = slices.DeleteFunc(all, func(c Call) bool { return c.Path != path })
	}
	return wcLimit(r, all), nil
}

func (w *WeChat) controlVerify(r *http.Request) (any, error) {
	var in struct {
		Forge Forgery `json:"forge"`
		Age   wcSpan  `json:"age"`
	}
	if err := wcInput(r, &in); err != nil {
		return nil, err
	}
	out := map[string]any{}
	in.Forge.Age = time.Duration(in.Age)
	if in.Forge != (Forgery{}) {
		out["refused"], out["attempt"] = w.VerifyForged(r.Context(), in.Forge)
	} else {
		out["ok"], out["attempt"] = w.Verify(r.Context())
	}
	return out, nil
}

func (w *WeChat) controlIndex(*http.Request) (any, error) {
	out := make([]string, 0, 20)
	for _, c := range wcControls() {
		out = append(out, c.method+" "+wcControl+c.name+" "+c.about)
	}
	return out, nil
}

func (w *WeChat) controlReset(*http.Request) (any, error) {
	w.Reset()
	return w.controlState(nil)
}

func (w *WeChat) controlState(*http.Request) (any, error) { return w.State(), nil }

// State sums up settings and counters, as GET state shows them.
func (w *WeChat) State() map[string]any {
	s := w.settings.Load()
	calls := map[string]int64{}
	w.ledger.counts.Range(func(k, _ any) bool {
		calls[k.(string)] = int64(w.CountCalls(k.(string)))
		return true
	})
	w.ledger.mu.Lock()
	pushed := w.ledger.pushed
	w.ledger.mu.Unlock()
	return map[string]any{
		"app_id": s.appID, "original_id": s.account, "mode": s.mode, "kind": s.kind, "callback_url": s.callback,
		"public_url": s.public, "allowed_ips": s.allowed, "down": s.down, "paused": w.marks.paused(w.now()),
		"clock": w.now(), "clock_offset": time.Duration(w.offset.Load()).String(), "users": w.Users(),
		"deliveries": pushed, "seen": w.Totals(), "calls": calls, "faults": w.Faults(),
	}
}
