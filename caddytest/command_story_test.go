package caddytest

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-wechat/caddy-wechat/caddytest/simulator"
)

var updateGolden = flag.Bool("update", false, "rewrite the golden files")

// changing is what differs from run to run, and what stands for it.
var changing = []struct {
	what *regexp.Regexp
	with string
}{
	{regexp.MustCompile(`just now|\d+s ago|\d+m\d\ds ago`), "AGO"},
	{regexp.MustCompile(`in \d+h\d\dm|in \d+d\d\dh`), "IN"},
	{regexp.MustCompile(`for \d+s:`), "for SPAN:"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\dT[0-9:.]+(Z|[+-]\d\d:\d\d)`), "TIME"},
	{regexp.MustCompile(`\b\d\d:\d\d:\d\d\.\d{3}`), "CLOCK"},
	{regexp.MustCompile(`\b\d{16,20}\b`), "MSGID"},
	{regexp.MustCompile(`<CreateTime>\d+`), "<CreateTime>SECONDS"},
	{regexp.MustCompile(`\bmsg_[0-9A-Za-z]+`), "MESSAGE"},
	{regexp.MustCompile(`\berr_[0-9A-Za-z]+`), "ERROR"},
	{regexp.MustCompile(`on (no|\d+) users? towards`), "on SOME towards"},
	{regexp.MustCompile(`took=[^\s:]+`), "took=TOOK"},
	{regexp.MustCompile(`journal     [0-9.]+ [KM]?i?B`), "journal     SIZE"},
	{regexp.MustCompile(`"size": \d+`), `"size": SIZE`},
}

// transcript is what an operator sees of commands, one after the other.
type transcript struct {
	strings.Builder
	w *world
}

// run adds a command and what it says.
func (s *transcript) run(args ...string) {
	got := s.w.command(args...)
	fmt.Fprintf(s, "$ caddy wechat %s\n%s%s[%d]\n\n", strings.Join(args, " "), got.out, got.errors, got.code)
}

// unchanging is what is the same from run to run.
func unchanging(got string) string {
	for _, c := range changing {
		got = c.what.ReplaceAllString(got, c.with)
	}
	// Columns are as wide as what stood in them.
	return columns.ReplaceAllString(got, "$1  ")
}

var columns = regexp.MustCompile(`(AGO|IN|MSGID|SINCE|SAID) +`)

func (s *transcript) compare(name string) {
	got := unchanging(strings.ReplaceAll(s.String(), s.w.caddy.dir, "DIR"))
	file := filepath.Join("testdata", name+".golden")
	if *updateGolden {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			s.w.t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		s.w.t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		s.w.t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

// TestCommandStory: an operator sees by the commands alone what is wrong, mends it,
// and has what was held back delivered.
func TestCommandStory(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{options: "reply push\n\t\tsettle 0\n\t\tpace 0\n\t\ttyping off\n\t\tallowance 2 48h\n\t\tnotice more MORE"})
	s := &transcript{w: w}
	const alice, bob, carol = "oAlice", "oBob", "oCarol"

	// The bot refuses a message for good.
	w.botpress.Fail(simulator.BotpressFault{Op: "createMessage", Times: -1, Status: http.StatusBadRequest})
	w.push(w.wechat.Text(alice, "first"))
	w.push(w.wechat.Text(alice, "second"))
	w.awaitAccount("short of two letters", func(a account) bool { return a.Waiting.Dead == 2 && a.Waiting.Pushes == 0 && a.Lanes.In == 0 })
	s.run("status")
	s.run("dead", "list")
	s.run("dead", "show", "1")
	s.run("dead", "show", "99")
	w.botpress.ClearFaults()
	s.run("dead", "replay", "--all")
	w.expect(alice, "echo: first", "echo: second")
	s.run("dead", "list")
	s.run("dead", "drop", "1")

	// More than WeChat lets the account send.
	w.push(w.wechat.Text(bob, "one"))
	w.expect(bob, "echo: one")
	w.botpress.Say(conversation(bob), map[string]any{"type": "text", "text": "two"})
	w.expect(bob, "echo: one", "two")
	w.botpress.Say(conversation(bob), map[string]any{"type": "text", "text": "three"})
	w.awaitAccount("short of parked replies", func(a account) bool { return a.Waiting.Parked > 0 && a.Lanes.Out == 0 })
	s.run("parked")
	s.run("send", bob, "one more")
	s.run("parked", "drop", bob)
	s.run("send", bob, "one more")
	s.run("parked", "--json")

	// The workspace is out of quota.
	w.botpress.Fail(simulator.BotpressFault{Op: "getOrCreateUser", Times: -1, Status: http.StatusPaymentRequired})
	w.push(w.wechat.Text(carol, "hello"))
	w.awaitAccount("held", func(a account) bool { return a.Health == "held" })
	s.run("status", "--account", appID)
	w.botpress.ClearFaults()
	w.caddy.log.await(1, "account released")
	w.expect(carol, "echo: hello")
	w.awaitAccount("well", func(a account) bool {
		return a.Health == "ok" && a.Waiting.Replies == 0 && a.Lanes.Out == 0 && a.Lanes.In == 0
	})
	s.run("status")
	fmt.Fprintf(s, "$ caddy wechat tail --past --user %s\n%s", carol, w.tail(carol))
	s.compare("commands")
}

// tail runs caddy wechat tail until it has said that something was delivered and
// something sent, and interrupts it. Which of the bot's answer and its message comes first is open, and
// so is how often a hold is met: the lines are sorted, and each stands once.
func (w *world) tail(user string) string {
	w.t.Helper()
	self, err := os.Executable()
	if err != nil {
		w.t.Fatal(err)
	}
	cmd := exec.CommandContext(within(w.t, 60*time.Second), self, "wechat", "tail", "--past", "--user", user, "--address", w.caddy.admin)
	cmd.Env = append(os.Environ(), asCaddy+"=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	var all []string
	read := bufio.NewScanner(out)
	for sent, delivered := false, false; (!sent || !delivered) && read.Scan(); {
		line := read.Text()
		all = append(all, unchanging(line+"\n"))
		sent = sent || strings.Contains(line, " send ")
		delivered = delivered || strings.Contains(line, " delivered ")
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		w.t.Error(err)
	}
	_, _ = io.Copy(io.Discard, out)
	if err := cmd.Wait(); err != nil {
		w.t.Errorf("tail, interrupted: %v", err)
	}
	slices.Sort(all)
	return strings.Join(slices.Compact(all), "")
}
