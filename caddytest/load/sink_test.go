package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

func startSink(t *testing.T, hook string) *sink {
	t.Helper()
	s, err := newSink(hook)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.close)
	return s
}

// say has a user say something to a sink's bot, as the bridge would.
func say(ctx context.Context, s *sink, m message) error {
	body := fmt.Sprintf(`{"conversationId":"wx-%s","payload":{"type":"text","text":"load-%07d-%07d. hello"}}`, openID(m.user), m.user, m.seq)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.base+"/"+webhookID+"/messages", strings.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err == nil && !strings.Contains(string(b), `"createdAt"`) {
		err = errors.New(string(b))
	}
	return err
}

func TestSinkTempers(t *testing.T) {
	s := startSink(t, "")
	if err := say(t.Context(), s, message{0, 0}); err != nil || s.bot.distinct() != 1 {
		t.Fatalf("answering: %v, %d messages", err, s.bot.distinct())
	}

	s.be(down)
	if err := say(t.Context(), s, message{0, 1}); err == nil {
		t.Error("it answered while it was down")
	}

	s.be(holding)
	gone, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := say(gone, s, message{0, 1}); err == nil {
		t.Error("it answered while it was to hold")
	}
	answered := make(chan error, 1)
	go func() { answered <- say(t.Context(), s, message{0, 1}) }()
	select {
	case err := <-answered:
		t.Errorf("it answered while it was to hold: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	if n := s.bot.distinct(); n != 1 {
		t.Errorf("%d messages counted that were not answered", n-1)
	}
	s.be(answering)
	if err := <-answered; err != nil {
		t.Errorf("it was let go: %v", err)
	}
	// Whoever hung up is not counted.
	if got := s.bot.sum(); got != (tally{Distinct: 2}) {
		t.Errorf("got %+v", got)
	}
}

// TestPassive runs the scenario's client against a bridge that does what it is to
// do, and against one that does not.
func TestPassive(t *testing.T) {
	for _, tc := range []struct {
		name    string
		passive func(n int) bool // whether the push number n gets its reply as the answer
		support bool
	}{
		{"all", func(int) bool { return true }, true},
		{"half", func(n int) bool { return n%2 == 0 }, true},
		{"none", func(int) bool { return false }, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			sk := startSink(t, wanted)
			var mu sync.Mutex
			n := 0
			bridge := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				mu.Lock()
				n++
				passive := tc.passive(n)
				mu.Unlock()
				for m := range messagesIn(body) {
					sk.bot.note(m)
					if !passive {
						sk.seen.note(m)
						_, _ = w.Write([]byte(success))
						return
					}
					fmt.Fprintf(w, "<xml><Content><![CDATA[echo: load-%07d-%07d.]]></Content></xml>", m.user, m.seq)
					return
				}
			}))
			defer bridge.Close()
			o := &options{duration: 50 * time.Millisecond, drain: 5 * time.Second}
			s := &server{bridge: bridge.Listener.Addr().String(), admin: bridge.Listener.Addr().String()}
			r, err := (&bench{o: o}).passive(t.Context(), s, sk, 3)
			if err != nil {
				t.Fatal(err)
			}
			if supported := len(r.notes) == 0; supported != tc.support || supported != (len(r.readings) > 0) {
				t.Fatalf("got %+v", r)
			}
			for _, x := range r.readings {
				switch x.name {
				case figureLost, figureDuplicates, figureDisorder:
					if x.value != 0 {
						t.Errorf("%s: %v", x.name, x.value)
					}
				case "answered by the reply":
					if (x.value == 100) != (tc.name == "all") {
						t.Errorf("%v %% were answered by the reply", x.value)
					}
				}
			}
		})
	}
}
