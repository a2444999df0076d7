package botpress

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// fakeLimit is a server without a network, in the time of a synctest bubble: it answers call n with answer(n).
type fakeLimit struct {
	mu     sync.Mutex
	start  time.Time
	bodies []string
	times  []time.Duration
	answer func(n int) (status int, header map[string]string)
}

func (f *fakeLimit) RoundTrip(r *http.Request) (*http.Response, error) {
	body, _ := io.ReadAll(r.Body)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.bodies = append(f.bodies, string(body))
	f.times = append(f.times, time.Since(f.start))
	status, header := f.answer(len(f.bodies))
	h := http.Header{}
	for k, v := range header {
		h.Set(k, v)
	}
	text := `{"event":{"id":"evt_1"}}`
	if status >= 400 {
		text = fmt.Sprintf(`{"type":"RateLimited","description":"slow down","status":%d}`, status)
	}
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(text))}, nil
}

func limited(t *testing.T, answer func(n int) (int, map[string]string)) (*Client, *fakeLimit) {
	f := &fakeLimit{start: time.Now(), answer: answer}
	return newTestClient(t, "http://h", func(cfg *Config) { cfg.HTTP = &http.Client{Transport: f} }), f
}

func ping(ctx context.Context, c *Client, n int) error {
	_, err := c.CreateEvent(ctx, "u", "c", map[string]int{"n": n})
	return err
}

// seconds are the times of the calls, rounded.
func (f *fakeLimit) seconds() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return fmt.Sprint(f.times)
}

func TestGateObeysHeaders(t *testing.T) {
	date := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) // synctest's beginning
	for name, tc := range map[string]struct {
		status int
		header map[string]string
		want   time.Duration // that the second call waits
	}{
		"silence":            {200, nil, 0},
		"plenty left":        {200, map[string]string{"RateLimit-Remaining": "599", "RateLimit-Reset": "60"}, 0},
		"last one left":      {200, map[string]string{"RateLimit-Remaining": "1", "RateLimit-Reset": "60"}, 0},
		"used up":            {200, map[string]string{"RateLimit-Limit": "600", "RateLimit-Remaining": "0", "RateLimit-Reset": "7"}, 7 * time.Second},
		"used up, fraction":  {200, map[string]string{"RateLimit-Remaining": "0", "RateLimit-Reset": "0.5"}, time.Second / 2},
		"used up, X names":   {200, map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "7"}, 7 * time.Second},
		"used up, no reset":  {200, map[string]string{"RateLimit-Remaining": "0"}, 0},
		"reset alone":        {200, map[string]string{"RateLimit-Reset": "7"}, 0},
		"Retry-After on 200": {200, map[string]string{"Retry-After": "4"}, 4 * time.Second},
		"Retry-After on 503": {503, map[string]string{"Retry-After": "4"}, 4 * time.Second},
		"503, reset alone":   {503, map[string]string{"RateLimit-Reset": "7"}, 0},
		"500":                {500, nil, 0},

		"429, RateLimit-Reset first": {429, map[string]string{"RateLimit-Reset": "3", "X-RateLimit-Reset": "5", "Retry-After": "9"}, 3 * time.Second},
		"429, X-RateLimit-Reset":     {429, map[string]string{"X-RateLimit-Reset": "5", "Retry-After": "9"}, 5 * time.Second},
		"429, Unix time":             {429, map[string]string{"X-RateLimit-Reset": fmt.Sprint(date.Add(6 * time.Second).Unix())}, 6 * time.Second},
		"429, Unix milliseconds":     {429, map[string]string{"X-RateLimit-Reset": fmt.Sprint(date.Add(6 * time.Second).UnixMilli())}, 6 * time.Second},
		"429, Retry-After":           {429, map[string]string{"Retry-After": "9"}, 9 * time.Second},
		"429, date":                  {429, map[string]string{"Retry-After": date.Add(11 * time.Second).Format(http.TimeFormat)}, 11 * time.Second},
		"429, date, server's clock off": {429, map[string]string{
			"Date":        date.Add(time.Hour).Format(http.TimeFormat),
			"Retry-After": date.Add(time.Hour + 11*time.Second).Format(http.TimeFormat),
		}, 11 * time.Second},
		"429, date past":     {429, map[string]string{"Retry-After": date.Add(-time.Hour).Format(http.TimeFormat)}, time.Second},
		"429, zero":          {429, map[string]string{"RateLimit-Reset": "0"}, time.Second},
		"429, zero, then on": {429, map[string]string{"RateLimit-Reset": "0", "Retry-After": "2"}, 2 * time.Second},
		"429, nothing":       {429, nil, time.Second},
		"429, nonsense":      {429, map[string]string{"RateLimit-Reset": "soon", "Retry-After": "-3"}, time.Second},
		"429, for ever":      {429, map[string]string{"Retry-After": "99999999"}, maxPause},
		"429, NaN":           {429, map[string]string{"Retry-After": "NaN"}, time.Second},
		"429, infinite":      {429, map[string]string{"Retry-After": "1e300"}, maxPause},
		"429, parameters":    {429, map[string]string{"RateLimit-Reset": "3;w=60"}, 3 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, f := limited(t, func(n int) (int, map[string]string) {
					if n == 1 {
						return tc.status, tc.header
					}
					return 200, nil
				})
				err := ping(t.Context(), c, 1)
				if (err != nil) != (tc.status != 200) {
					t.Fatal(err)
				}
				if err != nil && tc.status == 429 {
					if e := asError(t, err); e.RetryAfter != tc.want || !e.Temporary() || e.Ambiguous() {
						t.Errorf("RetryAfter %v, want %v; %+v", e.RetryAfter, tc.want, verdictOf(e))
					}
				}
				if err := ping(t.Context(), c, 2); err != nil {
					t.Fatal(err)
				}
				if f.times[1] != tc.want {
					t.Errorf("second call after %v, want %v", f.times[1], tc.want)
				}
			})
		})
	}
}

// Pauses without headers grow with each refusal and start anew once a call gets through.
func TestGateCountsAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, f := limited(t, func(n int) (int, map[string]string) {
			if n == 4 || n > 5 {
				return 200, nil
			}
			return 429, nil
		})
		for n := range 6 {
			_ = ping(t.Context(), c, n)
		}
		if got, want := f.seconds(), "[0s 1s 3s 6s 6s 7s]"; got != want {
			t.Errorf("calls at %s, want %s", got, want)
		}
	})
}

// Calls under way together are refused together: that is one refusal.
func TestGateTakesABurstOf429sAsOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(time.Now)
		seqs := make([]uint64, 0, 50)
		for range 50 {
			seq, err := g.enter(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			seqs = append(seqs, seq)
		}
		for _, seq := range seqs {
			g.heard(seq, 429, http.Header{})
		}
		start := time.Now()
		if _, err := g.enter(t.Context()); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(start); d != time.Second {
			t.Errorf("waited %v for one burst", d)
		}
	})
}

// What is left is shared out among the calls under way, whatever order their answers come in.
func TestGateSharesWhatIsLeft(t *testing.T) {
	remaining := func(n int) http.Header {
		return http.Header{"Ratelimit-Remaining": {fmt.Sprint(n)}, "Ratelimit-Reset": {"10"}}
	}
	synctest.Test(t, func(t *testing.T) {
		g := newGate(time.Now)
		passed := func() (n int) { // how many pass at once
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			defer cancel()
			for n < 50 {
				if _, err := g.enter(ctx); err != nil {
					break
				}
				n++
			}
			return n
		}
		for range 4 {
			_, _ = g.enter(t.Context())
		}
		// Calls 1 to 4 are on their way.
		for _, step := range []struct {
			what string
			do   func()
			want int // that pass at once
		}{
			{"5 left, 3 flying", func() { g.heard(2, 200, remaining(5)) }, 2},           // 5, 6
			{"older, says more; 4 flying", func() { g.heard(1, 200, remaining(6)) }, 1}, // 7
			{"older, says less; 4 flying", func() { g.heard(4, 200, remaining(4)) }, 0},
			{"older, says less; 3 flying", func() { g.heard(3, 200, remaining(3)) }, 0},
			{"newer, says more; 2 flying", func() { g.heard(6, 200, remaining(4)) }, 2}, // 8, 9
			{"older, says nothing; 3 flying", func() { g.heard(5, 200, http.Header{}) }, 1},
			{"never sent", func() { g.lost(8, true) }, 1},
			{"may have arrived", func() { g.lost(7, false) }, 0},
			{"says nothing any more", func() { g.heard(9, 200, http.Header{}) }, 50},
		} {
			step.do()
			if n := passed(); n != step.want {
				t.Errorf("%s: %d passed, want %d", step.what, n, step.want)
			}
		}
		g.heard(g.passed, 200, remaining(0))
		if n := passed(); n != 0 {
			t.Errorf("%d passed with none left", n)
		}
		time.Sleep(10 * time.Second)
		for range 100 { // a new window, of which nothing is known
			if _, err := g.enter(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// The last waiter's going away leaves nothing behind, and the gate still opens on time.
func TestGateWaiterGoesAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, f := limited(t, func(n int) (int, map[string]string) {
			if n == 1 {
				return 429, map[string]string{"Retry-After": "60"}
			}
			return 200, nil
		})
		_ = ping(t.Context(), c, 1)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := ping(ctx, c, 2)
		e := asError(t, err)
		if !errors.Is(err, context.DeadlineExceeded) || !e.Unsent || verdictOf(e) != later {
			t.Errorf("%+v", e)
		}
		if n, timer := c.gate.state(); n != 0 || timer {
			t.Error("something is left of the waiter")
		}
		if err := ping(t.Context(), c, 3); err != nil {
			t.Fatal(err)
		}
		if got, want := f.seconds(), "[0s 1m0s]"; got != want {
			t.Errorf("calls at %s, want %s", got, want)
		}
	})
}

// Waiting at the gate does not use up the time of the call itself.
func TestTimeoutDoesNotCountTheGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := limited(t, func(n int) (int, map[string]string) {
			if n == 1 {
				return 429, map[string]string{"Retry-After": "300"}
			}
			return 200, nil
		})
		c.timeout = time.Second
		_ = ping(t.Context(), c, 1)
		if err := ping(t.Context(), c, 2); err != nil {
			t.Error(err)
		}
	})
}

// A 429 under a success status closes the gate as well.
func TestGateHearsRateLimitUnderSuccess(t *testing.T) {
	g := newGate(time.Now)
	c := newTestClient(t, "http://h", func(cfg *Config) {
		cfg.HTTP = &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) {
			body := `{"type":"RateLimited","description":"x","status":429}`
			return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}, nil
		})}
	})
	c.gate = g
	if e := asError(t, ping(t.Context(), c, 1)); e.RetryAfter != time.Second {
		t.Errorf("RetryAfter %v", e.RetryAfter)
	}
	if g.closedFor() == 0 {
		t.Error("the gate is open")
	}
}

func BenchmarkGateOpen(b *testing.B) {
	g := newGate(time.Now)
	h := http.Header{"Ratelimit-Remaining": {"500"}, "Ratelimit-Reset": {"60"}}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			seq, _ := g.enter(b.Context())
			g.heard(seq, 200, h)
		}
	})
}
