package module

import (
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

func TestResolveErrors(t *testing.T) {
	t.Setenv("WECHAT_TEST_BAD", "hunter9 is not a valid value of anything, for it is a text with spaces and \x01")
	t.Setenv("WECHAT_TEST_EMPTY", "")
	const bad, unset, empty = "{env.WECHAT_TEST_BAD}", "{env.WECHAT_TEST_UNSET}", "{env.WECHAT_TEST_EMPTY}"
	list := func(s ...string) []string { return s }
	rule := func(action, text string, on ...string) []EventRule {
		return []EventRule{{On: on, Action: action, Text: text}}
	}

	for _, c := range []struct {
		name   string
		change func(h *Handler)
		want   string
	}{
		{"no app_id", func(h *Handler) { h.AppID = "" }, "app_id is required"},
		{"unset app_id", func(h *Handler) { h.AppID = unset }, "app_id '" + unset + "'"},
		{"bad app_id", func(h *Handler) { h.AppID = bad }, "app_id '" + bad + "': not an AppID"},
		{"no app_secret", func(h *Handler) { h.AppSecret = "" }, "app_secret is required"},
		{"unset app_secret", func(h *Handler) { h.AppSecret = unset }, "app_secret: " + unset + " is not set or empty"},
		{"empty app_secret", func(h *Handler) { h.AppSecret = empty }, "app_secret: " + empty + " is not set or empty"},
		{"missing secret file", func(h *Handler) { h.AppSecret = "{file./no/such/file}" }, "app_secret: {file./no/such/file} is not set or empty"},
		{"app_secret of space", func(h *Handler) { h.AppSecret = "  " }, "app_secret: it is empty"},
		{"braces in app_secret", func(h *Handler) { h.AppSecret = "a{hunter2}" }, "app_secret: it is empty, or holds a placeholder"},
		{"bad app_secret", func(h *Handler) { h.AppSecret = bad }, "app_secret: has a line break"},
		{"no token", func(h *Handler) { h.Token = nil }, "token is required"},
		{"unset token", func(h *Handler) { h.Token = list(unset) }, "token: " + unset},
		{"unset token with previous", func(h *Handler) { h.Token = list(unset, "hunter1") }, "token: " + unset},
		{"short token", func(h *Handler) { h.Token = list("hu") }, "token: not a token"},
		{"bad token", func(h *Handler) { h.Token = list(bad) }, "token: not a token"},
		{"bad previous token", func(h *Handler) { h.Token = list("hunter2", bad) }, "token (the previous one): not a token"},
		{"three tokens", func(h *Handler) { h.Token = list("hunter1", "hunter2", "hunter3") }, "token: takes the current and the previous"},
		{"bad aes_key", func(h *Handler) { h.AESKey = list(bad) }, "aes_key: not an EncodingAESKey"},
		{"short aes_key", func(h *Handler) { h.AESKey = list(plantedKey[1:]) }, "aes_key: not an EncodingAESKey"},
		{"bad previous aes_key", func(h *Handler) { h.AESKey = list(plantedKey, bad) }, "aes_key (the previous one): not an EncodingAESKey"},
		{"previous aes_key alone", func(h *Handler) { h.AESKey = list(unset, plantedKey) }, "aes_key: a previous one is given, and no current one"},
		{"three aes_keys", func(h *Handler) { h.AESKey = list(plantedKey, plantedKey, plantedKey) }, "aes_key: takes the current and the previous"},
		{"bad encryption", func(h *Handler) { h.Encryption = bad }, "encryption '" + bad + "': must be one of"},
		{"safe without key", func(h *Handler) { h.Encryption = "safe" }, "encryption 'safe' needs an aes_key"},
		{"compatible with unset key", func(h *Handler) { h.Encryption, h.AESKey = "compatible", list(unset) }, "encryption 'compatible' needs an aes_key"},
		{"unset encryption", func(h *Handler) { h.Encryption = unset }, "encryption '" + unset + "'"},
		{"bad path", func(h *Handler) { h.Path = bad }, "path '" + bad + "': must start with a slash"},
		{"dotted path", func(h *Handler) { h.Path = "/a/./b" }, "path '/a/./b': has empty or dotted segments"},
		{"bad public_url", func(h *Handler) { h.PublicURL = bad }, "public_url '" + bad + "': must be an absolute"},
		{"unset public_url", func(h *Handler) { h.PublicURL = unset }, "public_url '" + unset + "'"},
		{"public_url with user", func(h *Handler) { h.PublicURL = "https://{env.WECHAT_TEST_USER}bot.example.com" }, "public_url 'https://{env.WECHAT_TEST_USER}bot.example.com': must be a URL without user"},
		{"bad api", func(h *Handler) { h.API = bad }, "api '" + bad + "': must be an absolute"},
		{"bad api_proxy", func(h *Handler) { h.APIProxy = bad }, "api_proxy: must be an absolute"},
		{"api_proxy with secret", func(h *Handler) { h.APIProxy = "ftp://user:hunter2@proxy" }, "api_proxy: must be an absolute"},
		{"unset api_proxy", func(h *Handler) { h.APIProxy = unset }, "api_proxy: " + unset},
		{"bad callback_ips", func(h *Handler) { h.CallbackIPs = list(bad) }, "callback_ips '" + bad + "': must be"},
		{"unset callback_ips", func(h *Handler) { h.CallbackIPs = list(unset) }, "callback_ips '" + unset + "'"},
		{"closed any", func(h *Handler) { h.CallbackIPs = list("any", "closed") }, "'closed' goes with 'wechat' only"},
		{"bad freshness", func(h *Handler) { h.Freshness = bad }, "freshness '" + bad + "': not a duration"},
		{"bad max_body", func(h *Handler) { h.MaxBody = bad }, "max_body '" + bad + "': not a size"},
		{"bad reply", func(h *Handler) { h.Reply = bad }, "reply '" + bad + "': must be one of"},
		{"bad wait", func(h *Handler) { h.Wait = bad }, "wait '" + bad + "': not a duration"},
		{"long wait", func(h *Handler) { h.Wait = "4801ms" }, "wait '4801ms': must be at most 4.8s"},
		{"bad settle", func(h *Handler) { h.Settle = bad }, "settle '" + bad + "': not a duration"},
		{"bad pace", func(h *Handler) { h.Pace = "-1s" }, "pace '-1s': a duration cannot be negative"},
		{"allowance without time", func(h *Handler) { h.Allowance.Message.Count = "5" }, "allowance message: count and duration go together"},
		{"allowance without count", func(h *Handler) { h.Allowance.Action.For = "5m" }, "allowance action: count and duration go together"},
		{"bad allowance", func(h *Handler) { h.Allowance.Message = Grant{bad, "48h"} }, "allowance message count '" + bad + "'"},
		{"bad allowance time", func(h *Handler) { h.Allowance.Action = Grant{"3", "0"} }, "allowance action duration '0': must be more than 0"},
		{"bad choices", func(h *Handler) { h.Choices = bad }, "choices '" + bad + "': must be one of"},
		{"bad typing", func(h *Handler) { h.Typing = bad }, "typing '" + bad + "': must be one of on, off"},
		{"bad ai_label", func(h *Handler) { h.AILabel = bad }, "ai_label '" + bad + "': must be one of on, off"},
		{"bad profile", func(h *Handler) { h.Profile = bad }, "profile '" + bad + "': must be one of on, off"},
		{"bad ready", func(h *Handler) { h.Ready = bad }, "ready '" + bad + "': must be one of on, off"},
		{"event without name", func(h *Handler) { h.Events = rule("ignore", "") }, "event: a rule names no event"},
		{"event with empty name", func(h *Handler) { h.Events = rule("ignore", "", "") }, "event is required"},
		{"bad event", func(h *Handler) { h.Events = rule("ignore", "", bad) }, "event '" + bad + "': not an event"},
		{"bad event action", func(h *Handler) { h.Events = rule("forward", "", "CLICK") }, "event: the action must be one of"},
		{"event reply without text", func(h *Handler) { h.Events = rule("reply", "", "CLICK") }, "event: the action 'reply' needs a text"},
		{"event reply with unset text", func(h *Handler) { h.Events = rule("reply", unset, "CLICK") }, "event: the text is empty"},
		{"event ignore with text", func(h *Handler) { h.Events = rule("ignore", "a", "CLICK") }, "event: the action 'ignore' takes no text"},
		{"event twice", func(h *Handler) { h.Events = append(rule("ignore", "", "CLICK"), rule("event", "", "CLICK")...) }, "event 'CLICK' stands in two rules"},
		{"event twice once resolved", func(h *Handler) { h.Events = rule("ignore", "", "CLICK:a", "CLICK:{env.WECHAT_TEST_A}") }, "event 'CLICK:{env.WECHAT_TEST_A}' stands in two rules"},
		{"unset notice", func(h *Handler) { h.Notices.More = unset }, "notice more: the text is empty"},
		{"long notice", func(h *Handler) { h.Notices.Failed = strings.Repeat("a", 2001) }, "notice failed: the text is longer"},
		{"notice not UTF-8", func(h *Handler) { h.Notices.Thinking = "a\xff" }, "notice thinking: the text is not UTF-8"},
		{"bad windows", func(h *Handler) { h.Limits.Windows = bad }, "limits windows '" + bad + "': not a whole number"},
		{"no lanes", func(h *Handler) { h.Limits.Lanes = "0" }, "limits lanes '0': must be at least 1"},
		{"bad user limit", func(h *Handler) { h.Limits.User = bad }, "limits user '" + bad + "': not a rate"},
		{"bad media allow", func(h *Handler) { h.Media.Allow = list(bad) }, "media allow '" + bad + "': must be 'none'"},
		{"none and more", func(h *Handler) { h.Media.Allow = list("none", "10.0.0.0/8") }, "media allow 'none 10.0.0.0/8': must be 'none'"},
		{"bad max_size", func(h *Handler) { h.Media.MaxSize = bad }, "media max_size '" + bad + "': not a size"},
		{"bad media keep", func(h *Handler) { h.Media.Keep = "0" }, "media keep '0': must be more than 0"},
		{"bad store", func(h *Handler) { h.Media.Store = bad }, "media store '" + bad + "': not a size"},
		{"unknown placeholder", func(h *Handler) { h.Wait = "{http.request.host}" }, "unrecognized placeholder {http.request.host}"},
		{"no bot", func(h *Handler) { h.BotRaw = nil }, "bot is required"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("WECHAT_TEST_USER", "user:hunter2@")
			t.Setenv("WECHAT_TEST_A", "a")
			h := minimal()
			c.change(h)
			got, err := h.resolve(caddy.NewReplacer())
			if err == nil {
				t.Fatal("no error")
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %q does not contain %q", err, c.want)
			}
			if strings.Contains(err.Error(), planted) {
				t.Errorf("error shows a secret: %s", err)
			}
			if got.callback.Callback != nil || got.settings.AppSecret != "" {
				t.Error("something is returned beside the error")
			}
		})
	}
}
