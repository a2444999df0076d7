package wechat

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"
)

// served is an answer with a content type.
func served(status int, contentType, body string) *http.Response {
	a := answer(body)
	a.StatusCode = status
	a.Header.Set("Content-Type", contentType)
	return a
}

// TestDownload: what is a file, what is an error, and what is an address.
func TestDownload(t *testing.T) {
	t.Parallel()
	const voice = "#!AMR\n\x3c\x00\x01"
	one := func(a *http.Response) func(int, *http.Request) (*http.Response, error) {
		return func(int, *http.Request) (*http.Response, error) { return a, nil }
	}
	for _, tc := range []struct {
		name string
		call func(n int, r *http.Request) (*http.Response, error)
		want string // the file
		code int    // or WeChat's error
		fail string // or a transport error
	}{
		{name: "file", call: one(served(200, "audio/amr", voice)), want: voice},
		{name: "file without a type", call: one(answer(voice)), want: voice},
		{name: "file as text", call: one(served(200, "text/plain", voice)), want: voice},
		{name: "error as JSON", call: one(served(200, "application/json", `{"errcode":40007,"errmsg":"invalid media_id"}`)), code: 40007},
		{name: "error as text", call: one(served(200, "text/plain", " \n"+`{"errcode":48001,"errmsg":"api unauthorized"}`)), code: 48001},
		{name: "error as a file", call: one(served(200, "image/jpeg", `{"errcode":-1,"errmsg":"system error"}`)), code: -1},
		{name: "JSON of another kind", call: one(answer(`{"type":"video"}`)), fail: "neither a file nor an address"},
		{name: "JSON cut off", call: one(answer(`{"errcode":400`)), fail: "not the expected JSON"},
		{name: "nothing", call: one(answer("")), fail: "the answer is empty"},
		{name: "status", call: one(served(502, "text/html", "<html>bad gateway</html>")), fail: "HTTP status 502"},
		{name: "no connection", call: func(int, *http.Request) (*http.Response, error) { return nil, io.ErrUnexpectedEOF }, fail: "the connection was cut"},
		{name: "renewed token", call: func(n int, r *http.Request) (*http.Response, error) {
			if n == 1 {
				return answer(`{"errcode":42001,"errmsg":"access_token expired"}`), nil
			}
			if got := r.URL.Query().Get("access_token"); got != "TOKEN-2" {
				return nil, errors.New("token " + got)
			}
			return answer(voice), nil
		}, want: voice},
		{name: "video", call: func(n int, r *http.Request) (*http.Response, error) {
			if n == 1 {
				return served(200, "text/plain", `{"video_url":"http://video.example/v.mp4?key=1"}`), nil
			}
			if r.URL.String() != "http://video.example/v.mp4?key=1" || strings.Contains(r.URL.RawQuery, "token") {
				return nil, errors.New("asked for " + r.URL.String())
			}
			return served(200, "video/mp4", "film"), nil
		}, want: "film"},
		{name: "video that is gone", call: func(n int, _ *http.Request) (*http.Response, error) {
			if n == 1 {
				return answer(`{"video_url":"http://video.example/v.mp4?key=s3cret"}`), nil
			}
			return served(404, "text/html", "not found"), nil
		}, fail: "HTTP status 404"},
		{name: "video that is moved", call: func(n int, _ *http.Request) (*http.Response, error) {
			if n == 1 {
				return answer(`{"video_url":"http://video.example/v.mp4"}`), nil
			}
			a := served(302, "text/html", "")
			a.Header.Set("Location", "http://169.254.169.254/")
			return a, nil
		}, fail: "HTTP status 302"},
		{name: "video of a video", call: one(answer(`{"video_url":"http://video.example/v.mp4"}`)), fail: "leads to another address"},
		{name: "video in a file", call: one(answer(`{"video_url":"file:///etc/passwd"}`)), fail: "malformed"},
		{name: "video with a password", call: one(answer(`{"video_url":"http://a:s3cret@video.example/"}`)), fail: "malformed"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			cl := &cloud{call: func(n int, r *http.Request) (*http.Response, error) {
				a, err := tc.call(n, r)
				if a != nil { // answers are read more than once
					b, _ := io.ReadAll(a.Body)
					c := *a
					a.Body, c.Body = io.NopCloser(bytes.NewReader(b)), io.NopCloser(bytes.NewReader(b))
					a = &c
				}
				return a, err
			}}
			d, err := mustClient(t, cl).Download(t.Context(), "m1", 100)
			var got []byte
			if err == nil {
				got, err = io.ReadAll(d)
				d.Close()
			}
			var refused *Error
			var broken *TransportError
			switch {
			case tc.code != 0:
				if !errors.As(err, &refused) || refused.Code != tc.code {
					t.Errorf("error %v, want code %d", err, tc.code)
				}
			case tc.fail != "":
				if !errors.As(err, &broken) || !strings.Contains(err.Error(), tc.fail) || broken.Ambiguous() {
					t.Errorf("error %v, want a transport error about %q", err, tc.fail)
				}
			case err != nil || string(got) != tc.want:
				t.Errorf("got %q, %v", got, err)
			}
			if err != nil && strings.Contains(err.Error(), "s3cret") {
				t.Errorf("the error tells too much: %v", err)
			}
		})
	}
	if _, err := mustClient(t, &cloud{}).Download(t.Context(), "", 100); !errors.Is(err, ErrMessage) {
		t.Errorf("no media id: %v", err)
	}
}

// TestDownloadBounds: a file is read up to its limit and no further, and a
// connection that breaks is no end of file.
func TestDownloadBounds(t *testing.T) {
	t.Parallel()
	body := func(r io.Reader) *cloud {
		return &cloud{call: func(int, *http.Request) (*http.Response, error) {
			a := answer("")
			a.Body = io.NopCloser(r)
			return a, nil
		}}
	}
	for _, tc := range []struct {
		name string
		from io.Reader
		fail error
	}{
		{"as large as may be", bytes.NewReader(make([]byte, 10_000)), nil},
		{"one byte more", bytes.NewReader(make([]byte, 10_001)), ErrTooLarge},
		{"endless", iotest.OneByteReader(endless{}), ErrTooLarge},
		{"cut off", io.MultiReader(bytes.NewReader(make([]byte, 5_000)), iotest.ErrReader(io.ErrUnexpectedEOF)), &TransportError{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			d, err := mustClient(t, body(tc.from)).Download(t.Context(), "m1", 10_000)
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			got, err := io.ReadAll(d)
			var broken *TransportError
			switch {
			case tc.fail == nil && (err != nil || len(got) != 10_000):
				t.Errorf("%d bytes, %v", len(got), err)
			case errors.As(tc.fail, &broken):
				if !errors.As(err, &broken) {
					t.Errorf("error %v", err)
				}
			case tc.fail != nil && !errors.Is(err, tc.fail):
				t.Errorf("error %v, want %v", err, tc.fail)
			}
		})
	}
}

type endless struct{}

func (endless) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = 'x'
	}
	return len(b), nil
}

// slow delivers a byte now and then.
type slow struct {
	ctx   context.Context
	every time.Duration
	n     int
}

func (s *slow) Read(b []byte) (int, error) {
	if s.n--; s.n < 0 {
		return 0, io.EOF
	}
	select {
	case <-time.After(s.every):
		b[0] = 'x'
		return 1, nil
	case <-s.ctx.Done():
		return 0, s.ctx.Err()
	}
}

// TestDownloadStalls: what stands still is given up, what goes on slowly is not.
func TestDownloadStalls(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name  string
		token time.Duration // until there is one
		every time.Duration // between bytes
		head  time.Duration // until the answer begins
		takes time.Duration
		fail  bool
	}{
		{name: "slow", every: 3 * time.Second, takes: 30 * time.Second},
		{name: "stands still", every: time.Minute, takes: stall, fail: true},
		{name: "no answer", head: time.Minute, takes: stall, fail: true},
		{name: "no token", token: 8 * time.Second, takes: stall, fail: true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				pause := func(r *http.Request, d time.Duration) error {
					select {
					case <-time.After(d):
						return nil
					case <-r.Context().Done():
						return r.Context().Err()
					}
				}
				cl := &cloud{
					token: func(_ int, r *http.Request) (*http.Response, error) {
						return answer(`{"access_token":"T","expires_in":7200}`), pause(r, tc.token)
					},
					call: func(_ int, r *http.Request) (*http.Response, error) {
						a := answer("")
						a.Body = io.NopCloser(&slow{r.Context(), tc.every, 10})
						return a, pause(r, tc.head)
					},
				}
				c := mustClient(t, cl)
				defer c.Close()
				began := time.Now()
				d, err := c.Download(t.Context(), "m1", 100)
				var got []byte
				if err == nil {
					got, err = io.ReadAll(d)
					d.Close()
				}
				if took := time.Since(began); took != tc.takes {
					t.Errorf("it took %v, want %v", took, tc.takes)
				}
				if tc.fail != errors.Is(err, context.DeadlineExceeded) || !tc.fail && (err != nil || len(got) != 10) {
					t.Errorf("%d bytes, %v", len(got), err)
				}
			})
		})
	}
}

// FuzzDownload: whatever comes as an answer, it is a file of at most the size asked for, or an
// error of this package.
func FuzzDownload(f *testing.F) {
	for _, seed := range []string{"", "{", "#!AMR\n", `{"errcode":40007,"errmsg":"x"}`, ` {"video_url":"http://v.example/1"}`, `{"video_url":"%"}`} {
		f.Add([]byte(seed), 200)
	}
	f.Add([]byte("<html>"), 502)
	f.Fuzz(func(t *testing.T, body []byte, status int) {
		cl := &cloud{call: func(int, *http.Request) (*http.Response, error) {
			return served(status, "text/plain", string(body)), nil
		}}
		d, err := mustClient(t, cl).Download(t.Context(), "m1", 100)
		var got []byte
		if err == nil {
			got, err = io.ReadAll(d)
			d.Close()
		}
		var refused *Error
		var broken *TransportError
		switch {
		case err == nil && (len(got) > 100 || !bytes.Equal(got, body)):
			t.Errorf("%d of %d bytes", len(got), len(body))
		case err != nil && !errors.As(err, &refused) && !errors.As(err, &broken) && err != ErrTooLarge:
			t.Errorf("error %v", err)
		}
	})
}
