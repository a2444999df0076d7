package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-wechat/caddy-wechat/module/internal/cli"
	"github.com/caddy-wechat/caddy-wechat/module/wechat"
)

// lookAtCaddy finds out whether a Caddy runs and has the account.
func (x *examination) lookAtCaddy(ctx context.Context) {
	if x.Admin == nil {
		x.found("caddy.not_running")
		return
	}
	ctx, cancel := within(ctx)
	defer cancel()
	all, _, err := cli.Accounts(ctx, x.Admin, cli.Options{Account: x.AppID})
	refused, said := errors.AsType[*cli.Refusal](err)
	switch {
	case errors.Is(err, cli.ErrNotRunning):
		x.found("caddy.not_running")
	case said && refused.Status == http.StatusNotFound:
		x.found("caddy.without_account")
	case err != nil:
		x.found("caddy.odd", err)
	default:
		x.running, x.status = true, &all[0]
		x.found("caddy.ok")
	}
}

// crypto makes a round trip in the configured mode: here, and into the running
// Caddy, which is to know the same keys.
func (x *examination) crypto(ctx context.Context) {
	query, body, err := x.sealed()
	if err == nil {
		var q wechat.Query
		if q, err = wechat.ParseQuery(query); err == nil {
			if err = x.Callback.Verify(q); err == nil {
				_, err = x.Callback.Open(q, body)
			}
		}
	}
	if err != nil {
		x.found("crypto.broken", err)
		return
	}
	if !x.running {
		x.found("crypto.here", x.Callback.Encryption)
		return
	}
	ctx, cancel := within(ctx)
	defer cancel()
	var answer struct {
		Taken  bool   `json:"taken"`
		Reason string `json:"reason"`
	}
	err = x.Admin.Post(ctx, "/wechat/check", map[string]any{"app_id": x.AppID, "query": query, "body": body}, &answer)
	switch {
	case err != nil:
		x.found("crypto.unknown", err)
	case answer.Taken:
		x.same = true
		x.found("crypto.ok", x.Callback.Encryption)
	case answer.Reason == "decrypt":
		x.found("crypto.other_key")
	case answer.Reason == "mode":
		x.found("crypto.other_mode", x.Callback.Encryption)
	case answer.Reason == "signature":
		x.found("crypto.other_token")
	default:
		x.found("crypto.unknown", answer.Reason)
	}
}

// sealed is a callback as WeChat would send it in the configured mode: its query
// and its body.
func (x *examination) sealed() (query string, body []byte, err error) {
	q := x.signed(time.Now())
	body = []byte("<xml><ToUserName>doctor</ToUserName></xml>")
	if x.Callback.Encryption == wechat.Plain {
		return q.Encode(), body, nil
	}
	if len(x.Callback.Ciphers) == 0 {
		return "", nil, errors.New("there is no aes_key")
	}
	text, err := x.Callback.Ciphers[0].Encrypt(body)
	if err != nil {
		return "", nil, err
	}
	q.Set("encrypt_type", "aes")
	q.Set("msg_signature", wechat.Sign(x.Callback.Tokens[0], q.Get("timestamp"), q.Get("nonce"), text))
	return q.Encode(), []byte("<xml><ToUserName>doctor</ToUserName><Encrypt>" + text + "</Encrypt></xml>"), nil
}

// signed is the query of a request that WeChat could have made.
func (x *examination) signed(at time.Time) url.Values {
	stamp, nonce := strconv.FormatInt(at.Unix(), 10), strconv.FormatInt(at.UnixNano()%1e9+1e9, 10)
	return url.Values{
		"timestamp": {stamp}, "nonce": {nonce},
		"signature": {wechat.Sign(x.Callback.Tokens[0], stamp, nonce)},
	}
}

// arrivals are what has come in, as the running Caddy tells.
type arrivals struct {
	Taken       int64     `json:"taken"`
	LastTaken   time.Time `json:"last_taken"`
	Refused     int64     `json:"refused"`
	LastRefused time.Time `json:"last_refused"`
	Reason      string    `json:"reason"`
	Strangers   int64     `json:"strangers"`
}

type evidence struct {
	Callbacks arrivals `json:"callbacks"`
	Webhooks  arrivals `json:"webhooks"`
}

func (x *examination) evidence(ctx context.Context) (e evidence, err error) {
	ctx, cancel := within(ctx)
	defer cancel()
	var raw json.RawMessage
	if err := x.Admin.Get(ctx, "/wechat/evidence", url.Values{"app_id": {x.AppID}}, &raw); err != nil {
		return e, err
	}
	return e, json.Unmarshal(raw, &e)
}

// arrived looks at what has come from WeChat since the running Caddy was started.
func (x *examination) arrived(ctx context.Context) {
	if !x.running {
		return
	}
	e, err := x.evidence(ctx)
	c := e.Callbacks
	ago := func(t time.Time) string { return cli.Span(x.now().Sub(t)) }
	switch {
	case err != nil:
		x.found("pushes.unknown", err)
	case c.Refused > 0 && c.LastRefused.After(c.LastTaken):
		switch c.Reason {
		case "mode":
			x.found("pushes.other_mode", x.Callback.Encryption, ago(c.LastRefused))
		case "decrypt":
			x.found("pushes.other_key", ago(c.LastRefused))
		default:
			x.found("pushes.stale", ago(c.LastRefused))
		}
	case c.Taken > 0:
		x.found("pushes.ok", c.Taken, ago(c.LastTaken))
	case c.Strangers > 0:
		x.found("pushes.other_token", c.Strangers)
	default:
		x.found("pushes.none")
	}
}

// standing looks at how the running Caddy says the account does.
func (x *examination) standing() {
	if x.status == nil {
		return
	}
	if !x.status.Journal.OK {
		return // that is the journal's
	}
	const late = 10 * time.Minute
	w := x.status.Waiting
	oldest := w.OldestPush
	if w.Replies > 0 && !w.OldestReply.IsZero() && (oldest.IsZero() || w.OldestReply.Before(oldest)) {
		oldest = w.OldestReply
	}
	switch age := x.now().Sub(oldest); {
	case len(x.status.Holds) > 0 && x.troubles == 0:
		h := x.status.Holds[0]
		x.found("standing.held", h.Side, h.Error, strings.TrimSuffix(h.Remedy, "."))
	case w.Pushes+w.Replies > 0 && !oldest.IsZero() && age > late:
		x.found("standing.backlog", w.Pushes, w.Replies, cli.Span(age))
	default:
		x.found("standing.ok", w.Pushes+w.Replies)
	}
	if w.Dead > 0 {
		x.found("standing.dead", w.Dead)
	}
}
