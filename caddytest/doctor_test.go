package caddytest

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"

	"github.com/caddy-wechat/caddy-wechat/caddytest/simulator"
)

// finding is what the doctor has found, as JSON.
type finding struct {
	Check, ID, Level, Text, Fix string
}

// diagnosis is what the doctor said in one language.
type diagnosis struct {
	outcome
	OK       bool
	Findings []finding
}

// troubles are the ids of what is not well.
func (d *diagnosis) troubles() []string {
	var ids []string
	for _, f := range d.Findings {
		if f.Level != "ok" && f.Level != "note" {
			ids = append(ids, f.ID)
		}
	}
	return ids
}

// doctor examines a configuration.
func (w *world) doctor(config, lang string, args ...string) *diagnosis {
	w.t.Helper()
	file := filepath.Join(w.t.TempDir(), "Caddyfile")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		w.t.Error(err)
	}
	all := append([]string{"doctor", "--json", "--config", file, "--lang", lang, "--wait", "20s"}, args...)
	d := &diagnosis{outcome: w.command(all...)}
	if err := json.Unmarshal([]byte(d.out), d); err != nil {
		w.t.Errorf("%v: %+v", err, d.outcome)
	}
	for _, secret := range []string{appSecret, token, aesKey, encryptionKey, webhookSecret} {
		if strings.Contains(d.out+d.errors, secret) {
			w.t.Errorf("the doctor shows %q: %s", secret, d.out)
		}
	}
	return d
}

// diagnose has the doctor look at a fault, in both languages: it is to name that
// and no other.
func (w *world) diagnose(config, want string, args ...string) {
	w.t.Helper()
	var en, zh *diagnosis
	var both sync.WaitGroup
	both.Go(func() { en = w.doctor(config, "en", args...) })
	both.Go(func() { zh = w.doctor(config, "zh", args...) })
	both.Wait()
	for lang, d := range map[string]*diagnosis{"en": en, "zh": zh} {
		got := d.troubles()
		if want == "" && (len(got) > 0 || d.code != 0 || !d.OK) || want != "" && (!slices.Equal(got, []string{want}) || d.code != 2 || d.OK) {
			w.t.Errorf("%s: found %q with exit code %d, want %q\n%s%s", lang, got, d.code, want, d.out, d.errors)
		}
	}
	for i, f := range en.Findings {
		if f.Text == "" || strings.Contains(f.Text+f.Fix, "{0}") || f.Level == "fail" && f.Fix == "" {
			w.t.Errorf("words are missing: %+v", f)
		}
		if i >= len(zh.Findings) {
			break
		}
		if z := zh.Findings[i]; z.ID != f.ID || !strings.ContainsFunc(z.Text+z.Fix, han) {
			w.t.Errorf("in Chinese, %+v is %+v", f, z)
		}
	}
}

func han(r rune) bool { return unicode.Is(unicode.Han, r) }

// TestDoctor: of each fault of WeChat's, of Botpress's, of the configuration and
// of the site, the doctor names that one and no other, in both languages.
func TestDoctor(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{mode: simulator.ModeSafe, options: "settle 0\n\t\tpace 0"})
	config := w.config()
	push := func() { w.wechat.Push(within(w.t, 20*time.Second), w.wechat.Text("oAlice", "hello")) }

	// As long as nothing has come, strangers may be WeChat with another token.
	w.wechat.SetToken("othertoken")
	push()
	w.diagnose(config, "pushes.other_token")
	w.wechat.SetToken(token)
	push()
	w.diagnose(config, "")

	for _, tc := range append(slices.Concat(faultsOfWeChat, faultsOfBotpress, faultsOfKeys), w.faultsOfSite()...) {
		t.Run(tc.want, func(t *testing.T) {
			w.t = t
			changed := config
			if tc.config != nil {
				changed = tc.config(config)
			}
			if tc.inject != nil {
				tc.inject(w)
			}
			w.diagnose(changed, tc.want, tc.args...)
			w.wechat.ClearFaults()
			w.botpress.ClearFaults()
			if tc.mend != nil {
				tc.mend(w)
			}
		})
	}
	w.t = t
	w.diagnose(config, "")

	// Without a file, the running Caddy is asked for its configuration.
	got := w.command("doctor", "--lang", "en")
	if got.code != 0 || !strings.HasPrefix(got.out, "✓ configuration: complete ("+appID) || strings.Contains(got.out, "✗") {
		t.Errorf("%+v", got)
	}
	if got := w.command("doctor", "--address", freeAddr(t)); got.code != 2 || !strings.Contains(got.out, "name the file with --config") {
		t.Errorf("%+v", got)
	}
}

// doctorFault is a fault, and what the doctor is to call it.
type doctorFault struct {
	want   string
	config func(string) string // what is wrong with the configuration at hand
	inject func(*world)
	mend   func(*world) // what is not mended by clearing faults
	args   []string
}

// failing makes calls of WeChat's API fail.
func failing(path string, code int) func(*world) {
	return func(w *world) {
		w.wechat.Fail(simulator.WeChatFault{Path: "/cgi-bin/" + path, Code: code, Msg: "invalid ip 192.0.2.7 ipv6 ::ffff:192.0.2.7, not in whitelist"})
	}
}

// answering makes calls of WeChat's API answer something.
func answering(path, body string) func(*world) {
	return func(w *world) {
		w.wechat.Fail(simulator.WeChatFault{Path: "/cgi-bin/" + path, Body: body})
	}
}

// broken makes calls of the Chat API fail.
func broken(f simulator.BotpressFault) func(*world) {
	return func(w *world) {
		f.Times = -1
		w.botpress.Fail(f)
	}
}

// replaced puts one text in the place of another.
func replaced(old, with string) func(string) string {
	return func(config string) string {
		if !strings.Contains(config, old) {
			panic("the configuration has no " + old)
		}
		return strings.Replace(config, old, with, 1)
	}
}

var faultsOfWeChat = []doctorFault{
	{want: "token.address", inject: func(w *world) { w.wechat.SetAllowedIPs("192.0.2.1") }, mend: func(w *world) { w.wechat.SetAllowedIPs() }},
	{want: "token.app_id", inject: failing("stable_token", 40013)},
	{want: "token.secret", config: replaced(appSecret, "another0000000000000000000000000")},
	{want: "token.frozen", inject: failing("stable_token", 40243)},
	{want: "token.platform", inject: failing("stable_token", 61024)},
	{want: "token.confirm", inject: failing("stable_token", 89503)},
	{want: "token.quota", inject: failing("stable_token", 45009)},
	{want: "token.code", inject: failing("stable_token", 99999)},
	{want: "token.unknown", inject: answering("stable_token", "<html>")},
	{want: "rights.none", inject: func(w *world) { w.wechat.SetKind(simulator.KindIndividual) }, mend: func(w *world) { w.wechat.SetKind(simulator.KindVerified) }},
	{want: "rights.none_push", config: replaced("settle 0", "reply push"), inject: func(w *world) { w.wechat.SetKind(simulator.KindIndividual) }, mend: func(w *world) { w.wechat.SetKind(simulator.KindVerified) }},
	{want: "rights.send", inject: failing("message/custom/typing", 48001)},
	{want: "rights.send_push", config: replaced("settle 0", "reply push"), inject: failing("message/custom/typing", 48001)},
	{want: "rights.media", inject: failing("media/get", 48001)},
	{want: "rights.menu", inject: failing("menu/get", 48001)},
	{want: "rights.banned", inject: failing("message/custom/typing", 48004)},
	{want: "callback.none", inject: failing("callback/check", 40201)},
	{want: "callback.dns", inject: answering("callback/check", `{"dns":[],"ping":[]}`)},
	{want: "callback.loss", inject: answering("callback/check", `{"dns":[{"ip":"192.0.2.1"}],"ping":[{"package_loss":"100%"},{"package_loss":"50%"}]}`)},
	{want: "pushes.other_mode", inject: func(w *world) {
		w.wechat.SetMode(simulator.ModePlain)
		w.wechat.Push(within(w.t, 20*time.Second), w.wechat.Text("oAlice", "hi"))
	}, mend: mended},
	{want: "pushes.other_key", inject: func(w *world) {
		w.wechat.SetAESKey(strings.Repeat("x", 42) + "A")
		w.wechat.Push(within(w.t, 20*time.Second), w.wechat.Text("oAlice", "hi"))
	}, mend: mended},
	{want: "pushes.stale", inject: func(w *world) {
		w.wechat.VerifyForged(within(w.t, 20*time.Second), simulator.Forgery{Age: time.Hour})
	}, mend: mended},
}

// mended sends pushes again as they should be.
func mended(w *world) {
	w.wechat.SetMode(simulator.ModeSafe)
	w.wechat.SetAESKey(aesKey)
	w.wechat.Push(within(w.t, 20*time.Second), w.wechat.Text("oAlice", "hello again"))
}

var faultsOfBotpress = []doctorFault{
	{want: "bot.webhook_id", config: replaced("bot botpress 11111111", "bot botpress 99999999")},
	{want: "bot.key", config: replaced(encryptionKey, "another-key")},
	{want: "bot.quota", inject: broken(simulator.BotpressFault{Op: "getOrCreateUser", Status: 402})},
	{want: "bot.conversation", inject: broken(simulator.BotpressFault{Op: "getOrCreateConversation", Status: 400})},
	{want: "bot.odd", inject: broken(simulator.BotpressFault{Op: "hello", Status: 500})},
	{want: "limits.reached", inject: broken(simulator.BotpressFault{Op: "getOrCreateUser", Status: 429})},
	{want: "limits.low", inject: broken(simulator.BotpressFault{Headers: map[string]string{"RateLimit-Limit": "600", "RateLimit-Remaining": "7", "RateLimit-Reset": "1"}})},
	{want: "webhook.missing", inject: hooking(simulator.WebhookSkip), args: []string{"--wait", "500ms"}},
	{want: "webhook.secret", inject: hooking(simulator.WebhookBadSecret)},
}

// hooking spoils the webhook.
func hooking(mode simulator.WebhookMode) func(*world) {
	return func(w *world) {
		w.botpress.FailWebhook(simulator.WebhookFault{Mode: mode, Times: -1, Echoes: true})
	}
}

var faultsOfKeys = []doctorFault{
	{want: "crypto.other_token", config: replaced("token      "+token, "token othertoken")},
	{want: "crypto.other_key", config: replaced(aesKey, strings.Repeat("x", 42)+"A")},
	{want: "crypto.other_mode", config: replaced("encryption safe", "encryption plain")},
	{want: "config.incomplete", config: replaced(appSecret, "{env.NOBODY_HAS_SET_THIS}")},
	{want: "config.unreadable", config: replaced("app_id", "ap_id")},
	{want: "config.none", config: func(string) string { return "http://127.0.0.1:1 {\n\trespond hello\n}\n" }},
}
