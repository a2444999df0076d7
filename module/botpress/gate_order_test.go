package botpress

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// state is how many wait, and whether a timer runs.
func (g *gate) state() (waiting int, timer bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.queue.Len(), g.timer != nil
}

// Many more lanes than a window has room for: none is refused, all are served, and a lane that comes back at once does
// not overtake those that wait.
func TestGateIsFair(t *testing.T) {
	const limit, window, lanes = 3, 2 * time.Second, 20
	synctest.Test(t, func(t *testing.T) {
		var begin time.Time
		used, refused := 0, 0
		c, f := limited(t, func(int) (int, map[string]string) {
			if now := time.Now(); now.Sub(begin) >= window {
				begin, used = now, 0
			}
			used++
			header := map[string]string{
				"RateLimit-Limit":     fmt.Sprint(limit),
				"RateLimit-Remaining": fmt.Sprint(max(limit-used, 0)),
				"RateLimit-Reset":     fmt.Sprint((window - time.Since(begin)).Seconds()),
			}
			if used > limit {
				refused++
				return 429, header
			}
			return 200, header
		})
		for range limit { // from here on the limit is known, and used up
			if err := ping(t.Context(), c, -1); err != nil {
				t.Fatal(err)
			}
		}
		var wg sync.WaitGroup
		for n := range lanes {
			wg.Go(func() {
				for again := range 2 {
					if err := ping(t.Context(), c, 100*again+n); err != nil {
						t.Error(err)
					}
				}
			})
			synctest.Wait()
		}
		wg.Wait()
		if refused > 0 {
			t.Errorf("%d calls were refused", refused)
		}
		// Within one window calls go side by side; from one to the next the order holds.
		for i, body := range f.bodies[limit:] {
			var got struct{ Payload struct{ N int } }
			if err := json.Unmarshal([]byte(body), &got); err != nil {
				t.Fatal(err)
			}
			place := got.Payload.N
			if place >= 100 {
				place += lanes - 100
			}
			if i-place > 2*limit || place-i > 2*limit {
				t.Errorf("call %d was served at place %d", place, i)
			}
		}
		if last := f.times[len(f.times)-1]; last != 28*time.Second { // 43 calls, 3 every 2 s
			t.Errorf("took %v", last)
		}
	})
}

func TestGateWaitersPassInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(time.Now)
		seq, _ := g.enter(t.Context())
		g.heard(seq, 429, http.Header{"Retry-After": {"3"}})
		type pass struct {
			who int
			seq uint64
		}
		passes := make(chan pass, 100)
		cancels := make([]context.CancelFunc, 20)
		for i := range 20 {
			ctx, cancel := context.WithCancel(t.Context())
			cancels[i] = cancel
			go func() {
				if seq, err := g.enter(ctx); err == nil {
					passes <- pass{i, seq}
				} else if !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
			}()
			synctest.Wait()
		}
		for _, i := range []int{0, 7, 19} { // first, middle, last go away
			cancels[i]()
		}
		synctest.Wait()
		if n, _ := g.state(); n != 17 {
			t.Errorf("%d wait, want 17", n)
		}
		time.Sleep(3 * time.Second)
		synctest.Wait()
		close(passes)
		var got []pass
		for p := range passes {
			got = append(got, p)
		}
		slices.SortFunc(got, func(a, b pass) int { return cmp.Compare(a.seq, b.seq) })
		if len(got) != 17 || !slices.IsSortedFunc(got, func(a, b pass) int { return a.who - b.who }) {
			t.Errorf("passed: %v", got)
		}
		if _, timer := g.state(); timer {
			t.Error("a timer is left though nobody waits")
		}
		for _, cancel := range cancels {
			cancel()
		}
	})
}

// Between the gate's opening and its timer's firing, a newcomer must not overtake those that wait.
func TestGateNewcomerDoesNotOvertake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ahead time.Duration
		g := newGate(func() time.Time { return time.Now().Add(ahead) })
		seq, _ := g.enter(t.Context())
		g.heard(seq, 429, http.Header{"Retry-After": {"3"}})
		waited := make(chan uint64, 1)
		go func() { seq, _ := g.enter(t.Context()); waited <- seq }()
		synctest.Wait()
		g.mu.Lock()
		ahead = 3 * time.Second // the timer has not noticed
		g.mu.Unlock()
		newcomer, err := g.enter(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if first := <-waited; first > newcomer {
			t.Errorf("the newcomer was number %d, the waiter %d", newcomer, first)
		}
	})
}

// An answer from a window gone by tells nothing of the present one.
func TestGateForgetsOldWindows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(time.Now)
		used := func(left string) http.Header {
			return http.Header{"Ratelimit-Limit": {"5"}, "Ratelimit-Remaining": {left}, "Ratelimit-Reset": {"10"}}
		}
		slow, _ := g.enter(t.Context())
		slower, _ := g.enter(t.Context())
		quick, _ := g.enter(t.Context())
		g.heard(quick, 200, used("2"))
		time.Sleep(10 * time.Second)
		if g.mu.Lock(); g.closedFor() > 0 {
			t.Error("the new window is closed")
		}
		g.mu.Unlock()
		g.heard(slow, 200, used("0"))
		g.heard(slower, 200, http.Header{})
		for range 5 { // the size of a window
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			if _, err := g.enter(ctx); err != nil {
				t.Error(err)
			}
			cancel()
		}
		begin := time.Now()
		if _, err := g.enter(t.Context()); err != nil || time.Since(begin) < 9*time.Second {
			t.Errorf("the sixth call waited %v, %v", time.Since(begin), err)
		}
	})
}

// A waiter that is let through in the moment it gives up must not take the place of the next one.
func TestGatePlaceOfALeavingWaiterIsNotLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		given := 0
		for range 200 { // which of the two the waiter sees is up to chance
			g := newGate(time.Now)
			seq, _ := g.enter(t.Context())
			g.heard(seq, 200, http.Header{"Ratelimit-Remaining": {"0"}, "Ratelimit-Reset": {"9"}, "Ratelimit-Limit": {"1"}})
			ctx, cancel := context.WithCancel(t.Context())
			left := make(chan error, 1)
			go func() { _, err := g.enter(ctx); left <- err }()
			synctest.Wait()
			next := make(chan error, 1)
			go func() { _, err := g.enter(t.Context()); next <- err }()
			synctest.Wait()
			g.mu.Lock()
			cancel()
			g.remaining = 1 // room for one
			g.pump()
			g.mu.Unlock()
			if <-left == nil {
				g.heard(2, 200, http.Header{"Ratelimit-Remaining": {"1"}, "Ratelimit-Reset": {"9"}})
			} else {
				given++
			}
			begin := time.Now()
			if err := <-next; err != nil || time.Since(begin) > 0 {
				t.Fatalf("the next one waited %v, %v", time.Since(begin), err)
			}
			if g.flying != 1 {
				t.Fatalf("%d calls are under way, want 1", g.flying)
			}
		}
		if given == 0 {
			t.Error("the case never came up")
		}
	})
}

// A transport that panics ends its call all the same.
func TestPanickingTransportIsCountedOff(t *testing.T) {
	c := newTestClient(t, "http://h", func(cfg *Config) {
		cfg.HTTP = &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) { panic("x") })}
	})
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		_ = c.Hello(t.Context())
	}()
	if c.gate.flying != 0 {
		t.Errorf("%d calls are under way", c.gate.flying)
	}
}
