package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// asPlayground in the environment makes the test binary the playground.
const asPlayground = "CADDY_WECHAT_TEST_PLAYGROUND"

func TestMain(m *testing.M) {
	if os.Getenv(asPlayground) != "" || os.Getenv(asCaddy) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// output keeps what a process writes.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// find waits until something is written.
func (o *output) find(t *testing.T, pattern string) []string {
	t.Helper()
	re := regexp.MustCompile(pattern)
	for range 600 {
		if m := re.FindStringSubmatch(o.String()); m != nil {
			return m
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("%q was not written:\n%s", pattern, o.String())
	return nil
}

// command is the playground, to be run where a user runs it.
func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, args...)
	cmd.Dir = "../.."
	cmd.Env = append(os.Environ(), asPlayground+"=1")
	return cmd
}

// playground runs until the test is over.
func playground(t *testing.T, env ...string) *output {
	t.Helper()
	out, cmd := new(output), command(t)
	cmd.Env = append(cmd.Env, env...)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Errorf("it ended with %v:\n%s", err, out)
		}
	})
	return out
}

// TestPlayground does what the README tells a newcomer to do, and looks whether
// the production configuration keeps secrets and users out of the log.
func TestPlayground(t *testing.T) {
	out := playground(t)
	send := out.find(t, `curl -d '(.*)' (http://\S+)`)
	read := out.find(t, `curl '(http://\S+/seen\?\S+)'`)
	out.find(t, `serving initial configuration`)

	resp, err := http.Post(send[2], "application/x-www-form-urlencoded", strings.NewReader(send[1]))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp, err = http.Get(read[1]); err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var seen struct{ Messages []struct{ Text string } }
	if err := json.Unmarshal(body, &seen); err != nil || len(seen.Messages) != 1 || seen.Messages[0].Text != "echo: hello" {
		t.Errorf("the user saw %s (%v)", body, err)
	}

	asks := out.find(t, `(?m)go run \./caddytest/playground (wechat status.*)$`)
	said, err := command(t, strings.Fields(asks[1])...).CombinedOutput()
	if err != nil || !strings.Contains(string(said), "wx0123456789abcdef  ok") {
		t.Errorf("%s: %v\n%s", asks[1], err, said)
	}

	out.find(t, `http\.log\.access.*/wechat/botpress`)
	for _, secret := range []string{appSecret, aesKey, encryptionKey, webhookSecret, "oAlice", "hello", `signature=[^R]`, `nonce=[^R]`} {
		log := strings.Replace(out.String(), `{"openid":"oAlice","text":"hello"}`, "", 1) // what it tells a newcomer to do
		log = strings.Replace(log, "seen?openid=oAlice", "", 1)
		if at := regexp.MustCompile(secret).FindStringIndex(log); at != nil {
			t.Errorf("the log shows %s: ...%s...", secret, log[max(0, at[0]-200):min(len(log), at[1]+50)])
		}
	}
}

// TestPlaygroundCaddy: other commands of Caddy work too, with the same
// environment.
func TestPlaygroundCaddy(t *testing.T) {
	for _, tc := range []struct{ args, want string }{
		{"validate --config Caddyfile.example", "Valid configuration"},
		{"list-modules", "http.handlers.wechat.bots.botpress"},
	} {
		out, err := command(t, strings.Fields(tc.args)...).CombinedOutput()
		if err != nil || !strings.Contains(string(out), tc.want) {
			t.Errorf("%s: %v\n%s", tc.args, err, out)
		}
	}
	if _, err := command(t, "validate", "--config", "nothing").CombinedOutput(); err == nil {
		t.Error("a failure of Caddy is not one of the playground")
	}
}

// TestTwoPlaygrounds: two that start at the same moment, before either's Caddy listens, do
// not give it the same addresses.
func TestTwoPlaygrounds(t *testing.T) {
	for _, name := range []string{"WECHAT_SITE", "CADDY_ADMIN"} {
		t.Setenv(name, "")
	}
	given := map[string]bool{}
	for range 2 {
		s, err := startSimulators()
		if err != nil {
			t.Fatal(err)
		}
		defer s.close()
		v, err := s.environment(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		for _, addr := range []string{strings.TrimPrefix(v["WECHAT_SITE"], "http://"), v["CADDY_ADMIN"]} {
			if given[addr] {
				t.Errorf("%s is given away twice", addr)
			}
			given[addr] = true
		}
	}
}
