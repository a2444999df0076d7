package mediafile

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

const testMax = 1 << 20

func newTestFetcher(t *testing.T, c Config) *Fetcher {
	t.Helper()
	c.Allow, c.UserAgent = loopback, "test/1"
	if c.MaxSize == 0 {
		c.MaxSize = testMax
	}
	f := New(c)
	t.Cleanup(f.Close)
	return f
}

func zipped(t *testing.T, r io.Reader) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := io.Copy(z, r); err != nil {
		t.Fatal(err)
	}
	z.Close()
	return b.Bytes()
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

var content = []byte("what was fetched")

// server does what servers do. The second value counts requests.
func server(t *testing.T) (*httptest.Server, *atomic.Int32) {
	t.Helper()
	var hits atomic.Int32
	mux := http.NewServeMux()
	handle := func(path string, h http.HandlerFunc) {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) { hits.Add(1); h(w, r) })
	}
	whole(t, handle)
	faulty(handle)
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	return srv, &hits
}

// whole files, and what is too large.
func whole(t *testing.T, handle func(string, http.HandlerFunc)) {
	t.Helper()
	bomb := zipped(t, io.LimitReader(zeros{}, 64<<20))
	small := zipped(t, bytes.NewReader(content))
	handle("/ok", func(w http.ResponseWriter, r *http.Request) {
		if r.UserAgent() != "test/1" || r.Referer() != "" || r.Header.Get("Accept-Encoding") != "identity" {
			w.WriteHeader(http.StatusTeapot)
		}
		_, _ = w.Write(content)
	})
	handle("/empty", func(http.ResponseWriter, *http.Request) {})
	handle("/chunked", func(w http.ResponseWriter, _ *http.Request) {
		_ = http.NewResponseController(w).Flush()
		_, _ = w.Write(content)
	})
	handle("/exact", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, testMax)) })
	handle("/exact-chunked", func(w http.ResponseWriter, _ *http.Request) {
		_ = http.NewResponseController(w).Flush()
		_, _ = w.Write(make([]byte, testMax))
	})
	handle("/large", func(w http.ResponseWriter, _ *http.Request) {
		_ = http.NewResponseController(w).Flush()
		_, _ = w.Write(make([]byte, testMax+1))
	})
	handle("/endless", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.Copy(w, zeros{}) })
	handle("/declared", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(testMax+1))
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	handle("/gzip", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(small)
	})
	handle("/bomb", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(bomb)
	})
	handle("/brotli", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "br")
		_, _ = w.Write(content)
	})
}

// faulty answers, and redirects.
func faulty(handle func(string, http.HandlerFunc)) {
	flaky := map[string]*atomic.Int32{"/flaky": {}, "/cut-once": {}}
	handle("/flaky", func(w http.ResponseWriter, _ *http.Request) {
		if flaky["/flaky"].Add(1) == 1 {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		_, _ = w.Write(content)
	})
	handle("/cut-once", func(w http.ResponseWriter, _ *http.Request) {
		if flaky["/cut-once"].Add(1) == 1 {
			w.Header().Set("Content-Length", "1000")
		}
		_, _ = w.Write(content)
	})
	handle("/broken", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	handle("/limited", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTooManyRequests) })
	handle("/cut", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		_, _ = w.Write(content)
	})
	handle("/nonsense", func(w http.ResponseWriter, _ *http.Request) {
		c, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			_, _ = c.Write([]byte("s3cret nonsense\r\n\r\n"))
			c.Close()
		}
	})
	handle("/redirect/", func(w http.ResponseWriter, r *http.Request) {
		var n int
		_, _ = fmt.Sscanf(r.URL.Path, "/redirect/%d", &n)
		to := "/ok"
		if n > 1 {
			to = fmt.Sprintf("/redirect/%d", n-1)
		}
		http.Redirect(w, r, to, http.StatusFound)
	})
	handle("/to", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", r.URL.Query().Get("u"))
		w.WriteHeader(http.StatusFound)
	})
}

var errAny = errors.New("any error")

// TestFetch fetches from a server that does what servers do. Afterwards all memory
// is free again, and no error tells the address.
func TestFetch(t *testing.T) {
	t.Parallel()
	srv, hits := server(t)
	memory := NewMemory(2 * testMax)
	f := newTestFetcher(t, Config{Memory: memory, Timeout: 5 * time.Second})
	for _, tc := range []struct {
		path  string
		bytes int // of the file
		err   error
		tries int32
	}{
		{"/ok", len(content), nil, 1},
		{"/empty", 0, nil, 1},
		{"/chunked", len(content), nil, 1},
		{"/exact", testMax, nil, 1},
		{"/exact-chunked", testMax, nil, 1},
		{"/large", 0, ErrTooLarge, 1},
		{"/endless", 0, ErrTooLarge, 1},
		{"/declared", 0, ErrTooLarge, 1},
		{"/gzip", len(content), nil, 1},
		{"/bomb", 0, ErrTooLarge, 1},
		{"/brotli", 0, ErrFormat, 1},
		{"/flaky", len(content), nil, 2},
		{"/cut-once", len(content), nil, 2},
		{"/broken", 0, ErrStatus, 2},
		{"/limited", 0, ErrStatus, 2},
		{"/missing", 0, ErrStatus, 0},
		{"/cut", 0, io.ErrUnexpectedEOF, 2},
		{"/nonsense", 0, errAny, 2},
		{"/redirect/3", len(content), nil, 4},
		{"/redirect/4", 0, ErrStatus, 4},
		{"/to?u=file:///etc/passwd", 0, ErrAddress, 1},
		{"/to?u=ftp://127.0.0.1/s3cret", 0, ErrAddress, 1},
		{"/to?u=http://user:s3cret@127.0.0.1/", 0, ErrAddress, 1},
		{"/to?u=http://[s3cret", 0, errAny, 2},
		{"/to?u=", 0, errAny, 1},
	} {
		t.Run(tc.path, func(t *testing.T) {
			hits.Store(0)
			sep := "?"
			if strings.Contains(tc.path, "?") {
				sep = "&"
			}
			file, err := f.Fetch(t.Context(), srv.URL+tc.path+sep+"token=s3cret")
			if !errors.Is(err, tc.err) && (err == nil || !errors.Is(tc.err, errAny)) {
				t.Errorf("error %v, want %v", err, tc.err)
			}
			if err == nil {
				if len(file.Data) != tc.bytes || tc.bytes == len(content) && !bytes.Equal(file.Data, content) {
					t.Errorf("%d bytes, want %d", len(file.Data), tc.bytes)
				}
				file.Close()
				file.Close()
			}
			harmless(t, err)
			if hits.Load() != tc.tries {
				t.Errorf("%d requests, want %d", hits.Load(), tc.tries)
			}
			if !memory.free.TryAcquire(2 * testMax) {
				t.Fatal("memory was not given back")
			}
			memory.free.Release(2 * testMax)
		})
	}
}

// harmless checks that an error can be logged.
func harmless(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		return
	}
	for _, part := range []string{"s3cret", "127.0.0.1", "localhost", "http:/", "https:/", "token"} {
		if strings.Contains(err.Error(), part) {
			t.Errorf("the error tells of the address: %v", err)
		}
	}
}

func TestFetchAddress(t *testing.T) {
	t.Parallel()
	f := newTestFetcher(t, Config{})
	for _, from := range []string{
		"", "not a URL", "//127.0.0.1/x", "/x", "ftp://127.0.0.1/x", "file:///etc/passwd", "gopher://127.0.0.1/", "http://", "http://:80/",
		"http://[::1", "http:127.0.0.1", "data:image/png;base64,AAAA", "http://user:s3cret@127.0.0.1/", "http://user@127.0.0.1/",
		"http://127.0.0.1:s3cret/", "http://127.0.0.1/\x00", "http://127.0.0.1/%zz",
	} {
		_, err := f.Fetch(t.Context(), from)
		if !errors.Is(err, ErrAddress) {
			t.Errorf("%q: error %v, want ErrAddress", from, err)
		}
		harmless(t, err)
	}
}

// TestFetchTimeout: a server that does not come to an end is given up.
func TestFetchTimeout(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rc := http.NewResponseController(w)
		for r.URL.Path != "/silent" {
			_, _ = w.Write([]byte("."))
			_ = rc.Flush()
			select {
			case <-time.After(10 * time.Millisecond):
			case <-r.Context().Done():
				return
			}
		}
		<-r.Context().Done()
	}))
	t.Cleanup(srv.Close)
	f := newTestFetcher(t, Config{Timeout: 200 * time.Millisecond})
	for _, path := range []string{"/silent", "/drip"} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			_, err := f.Fetch(t.Context(), srv.URL+path)
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("error %v, want the deadline", err)
			}
			harmless(t, err)
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.Fetch(ctx, srv.URL); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
}

// TestFetchUnreachable: what stands in the way is told without the address.
func TestFetchUnreachable(t *testing.T) {
	t.Parallel()
	tls := httptest.NewUnstartedServer(http.NotFoundHandler())
	tls.Config.ErrorLog = nil
	tls.StartTLS()
	t.Cleanup(tls.Close)
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	f := newTestFetcher(t, Config{Resolver: newResolver(t, zone)})
	for _, tc := range []struct{ name, from, want string }{
		{"certificate", tls.URL, "not trusted"},
		{"nobody there", gone.URL, "refused"},
		{"no such name", "http://nowhere.test/?token=s3cret", "no such host"},
		{"TLS where there is none", strings.Replace(tls.URL, "https", "http", 1), "400"},
	} {
		_, err := f.Fetch(t.Context(), tc.from)
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: error %v, want one about %q", tc.name, err, tc.want)
		}
		harmless(t, err)
	}
}

// TestMemory: files that are not closed keep others waiting; those of unknown
// length keep only what they turned out to need.
func TestMemory(t *testing.T) {
	t.Parallel()
	srv, _ := server(t)
	memory := NewMemory(testMax)
	a := newTestFetcher(t, Config{Memory: memory, Timeout: 3 * time.Second})
	b := newTestFetcher(t, Config{Memory: memory})

	small, err := a.Fetch(t.Context(), srv.URL+"/chunked")
	if err != nil {
		t.Fatal(err)
	}
	if kept := int64(cap(small.Data)); !memory.free.TryAcquire(testMax - kept) {
		t.Error("more is reserved than the file takes")
	} else {
		memory.free.Release(testMax - kept)
	}
	if _, err := a.Fetch(t.Context(), srv.URL+"/exact"); !errors.Is(err, ErrBusy) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v, want ErrBusy for the deadline", err)
	}
	done := make(chan error)
	go func() {
		file, err := b.Fetch(t.Context(), srv.URL+"/exact")
		if err == nil {
			file.Close()
		}
		done <- err
	}()
	select {
	case err := <-done:
		t.Errorf("fetched without waiting: %v", err)
	case <-time.After(100 * time.Millisecond):
		small.Close()
		if err := <-done; err != nil {
			t.Errorf("once there is memory: %v", err)
		}
	}
	if got := New(Config{Memory: memory}).max; got != testMax {
		t.Errorf("files of up to %d bytes, more than the memory", got)
	}
}
