package wechat

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestTokenSingleFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		cl := &cloud{token: func(n int, r *http.Request) (*http.Response, error) {
			select {
			case <-release:
				return answer(fmt.Sprintf(tokenJSON, n)), nil
			case <-r.Context().Done():
				return nil, r.Context().Err()
			}
		}}
		c := mustClient(t, cl)
		// The first caller, for whom the request is made, gives up.
		first, cancel := context.WithCancel(t.Context())
		gaveUp := make(chan error)
		go func() {
			_, err := c.Token(first)
			gaveUp <- err
		}()
		synctest.Wait()
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				if got, err := c.Token(t.Context()); got != "TOKEN-1" || err != nil {
					t.Errorf("Token = %q, %v", got, err)
				}
			})
		}
		synctest.Wait()
		cancel()
		if err := <-gaveUp; !errors.Is(err, context.Canceled) {
			t.Errorf("the caller that gave up: %v", err)
		}
		close(release)
		wg.Wait()
		if got := cl.asked()[0]; got != 1 {
			t.Errorf("%d requests for a token, want 1", got)
		}
		if _, err := c.Token(first); !errors.Is(err, context.Canceled) {
			t.Errorf("canceled from the start: %v", err)
		}
	})
}

func TestTokenLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := time.Duration(0)
		fail := false
		cl := &cloud{}
		cl.token = func(n int, r *http.Request) (*http.Response, error) {
			select {
			case <-time.After(slow):
			case <-r.Context().Done():
				return nil, r.Context().Err()
			}
			if fail {
				return answer(`{"errcode":-1,"errmsg":"system error"}`), nil
			}
			return answer(fmt.Sprintf(tokenJSON, n)), nil
		}
		c := mustClient(t, cl)
		expect := func(when, token string, requests int) {
			t.Helper()
			got, err := c.Token(t.Context())
			synctest.Wait() // for a refresh in the background to be asked for
			if got != token || err != nil || cl.asked()[0] != requests {
				t.Errorf("%s: %q, %v after %d requests; want %q after %d", when, got, err, cl.asked()[0], token, requests)
			}
		}
		start := time.Now()
		until := func(d time.Duration) { time.Sleep(time.Until(start.Add(d))) }

		expect("at first", "TOKEN-1", 1)
		until(115*time.Minute - time.Second)
		expect("before the last five minutes", "TOKEN-1", 1)
		until(115 * time.Minute)
		slow = 5 * time.Second
		expect("renewal begins", "TOKEN-1", 2)
		expect("renewal goes on", "TOKEN-1", 2)
		time.Sleep(slow)
		synctest.Wait()
		expect("renewed", "TOKEN-2", 2)

		// The life counts from the request on: 115 min + 120 min.
		slow, fail = 0, true
		until(230 * time.Minute)
		expect("renewal fails", "TOKEN-2", 3)
		expect("no new attempt at once", "TOKEN-2", 3)
		time.Sleep(30 * time.Second)
		expect("a new attempt", "TOKEN-2", 4)
		until(235*time.Minute - time.Second)
		expect("still works", "TOKEN-2", 5)
		until(235 * time.Minute)
		var e *Error
		if _, err := c.Token(t.Context()); !errors.As(err, &e) || e.Code != -1 || e.Action() != ActionRetry {
			t.Errorf("expired and none to be had: %v", err)
		}
		fail = false
		expect("mended", "TOKEN-7", 7)
	})
}

// TestTokenShort: a token that comes with little life left is not asked for anew
// at each call.
func TestTokenShort(t *testing.T) {
	for _, life := range []int{1, 10, 60, 299, 300, 301, 330} {
		synctest.Test(t, func(t *testing.T) {
			cl := &cloud{token: func(n int, _ *http.Request) (*http.Response, error) {
				return answer(fmt.Sprintf(`{"access_token":"TOKEN-%d","expires_in":%d}`, n, life)), nil
			}}
			c := mustClient(t, cl)
			for range 100 {
				if got, err := c.Token(t.Context()); got != "TOKEN-1" || err != nil {
					t.Fatalf("life %d: %q, %v", life, got, err)
				}
				synctest.Wait()
			}
			if got := cl.asked()[0]; got != 1 {
				t.Errorf("life %d: %d requests", life, got)
			}
			time.Sleep(time.Duration(life) * time.Second)
			if got, err := c.Token(t.Context()); got != "TOKEN-2" || err != nil {
				t.Errorf("life %d, after it: %q, %v", life, got, err)
			}
		})
	}
}

func TestTokenRefusals(t *testing.T) {
	tests := []struct {
		name, answer string
		code         int // 0: a TransportError
		action       Action
	}{
		{"wrong secret", `{"errcode":40001,"errmsg":"invalid credential"}`, 40001, ActionHold},
		{"wrong secret, newer", `{"errcode":40125,"errmsg":"invalid appsecret"}`, 40125, ActionHold},
		{"unknown AppID", `{"errcode":40013,"errmsg":"invalid appid"}`, 40013, ActionHold},
		{"address", `{"errcode":40164,"errmsg":"invalid ip 192.0.2.7 ipv6 ::ffff:192.0.2.7, not in whitelist rid: 1-2-3"}`, 40164, ActionHold},
		{"busy", `{"errcode":-1,"errmsg":"busy"}`, -1, ActionRetry},
		{"per minute", `{"errcode":45011,"errmsg":"slow down"}`, 45011, ActionWait},
		{"per day", `{"errcode":45009,"errmsg":"quota"}`, 45009, ActionHold},
		{"a code nobody knows", `{"errcode":99999,"errmsg":"?"}`, 99999, ActionHold},
		{"no token", `{"expires_in":7200}`, 0, 0},
		{"no life", `{"access_token":"TOKEN-1"}`, 0, 0},
		{"life is over", `{"access_token":"TOKEN-1","expires_in":0}`, 0, 0},
		{"HTML", `<html></html>`, 0, 0},
		{"empty", ``, 0, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cl := &cloud{token: func(int, *http.Request) (*http.Response, error) { return answer(tt.answer), nil }}
			c := mustClient(t, cl)
			err := c.Send(t.Context(), "oA", TextMessage("a"))
			var e *Error
			var te *TransportError
			switch {
			case tt.code == 0:
				// Nothing was sent, whatever became of the token.
				if !errors.As(err, &te) || te.Ambiguous() || te.API != pathToken {
					t.Errorf("error = %v, want an unambiguous TransportError", err)
				}
			case !errors.As(err, &e) || e.Code != tt.code || e.Action() != tt.action || e.API != pathToken:
				t.Errorf("error = %v, want code %d and %v", err, tt.code, tt.action)
			case tt.action == ActionHold && e.Remedy() == "":
				t.Error("no remedy")
			}
			if got := cl.asked(); got != [2]int{1, 0} {
				t.Errorf("asked %v; want one request for a token and nothing else", got)
			}
		})
	}
}

func TestTokenLifeIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cl := &cloud{token: func(n int, _ *http.Request) (*http.Response, error) {
			return answer(fmt.Sprintf(`{"access_token":"TOKEN-%d","expires_in":9223372036854775807}`, n)), nil
		}}
		c := mustClient(t, cl)
		for i := range 3 {
			if got, err := c.Token(t.Context()); got != fmt.Sprintf("TOKEN-%d", i+1) || err != nil {
				t.Fatalf("%q, %v", got, err)
			}
			time.Sleep(23 * time.Hour)
			if got, err := c.Token(t.Context()); got != fmt.Sprintf("TOKEN-%d", i+1) || err != nil {
				t.Fatalf("an hour before its end: %q, %v", got, err)
			}
			time.Sleep(time.Hour)
		}
	})
}

func TestTokenPanic(t *testing.T) {
	cl := &cloud{token: func(n int, _ *http.Request) (*http.Response, error) {
		if n == 1 {
			panic("secret words")
		}
		return answer(fmt.Sprintf(tokenJSON, n)), nil
	}}
	c := mustClient(t, cl)
	if _, err := c.Token(t.Context()); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("error = %v", err)
	}
	if got, err := c.Token(t.Context()); got != "TOKEN-2" || err != nil {
		t.Errorf("afterwards: %q, %v", got, err)
	}
}

// TestTokenLate: a caller that found no token, but comes when the flight it would
// have joined is over, does not ask again.
func TestTokenLate(t *testing.T) {
	cl := &cloud{}
	c := mustClient(t, cl)
	c.token.set("TOKEN-0", time.Now(), time.Hour)
	if got, err := c.refresh(); got != "TOKEN-0" || err != nil || cl.asked()[0] != 0 {
		t.Errorf("refresh = %v, %v after %d requests", got, err, cl.asked()[0])
	}
}

func TestTokenTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cl := &cloud{token: func(_ int, r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		}}
		c := mustClient(t, cl)
		start := time.Now()
		_, err := c.Token(t.Context())
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 10*time.Second {
			t.Errorf("error = %v after %v", err, time.Since(start))
		}
	})
}

func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := false
		cl := &cloud{token: func(_ int, r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			time.Sleep(time.Second) // a transport that takes its time
			ended = true
			return nil, r.Context().Err()
		}}
		c := mustClient(t, cl)
		waiting := make(chan error, 1)
		go func() {
			_, err := c.Token(t.Context())
			waiting <- err
		}()
		synctest.Wait()
		start := time.Now()
		c.Close()
		if took := time.Since(start); !ended || took != time.Second {
			t.Errorf("Close took %v, the request has ended: %v", took, ended)
		}
		if err := <-waiting; err == nil {
			t.Error("the waiting caller got no error")
		}
		if _, err := c.Token(t.Context()); err == nil {
			t.Error("a token after Close")
		}
		if got := cl.asked()[0]; got != 1 {
			t.Errorf("%d requests, want none after Close", got)
		}
		c.Close() // again
	})
}
