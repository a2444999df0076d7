package botpress

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	userAnswer = `{"user":{"id":"` + testUser + `","name":"小明","pictureUrl":"https://p","profile":"{}","createdAt":"2026-07-23T14:15:17.123Z","updatedAt":"nonsense","extra":1}}`
	convAnswer = `{"conversation":{"id":"` + testUser + `","createdAt":"2026-07-23T14:15:17.123Z"}}`
	raceBody   = `{"id":"err_1","code":500,"type":"Internal","message":"The id \"` + testUser + `\" is already assigned to another value"}`
)

func paths(requests []seen) (out []string) {
	for _, r := range requests {
		out = append(out, strings.TrimPrefix(r.Path, "/"+testWebhook))
	}
	return out
}

func TestGetOrCreate(t *testing.T) {
	c, s := serve(t, reply(201, userAnswer), reply(200, convAnswer))
	u, err := c.GetOrCreateUser(t.Context(), testUser, UserFields{Name: "小<明>", Profile: `{"appId":"wx"}`})
	if err != nil {
		t.Fatal(err)
	}
	created := time.Date(2026, 7, 23, 14, 15, 17, 123e6, time.UTC)
	if diff := cmp.Diff(User{ID: testUser, Name: "小明", PictureURL: "https://p", Profile: "{}", CreatedAt: created}, u); diff != "" {
		t.Errorf("user (-want +got):\n%s", diff)
	}
	conv, err := c.GetOrCreateConversation(t.Context(), testUser, testUser)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Conversation{ID: testUser, CreatedAt: created}, conv); diff != "" {
		t.Errorf("conversation (-want +got):\n%s", diff)
	}
	got := s.all()
	if got[0].Body != `{"name":"小<明>","profile":"{\"appId\":\"wx\"}"}` {
		t.Errorf("user body %s", got[0].Body)
	}
	if got[1].Body != `{"id":"`+testUser+`"}` {
		t.Errorf("conversation body %s", got[1].Body)
	}
	for _, r := range got {
		if r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" || r.Header.Get("X-User-Key") == "" {
			t.Errorf("request %+v", r)
		}
	}
}

func TestBodyIsSentEvenIfEmpty(t *testing.T) {
	c, s := serve(t, reply(200, userAnswer))
	if _, err := c.GetOrCreateUser(t.Context(), testUser, UserFields{}); err != nil {
		t.Fatal(err)
	}
	if got := s.all()[0].Body; got != "{}" {
		t.Errorf("body %q, want {}", got)
	}
}

func TestRaceIsRepeatedOnce(t *testing.T) {
	for name, tc := range map[string]struct {
		answers []http.HandlerFunc
		want    []string
		fails   bool
	}{
		"user": {
			[]http.HandlerFunc{reply(500, raceBody), reply(200, userAnswer), reply(200, convAnswer)},
			[]string{"/users/get-or-create", "/users/get-or-create", "/conversations/get-or-create"},
			false,
		},
		"conversation": {
			[]http.HandlerFunc{reply(200, userAnswer), reply(500, raceBody), reply(200, convAnswer)},
			[]string{"/users/get-or-create", "/conversations/get-or-create", "/conversations/get-or-create"},
			false,
		},
		"under a success status": {
			[]http.HandlerFunc{reply(200, raceBody), reply(200, userAnswer), reply(200, convAnswer)},
			[]string{"/users/get-or-create", "/users/get-or-create", "/conversations/get-or-create"},
			false,
		},
		"an id that is a word of the error": {
			[]http.HandlerFunc{reply(500, strings.ReplaceAll(raceBody, testUser, "already")), reply(200, userAnswer), reply(200, convAnswer)},
			[]string{"/users/get-or-create", "/users/get-or-create", "/conversations/get-or-create"},
			false,
		},
		"lost twice": {
			[]http.HandlerFunc{reply(500, raceBody)},
			[]string{"/users/get-or-create", "/users/get-or-create"},
			true,
		},
		"another 500": {
			[]http.HandlerFunc{reply(500, api(500, "Internal", "boom"))},
			[]string{"/users/get-or-create"},
			true,
		},
		"same words, other status": {
			[]http.HandlerFunc{reply(400, api(400, "InvalidPayload", "already assigned to another value"))},
			[]string{"/users/get-or-create"},
			true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			c, s := serve(t, tc.answers...)
			id := testUser
			if name == "an id that is a word of the error" {
				id = "already"
			}
			err := c.Ensure(t.Context(), id, UserFields{})
			if (err != nil) != tc.fails {
				t.Errorf("got %v", err)
			}
			if diff := cmp.Diff(tc.want, paths(s.all())); diff != "" {
				t.Errorf("calls (-want +got):\n%s", diff)
			}
		})
	}
}

func TestConversationOfAnotherIsGone(t *testing.T) {
	c, _ := serve(t, reply(200, userAnswer), reply(403, api(403, "Forbidden", "You are not the owner of this conversation")))
	if e := asError(t, c.Ensure(t.Context(), testUser, UserFields{})); verdictOf(e) != recreated || e.Op != "getOrCreateConversation" {
		t.Errorf("%+v", e)
	}
}

// raceServer checks, then writes, as Botpress does, and so fails the loser of two calls for one id.
type raceServer struct {
	mu     sync.Mutex
	known  map[string]bool
	calls  atomic.Int32
	losers atomic.Int32
}

func (s *raceServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.calls.Add(1)
	var body struct{ ID string }
	_ = json.NewDecoder(r.Body).Decode(&body)
	kind := "user"
	if body.ID != "" {
		kind = "conversation"
	}
	id := kind + r.Header.Get("X-User-Key")
	s.mu.Lock()
	known := s.known[id]
	s.mu.Unlock()
	if !known {
		time.Sleep(20 * time.Millisecond)
		s.mu.Lock()
		known = s.known[id]
		s.known[id] = true
		s.mu.Unlock()
		if known {
			s.losers.Add(1)
			reply(500, raceBody)(w, r)
			return
		}
	}
	reply(200, `{"`+kind+`":{"id":"x"}}`)(w, r)
}

func TestEnsureIsSingleFlightPerID(t *testing.T) {
	s := &raceServer{known: map[string]bool{}}
	c := newTestClient(t, "http://h", func(cfg *Config) { cfg.HTTP = &http.Client{Transport: handlerTransport{s}} })
	synctest.Test(t, func(t *testing.T) {
		var wg sync.WaitGroup
		for _, id := range []string{"a", "b", "c"} {
			for range 20 {
				wg.Go(func() {
					if err := c.Ensure(t.Context(), id, UserFields{Name: id}); err != nil {
						t.Error(err)
					}
				})
			}
		}
		begin := time.Now()
		wg.Wait()
		if d := time.Since(begin); d != 40*time.Millisecond {
			t.Errorf("took %v: ids wait for each other", d)
		}
	})
	if n := s.losers.Load(); n > 0 {
		t.Errorf("%d calls raced", n)
	}
	if n := s.calls.Load(); n != 6 {
		t.Errorf("%d calls, want 6", n)
	}
	if len(c.flights.byID) != 0 {
		t.Error("flights are left")
	}
}

// Without the single flight the server's race does happen, and the retry settles it.
func TestGetOrCreateLosesRaceGracefully(t *testing.T) {
	s := &raceServer{known: map[string]bool{}}
	c := newTestClient(t, "http://h", func(cfg *Config) { cfg.HTTP = &http.Client{Transport: handlerTransport{s}} })
	synctest.Test(t, func(t *testing.T) {
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() {
				if _, err := c.GetOrCreateUser(t.Context(), "a", UserFields{}); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	})
	if s.losers.Load() != 4 {
		t.Errorf("%d lost, want 4: the test tests nothing", s.losers.Load())
	}
}
