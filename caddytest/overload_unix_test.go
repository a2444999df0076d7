//go:build unix

package caddytest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/caddy-wechat/caddy-wechat/caddytest/simulator"
)

// spareFiles is how many files Caddy and this process each need beside slow clients.
const spareFiles = 500

// openFiles lets this process, and those that it starts, have so many files and connections open, or as many
// as it may.
func openFiles(t *testing.T, want uint64) int {
	t.Helper()
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		t.Fatal(err)
	}
	raised := l
	raised.Cur, raised.Max = max(l.Cur, want), max(l.Max, want)
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &raised); err == nil {
		return int(want)
	}
	raised.Max = l.Max
	raised.Cur = min(want, l.Max)
	_ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &raised)
	return int(raised.Cur)
}

// slowClients are connections that send and read as slowly as they can, and come back when they are cut off.
type slowClients struct {
	site   string
	open   [4]atomic.Int64
	cut    [4]atomic.Int64 // by the server
	failed atomic.Int64    // connections that were not made
}

// slowKinds are what they do.
var slowKinds = [4]string{"slow headers", "slow bodies", "slow readers", "nothing at all"}

// total is how many connections are open.
func (s *slowClients) total() (n int64) {
	for k := range s.open {
		n += s.open[k].Load()
	}
	return n
}

// run keeps one connection of a kind open until the context ends.
func (s *slowClients) run(ctx context.Context, n int) {
	kind := n % len(slowKinds)
	for ctx.Err() == nil {
		// Many addresses: one has ports for some 28 000 connections.
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}, Timeout: 10 * time.Second}
		if runtime.GOOS == "linux" {
			d.LocalAddr = &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+n%20))}
		}
		conn, err := d.DialContext(ctx, "tcp", s.site)
		if err != nil {
			s.failed.Add(1)
			time.Sleep(time.Second)
			continue
		}
		s.open[kind].Add(1)
		s.torment(ctx, kind, conn.(*net.TCPConn))
		s.open[kind].Add(-1)
		if ctx.Err() == nil {
			s.cut[kind].Add(1)
		}
		conn.Close()
	}
}

// torment uses a connection until it breaks or the context ends.
func (s *slowClients) torment(ctx context.Context, kind int, conn *net.TCPConn) {
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	drip := "a"
	var start string
	switch kind {
	case 0:
		start = "POST /wechat HTTP/1.1\r\nHost: " + s.site + "\r\nX-Slow: "
	case 1: // with a signature that somebody has caught
		start = fmt.Sprintf("POST /wechat?%s HTTP/1.1\r\nHost: %s\r\nContent-Length: 1000000\r\n\r\n<xml>", signedQuery(), s.site)
	case 2: // asks and asks, and reads nothing
		_ = conn.SetReadBuffer(4096)
		drip = fmt.Sprintf("GET /wechat?%s HTTP/1.1\r\nHost: %s\r\n\r\n", signedQuery("echostr="+strings.Repeat("e", 2000)), s.site)
		start = drip
	default:
		drip = ""
	}
	if _, err := io.WriteString(conn, start); err != nil {
		return
	}
	tick := time.NewTicker(2 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		_ = conn.SetWriteDeadline(time.Now().Add(time.Second))
		if _, err := io.WriteString(conn, drip); err != nil && !os.IsTimeout(err) {
			return
		}
		if kind == 1 && answered(conn) {
			return
		}
	}
}

// answered tells whether the server has answered or hung up.
func answered(conn *net.TCPConn) bool {
	_ = conn.SetReadDeadline(time.Now().Add(time.Millisecond))
	n, err := conn.Read(make([]byte, 1))
	return n > 0 || err != nil && !os.IsTimeout(err)
}

// TestSlowClients has thousands of connections that hold on to whatever they can: 20 000 with
// CADDY_WECHAT_LONG. Users' messages are taken meanwhile, Caddy's memory is bounded, and what a slow body
// holds is let go at its deadline.
func TestSlowClients(t *testing.T) {
	t.Parallel()
	clients, lasts := 1000, 8*time.Second
	if full() {
		clients, lasts = 20_000, time.Minute
	}
	if files := openFiles(t, 65_536); files < clients+spareFiles {
		t.Logf("only %d files may be open", files)
		clients = max(files-spareFiles, 100)
	}
	w := newWorld(t, setup{
		options: bulk,
		wechat:  func(c *simulator.WeChatConfig) { c.NoAllowance, c.Timeout = true, 30*time.Second },
	})
	ctx, cancel := context.WithCancel(within(t, lasts+2*time.Minute))
	defer cancel()
	c := crowd{w: w, users: 20}
	c.round(ctx, 0)
	c.each++
	before := w.caddy.memory()

	s := &slowClients{site: w.site}
	hostile, end := context.WithCancel(ctx)
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() { s.run(hostile, i) })
		if i%100 == 99 {
			time.Sleep(20 * time.Millisecond)
		}
	}
	for wait := 0; s.total() < int64(clients)*9/10 && wait < 300; wait++ {
		time.Sleep(100 * time.Millisecond)
	}
	took := c.speakFor(ctx, lasts)
	during := w.caddy.memory()
	open := s.total()
	for k, name := range slowKinds {
		t.Logf("%s: %d connections open, %d were cut off", name, s.open[k].Load(), s.cut[k].Load())
	}
	slices.Sort(took)
	each := (during - before) / max(open, 1)
	t.Logf("%d connections, %d KiB each; %d pushes beside them, p50 %v, p99 %v, max %v",
		open, each>>10, len(took), took[len(took)/2], took[len(took)*99/100], took[len(took)-1])
	if open < int64(clients)*8/10 {
		t.Errorf("%d of %d connections were held, %d could not be made", open, clients, s.failed.Load())
	}
	if each > 128<<10 {
		t.Errorf("a slow connection costs %d KiB", each>>10)
	}
	if s.cut[1].Load() == 0 {
		t.Error("no slow body was cut off")
	}
	end()
	wg.Wait()
	c.check(ctx, 0)
}

// speakFor has the users speak for a while, and tells how long each push took to be answered.
func (c *crowd) speakFor(ctx context.Context, lasts time.Duration) (took []time.Duration) {
	c.w.t.Helper()
	for end := time.Now().Add(lasts); time.Now().Before(end) && ctx.Err() == nil; c.each++ {
		var mu sync.Mutex
		var wg sync.WaitGroup
		for i := range c.users {
			wg.Go(func() {
				d := c.w.wechat.Push(ctx, c.w.wechat.Text(c.openid(i), c.text(i, c.each)))
				if d.Outcome != simulator.OutcomeSuccess || len(d.Attempts) != 1 {
					c.w.t.Errorf("push %q: %+v, want success", c.text(i, c.each), d)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				took = append(took, d.Attempts[0].Took)
			})
		}
		wg.Wait()
		time.Sleep(200 * time.Millisecond)
	}
	if len(took) == 0 {
		c.w.t.Fatal("no push was taken")
	}
	return took
}

// TestLongBodiesAtOnce sends more long bodies at once than there is room for, all with a good signature. Those
// beyond it are turned away, a short push is taken beside them, and afterwards a long one is.
func TestLongBodiesAtOnce(t *testing.T) {
	t.Parallel()
	const most = 128 // MiB
	w := newWorld(t, setup{options: bulk})
	ctx := within(t, time.Minute)
	body := bytes.Repeat([]byte("x"), 1<<20-100)
	statuses := make(chan int, 2*most)
	head := fmt.Sprintf("POST /wechat?%s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n\r\n", signedQuery(), w.site, len(body)+1)
	for range cap(statuses) {
		go func() { statuses <- w.hangingBody(ctx, head, body) }()
	}
	for range 5 { // WeChat may ask again: the machine has a lot to do
		if d := w.wechat.Push(ctx, w.wechat.Text("oAlice", "short")); !d.Accepted() {
			t.Errorf("a short push beside them: %+v", d)
		}
	}
	counts := make(map[int]int)
	for range cap(statuses) {
		counts[<-statuses]++
	}
	if counts[503] == 0 && !raced || counts[408] == 0 || counts[503]+counts[408] < 2*most*9/10 { // a slow machine does not get so many in
		t.Errorf("answers by status: %v, want 503 for those without room, and 408 for the others", counts)
	}
	t.Logf("answers by status: %v; %d MiB in use afterwards", counts, w.caddy.memory()>>20)
	long := w.wechat.Text("oAlice", strings.Repeat("很长", 10_000))
	if d := w.wechat.Push(ctx, long); !d.Accepted() {
		t.Errorf("a long push afterwards: %+v", d)
	}
}

// hangingBody sends all of a body but the last byte, and gives the status of the answer.
func (w *world) hangingBody(ctx context.Context, head string, body []byte) int {
	conn, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(ctx, "tcp", w.site)
	if err != nil {
		return -1
	}
	defer conn.Close()
	go func() {
		_, _ = io.WriteString(conn, head)
		_, _ = conn.Write(body)
	}()
	_ = conn.SetReadDeadline(time.Now().Add(30 * time.Second))
	var status int
	if _, err := fmt.Fscanf(conn, "HTTP/1.1 %d", &status); err != nil {
		return -2
	}
	return status
}
