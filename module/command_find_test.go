package module

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-wechat/caddy-wechat/module/internal/doctor"
)

// TestFindHandlers: each handler of a configuration is found, and the address at
// which it is reached.
func TestFindHandlers(t *testing.T) {
	const block = " {\n\twechat {\n\t\tapp_id a\n\t\tapp_secret s\n\t\ttoken abc\n\t\tbot botpress x {\n\t\t\tencryption_key k\n\t\t}\n\t}\n}\n"
	for _, tc := range []struct {
		name, config string
		sites        string
	}{
		{"a host name", "bot.example.com" + block, "https://bot.example.com"},
		{"two host names", "www.example.com, bot.example.com" + block, "https://www.example.com"},
		{"plain http", "http://bot.example.com" + block, "http://bot.example.com"},
		{"a port", "bot.example.com:8443" + block, "https://bot.example.com:8443"},
		{"plain http on a port", "http://127.0.0.1:8080" + block, "http://127.0.0.1:8080"},
		{"an IPv6 address", "http://[::1]:8080" + block, "http://[::1]:8080"},
		{"no host", ":8080" + block, ""},
		{"a wildcard", "*.example.com" + block, ""},
		{"two sites", "http://a.example.com" + block + "b.example.com" + block, "https://b.example.com http://a.example.com"},
		{"in a handle", "bot.example.com {\n\thandle /x/* {\n\t\troute {\n\t\t\twechat {\n\t\t\t\tapp_id a\n\t\t\t\tapp_secret s\n\t\t\t\ttoken abc\n\t\t\t\tbot botpress x {\n\t\t\t\t\tencryption_key k\n\t\t\t\t}\n\t\t\t}\n\t\t}\n\t}\n}\n", "https://bot.example.com"},
		{"none", "bot.example.com {\n\trespond hi\n}\n", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "Caddyfile")
			if err := os.WriteFile(file, []byte(tc.config), 0o600); err != nil {
				t.Fatal(err)
			}
			raw, err := readConfig(file, "")
			if err != nil {
				t.Fatal(err)
			}
			found, err := findHandlers(raw)
			if err != nil {
				t.Fatal(err)
			}
			if want := strings.Count(tc.config, "wechat {"); len(found) != want {
				t.Errorf("found %d handlers, want %d", len(found), want)
			}
			var sites []string
			for i := range found {
				sites = append(sites, found[i].site)
				if a, err := found[i].account(); err != nil || a.AppID != "a" || a.BotKind != "botpress" || found[i].site != "" && a.URL != found[i].site+"/wechat" {
					t.Errorf("account %+v, %v", a, err)
				}
			}
			if got := strings.Join(sites, " "); got != tc.sites {
				t.Errorf("sites %q, want %q", got, tc.sites)
			}
		})
	}
}

func TestReadConfig(t *testing.T) {
	dir := t.TempDir()
	for name, tc := range map[string]struct{ text, adapter, wrong string }{
		"Caddyfile":       {"localhost", "", ""},
		"site.caddyfile":  {"localhost", "", ""},
		"caddy.json":      {`{"apps":{}}`, "", ""},
		"bad.json":        {`{`, "", "not valid JSON"},
		"whatever":        {"localhost", "", "is --adapter missing?"},
		"whatever-else":   {"localhost", "caddyfile", ""},
		"another":         {"localhost", "none", `no adapter "none"`},
		"Caddyfile.wrong": {"localhost {\n\tno_such\n}", "", "no_such"},
	} {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(tc.text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := readConfig(file, tc.adapter)
		if (err == nil) != (tc.wrong == "") || err != nil && !strings.Contains(err.Error(), tc.wrong) {
			t.Errorf("%s: %v, want %q", name, err, tc.wrong)
		}
	}
	if _, err := readConfig(filepath.Join(dir, "nowhere"), ""); err == nil {
		t.Error("a file that is not there was read")
	}
}

func TestReadEnvFile(t *testing.T) {
	t.Setenv("DOCTOR_SET", "before")
	for _, name := range []string{"DOCTOR_A", "DOCTOR_B", "DOCTOR_C", "DOCTOR_D"} {
		t.Setenv(name, "") // to be taken back
		os.Unsetenv(name)
	}
	file := filepath.Join(t.TempDir(), "env")
	text := "# a comment\n\nDOCTOR_A=one\n export DOCTOR_B = \"two = three\" \nDOCTOR_C='four'\r\nDOCTOR_D=\nDOCTOR_SET=after\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := readEnvFile(file); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"DOCTOR_A": "one", "DOCTOR_B": "two = three", "DOCTOR_C": "four", "DOCTOR_D": "", "DOCTOR_SET": "before"} {
		if got, set := os.LookupEnv(name); got != want || !set {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	if err := os.WriteFile(file, []byte("DOCTOR_A=1\nhunter2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := readEnvFile(file); err == nil || !strings.Contains(err.Error(), "line 2") || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a line without a name: %v", err)
	}
	if err := readEnvFile(file + "x"); err == nil {
		t.Error("a file that is not there was read")
	}
}

func TestLanguage(t *testing.T) {
	for _, tc := range []struct {
		asked, all, messages, lang string
		want                       doctor.Lang
	}{
		{want: doctor.English},
		{lang: "zh_CN.UTF-8", want: doctor.Chinese},
		{all: "C", lang: "zh_CN.UTF-8", want: doctor.English},
		{messages: "zh_TW", lang: "en_US", want: doctor.Chinese},
		{asked: "en", lang: "zh_CN", want: doctor.English},
		{asked: "zh", want: doctor.Chinese},
	} {
		t.Setenv("LC_ALL", tc.all)
		t.Setenv("LC_MESSAGES", tc.messages)
		t.Setenv("LANG", tc.lang)
		if got, err := language(tc.asked); got != tc.want || err != nil {
			t.Errorf("%+v: %s, %v", tc, got, err)
		}
	}
	if _, err := language("fr"); err == nil {
		t.Error("fr is a language")
	}
}
