package module

import (
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/caddy-wechat/caddy-wechat/module/internal/bridge"
	"github.com/caddy-wechat/caddy-wechat/module/wechat"
)

// The secrets that the tests plant hold this, so that it can be searched for.
const planted = "hunter"

const (
	plantedKey    = "hunter2hunter2hunter2hunter2hunter2hunter2h"
	plantedOldKey = "hunter1hunter1hunter1hunter1hunter1hunter1h"
)

// minimal is a handler with nothing but what is required.
func minimal() *Handler {
	return &Handler{
		AppID:     "wx1",
		AppSecret: "hunter2",
		Token:     []string{"hunter2"},
		BotRaw:    []byte(`{"name":"botpress"}`),
	}
}

// compareCiphers leaves ciphers, which cannot be looked into, to be tried out.
var compareCiphers = cmpopts.IgnoreFields(wechat.Callback{}, "Ciphers")

var comparePrefixes = cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })

func TestResolveDefaults(t *testing.T) {
	got, err := minimal().resolve(caddy.NewReplacer())
	if err != nil {
		t.Fatal(err)
	}
	want := resolved{
		settings: bridge.Settings{
			AppID:     "wx1",
			AppSecret: "hunter2",
			API:       "https://api.weixin.qq.com",
			Reply:     bridge.ReplyAuto,
			Wait:      4 * time.Second,
			Settle:    300 * time.Millisecond,
			Pace:      500 * time.Millisecond,
			Allowance: bridge.Allowance{
				Message: bridge.Grant{Count: 5, For: 48 * time.Hour},
				Action:  bridge.Grant{Count: 3, For: time.Minute},
			},
			Choices: bridge.ChoiceLinks,
			Typing:  true,
			Notices: bridge.Notices{Thinking: defaultThinking, More: defaultMore, Failed: defaultFailed},
			Limits:  bridge.Limits{Windows: 20000, Lanes: 1000, User: bridge.Grant{Count: 20, For: time.Minute}},
			Media:   bridge.MediaSettings{MaxSize: 20 << 20, Keep: 72 * time.Hour, Store: 1 << 30},
		},
		callback: bridge.Callback{
			Callback: &wechat.Callback{
				Tokens:     []string{"hunter2"},
				Encryption: wechat.Plain,
				Freshness:  5 * time.Minute,
			},
			Path:    "/wechat",
			MaxBody: 1 << 20,
		},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(resolved{}, callbackIPs{}), comparePrefixes); diff != "" {
		t.Errorf("resolve (-want +got):\n%s", diff)
	}
}

// everything gives every option another value than its default, all of it by
// placeholders.
func everything(t *testing.T) (*Handler, resolved) {
	t.Helper()
	env := func(value string) string {
		name := "WECHAT_TEST_" + strings.ToUpper(strings.NewReplacer(" ", "_", "/", "_", ":", "_").Replace(value))
		t.Setenv(name, value)
		return "{env." + name + "}"
	}
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte("hunter2\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	h := &Handler{
		AppID:       env("wx2"),
		AppSecret:   "{file." + file + "}",
		Token:       []string{env("hunter3"), env("hunter4")},
		AESKey:      []string{env(plantedKey), env(plantedOldKey)},
		Encryption:  env("compatible"),
		Path:        "/hooks/" + env("path") + "/",
		PublicURL:   env("https://bot.example.com/prefix/"),
		API:         "http://" + env("localhost:81"),
		APIProxy:    env("http://user:hunter2@proxy:3128"),
		CallbackIPs: []string{env("10.0.0.0/8 192.0.2.1"), "2001:db8::/32"},
		Freshness:   env("0"),
		MaxBody:     env("2KiB"),
		Reply:       env("passive"),
		Wait:        env("4.8s"),
		Settle:      env("0s"),
		Pace:        env("0ms"),
		Allowance:   Allowance{Grant{env("7"), env("1d")}, Grant{env("2"), env("30s")}},
		Choices:     env("menu"),
		Typing:      env("off"),
		AILabel:     env("on"),
		Profile:     env("on"),
		Events: []EventRule{
			{On: []string{env("CLICK"), "CLICK:" + env("a:b")}, Action: "text", Text: env("hi") + " {there}"},
			{On: []string{"VIEW"}, Action: "ignore"},
		},
		Notices: Notices{env("n1"), env("n2"), env("n3")},
		Ready:   env("on"),
		Limits:  Limits{env("3"), env("4"), env("5") + "/" + env("6m")},
		Media:   Media{[]string{env("127.0.0.0/8 ::1")}, env("1KB"), env("8h"), env("9GB")},
		BotRaw:  []byte(`{"name":"botpress"}`),
	}
	want := resolved{
		settings: bridge.Settings{
			AppID:     "wx2",
			AppSecret: "hunter2",
			PublicURL: "https://bot.example.com/prefix",
			API:       "http://localhost:81",
			APIProxy:  &url.URL{Scheme: "http", User: url.UserPassword("user", "hunter2"), Host: "proxy:3128"},
			Reply:     bridge.ReplyPassive,
			Wait:      4800 * time.Millisecond,
			Allowance: bridge.Allowance{
				Message: bridge.Grant{Count: 7, For: 24 * time.Hour},
				Action:  bridge.Grant{Count: 2, For: 30 * time.Second},
			},
			Choices: bridge.ChoiceMenu,
			AILabel: true,
			Profile: true,
			Events: []bridge.EventRule{
				{Name: "CLICK", Action: bridge.EventText, Text: "hi {there}"},
				{Name: "CLICK", Key: "a:b", Action: bridge.EventText, Text: "hi {there}"},
				{Name: "VIEW", Action: bridge.EventIgnore},
			},
			Notices: bridge.Notices{Thinking: "n1", More: "n2", Failed: "n3"},
			Limits:  bridge.Limits{Windows: 3, Lanes: 4, User: bridge.Grant{Count: 5, For: 6 * time.Minute}},
			Media: bridge.MediaSettings{
				Allow:   []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")},
				MaxSize: 1000, Keep: 8 * time.Hour, Store: 9e9,
			},
		},
		callback: bridge.Callback{
			Callback: &wechat.Callback{Tokens: []string{"hunter3", "hunter4"}, Encryption: wechat.Compatible},
			Path:     "/hooks/path",
			MaxBody:  2048,
		},
		callbackIPs: callbackIPs{prefixes: []netip.Prefix{
			netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.1/32"), netip.MustParsePrefix("2001:db8::/32"),
		}},
		ready: true,
	}
	return h, want
}

func TestResolveEverything(t *testing.T) {
	h, want := everything(t)
	got, err := h.resolve(caddy.NewReplacer())
	if err != nil {
		t.Fatal(err)
	}
	opts := cmp.Options{
		cmp.AllowUnexported(resolved{}, callbackIPs{}), comparePrefixes, compareCiphers,
		cmp.Comparer(func(a, b *url.Userinfo) bool { return a.String() == b.String() }),
	}
	if diff := cmp.Diff(want, got, opts); diff != "" {
		t.Errorf("resolve (-want +got):\n%s", diff)
	}

	if len(got.callback.Ciphers) != 2 {
		t.Fatalf("%d ciphers, want 2", len(got.callback.Ciphers))
	}
	for i, key := range []string{plantedKey, plantedOldKey} {
		c, err := wechat.NewCipher(key, "wx2")
		if err != nil {
			t.Fatal(err)
		}
		sealed, err := c.Encrypt([]byte("push"))
		if err != nil {
			t.Fatal(err)
		}
		if push, err := got.callback.Ciphers[i].Decrypt(sealed); err != nil || string(push) != "push" {
			t.Errorf("cipher %d: opened %q, %v", i, push, err)
		}
	}
}

// TestResolveKeepsConfig makes sure that nothing secret gets into the exported
// fields, which Caddy may log.
func TestResolveKeepsConfig(t *testing.T) {
	h, _ := everything(t)
	if _, err := h.resolve(caddy.NewReplacer()); err != nil {
		t.Fatal(err)
	}
	for _, raw := range append([]string{h.AppSecret, h.APIProxy}, append(h.Token, h.AESKey...)...) {
		if !strings.HasPrefix(raw, "{") {
			t.Errorf("a placeholder was resolved into its field: %s", raw)
		}
	}
}

func TestResolveOptional(t *testing.T) {
	t.Setenv("WECHAT_TEST_EMPTY", "")
	t.Setenv("WECHAT_TEST_SPACE", " \n")
	for _, c := range []struct {
		name       string
		change     func(h *Handler)
		encryption wechat.Encryption
		tokens     int
		ciphers    int
	}{
		{"no key", func(*Handler) {}, wechat.Plain, 1, 0},
		{"a key", func(h *Handler) { h.AESKey = []string{plantedKey} }, wechat.Safe, 1, 1},
		{"a key, plain", func(h *Handler) { h.AESKey, h.Encryption = []string{plantedKey}, "plain" }, wechat.Plain, 1, 1},
		{"an unset key", func(h *Handler) { h.AESKey = []string{"{env.WECHAT_TEST_UNSET}"} }, wechat.Plain, 1, 0},
		{"an empty key", func(h *Handler) { h.AESKey = []string{"{env.WECHAT_TEST_EMPTY}"} }, wechat.Plain, 1, 0},
		{"a key of space", func(h *Handler) { h.AESKey = []string{"{env.WECHAT_TEST_SPACE}"} }, wechat.Plain, 1, 0},
		{"an unset previous key", func(h *Handler) { h.AESKey = []string{plantedKey, "{env.WECHAT_TEST_UNSET}"} }, wechat.Safe, 1, 1},
		{"an unset previous token", func(h *Handler) { h.Token = append(h.Token, "{env.WECHAT_TEST_UNSET}") }, wechat.Plain, 1, 0},
		{"a previous token", func(h *Handler) { h.Token = append(h.Token, "hunter1") }, wechat.Plain, 2, 0},
		{"the same token twice", func(h *Handler) { h.Token = append(h.Token, h.Token[0]) }, wechat.Plain, 1, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := minimal()
			c.change(h)
			got, err := h.resolve(caddy.NewReplacer())
			if err != nil {
				t.Fatal(err)
			}
			if e := got.callback.Encryption; e != c.encryption {
				t.Errorf("encryption %s, want %s", e, c.encryption)
			}
			if n := len(got.callback.Tokens); n != c.tokens {
				t.Errorf("%d tokens, want %d", n, c.tokens)
			}
			if n := len(got.callback.Ciphers); n != c.ciphers {
				t.Errorf("%d ciphers, want %d", n, c.ciphers)
			}
		})
	}
}

func TestResolveLists(t *testing.T) {
	t.Setenv("WECHAT_TEST_IPS", "wechat closed")
	t.Setenv("WECHAT_TEST_NONE", "none")
	h := minimal()
	h.CallbackIPs = []string{"{env.WECHAT_TEST_IPS}"}
	h.Media.Allow = []string{"{env.WECHAT_TEST_NONE}"}
	got, err := h.resolve(caddy.NewReplacer())
	if err != nil {
		t.Fatal(err)
	}
	if c := got.callbackIPs; !c.wechat || !c.closed || c.prefixes != nil {
		t.Errorf("callback_ips: %+v", c)
	}
	if got.settings.Media.Allow != nil {
		t.Errorf("media allow: %v", got.settings.Media.Allow)
	}

	h.CallbackIPs = []string{"wechat"}
	h.Media.Allow = []string{"::ffff:10.1.2.3/104", "10.9.9.9/8"}
	if got, err = h.resolve(caddy.NewReplacer()); err != nil {
		t.Fatal(err)
	}
	if c := got.callbackIPs; !c.wechat || c.closed {
		t.Errorf("callback_ips: %+v", c)
	}
	ten := netip.MustParsePrefix("10.0.0.0/8")
	if diff := cmp.Diff([]netip.Prefix{ten, ten}, got.settings.Media.Allow, comparePrefixes); diff != "" {
		t.Errorf("media allow (-want +got):\n%s", diff)
	}
}

func TestResolveJournal(t *testing.T) {
	got, err := new(App).resolve(caddy.NewReplacer())
	if err != nil {
		t.Fatal(err)
	}
	want := journalConfig{dir: filepath.Join(caddy.AppDataDir(), "wechat"), sync: "full", keep: 24 * time.Hour, maxSize: 10 << 30}
	if want.dir, err = filepath.Abs(want.dir); err != nil {
		t.Fatal(err)
	}
	if got != want {
		t.Errorf("defaults: got %+v, want %+v", got, want)
	}

	t.Setenv("WECHAT_TEST_DIR", "journals/one/")
	t.Setenv("WECHAT_TEST_SYNC", "normal")
	t.Setenv("WECHAT_TEST_KEEP", "2d")
	t.Setenv("WECHAT_TEST_SIZE", "2GiB")
	a := &App{Journal: Journal{"{env.WECHAT_TEST_DIR}", "{env.WECHAT_TEST_SYNC}", "{env.WECHAT_TEST_KEEP}", "{env.WECHAT_TEST_SIZE}"}}
	if got, err = a.resolve(caddy.NewReplacer()); err != nil {
		t.Fatal(err)
	}
	want = journalConfig{sync: "normal", keep: 48 * time.Hour, maxSize: 2 << 30}
	if want.dir, err = filepath.Abs("journals/one"); err != nil {
		t.Fatal(err)
	}
	if got != want {
		t.Errorf("given: got %+v, want %+v", got, want)
	}

	for name, c := range map[string]struct {
		journal Journal
		want    string
	}{
		"unset dir": {Journal{Dir: "{env.WECHAT_TEST_UNSET}"}, "journal dir '{env.WECHAT_TEST_UNSET}'"},
		"bad dir":   {Journal{Dir: "a\x00b"}, "not a path"},
		"sync":      {Journal{Sync: "off"}, "journal sync 'off': must be one of full, normal"},
		"keep":      {Journal{Keep: "0"}, "journal keep '0': must be more than 0"},
		"size":      {Journal{MaxSize: "big"}, "journal max_size 'big': not a size"},
		"too small": {Journal{MaxSize: "500KB"}, "journal max_size '500KB': must be at least 1MiB"},
		"bad keep":  {Journal{Keep: "24"}, "journal keep '24': not a duration"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := (&App{Journal: c.journal}).resolve(caddy.NewReplacer())
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v does not contain %q", err, c.want)
			}
		})
	}
}
