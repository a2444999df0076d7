package bridge

import (
	"bytes"
	"fmt"
	"image"
	"image/png"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func testPNG(t *testing.T) []byte {
	t.Helper()
	var buf bytes.Buffer
	if err := png.Encode(&buf, image.NewGray(image.Rect(0, 0, 4, 4))); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

func newTestFetcher(t *testing.T, m MediaSettings) *fetcher {
	t.Helper()
	if m.MaxSize == 0 {
		m.MaxSize = 1 << 20
	}
	f := newFetcher(m, "test")
	t.Cleanup(f.close)
	return f
}

// TestFetchImage fetches from a server that does what servers do.
func TestFetchImage(t *testing.T) {
	t.Parallel()
	picture := testPNG(t)
	flaky := 0
	mux := http.NewServeMux()
	mux.HandleFunc("/ok", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/octet-stream") // the type is told by the content
		_, _ = w.Write(picture)
	})
	mux.HandleFunc("/html", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "image/png")
		_, _ = w.Write([]byte("<html><body>not a picture</body></html>"))
	})
	mux.HandleFunc("/big", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(append(picture, make([]byte, 2<<20)...))
	})
	mux.HandleFunc("/flaky", func(w http.ResponseWriter, _ *http.Request) {
		if flaky++; flaky == 1 {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		_, _ = w.Write(picture)
	})
	mux.HandleFunc("/broken", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	mux.HandleFunc("/cut", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000000")
		_, _ = w.Write(picture)
	})
	mux.HandleFunc("/redirect/", func(w http.ResponseWriter, r *http.Request) {
		var n int
		_, _ = fmt.Sscanf(r.URL.Path, "/redirect/%d", &n)
		to := "/ok"
		if n > 1 {
			to = fmt.Sprintf("/redirect/%d", n-1)
		}
		http.Redirect(w, r, to, http.StatusFound)
	})
	mux.HandleFunc("/elsewhere", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "file:///etc/passwd", http.StatusFound)
	})
	srv := httptest.NewServer(mux)
	defer srv.Close()

	f := newTestFetcher(t, MediaSettings{Allow: loopback})
	for _, tc := range []struct {
		path string
		fail string // in the error; empty: the picture is had
	}{
		{"/ok", ""},
		{"/flaky", ""},
		{"/redirect/3", ""},
		{"/redirect/4", "too many redirects"},
		{"/html", "text/html"},
		{"/big", "larger than"},
		{"/missing", "404"},
		{"/broken", "500"},
		{"/cut", "unexpected EOF"},
		{"/elsewhere", "not an http address"},
	} {
		t.Run(tc.path, func(t *testing.T) {
			got, err := f.image(t.Context(), srv.URL+tc.path+"?token=s3cret")
			switch {
			case tc.fail == "" && (err != nil || got.name != "image.png" || !bytes.Equal(got.data, picture)):
				t.Errorf("got %q, %d bytes, %v", got.name, len(got.data), err)
			case tc.fail != "" && (err == nil || !strings.Contains(err.Error(), tc.fail)):
				t.Errorf("error %v, want one about %q", err, tc.fail)
			case err != nil && strings.Contains(err.Error(), "s3cret"):
				t.Errorf("the error shows the query: %v", err)
			}
		})
	}
	for _, from := range []string{"", "not a URL", "ftp://127.0.0.1/x", "file:///etc/passwd", "http://", "http://[::1", "data:image/png;base64,AAAA"} {
		if _, err := f.image(t.Context(), from); err == nil {
			t.Errorf("%q was fetched", from)
		}
	}
}

// TestFetchPrivate: nothing inside the operator's network is fetched.
func TestFetchPrivate(t *testing.T) {
	t.Parallel()
	hit := false
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hit = true }))
	defer srv.Close()
	port := srv.URL[strings.LastIndex(srv.URL, ":"):]
	f := newTestFetcher(t, MediaSettings{})
	for _, host := range []string{
		"127.0.0.1", "localhost", "0.0.0.0", "10.0.0.1", "192.168.1.1", "172.16.0.1", "169.254.169.254", "100.64.0.1",
		"[::1]", "[::ffff:127.0.0.1]", "[fc00::1]", "[fe80::1]", "2130706433", "0177.0.0.1", "0x7f.1",
	} {
		began := time.Now()
		_, err := f.image(t.Context(), "http://"+host+port+"/")
		if err == nil || hit {
			t.Errorf("%s was fetched", host)
		}
		if time.Since(began) > 3*time.Second {
			t.Errorf("%s was dialled: refused only after %v", host, time.Since(began))
		}
	}
}

// TestFetchDeadline: a server that does not answer is given up.
func TestFetchDeadline(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	defer srv.Close()
	defer close(release)
	began := time.Now()
	if _, err := newTestFetcher(t, MediaSettings{Allow: loopback}).image(t.Context(), srv.URL); err == nil {
		t.Error("something was fetched")
	}
	if took := time.Since(began); took > fetchTime+2*time.Second {
		t.Errorf("it took %v", took)
	}
}
