package module

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/caddy-wechat/caddy-wechat/module/internal/bridge"
)

const (
	// adminPage is how much a list shows unless limit says otherwise, adminMost what
	// limit may be.
	adminPage, adminMost = 100, 1000

	// adminActing bounds an action. What it has done by then is done.
	adminActing = 2 * time.Minute

	// adminBody bounds the body of a request.
	adminBody = 1 << 20
)

// adminRead decodes a request's body. What it does not know is an error: a typing
// error must not make an action mean more than was meant.
func adminRead(r *http.Request, into any) error {
	d := json.NewDecoder(io.LimitReader(r.Body, adminBody))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return adminStatus(http.StatusBadRequest, "reading request: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return adminStatus(http.StatusBadRequest, "reading request: something follows behind it")
	}
	return nil
}

func adminLimit(r *http.Request) (int, error) {
	text := r.URL.Query().Get("limit")
	if text == "" {
		return adminPage, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > adminMost {
		return 0, adminStatus(http.StatusBadRequest, "limit wants a number from 1 to %d", adminMost)
	}
	return n, nil
}

// adminChosen is the accounts that a list is about: the one that is named, or all.
func adminChosen(r *http.Request) ([]*bridge.Runtime, error) {
	appid := r.URL.Query().Get("app_id")
	if appid == "" {
		return adminRuntimes(), nil
	}
	rt, err := adminRuntime(appid)
	return []*bridge.Runtime{rt}, err
}

// adminWaiting lists what waits by user. With after, a user's openid, a list goes on
// behind that user; it wants app_id then if there are several accounts.
func adminWaiting(r *http.Request, _ string) (any, error) {
	limit, err := adminLimit(r)
	if err != nil {
		return nil, err
	}
	chosen, err := adminChosen(r)
	if err != nil {
		return nil, err
	}
	users := []bridge.WaitingUser{}
	for _, rt := range chosen {
		if len(users) == limit {
			break
		}
		some, err := rt.WaitingUsers(r.Context(), r.URL.Query().Get("after"), limit-len(users))
		if err != nil {
			return nil, err
		}
		users = append(users, some...)
	}
	return map[string]any{"users": users}, nil
}

// adminParked lists parked replies. Next, if there is more, is what after wants to go
// on.
func adminParked(r *http.Request, _ string) (any, error) {
	limit, err := adminLimit(r)
	if err != nil {
		return nil, err
	}
	q := r.URL.Query()
	var after bridge.ParkedMark
	if text := q.Get("after"); text != "" {
		raw, err := base64.RawURLEncoding.DecodeString(text)
		if err == nil {
			err = json.Unmarshal(raw, &after)
		}
		if err != nil {
			return nil, adminStatus(http.StatusBadRequest, "after is not what next was")
		}
	}
	rt, err := adminRuntime(q.Get("app_id"))
	if err != nil {
		return nil, err
	}
	parked, last, err := rt.Parked(r.Context(), q.Get("openid"), after, limit)
	if err != nil {
		return nil, err
	}
	answer := map[string]any{"parked": parked}
	if len(parked) == limit {
		raw, err := json.Marshal(last)
		if err != nil {
			return nil, err
		}
		answer["next"] = base64.RawURLEncoding.EncodeToString(raw)
	}
	return answer, nil
}

// adminUser reads which user an action is about.
func adminUser(r *http.Request) (rt *bridge.Runtime, openid string, err error) {
	var body struct {
		AppID  string `json:"app_id"`
		OpenID string `json:"openid"`
	}
	if err := adminRead(r, &body); err != nil {
		return nil, "", err
	}
	if body.OpenID == "" {
		return nil, "", adminStatus(http.StatusBadRequest, "openid is missing")
	}
	rt, err = adminRuntime(body.AppID)
	return rt, body.OpenID, err
}

func adminDeliver(r *http.Request, _ string) (any, error) {
	rt, openid, err := adminUser(r)
	if err != nil {
		return nil, err
	}
	n, left, err := rt.DeliverParked(r.Context(), openid)
	return map[string]any{"count": n, "allowance_left": left}, err
}

func adminDropParked(r *http.Request, _ string) (any, error) {
	rt, openid, err := adminUser(r)
	if err != nil {
		return nil, err
	}
	n, err := rt.DropParked(r.Context(), openid)
	return map[string]any{"count": n}, err
}

// adminDead lists dead letters, without what they hold. After is the id of the last
// one that was seen.
func adminDead(r *http.Request, _ string) (any, error) {
	limit, err := adminLimit(r)
	if err != nil {
		return nil, err
	}
	q := r.URL.Query()
	var after int64
	if text := q.Get("after"); text != "" {
		if after, err = strconv.ParseInt(text, 10, 64); err != nil {
			return nil, adminStatus(http.StatusBadRequest, "after is not a number")
		}
	}
	rt, err := adminRuntime(q.Get("app_id"))
	if err != nil {
		return nil, err
	}
	dead, err := rt.DeadLetters(r.Context(), after, limit)
	return map[string]any{"dead": dead}, err
}

// adminDeadLetter shows a dead letter with what it holds.
func adminDeadLetter(r *http.Request, id string) (any, error) {
	n, err := strconv.ParseInt(id, 10, 64)
	if err != nil {
		return nil, adminStatus(http.StatusBadRequest, "the id of a dead letter is a number")
	}
	rt, err := adminRuntime(r.URL.Query().Get("app_id"))
	if err != nil {
		return nil, err
	}
	d, found, err := rt.DeadLetter(r.Context(), n)
	if err == nil && !found {
		return nil, adminStatus(http.StatusNotFound, "there is no dead letter %d", n)
	}
	return d, err
}

// adminDeadAction does something with the dead letters that a request names.
func adminDeadAction(act func(*bridge.Runtime, context.Context, []int64) (int64, error)) func(*http.Request, string) (any, error) {
	return func(r *http.Request, _ string) (any, error) {
		var body struct {
			AppID string  `json:"app_id"`
			IDs   []int64 `json:"ids"`
			All   bool    `json:"all"`
		}
		if err := adminRead(r, &body); err != nil {
			return nil, err
		}
		if (len(body.IDs) > 0) == body.All {
			return nil, adminStatus(http.StatusBadRequest, "which dead letters: ids, or all?")
		}
		if body.All {
			body.IDs = nil
		}
		rt, err := adminRuntime(body.AppID)
		if err != nil {
			return nil, err
		}
		n, err := act(rt, r.Context(), body.IDs)
		if n > 0 && errors.Is(err, context.DeadlineExceeded) {
			return map[string]any{"count": n, "more": true}, nil
		}
		return map[string]any{"count": n}, err
	}
}

// adminRelease has a held side tried at once.
func adminRelease(r *http.Request, _ string) (any, error) {
	var body struct {
		AppID string `json:"app_id"`
		Side  string `json:"side"`
	}
	if err := adminRead(r, &body); err != nil {
		return nil, err
	}
	if body.Side != "bot" && body.Side != "wechat" {
		return nil, adminStatus(http.StatusBadRequest, "side is bot or wechat")
	}
	rt, err := adminRuntime(body.AppID)
	if err != nil {
		return nil, err
	}
	held, released := rt.Release(r.Context(), body.Side)
	return map[string]any{"held": held, "released": released}, nil
}
