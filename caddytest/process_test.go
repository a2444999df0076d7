package caddytest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// process is a Caddy in a process of its own.
type process struct {
	t     *testing.T
	dir   string // its data, and the file with its configuration
	admin string // address
	log   *logBook
	env   []string // further environment

	mu  sync.Mutex
	cmd *exec.Cmd
	end chan struct{} // closed when cmd has ended
	err error         // of cmd, once it has ended
}

func newProcess(t *testing.T) *process {
	t.Helper()
	p := &process{t: t, dir: t.TempDir(), admin: freeAddr(t), log: &logBook{}}
	t.Cleanup(func() {
		p.stop()
		if out := p.log.String(); ourRace(out) {
			t.Errorf("Caddy has a data race:\n%s", out)
		} else if strings.Contains(out, "panic") {
			t.Errorf("Caddy has panicked:\n%s", tail(out))
		}
		if t.Failed() {
			t.Logf("Caddy's log ends:\n%s", tail(p.log.String()))
		}
	})
	return p
}

// ourRace tells whether the race detector has found something in which this
// module takes part. Caddy has some races of its own.
func ourRace(out string) bool {
	for block := range strings.SplitSeq(out, "==================") {
		if strings.Contains(block, "WARNING: DATA RACE") && strings.Contains(block, "caddy-wechat/module") {
			return true
		}
	}
	return false
}

// start runs Caddy with a configuration and waits until it answers.
func (p *process) start(config string) {
	p.t.Helper()
	if err := p.tryStart(config); err != nil {
		p.t.Fatalf("starting Caddy: %v\n%s", err, tail(p.log.String()))
	}
}

func (p *process) tryStart(config string) error {
	end, err := p.launch(config)
	if err != nil {
		return err
	}
	return p.awaitAnswer(end)
}

// launch runs Caddy without waiting for anything; end is closed when it has
// ended.
func (p *process) launch(config string) (end <-chan struct{}, err error) {
	file := filepath.Join(p.dir, "Caddyfile")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, "run", "--config", file)
	cmd.Env = append(os.Environ(), asCaddy+"=1",
		"XDG_DATA_HOME="+filepath.Join(p.dir, "data"), "XDG_CONFIG_HOME="+filepath.Join(p.dir, "config"))
	cmd.Env = append(cmd.Env, p.env...)
	cmd.Stdout, cmd.Stderr = p.log, p.log
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	ended := make(chan struct{})
	p.mu.Lock()
	p.cmd, p.end = cmd, ended
	p.mu.Unlock()
	go func() {
		err := cmd.Wait()
		p.mu.Lock()
		p.err = err
		p.mu.Unlock()
		close(ended)
	}()
	return ended, nil
}

// awaitAnswer waits until the admin endpoint shows that a configuration runs.
func (p *process) awaitAnswer(end <-chan struct{}) error {
	deadline := time.Now().Add(30 * time.Second)
	for time.Now().Before(deadline) {
		resp, err := http.Get("http://" + p.admin + "/config/apps/http")
		if err == nil {
			body, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK && !bytes.HasPrefix(body, []byte("null")) {
				return nil
			}
		}
		select {
		case <-end:
			return errors.New("it has ended")
		case <-time.After(20 * time.Millisecond):
		}
	}
	return errors.New("its admin endpoint does not answer")
}

// stop ends Caddy as an operator would.
func (p *process) stop() { p.signal(syscall.SIGTERM, 30*time.Second) }

// kill ends Caddy as a power cut would, save that the disk stays on.
func (p *process) kill() { p.signal(syscall.SIGKILL, 10*time.Second) }

func (p *process) signal(s syscall.Signal, wait time.Duration) {
	p.t.Helper()
	p.mu.Lock()
	cmd, end := p.cmd, p.end
	p.cmd = nil
	p.mu.Unlock()
	if cmd == nil {
		return
	}
	_ = cmd.Process.Signal(s)
	select {
	case <-end:
	case <-time.After(wait):
		_ = cmd.Process.Kill()
		<-end
		p.t.Errorf("Caddy did not end within %v of %v", wait, s)
	}
}

// reload gives the running Caddy another configuration. Its admin endpoint is
// replaced too and may drop the request, so that is made again.
func (p *process) reload(config string) error {
	var dropped error
	for range 5 {
		answered, err := p.tryReload(config)
		if answered {
			return err
		}
		dropped = err
	}
	return dropped
}

func (p *process) tryReload(config string) (answered bool, err error) {
	req, err := http.NewRequest(http.MethodPost, "http://"+p.admin+"/load", strings.NewReader(config))
	if err != nil {
		return true, err
	}
	req.Close = true
	req.Header.Set("Content-Type", "text/caddyfile")
	req.Header.Set("Cache-Control", "must-revalidate") // also if nothing has changed
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(resp.Body)
		return true, fmt.Errorf("reload: %s: %s", resp.Status, body)
	}
	return true, nil
}

// logBook keeps what Caddy writes.
type logBook struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logBook) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *logBook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// lines are those that hold all of some texts.
func (l *logBook) lines(texts ...string) []string {
	var found []string
next:
	for line := range strings.Lines(l.String()) {
		for _, s := range texts {
			if !strings.Contains(line, s) {
				continue next
			}
		}
		found = append(found, line)
	}
	return found
}

// await waits until there are n such lines, and not for ever: what a process writes
// takes its time.
func (l *logBook) await(n int, texts ...string) []string {
	for range 1500 {
		if found := l.lines(texts...); len(found) >= n {
			return found
		}
		time.Sleep(20 * time.Millisecond)
	}
	return l.lines(texts...)
}

func tail(s string) string {
	const most = 6000
	if len(s) > most {
		s = "..." + s[len(s)-most:]
	}
	return s
}

// ports are handed out from below the range that systems take for outgoing
// connections, beginning anywhere.
var ports atomic.Uint32

func init() { ports.Store(rand.Uint32()) }

// freeAddr is an address of loopback that nobody listens on. It is given once:
// two Caddys on one address would share it without complaint.
func freeAddr(t *testing.T) string {
	t.Helper()
	const first, count = 20000, 12000
	for range count {
		addr := fmt.Sprintf("127.0.0.1:%d", first+ports.Add(1)%count)
		if ln, err := net.Listen("tcp", addr); err == nil {
			ln.Close()
			return addr
		}
	}
	t.Fatal("no address is free")
	return ""
}
