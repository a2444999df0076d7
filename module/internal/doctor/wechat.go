package doctor

import (
	"context"
	"errors"
	"net/http"

	"github.com/caddy-wechat/caddy-wechat/module/wechat"
)

// nobody is an openid that nobody has, and an id that no file has. What WeChat says
// about it tells whether the account may ask.
const nobody = "caddy-wechat-doctor"

// wechat asks WeChat's API as the bridge does. The access token comes from
// stable_token in normal mode, which gives the token that is in use.
func (x *examination) wechat(ctx context.Context) {
	t := transport(x.Proxy)
	defer t.CloseIdleConnections()
	c, err := wechat.NewClient(wechat.Config{
		AppID: x.AppID, AppSecret: x.AppSecret, BaseURL: x.API, HTTP: &http.Client{Transport: t}, Timeout: callTime,
	})
	if err != nil {
		x.found("token.unknown", err)
		return
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(ctx, 6*callTime)
	defer cancel()
	if _, err := c.Token(ctx); err != nil {
		x.noToken(err)
		return
	}
	x.found("token.ok")
	x.rights(ctx, c)
	x.callback(ctx, c)
}

// noToken says why there is no access token.
func (x *examination) noToken(err error) {
	e, ok := errors.AsType[*wechat.Error](err)
	if !ok {
		x.found("token.unknown", err)
		return
	}
	switch e.Code {
	case 40164:
		who := "?"
		if a, ok := e.Address(); ok {
			who = a.String()
		}
		x.found("token.address", who)
	case 40013:
		x.found("token.app_id", x.AppID)
	case 40125, 40001:
		x.found("token.secret", e.Code)
	case 40243:
		x.found("token.frozen")
	case 61024:
		x.found("token.platform")
	case 89503, 89506, 89507:
		x.found("token.confirm", e.Code)
	case 45009, 45011:
		x.found("token.quota", e.Code)
	default:
		x.found("token.code", e.Code, e.Msg)
	}
}

// rights finds out what the account may do, by calls that change nothing.
func (x *examination) rights(ctx context.Context, c *wechat.Client) {
	send := code(c.Typing(ctx, nobody, false))
	d, err := c.Download(ctx, nobody, 1<<10)
	if err == nil {
		_ = d.Close()
	}
	media := code(err)
	_, err = c.Menu(ctx)
	menu := code(err)
	const denied = 48001
	noSend := send == denied && !x.Passive
	all := true
	switch {
	case send == 48004 || media == 48004 || menu == 48004 || send == 50002:
		x.found("rights.banned")
		all = false
	case send == denied && media == denied && menu == denied && x.Push:
		x.found("rights.none_push")
		all = false
	case send == denied && media == denied && menu == denied:
		x.found("rights.none")
		all = false
	case noSend && x.Push:
		x.found("rights.send_push")
		all = false
	case noSend:
		x.found("rights.send")
		all = false
	}
	if all && media == denied {
		x.found("rights.media")
		all = false
	}
	if all && menu == denied {
		x.found("rights.menu")
		all = false
	}
	if all {
		x.found("rights.ok")
	}
}

// code is WeChat's code in an error, 0 if there is none.
func code(err error) int {
	if e, ok := errors.AsType[*wechat.Error](err); ok {
		return e.Code
	}
	return 0
}

// callback asks WeChat how it sees the callback URL.
func (x *examination) callback(ctx context.Context, c *wechat.Client) {
	check, err := c.CheckCallback(ctx)
	lost, pings := 0.0, 0
	for _, p := range check.Pings {
		lost += p.Loss
		pings++
	}
	switch {
	case err != nil:
		x.found("callback.unknown", err)
	case !check.Configured:
		x.found("callback.none")
	case len(check.Addresses) == 0:
		x.found("callback.dns")
	case pings > 0 && lost/float64(pings) >= 0.5:
		x.found("callback.loss", int(100*lost/float64(pings)))
	default:
		x.found("callback.ok", check.Addresses[0])
	}
}
