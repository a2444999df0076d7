package module

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	_ "github.com/caddyserver/caddy/v2/modules/standard"
	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the JSON of the cases in testdata/caddyfile/ok")

// adapt gives the JSON of a Caddyfile, indented.
func adapt(t *testing.T, config []byte) ([]byte, error) {
	t.Helper()
	got, warnings, err := caddyconfig.GetAdapter("caddyfile").Adapt(config, nil)
	for _, w := range warnings {
		t.Errorf("warning: line %d: %s: %s", w.Line, w.Directive, w.Message)
	}
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := json.Indent(&out, got, "", "\t"); err != nil {
		t.Fatal(err)
	}
	return out.Bytes(), nil
}

// forEachCase runs the cases of a directory. A case is a Caddyfile, a line of
// ten dashes, and what is expected of it.
func forEachCase(t *testing.T, dir string, run func(t *testing.T, file, config, want string)) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "caddyfile", dir, "*.caddyfiletest"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases in %s: %v", dir, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".caddyfiletest"), func(t *testing.T) {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			text := strings.ReplaceAll(string(raw), "\r\n", "\n")
			config, want, ok := strings.Cut(text, "----------\n")
			if !ok {
				t.Fatal("no line of ten dashes")
			}
			if diff := cmp.Diff(string(caddyfile.Format([]byte(config))), config); diff != "" {
				t.Errorf("the Caddyfile is not formatted (-want +got):\n%s", diff)
			}
			run(t, file, config, strings.TrimSpace(want))
		})
	}
}

func TestCaddyfileOK(t *testing.T) {
	forEachCase(t, "ok", func(t *testing.T, file, config, want string) {
		got, err := adapt(t, []byte(config))
		if err != nil {
			t.Fatal(err)
		}
		if *update {
			out := append([]byte(config+"----------\n"), got...)
			if err := os.WriteFile(file, append(out, '\n'), 0o600); err != nil {
				t.Fatal(err)
			}
			return
		}
		if diff := cmp.Diff(want, string(got)); diff != "" {
			t.Errorf("adapted config (-want +got):\n%s", diff)
		}
	})
}

func TestCaddyfileFail(t *testing.T) {
	forEachCase(t, "fail", func(t *testing.T, _, config, want string) {
		if want == "" {
			t.Fatal("no expected error")
		}
		_, err := adapt(t, []byte(config))
		if err == nil {
			t.Fatal("no error")
		}
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error\n%s\ndoes not contain\n%s", err, want)
		}
		if !strings.Contains(err.Error(), "at Caddyfile:") {
			t.Errorf("error does not say where: %s", err)
		}
	})
}

// TestCaddyfileExample keeps the example at the root of the repository working.
func TestCaddyfileExample(t *testing.T) {
	config, err := os.ReadFile(filepath.Join("..", "Caddyfile.example"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(caddyfile.Format(config)), string(config)); diff != "" {
		t.Errorf("the Caddyfile is not formatted (-want +got):\n%s", diff)
	}
	if _, err := adapt(t, config); err != nil {
		t.Fatal(err)
	}
}

// lines are a line of the wechat block for each option that is a line of plain
// values, with as many arguments as the option takes.
var lines = []struct{ name, args string }{
	{"app_id", "wx1"},
	{"app_secret", "hunter2"},
	{"token", "hunter2 hunter3"},
	{"aes_key", "hunter2hunter2hunter2hunter2hunter2hunter2h hunter3hunter3hunter3hunter3hunter3hunter3h"},
	{"encryption", "safe"},
	{"path", "/wechat"},
	{"public_url", "https://bot.example.com"},
	{"api", "https://api.weixin.qq.com"},
	{"api_proxy", "http://user:hunter2@proxy:3128"},
	{"callback_ips", "any"},
	{"freshness", "5m"},
	{"max_body", "1MiB"},
	{"reply", "auto"},
	{"wait", "4s"},
	{"settle", "300ms"},
	{"pace", "500ms"},
	{"allowance", "5 48h 3 1m"},
	{"choices", "links"},
	{"typing", "on"},
	{"ai_label", "off"},
	{"profile", "off"},
	{"ready", "off"},
	{"limits {\nwindows", "1\n}"},
	{"limits {\nlanes", "1\n}"},
	{"limits {\nuser", "20/1m\n}"},
	{"media {\nallow", "none\n}"},
	{"media {\nmax_size", "20MiB\n}"},
	{"media {\nkeep", "72h\n}"},
	{"media {\nstore", "1GiB\n}"},
	{"bot botpress", "hunter2"},
	{"bot botpress a {\napi", "https://chat.botpress.cloud\n}"},
	{"bot botpress a {\nencryption_key", "hunter2\n}"},
	{"bot botpress a {\nwebhook_secret", "hunter2\n}"},
}

// TestCaddyfileArguments makes the mistakes that can be made with every option.
func TestCaddyfileArguments(t *testing.T) {
	for _, l := range lines {
		args, end, inBlock := strings.Cut(l.args, "\n")
		if inBlock {
			end = "\n" + end
		}
		_, name, _ := strings.Cut(l.name, "\n")
		if !inBlock {
			name, _, _ = strings.Cut(l.name, " ")
		}
		for _, c := range []struct{ name, block, want string }{
			{"missing", l.name + end, "wrong argument count"},
			{"extra", l.name + " " + args + " hunter4" + end, ""},
			{"repeated", l.name + " " + args + "\n" + strings.TrimPrefix(l.name[strings.LastIndex(l.name, "\n")+1:], "\n") + " " + args + end, name + " already specified at Testfile:"},
			{"blocked", l.name + " " + args + " {\nx\n}" + end, "unrecognized subdirective"},
		} {
			t.Run(c.name+" "+name, func(t *testing.T) {
				err := new(Handler).UnmarshalCaddyfile(caddyfile.NewTestDispenser("wechat {\n" + c.block + "\n}"))
				if err == nil {
					t.Fatal("no error")
				}
				if !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), ", at Testfile:") {
					t.Errorf("error %q does not contain %q and a place", err, c.want)
				}
				if strings.Contains(err.Error(), "is required") {
					t.Errorf("the mistake was not seen: %s", err)
				}
				if c.name != "extra" && strings.Contains(err.Error(), "hunter") || strings.Contains(err.Error(), "hunter2") {
					t.Errorf("error shows a secret: %s", err)
				}
			})
		}
	}
}

// FuzzCaddyfile looks for input on which the parser panics or hangs.
func FuzzCaddyfile(f *testing.F) {
	for _, dir := range []string{"ok", "fail"} {
		files, err := filepath.Glob(filepath.Join("testdata", "caddyfile", dir, "*.caddyfiletest"))
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range files {
			raw, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			config, _, _ := strings.Cut(string(raw), "----------")
			if i := strings.Index(config, "wechat"); i >= 0 {
				f.Add(config[i:])
			}
		}
	}
	f.Fuzz(func(t *testing.T, input string) {
		tokens, err := caddyfile.Tokenize([]byte(input), "Testfile")
		if err != nil {
			return
		}
		h := new(Handler)
		if err := h.UnmarshalCaddyfile(caddyfile.NewDispenser(tokens)); err == nil {
			if h.AppID == "" || h.AppSecret == "" || len(h.Token) == 0 || len(h.BotRaw) == 0 {
				t.Errorf("accepted without a required option: %q", input)
			}
		}
		_ = new(App).UnmarshalCaddyfile(caddyfile.NewDispenser(tokens))
	})
}
