package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// asLoad in the environment makes the test binary the program.
const asLoad = "CADDY_WECHAT_TEST_LOAD"

func TestMain(m *testing.M) {
	if os.Getenv(asLoad) != "" || os.Getenv(asRole) != "" {
		main()
		return
	}
	code := m.Run()
	http.DefaultClient.CloseIdleConnections()
	if err := goleak.Find(); err != nil && code == 0 {
		os.Stderr.WriteString(err.Error() + "\n")
		code = 1
	}
	os.Exit(code)
}

// TestAll runs a tiny round of every scenario.
func TestAll(t *testing.T) {
	dir := t.TempDir()
	var out, progress bytes.Buffer
	code := start([]string{
		"-json", "-dir", dir, "-connections", "4", "-duration", "500ms", "-rounds", "1",
		"-rate", "100", "-hops-rate", "50", "-backlog", "300", "-drain", "30s",
	}, &out, &progress)
	if code != exitOK {
		t.Errorf("status %d\n%s\n%s", code, progress.String(), out.String())
	}
	var r jsonReport
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	if !r.Clean || len(r.Scenarios) != len(scenarios) {
		t.Errorf("%d scenarios, want %d; clean: %t", len(r.Scenarios), len(scenarios), r.Clean)
	}
	for _, s := range r.Scenarios {
		checkOutcome(t, s)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestBudget: when the time is up, what is there is reported.
func TestBudget(t *testing.T) {
	var out, progress bytes.Buffer
	code := start([]string{
		"-json", "-dir", t.TempDir(), "-scenario", "get", "-connections", "2",
		"-duration", "50ms", "-rounds", "1000", "-budget", "1ms",
	}, &out, &progress)
	var r jsonReport
	if err := json.Unmarshal(out.Bytes(), &r); err != nil || code != exitOK {
		t.Fatalf("status %d, %v", code, err)
	}
	get := r.Scenarios[0]
	if len(get.Figures) == 0 || len(get.Figures[0].Value.Rounds) != 1 || len(get.Notes) != 1 ||
		!strings.Contains(get.Notes[0], "1 of 1000 rounds") {
		t.Errorf("got %+v", get)
	}
}

// checkOutcome looks whether a scenario has measured what it has goals for, and
// whether something was counted at all.
func checkOutcome(t *testing.T, got jsonOutcome) {
	t.Helper()
	i := slices.IndexFunc(scenarios, func(s *scenario) bool { return s.name == got.Name })
	if i < 0 {
		t.Errorf("unknown scenario %q", got.Name)
		return
	}
	if len(got.Problems) > 0 {
		t.Errorf("%s: %q", got.Name, got.Problems)
	}
	if got.Name == "passive" && len(got.Notes) > 0 { // not supported
		return
	}
	names := make(map[string]jsonFigure)
	for _, f := range got.Figures {
		names[f.Name] = f
	}
	for _, g := range scenarios[i].goals {
		if f, ok := names[g.figure]; !ok || f.Reached == nil {
			t.Errorf("%s: %q was not measured", got.Name, g.figure)
		}
	}
	if got.Name == "get" || got.Name == "idle" {
		return
	}
	for _, name := range []string{figureLost, figureDuplicates, figureDisorder} {
		if f, ok := names[name]; !ok || f.Value.Median == nil || *f.Value.Median != 0 {
			t.Errorf("%s: %s is %+v", got.Name, name, f.Value)
		}
	}
}

// TestInterrupt: after Ctrl-C nothing is left, neither files nor processes.
func TestInterrupt(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cmd := exec.Command(self, "-scenario", "endtoend", "-connections", "2", "-duration", "1m", "-dir", dir)
	cmd.Env = append(os.Environ(), asLoad+"=1")
	progress, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	cmd.Stdout = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	killed := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
	defer killed.Stop()
	if line, err := bufio.NewReader(progress).ReadString('\n'); !strings.HasPrefix(line, "round 1 of 3") {
		t.Errorf("got %q, %v", line, err)
	}
	time.Sleep(time.Second) // in the middle of it, whatever it is doing then
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // until the children have closed its output, too
	if code := cmd.ProcessState.ExitCode(); code != exitInterrupted {
		t.Errorf("status %d, want %d\n%s", code, exitInterrupted, out.String())
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
