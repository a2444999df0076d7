// Package module is what Caddy sees of the bridge between a WeChat Official
// Account and a bot: the handler http.handlers.wechat with its directive, and
// the app wechat with its global option.
package module

import "encoding/json"

// Handler connects a WeChat Official Account (公众号) to a bot. One handler is
// one account talking to one bot.
//
// It serves, below its path: WeChat's URL verification and pushes
// (`<path>`), the bot's replies (`<path>/botpress`), media that users sent, for
// the bot to fetch (`<path>/media/`), and readiness (`<path>/ready`). Every
// other request goes to the next handler.
//
// A push is answered `success` only once it is on disk; the `wechat` app keeps
// it there until the bot has it. The same account may stand in several handlers
// (http and https, say) if their settings are identical.
//
// All values are text and take the placeholders `{env.*}` and `{file.*}`, which
// are resolved when the configuration is loaded; a value that resolves to
// nothing is an error unless its option says otherwise. Durations are written as
// `300ms`, `4s`, `48h` or `2d`, sizes as `500KB` or `1MiB`, switches as `on` or
// `off`. Write secrets as `{env.*}` or `{file.*}`, so that they are not stored
// with the configuration.
type Handler struct {
	// The account's AppID (开发者ID), such as `wx` and 16 digits and letters.
	// Letters, digits, `_` and `-`. Required.
	AppID string `json:"app_id,omitempty"`

	// The account's AppSecret. The machine's public address must be on the
	// account's IP allow-list, or WeChat refuses it (error 40164). Required.
	AppSecret string `json:"app_secret,omitempty"`

	// The token (令牌) from the server settings in WeChat's console, with which
	// callbacks are signed: 3 to 32 characters. A second one is the previous
	// token, which is accepted while rotating; it may resolve to nothing.
	// Required.
	Token []string `json:"token,omitempty"`

	// The EncodingAESKey (消息加解密密钥) from the server settings in WeChat's
	// console: 43 characters. A second one is the previous key, which is accepted
	// while rotating. Either may resolve to nothing, and then counts as not
	// given. Default: none, encrypted pushes cannot be opened.
	AESKey []string `json:"aes_key,omitempty"`

	// What is accepted: `plain` (明文模式) plaintext only, `compatible` (兼容模式)
	// either, `safe` (安全模式) encrypted only. The latter two need an aes_key.
	// Default: `safe` if there is an aes_key, else `plain`.
	Encryption string `json:"encryption,omitempty"`

	// Where the account's server URL (服务器地址) points on this site. A slash at
	// the end, here or in a request, makes no difference. Default: `/wechat`.
	Path string `json:"path,omitempty"`

	// The URL of this site as the bot reaches it: http or https, without query;
	// it may carry a prefix that a proxy in front removes. Links to media are made
	// with it. Default: learned from verified pushes, as Caddy sees host and
	// scheme.
	PublicURL string `json:"public_url,omitempty"`

	// Base URL of WeChat's API: http or https, without query. Set it for a regional
	// host or a simulator. Default: `https://api.weixin.qq.com`.
	API string `json:"api,omitempty"`

	// The egress proxy through which WeChat's API is called, for when it is the
	// proxy's address that is on the account's IP allow-list: an http, https,
	// socks5 or socks5h URL, which may hold a user and a password. Default: none.
	APIProxy string `json:"api_proxy,omitempty"`

	// From which addresses callbacks are accepted, as Caddy sees the client:
	// `any`; `wechat`, the list that WeChat publishes (getcallbackip), asked for
	// daily and kept over restarts; or CIDRs and addresses. While that list is
	// unknown, or could not be had for a week, `wechat` accepts every address. After
	// it may come `closed`: refuse while the list is unknown, and go by the old one
	// however old it is. The signature is checked in any case. Default: `any`.
	CallbackIPs []string `json:"callback_ips,omitempty"`

	// How far a callback's timestamp may be off, into the past or the future.
	// `0`: unchecked. Default: `5m`.
	Freshness string `json:"freshness,omitempty"`

	// The largest body of a callback; a larger one is answered 413. Default:
	// `1MiB`.
	MaxBody string `json:"max_body,omitempty"`

	// How replies travel. `passive`: as the answers to WeChat's attempts to deliver
	// the user's own push, free and without API permission; what comes too late leads
	// the next answer. `push`: by the customer-service API. `auto`: passively if the
	// reply comes within `wait`, else by push; an account that may not push (error
	// 48001) is treated as passive until a day has passed or the configuration is
	// reloaded. Default: `auto`.
	Reply string `json:"reply,omitempty"`

	// How long a callback is held for a passive reply, at most `4.8s`: WeChat gives
	// up after five. Default: `4s`.
	Wait string `json:"wait,omitempty"`

	// How long replies are gathered, after the last one, to put them in the bot's
	// order and to fit them into the allowance; at most 1.5 s in all, and never beyond
	// the end of an open callback. `0`: off. Default: `300ms`.
	Settle string `json:"settle,omitempty"`

	// The time between two pushed messages of one user: WeChat does not keep the
	// order of rapid sends. `0`: off. Default: `500ms`.
	Pace string `json:"pace,omitempty"`

	// How many messages WeChat lets the account send to a user, and for how long.
	Allowance Allowance `json:"allowance,omitzero"`

	// How the options of a choice are shown. `links`: numbered lines to tap.
	// `numbers`: numbered lines to answer by number. `menu`: the message menu of
	// the customer-service API, or `links` where the account may not send it, or
	// for more than ten options. Default: `links`.
	Choices string `json:"choices,omitempty"`

	// Whether the user sees that an answer is being written, once the bot has been
	// silent for a second, where the account may tell: `on` or `off`. Default: `on`.
	Typing string `json:"typing,omitempty"`

	// Whether replies are marked as AI generated: `on` or `off`. Default: `off`.
	AILabel string `json:"ai_label,omitempty"`

	// Whether what WeChat still tells of a user (unionid, time of following, scene,
	// remark) is fetched once, for the bot: `on` or `off`. Default: `off`.
	Profile string `json:"profile,omitempty"`

	// What becomes of events. Default: a menu CLICK is a text for the bot, LOCATION
	// reports are ignored, and every other event is a custom event for the bot.
	Events []EventRule `json:"events,omitempty"`

	// What the user reads when there is no reply to show.
	Notices Notices `json:"notices,omitzero"`

	// Whether `GET <path>/ready` tells load balancers (200 or 503) if messages can
	// be taken: `on` or `off`. Default: `off`, the request goes to the next handler.
	Ready string `json:"ready,omitempty"`

	// What the account may take up.
	Limits Limits `json:"limits,omitzero"`

	// What is fetched for users, and kept of what they send.
	Media Media `json:"media,omitzero"`

	// The bot at the other end: a module of the namespace
	// `http.handlers.wechat.bots`, named by `name`. Required.
	BotRaw json.RawMessage `json:"bot,omitempty" caddy:"namespace=http.handlers.wechat.bots inline_key=name"`

	handlerState
}

// App is the `wechat` app. It owns the journal, in which messages wait until
// they are handed on, and the workers that hand them on. It need not be
// configured: a handler starts it with its defaults.
type App struct {
	// Where messages are kept.
	Journal Journal `json:"journal,omitzero"`

	appState
}

// Journal says where and how messages are kept. Its values are text and take
// the placeholders `{env.*}` and `{file.*}`.
type Journal struct {
	// The directory of the SQLite database. It is created if need be, for the
	// server's user alone. Only one process may use it at a time. Default:
	// `wechat` in Caddy's data directory.
	Dir string `json:"dir,omitempty"`

	// When a push counts as kept. `full`: once it is on disk, so that it outlives
	// the machine's power failing. `normal`: once the operating system has it, so
	// that it outlives the process being killed. Default: `full`.
	Sync string `json:"sync,omitempty"`

	// How long handled messages are remembered, for de-duplication and for looking
	// back. More than 0. Default: `24h`.
	Keep string `json:"keep,omitempty"`

	// How large the database may become, looked at each second. Beyond it no further
	// push is taken: WeChat gets no answer and sends again, as when the disk is full,
	// until there is room or the size is raised. What waits is delivered meanwhile.
	// Its write-ahead log, of up to 64 MiB, and files of users (`media store`) come on
	// top. At least 1MiB. Default: `10GiB`, which is some ten million short messages
	// with their answers.
	MaxSize string `json:"max_size,omitempty"`
}
