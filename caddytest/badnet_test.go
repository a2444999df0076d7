package caddytest

import (
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// fault is what a bad network does to connections.
type fault int32

const (
	faultNone      fault = iota
	faultLatency         // everything comes late
	faultCut             // connections end, as if all was said, somewhere in what is sent
	faultReset           // connections break there
	faultBlackHole       // nothing comes through, and nobody is told
	faultRefuse          // connections are closed as soon as they are made
	faults               // how many there are
)

func (f fault) String() string {
	return [...]string{"none", "latency", "cut", "reset", "black hole", "refuse"}[f]
}

// badNet is a network between the module and a cloud, as a proxy of TCP connections.
type badNet struct {
	ln     net.Listener
	target string
	now    atomic.Int32 // fault
	done   atomic.Int64 // faults that connections have met
	wg     sync.WaitGroup

	mu    sync.Mutex
	pairs map[*netPair]bool // nil once it is closed
}

// netPair is one connection and what it is passed on to.
type netPair struct {
	client, server *net.TCPConn
	swallowed      atomic.Bool // something was sent into a black hole
}

func newBadNet(t *testing.T, target string) *badNet {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &badNet{ln: ln, target: target, pairs: make(map[*netPair]bool)}
	n.wg.Go(n.serve)
	t.Cleanup(n.close)
	return n
}

func (n *badNet) addr() string { return n.ln.Addr().String() }

// set lets a fault begin. What was swallowed by a black hole before is not given out again: such
// connections break.
func (n *badNet) set(f fault) {
	n.now.Store(int32(f))
	n.mu.Lock()
	defer n.mu.Unlock()
	for p := range n.pairs {
		if p.swallowed.Load() && f != faultBlackHole {
			p.abort()
		}
	}
}

func (n *badNet) close() {
	n.ln.Close()
	n.mu.Lock()
	for p := range n.pairs {
		p.abort()
	}
	n.pairs = nil
	n.mu.Unlock()
	n.wg.Wait()
}

func (n *badNet) serve() {
	for {
		c, err := n.ln.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		if fault(n.now.Load()) == faultRefuse {
			n.done.Add(1)
			c.Close()
			continue
		}
		n.wg.Go(func() { n.pass(c.(*net.TCPConn)) })
	}
}

func (n *badNet) pass(client *net.TCPConn) {
	defer client.Close()
	server, err := net.Dial("tcp", n.target)
	if err != nil {
		return
	}
	defer server.Close()
	p := &netPair{client: client, server: server.(*net.TCPConn)}
	n.mu.Lock()
	if n.pairs == nil {
		n.mu.Unlock()
		return
	}
	n.pairs[p] = true
	n.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { n.carry(p, p.client, p.server) })
	both.Go(func() { n.carry(p, p.server, p.client) })
	both.Wait()
	n.mu.Lock()
	delete(n.pairs, p)
	n.mu.Unlock()
}

// carry passes on what one side sends, until a fault or the end.
func (n *badNet) carry(p *netPair, from, to *net.TCPConn) {
	buf := make([]byte, 4096)
	for {
		got, err := from.Read(buf)
		if got > 0 && !n.give(p, to, buf[:got]) {
			return
		}
		if err == io.EOF {
			_ = to.CloseWrite()
			return
		}
		if err != nil {
			p.abort()
			return
		}
	}
}

// give passes on some bytes, as well as the network does now.
func (n *badNet) give(p *netPair, to *net.TCPConn, b []byte) bool {
	now := fault(n.now.Load())
	if now != faultNone {
		n.done.Add(1)
	}
	switch now {
	case faultBlackHole:
		p.swallowed.Store(true)
		if fault(n.now.Load()) != faultBlackHole { // it has just ended, and this one was not seen
			p.abort()
			return false
		}
	case faultCut, faultReset:
		if rand.IntN(3) == 0 { // some get through, or nothing but the first request would ever be cut
			break
		}
		_, _ = to.Write(b[:rand.IntN(len(b))])
		if now == faultReset {
			p.abort()
		} else {
			p.client.Close()
			p.server.Close()
		}
		return false
	case faultLatency:
		time.Sleep(time.Duration(50+rand.IntN(700)) * time.Millisecond)
	case faultNone, faultRefuse, faults: // what is there already stays
	}
	if p.swallowed.Load() {
		return true
	}
	_, err := to.Write(b)
	return err == nil
}

// abort breaks both connections.
func (p *netPair) abort() {
	_ = p.client.SetLinger(0)
	_ = p.server.SetLinger(0)
	p.client.Close()
	p.server.Close()
}
