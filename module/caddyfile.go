package module

import (
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-wechat/caddy-wechat/module/internal/option"
)

func init() {
	httpcaddyfile.RegisterHandlerDirective("wechat", parseCaddyfile)
	httpcaddyfile.RegisterDirectiveOrder("wechat", httpcaddyfile.Before, "respond")
	httpcaddyfile.RegisterGlobalOption("wechat", parseGlobalOption)
}

// parseCaddyfile sets up a handler from the wechat directive.
func parseCaddyfile(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	hd := new(Handler)
	if err := hd.UnmarshalCaddyfile(h.Dispenser); err != nil {
		return nil, err
	}
	return hd, nil
}

// parseGlobalOption sets up the app from the wechat global option.
func parseGlobalOption(d *caddyfile.Dispenser, existing any) (any, error) {
	if existing != nil {
		d.Next()
		return nil, d.Err("wechat already specified: the global option stands once")
	}
	a := new(App)
	if err := a.UnmarshalCaddyfile(d); err != nil {
		return nil, err
	}
	return httpcaddyfile.App{Name: "wechat", Value: caddyconfig.JSON(a, nil)}, nil
}

// UnmarshalCaddyfile sets up the handler from Caddyfile tokens. Syntax:
//
//	wechat [<matcher>] {
//		app_id       <id>
//		app_secret   <secret>
//		token        <token> [<previous>]
//		aes_key      <key> [<previous>]
//		encryption   plain|compatible|safe
//		path         <path>
//		public_url   <url>
//		api          <url>
//		api_proxy    <url>
//		callback_ips any|wechat|<cidr...> [closed]
//		freshness    <duration>
//		max_body     <size>
//		reply        auto|passive|push
//		wait         <duration>
//		settle       <duration>
//		pace         <duration>
//		allowance    <count> <duration> [<count> <duration>]
//		choices      links|numbers|menu
//		typing       on|off
//		ai_label     on|off
//		profile      on|off
//		event        <name>[:<key>]... text [<text>]|event|reply <text>|ignore
//		notice       thinking|more|failed <text>
//		ready        on|off
//		limits {
//			windows <count>
//			lanes   <count>
//			user    <count>/<duration>
//		}
//		media {
//			allow    none|<cidr...>
//			max_size <size>
//			keep     <duration>
//			store    <size>
//		}
//		bot <name> ...
//	}
//
// app_id, app_secret, token and bot are required. `event` and `notice` may be
// repeated, for other events and other notices; everything else stands once.
// The first pair of `allowance` is for what follows a message of the user, the
// second for what follows a tap, a follow or a scan. `bot` is followed by the
// name of a module of the namespace http.handlers.wechat.bots and by what that
// module takes. A value without placeholders is checked at once, one with them
// when the configuration is loaded. See [Handler] for what each option does and
// for its default.
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume the directive's name
	given := make(map[string]bool)
	events := make(option.Seen)
	notices := make(option.Seen)
	err := option.Walk(d, []string{"event", "notice"}, func(name string) error {
		given[name] = true
		switch name {
		case "event":
			return h.unmarshalEvent(d, events)
		case "notice":
			return h.unmarshalNotice(d, notices)
		case "allowance":
			return h.Allowance.unmarshal(d)
		case "limits":
			return h.Limits.unmarshal(d)
		case "media":
			return h.Media.unmarshal(d)
		case "bot":
			return h.unmarshalBot(d)
		}
		return h.unmarshalValue(d, name)
	})
	if err != nil {
		return err
	}
	for _, name := range []string{"app_id", "app_secret", "token", "bot"} {
		if !given[name] {
			return d.Errf("%s is required", name)
		}
	}
	return option.End(d, "wechat")
}

// unmarshalValue takes the options that are a line of plain values.
func (h *Handler) unmarshalValue(d *caddyfile.Dispenser, name string) error {
	switch name {
	case "app_id":
		return option.Arg(d, &h.AppID, parseAppID)
	case "app_secret":
		return option.SecretArg(d, &h.AppSecret, option.Secret)
	case "token":
		return unmarshalRotated(d, &h.Token, parseToken)
	case "aes_key":
		return unmarshalRotated(d, &h.AESKey, parseAESKey)
	case "encryption":
		return option.Arg(d, &h.Encryption, parseEncryption)
	case "path":
		return option.Arg(d, &h.Path, parsePath)
	case "public_url":
		return option.Arg(d, &h.PublicURL, option.BaseURL)
	case "api":
		return option.Arg(d, &h.API, option.BaseURL)
	case "api_proxy":
		return option.SecretArg(d, &h.APIProxy, option.ProxyURL)
	case "callback_ips":
		return option.ListArgs(d, &h.CallbackIPs, "callback_ips any|wechat|<cidr...> [closed]", parseCallbackIPs)
	case "freshness":
		return option.Arg(d, &h.Freshness, option.Duration)
	case "max_body":
		return option.Arg(d, &h.MaxBody, option.Size)
	case "reply":
		return option.Arg(d, &h.Reply, parseReply)
	case "wait":
		return option.Arg(d, &h.Wait, parseWait)
	case "settle":
		return option.Arg(d, &h.Settle, option.Duration)
	case "pace":
		return option.Arg(d, &h.Pace, option.Duration)
	case "choices":
		return option.Arg(d, &h.Choices, parseChoices)
	case "typing":
		return option.Arg(d, &h.Typing, option.Switch)
	case "ai_label":
		return option.Arg(d, &h.AILabel, option.Switch)
	case "profile":
		return option.Arg(d, &h.Profile, option.Switch)
	case "ready":
		return option.Arg(d, &h.Ready, option.Switch)
	default:
		return option.Unknown(d)
	}
}

// UnmarshalCaddyfile sets up the app from the tokens of the global option.
// Syntax:
//
//	wechat {
//		journal {
//			dir  <path>
//			sync full|normal
//			keep <duration>
//		}
//	}
//
// See [Journal] for what each option does and for its default.
func (a *App) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume the option's name
	err := option.Walk(d, nil, func(name string) error {
		if name != "journal" {
			return option.Unknown(d)
		}
		return a.Journal.unmarshal(d)
	})
	if err != nil {
		return err
	}
	return option.End(d, "wechat")
}

// Interface guards
var (
	_ caddyfile.Unmarshaler = (*Handler)(nil)
	_ caddyfile.Unmarshaler = (*App)(nil)
)
