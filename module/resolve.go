package module

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-wechat/caddy-wechat/module/internal/bridge"
	"github.com/caddy-wechat/caddy-wechat/module/internal/option"
	"github.com/caddy-wechat/caddy-wechat/module/wechat"
)

// The defaults of the options, except those that depend on others.
const (
	defaultPath      = "/wechat"
	defaultAPI       = "https://api.weixin.qq.com"
	defaultFreshness = 5 * time.Minute
	defaultMaxBody   = 1 << 20
	defaultWait      = 4 * time.Second
	defaultSettle    = 300 * time.Millisecond
	defaultPace      = 500 * time.Millisecond
	defaultThinking  = "还在思考，稍后发送任意内容即可查看回复。"
	defaultMore      = "还有更多内容，发送任意内容继续查看。"
	defaultFailed    = "抱歉，这条回复暂时无法显示。"
	defaultWindows   = 20000
	defaultLanes     = 1000
	defaultMediaSize = 20 << 20
	defaultMediaKeep = 72 * time.Hour
	defaultStore     = 1 << 30
	defaultKeep      = 24 * time.Hour

	defaultJournalSize = 10 << 30
	leastJournalSize   = 1 << 20
)

var (
	defaultMessageGrant = bridge.Grant{Count: 5, For: 48 * time.Hour}
	defaultActionGrant  = bridge.Grant{Count: 3, For: time.Minute}
	defaultUserRate     = bridge.Grant{Count: 20, For: time.Minute}
)

// resolved is what a Handler's options come to. It holds secrets.
type resolved struct {
	settings    bridge.Settings // without Bot, Logger and UserAgent
	callback    bridge.Callback
	callbackIPs callbackIPs
	ready       bool
}

// resolve resolves the placeholders of all options, fills in the defaults, and
// checks everything. It changes nothing, and its error holds no secret.
func (h *Handler) resolve(repl *caddy.Replacer) (resolved, error) {
	r := option.NewReader(repl)
	var out resolved
	h.resolveAccount(r, &out.settings)
	h.resolveReplies(r, &out.settings)
	out.settings.Events = resolveEvents(r, h.Events)
	out.settings.Limits = bridge.Limits{
		Windows: option.Read(r, "limits windows", h.Limits.Windows, defaultWindows, option.Count),
		Lanes:   option.Read(r, "limits lanes", h.Limits.Lanes, defaultLanes, option.Count),
		User:    option.Read(r, "limits user", h.Limits.User, defaultUserRate, parseRate),
	}
	out.settings.Media = bridge.MediaSettings{
		Allow:   option.ReadList(r, "media allow", h.Media.Allow, nil, parseMediaAllow),
		MaxSize: option.Read(r, "media max_size", h.Media.MaxSize, defaultMediaSize, option.Size),
		Keep:    option.Read(r, "media keep", h.Media.Keep, defaultMediaKeep, option.PositiveDuration),
		Store:   option.Read(r, "media store", h.Media.Store, defaultStore, option.Size),
	}
	out.callback = h.resolveCallback(r, out.settings.AppID)
	out.callbackIPs = option.ReadList(r, "callback_ips", h.CallbackIPs, callbackIPs{}, parseCallbackIPs)
	out.ready = option.Read(r, "ready", h.Ready, false, option.Switch)
	if len(h.BotRaw) == 0 {
		r.Fail(errors.New("bot is required"))
	}
	if err := r.Err(); err != nil {
		return resolved{}, err
	}
	return out, nil
}

// resolveAccount reads who the account is and how WeChat's API is reached.
func (h *Handler) resolveAccount(r *option.Reader, s *bridge.Settings) {
	s.AppID = option.Require(r, "app_id", h.AppID, parseAppID)
	s.AppSecret = r.Secret("app_secret", h.AppSecret, true)
	option.CheckSecret(r, "app_secret", s.AppSecret, option.Secret)
	s.PublicURL = option.Read(r, "public_url", h.PublicURL, "", option.BaseURL)
	s.API = option.Read(r, "api", h.API, defaultAPI, option.BaseURL)
	if h.APIProxy != "" {
		s.APIProxy = option.CheckSecret(r, "api_proxy", r.Secret("api_proxy", h.APIProxy, true), option.ProxyURL)
	}
}

// resolveReplies reads how replies are shown and sent.
func (h *Handler) resolveReplies(r *option.Reader, s *bridge.Settings) {
	s.Reply = option.Read(r, "reply", h.Reply, bridge.ReplyAuto, parseReply)
	s.Wait = option.Read(r, "wait", h.Wait, defaultWait, parseWait)
	s.Settle = option.Read(r, "settle", h.Settle, defaultSettle, option.Duration)
	s.Pace = option.Read(r, "pace", h.Pace, defaultPace, option.Duration)
	s.Allowance = bridge.Allowance{
		Message: resolveGrant(r, "allowance message", h.Allowance.Message, defaultMessageGrant),
		Action:  resolveGrant(r, "allowance action", h.Allowance.Action, defaultActionGrant),
	}
	s.Choices = option.Read(r, "choices", h.Choices, bridge.ChoiceLinks, parseChoices)
	s.Typing = option.Read(r, "typing", h.Typing, true, option.Switch)
	s.AILabel = option.Read(r, "ai_label", h.AILabel, false, option.Switch)
	s.Profile = option.Read(r, "profile", h.Profile, false, option.Switch)
	s.Notices = bridge.Notices{
		Thinking: r.Text("notice thinking", h.Notices.Thinking, defaultThinking),
		More:     r.Text("notice more", h.Notices.More, defaultMore),
		Failed:   r.Text("notice failed", h.Notices.Failed, defaultFailed),
	}
}

func resolveGrant(r *option.Reader, name string, g Grant, def bridge.Grant) bridge.Grant {
	if (g.Count == "") != (g.For == "") {
		r.Fail(fmt.Errorf("%s: count and duration go together", name))
	}
	return bridge.Grant{
		Count: option.Read(r, name+" count", g.Count, def.Count, option.Count),
		For:   option.Read(r, name+" duration", g.For, def.For, option.PositiveDuration),
	}
}

// resolveEvents gives a rule for each event that is named.
func resolveEvents(r *option.Reader, rules []EventRule) []bridge.EventRule {
	var out []bridge.EventRule
	seen := make(map[event]bool)
	for _, rule := range rules {
		action := bridge.EventAction(rule.Action)
		if len(rule.On) == 0 {
			r.Fail(errors.New("event: a rule names no event"))
		}
		if err := checkEventAction(action, rule.Text != ""); err != nil {
			r.Fail(fmt.Errorf("event: %w", err))
		}
		text := r.Text("event", rule.Text, "")
		for _, on := range rule.On {
			e := option.Require(r, "event", on, parseEvent)
			if seen[e] {
				r.Fail(fmt.Errorf("event '%s' stands in two rules", on))
			}
			seen[e] = true
			out = append(out, bridge.EventRule{Name: e.name, Key: e.key, Action: action, Text: text})
		}
	}
	return out
}

// resolveCallback reads how callbacks are checked.
func (h *Handler) resolveCallback(r *option.Reader, appID string) bridge.Callback {
	c := bridge.Callback{
		Callback: &wechat.Callback{
			Tokens:    readRotated(r, "token", h.Token, true, parseToken),
			Freshness: option.Read(r, "freshness", h.Freshness, defaultFreshness, option.Duration),
		},
		Path:    option.Read(r, "path", h.Path, defaultPath, parsePath),
		MaxBody: option.Read(r, "max_body", h.MaxBody, defaultMaxBody, option.Size),
	}
	accepts := wechat.Plain
	for _, key := range readRotated(r, "aes_key", h.AESKey, false, parseAESKey) {
		cipher, err := wechat.NewCipher(key, appID)
		if err != nil {
			r.Fail(fmt.Errorf("aes_key: %w", err))
			return c
		}
		c.Ciphers = append(c.Ciphers, cipher)
		accepts = wechat.Safe
	}
	c.Encryption = option.Read(r, "encryption", h.Encryption, accepts, parseEncryption)
	if c.Encryption != wechat.Plain && len(c.Ciphers) == 0 {
		r.Fail(fmt.Errorf("encryption '%s' needs an aes_key, and none is given or it resolves to nothing", h.Encryption))
	}
	return c
}

// readRotated reads a secret and the previous one that is accepted while it is
// rotated. What resolves to nothing is not given.
func readRotated(r *option.Reader, name string, raw []string, required bool, parse func(string) (string, error)) []string {
	if len(raw) > 2 {
		r.Fail(fmt.Errorf("%s: takes the current and the previous value, no more", name))
		return nil
	}
	var current, previous string
	if len(raw) > 0 {
		current = raw[0]
	}
	if len(raw) > 1 {
		previous = raw[1]
	}
	current = r.Secret(name, current, required)
	previous = r.Secret(name+" (the previous one)", previous, false)
	if current == "" {
		if previous != "" {
			r.Fail(fmt.Errorf("%s: a previous one is given, and no current one", name))
		}
		return nil
	}
	option.CheckSecret(r, name, current, parse)
	out := []string{current}
	if previous != "" && previous != current {
		option.CheckSecret(r, name+" (the previous one)", previous, parse)
		out = append(out, previous)
	}
	return out
}

// journalConfig is what the App's journal options come to.
type journalConfig struct {
	dir  string        // absolute
	sync string        // "full" or "normal"
	keep time.Duration // more than 0

	maxSize int64 // bytes
}

// resolve resolves the placeholders of all options, fills in the defaults, and
// checks everything. It changes nothing.
func (a *App) resolve(repl *caddy.Replacer) (journalConfig, error) {
	r := option.NewReader(repl)
	c := journalConfig{
		dir:  option.Read(r, "journal dir", a.Journal.Dir, filepath.Join(caddy.AppDataDir(), "wechat"), parseDir),
		sync: option.Read(r, "journal sync", a.Journal.Sync, "full", parseSync),
		keep: option.Read(r, "journal keep", a.Journal.Keep, defaultKeep, option.PositiveDuration),

		maxSize: option.Read(r, "journal max_size", a.Journal.MaxSize, defaultJournalSize, parseJournalSize),
	}
	if err := r.Err(); err != nil {
		return journalConfig{}, err
	}
	dir, err := filepath.Abs(c.dir)
	if err != nil {
		return journalConfig{}, fmt.Errorf("journal dir: %w", err)
	}
	c.dir = dir
	return c, nil
}

// parseJournalSize parses a size that an empty journal does not fill.
func parseJournalSize(s string) (int64, error) {
	v, err := option.Size(s)
	if err == nil && v < leastJournalSize {
		err = errors.New("must be at least 1MiB")
	}
	return v, err
}

// parseDir parses a directory, which need not exist.
func parseDir(s string) (string, error) {
	for _, c := range s {
		if c == 0 {
			return "", errors.New("not a path")
		}
	}
	return filepath.Clean(s), nil
}
