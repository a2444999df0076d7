package main

import (
	"bufio"
	"bytes"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
)

func TestReadAnswer(t *testing.T) {
	for _, tc := range []struct {
		name   string
		in     string
		status int // 0: an error
		body   string
		last   bool
	}{
		{"plain", "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nsuccess", 200, "success", false},
		{"empty", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, "", false},
		{"bare line ends", "HTTP/1.1 200 OK\nContent-Length: 2\n\nok", 200, "ok", false},
		{"no reason", "HTTP/1.1 403\r\ncontent-length:1\r\n\r\nx", 403, "x", false},
		{"closing", "HTTP/1.1 503 Unavailable\r\nConnection: Close\r\nContent-Length: 0\r\n\r\n", 503, "", true},
		{"no content", "HTTP/1.1 204 No Content\r\n\r\n", 204, "", false},
		{"chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nsuc\r\n4\r\ncess\r\n0\r\n\r\n", 200, "success", false},
		{"larger than the buffer", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + strings.Repeat("x", 100), 200, strings.Repeat("x", 100), false},

		{name: "nothing", in: ""},
		{name: "HTTP/1.0", in: "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"},
		{name: "interim", in: "HTTP/1.1 100 Continue\r\n\r\n"},
		{name: "four digits", in: "HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n"},
		{name: "bad status", in: "HTTP/1.1 2x0 OK\r\nContent-Length: 0\r\n\r\n"},
		{name: "no length", in: "HTTP/1.1 200 OK\r\n\r\n"},
		{name: "negative length", in: "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"},
		{name: "huge length", in: "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n"},
		{name: "no colon", in: "HTTP/1.1 200 OK\r\nContent-Length 0\r\n\r\n"},
		{name: "cut header", in: "HTTP/1.1 200 OK\r\nContent-Le"},
		{name: "cut body", in: "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nsucc"},
		{name: "cut chunk", in: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nsu"},
		{name: "gzip", in: "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n"},
		{name: "long line", in: "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", readerSize) + "\r\n\r\n"},
		{name: "many headers", in: "HTTP/1.1 200 OK\r\n" + strings.Repeat("X: y\r\n", maxHeaders+1) + "Content-Length: 0\r\n\r\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			const next = "HTTP/1.1 200 OK"
			in := tc.in
			if tc.status != 0 {
				in += next
			}
			r := bufio.NewReaderSize(iotest.OneByteReader(strings.NewReader(in)), readerSize)
			a, err := readAnswer(r, make([]byte, 8))
			if tc.status == 0 {
				if err == nil {
					t.Fatalf("was taken: %+v", a)
				}
				return
			}
			if err != nil || a.status != tc.status || string(a.body) != tc.body || a.last != tc.last {
				t.Fatalf("got %+v %q, %v", a, a.body, err)
			}
			rest := make([]byte, len(next))
			if n, _ := r.Read(rest[:1]); n != 1 || rest[0] != 'H' {
				t.Error("it has read into the next answer, or not up to it")
			}
		})
	}
}

// FuzzReadAnswer compares with net/http, which takes everything that this takes.
func FuzzReadAnswer(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nsuccess"))
	f.Add([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nsuc\r\n0\r\n\r\n"))
	f.Add([]byte("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		a, err := readAnswer(bufio.NewReaderSize(bytes.NewReader(in), readerSize), nil)
		if err != nil {
			return
		}
		if a.status < 200 || a.status > 599 || len(a.body) > maxBody || len(a.body) > len(in) {
			t.Errorf("status %d, %d bytes", a.status, len(a.body))
		}
		resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(in)), nil)
		if err != nil {
			return // stricter about headers
		}
		defer resp.Body.Close()
		if resp.StatusCode != a.status {
			t.Errorf("status %d, want %d", a.status, resp.StatusCode)
		}
	})
}

// TestClientAgainstServer: what net/http answers is understood, on one connection
// and on another when that is closed.
func TestClientAgainstServer(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/close":
			w.Header().Set("Connection", "close")
		case "/cut":
			panic(http.ErrAbortHandler)
		case "/chunked":
			w.(http.Flusher).Flush()
		}
		_, _ = w.Write([]byte("from " + r.RemoteAddr))
	}))
	defer srv.Close()
	c := newClient(srv.Listener.Addr().String())
	defer c.close()
	ask := func(path string) (string, error) {
		a, err := c.do(t.Context(), []byte("GET "+path+" HTTP/1.1\r\nHost: x\r\n\r\n"))
		if err == nil && a.status != 200 {
			t.Fatal("status " + strconv.Itoa(a.status))
		}
		return string(a.body), err
	}
	var from []string
	for _, path := range []string{"/", "/chunked", "/close", "/"} {
		s, err := ask(path)
		if err != nil {
			t.Fatal(path, err)
		}
		from = append(from, s)
	}
	if from[0] != from[1] || from[1] != from[2] {
		t.Errorf("the connection was not kept: %q", from)
	}
	if from[3] == from[2] {
		t.Errorf("the closed connection was used: %q", from)
	}
	if _, err := ask("/cut"); err == nil || c.again != 1 {
		t.Errorf("cut: %v, sent again %d times, want once", err, c.again)
	}
	if _, err := ask("/"); err != nil {
		t.Errorf("after a cut: %v", err)
	}
}
