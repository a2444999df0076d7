package botpress

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// frozenProxy hands on bytes until it is frozen; then its connections stay open
// and say nothing. New ones work.
type frozenProxy struct {
	ln     net.Listener
	to     string
	wg     sync.WaitGroup
	opened atomic.Int32

	mu     sync.Mutex
	conns  []net.Conn
	frozen []*atomic.Bool
}

func newFrozenProxy(t *testing.T, to string) *frozenProxy {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &frozenProxy{ln: ln, to: to}
	p.wg.Go(p.accept)
	t.Cleanup(func() {
		ln.Close()
		p.mu.Lock()
		for _, c := range p.conns {
			c.Close()
		}
		p.mu.Unlock()
		p.wg.Wait()
	})
	return p
}

func (p *frozenProxy) accept() {
	for {
		in, err := p.ln.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", p.to)
		if err != nil {
			in.Close()
			continue
		}
		p.opened.Add(1)
		frozen := new(atomic.Bool)
		p.mu.Lock()
		p.conns = append(p.conns, in, out)
		p.frozen = append(p.frozen, frozen)
		p.mu.Unlock()
		for _, way := range [][2]net.Conn{{in, out}, {out, in}} {
			p.wg.Go(func() {
				_, _ = io.Copy(until{frozen, way[1]}, way[0])
			})
		}
	}
}

func (p *frozenProxy) freeze() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, f := range p.frozen {
		f.Store(true)
	}
}

// until swallows everything from some time on.
type until struct {
	frozen *atomic.Bool
	to     io.Writer
}

func (u until) Write(b []byte) (int, error) {
	if u.frozen.Load() {
		return len(b), nil
	}
	return u.to.Write(b)
}

// TestDeadConnection: a connection of HTTP/2 that is dead is noticed, and neither a
// stream nor a call is left on it.
func TestDeadConnection(t *testing.T) {
	calls := &script{answers: []http.HandlerFunc{stream(true, "{}"), reply(http.StatusOK, `hello`)}}
	srv := httptest.NewUnstartedServer(calls)
	srv.EnableHTTP2 = true
	srv.StartTLS()
	t.Cleanup(srv.Close)
	proxy := newFrozenProxy(t, srv.Listener.Addr().String())
	c := newTestClient(t, "https://"+proxy.ln.Addr().String())
	c.transport.TLSClientConfig = srv.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	if c.transport.HTTP2.SendPingTimeout == 0 || c.transport.HTTP2.PingTimeout == 0 {
		t.Fatal("no connection is ever looked after")
	}
	c.transport.HTTP2.SendPingTimeout, c.transport.HTTP2.PingTimeout = 500*time.Millisecond, 2*time.Second

	began := time.Now()
	err := c.Listen(t.Context(), testUser, testUser, proxy.freeze, func(Signal) error { return nil })
	if e := asError(t, err); !e.Temporary() || time.Since(began) > DefaultSilence/2 {
		t.Errorf("the stream ended after %v with %v", time.Since(began), err)
	}
	if err := c.Hello(t.Context()); err != nil {
		t.Errorf("a call after that: %v", err)
	}
	if n := proxy.opened.Load(); n != 2 {
		t.Errorf("%d connections, want a dead one and a new one", n)
	}
}
