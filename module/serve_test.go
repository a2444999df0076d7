package module

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// pipes is a listener for connections of net.Pipe, whose deadlines keep to the time of
// a bubble.
type pipes chan net.Conn

func (p pipes) Close() error   { return nil }
func (p pipes) Addr() net.Addr { return &net.TCPAddr{} }

func (p pipes) Accept() (net.Conn, error) {
	conn, ok := <-p
	if !ok {
		return nil, net.ErrClosed
	}
	return conn, nil
}

// TestServe: a client has time for each piece of a file, not for the whole, and what
// time it had does not concern the connection's next answer.
func TestServe(t *testing.T) {
	const size = 1 << 20
	for _, tc := range []struct {
		name  string
		read  int           // bytes at a time
		pause time.Duration // before each
		got   int           // bytes in all
		took  time.Duration // by the handler
	}{
		{name: "at once", read: size, got: size},
		{name: "slowly", read: 32 << 10, pause: 25 * time.Second, got: size, took: 32 * 25 * time.Second},
		{name: "too slowly", read: 32 << 10, pause: 35 * time.Second, took: crawl},
		{name: "not at all", pause: time.Hour, took: crawl},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ln, took := make(pipes, 1), make(chan time.Duration, 2)
				srv := &http.Server{ReadHeaderTimeout: time.Hour, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path == "/other" {
						_, _ = w.Write(make([]byte, size))
						return
					}
					began := time.Now()
					serve(w, r, began, bytes.NewReader(make([]byte, size)))
					took <- time.Since(began)
				})}
				go func() { _ = srv.Serve(ln) }()
				defer func() {
					close(ln)
					_ = srv.Close()
				}()
				ours, theirs := net.Pipe()
				defer ours.Close()
				ln <- theirs
				got := fetchSlowly(ours, "/", tc.read, tc.pause)
				if d := <-took; got != tc.got || d < tc.took || d > tc.took+time.Minute {
					t.Errorf("%d bytes came in %v, want %d in %v", got, d, tc.got, tc.took)
				}
				if tc.got < size {
					return
				}
				time.Sleep(time.Hour)
				if got := fetchSlowly(ours, "/other", size, 0); got != size {
					t.Errorf("%d bytes came of something else", got)
				}
			})
		})
	}
}

// fetchSlowly gets a file, and tells how much of it came.
func fetchSlowly(conn net.Conn, path string, size int, pause time.Duration) (got int) {
	_, _ = io.WriteString(conn, "GET "+path+" HTTP/1.1\r\nHost: bot.example.com\r\n\r\n")
	time.Sleep(pause)
	resp, err := http.ReadResponse(bufio.NewReaderSize(conn, 16), nil)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	for {
		n, err := io.ReadFull(resp.Body, make([]byte, size))
		if got += n; err != nil || int64(got) == resp.ContentLength {
			return got
		}
		time.Sleep(pause)
	}
}
