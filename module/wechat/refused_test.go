package wechat

import (
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestRefusedToken(t *testing.T) {
	for _, code := range []int{40001, 40014, 42001} {
		refuse := fmt.Sprintf(`{"errcode":%d,"errmsg":"invalid"}`, code)
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			cl := &cloud{call: func(_ int, r *http.Request) (*http.Response, error) {
				if r.URL.Query().Get("access_token") == "TOKEN-1" {
					return answer(refuse), nil
				}
				return answer(okJSON), nil
			}}
			c := mustClient(t, cl)
			for range 2 {
				if err := c.Send(t.Context(), "oA", TextMessage("a")); err != nil {
					t.Fatal(err)
				}
			}
			if got := cl.asked(); got != [2]int{2, 3} {
				t.Errorf("asked %v; want 2 for a token, 3 to send", got)
			}
		})
		t.Run(fmt.Sprint(code, " again"), func(t *testing.T) {
			cl := &cloud{call: func(int, *http.Request) (*http.Response, error) { return answer(refuse), nil }}
			err := mustClient(t, cl).Send(t.Context(), "oA", TextMessage("a"))
			var e *Error
			if !errors.As(err, &e) || e.Code != code || e.Action() != ActionRefresh {
				t.Errorf("error = %v", err)
			}
			if got := cl.asked(); got != [2]int{2, 2} {
				t.Errorf("asked %v; want one refresh and one retry", got)
			}
		})
	}
	t.Run("other codes", func(t *testing.T) {
		cl := &cloud{call: func(int, *http.Request) (*http.Response, error) {
			return answer(`{"errcode":-1,"errmsg":"busy"}`), nil
		}}
		var e *Error
		if err := mustClient(t, cl).Send(t.Context(), "oA", TextMessage("a")); !errors.As(err, &e) || e.Code != -1 {
			t.Errorf("error = %v", err)
		}
		if got := cl.asked(); got != [2]int{1, 1} {
			t.Errorf("asked %v; want no retry", got)
		}
	})
	t.Run("no other to be had", func(t *testing.T) {
		cl := &cloud{
			call: func(int, *http.Request) (*http.Response, error) { return answer(`{"errcode":40001}`), nil },
			token: func(n int, _ *http.Request) (*http.Response, error) {
				if n > 1 {
					return answer(`{"errcode":40125}`), nil
				}
				return answer(fmt.Sprintf(tokenJSON, n)), nil
			},
		}
		var e *Error
		if err := mustClient(t, cl).Send(t.Context(), "oA", TextMessage("a")); !errors.As(err, &e) || e.Code != 40125 || e.Action() != ActionHold {
			t.Errorf("error = %v", err)
		}
	})
}

// TestRefusedTokenTogether: calls that fail with the same token renew it once, and
// one that fails with a token already replaced does not renew it at all.
func TestRefusedTokenTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		late := make(chan struct{})
		cl := &cloud{}
		cl.call = func(_ int, r *http.Request) (*http.Response, error) {
			if r.URL.Query().Get("access_token") != "TOKEN-1" {
				return answer(okJSON), nil
			}
			if r.URL.Path == pathTyping {
				<-late
			}
			time.Sleep(time.Second)
			return answer(`{"errcode":40001,"errmsg":"not latest"}`), nil
		}
		c := mustClient(t, cl)
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				if err := c.Send(t.Context(), "oA", TextMessage("a")); err != nil {
					t.Error(err)
				}
			})
		}
		straggler := make(chan error)
		go func() { straggler <- c.Typing(t.Context(), "oA", true) }()
		wg.Wait()
		if got := cl.asked()[0]; got != 2 {
			t.Errorf("%d requests for a token, want 2", got)
		}
		close(late)
		if err := <-straggler; err != nil {
			t.Error(err)
		}
		if got := cl.asked()[0]; got != 2 {
			t.Errorf("%d requests for a token after the straggler, want 2", got)
		}
	})
}
