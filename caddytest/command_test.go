package caddytest

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-wechat/caddy-wechat/caddytest/simulator"
)

// outcome is how a command ended.
type outcome struct {
	code        int
	out, errors string
}

// command runs caddy wechat, in a process of its own.
func (w *world) command(args ...string) outcome {
	w.t.Helper()
	return w.commandIn(nil, args...)
}

func (w *world) commandIn(env []string, args ...string) outcome {
	w.t.Helper()
	self, err := os.Executable()
	if err != nil {
		w.t.Fatal(err)
	}
	cmd := exec.CommandContext(within(w.t, 100*time.Second), self, append([]string{"wechat"}, args...)...)
	cmd.Env = append(os.Environ(), asCaddy+"=1", "CADDY_ADMIN="+w.caddy.admin,
		"XDG_DATA_HOME="+filepath.Join(w.caddy.dir, "data"), "XDG_CONFIG_HOME="+filepath.Join(w.caddy.dir, "config"))
	cmd.Env = append(cmd.Env, env...)
	cmd.Dir = w.t.TempDir() // where there is no Caddyfile
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		w.t.Fatal(err)
	}
	return outcome{cmd.ProcessState.ExitCode(), out.String(), errs.String()}
}

// TestCommands: what an operator does with an account from the command line.
func TestCommands(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{options: "settle 0\n\t\tpace 0"})
	if d := w.wechat.Push(within(t, 20*time.Second), w.wechat.Text("oAlice", "hello")); !d.Accepted() {
		t.Fatalf("push: %+v", d)
	}
	menu := filepath.Join(t.TempDir(), "menu.json")
	if err := os.WriteFile(menu, []byte(`{"button":[{"type":"click","name":"\u5e2e\u52a9","key":"HELP"}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		args string
		code int
		out  string
		errs string
	}{
		{"send oAlice from staff", 0, "Sent.\n", ""},
		{"send oAlice", 1, "", "requires at least 2 arg"},
		{"send oNobody hi --json", 1, "", "caddy wechat: Nobody of that id"},
		{"send oAlice hi --account wxffff", 1, "", "is not configured"},
		{"menu get", 0, "There is no menu", ""},
		{"menu set " + menu, 0, "Menu set.", ""},
		{"menu set " + menu + "x", 1, "", "reading menu"},
		{"menu get", 0, `"name": "帮助"`, ""},
		{"menu delete", 0, "Menu deleted.\n", ""},
		{"menu get --json", 0, "null\n", ""},
		{"menu", 1, "", "wants one of delete, get, set"},
		{"qrcode table-1", 0, "works    for 7d00h", ""},
		{"qrcode table-1 --for-good", 0, "works    for good", ""},
		{"qrcode table-1 --for 0s", 1, "", "--for-good"},
		{"qrcode table-1 --address 127.0.0.1:1", 3, "", "no Caddy answers at the admin address 127.0.0.1:1"},
		{"qrcode table-1 --address localhost:1-2", 1, "", "is not valid"},
		{"qrcode table-1 --config " + filepath.Join(w.caddy.dir, "Caddyfile"), 0, "picture", ""},
		{"qrcode table-1 --config nowhere", 1, "", "reading configuration"},
		{"dead replay", 1, "", "--all"},
		{"dead show x", 1, "", "is a number"},
		{"status more", 1, "", "unknown command"},
	} {
		got := w.command(strings.Fields(tc.args)...)
		if got.code != tc.code || !strings.Contains(got.out, tc.out) || !strings.Contains(got.errors, tc.errs) || tc.errs == "" && got.errors != "" {
			t.Errorf("%s: %+v", tc.args, got)
		}
		if strings.Contains(got.out, "\x1b") {
			t.Errorf("%s: colours where there is no terminal", tc.args)
		}
	}
	if seen := texts(w.wechat.Seen("oAlice")); seen[len(seen)-1] != "from staff" {
		t.Errorf("the user read %q", seen)
	}
	w.wechat.Fail(simulator.WeChatFault{Path: "/cgi-bin/message/custom/send", Code: 45047})
	if got := w.command("send", "oAlice", "one too many"); got.code != 2 || !strings.Contains(got.out, "parked") {
		t.Errorf("WeChat takes no more: %+v", got)
	}
}
