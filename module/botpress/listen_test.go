package botpress

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-wechat/caddy-wechat/caddytest/simulator"
)

// stream answers with an event stream of these pieces, each flushed on its own, and then ends or hangs.
func stream(hang bool, pieces ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for _, p := range pieces {
			_, _ = io.WriteString(w, p)
			w.(http.Flusher).Flush()
		}
		if hang {
			<-r.Context().Done()
		}
	}
}

func created(id, text string) string {
	return fmt.Sprintf(`{"type":"message_created","data":{"id":%q,"conversationId":"c","userId":"b","createdAt":"2026-07-23T14:15:17.123Z",`+
		`"payload":{"type":"text","text":%q},"isBot":true}}`, id, text)
}

func event(data string) string { return "event: message\ndata: " + data + "\n\n" }

// listened listens to the end, and gives the ids that were heard.
func listened(ctx context.Context, c *Client) (opened int, ids []string, err error) {
	err = c.Listen(ctx, testUser, testUser, func() { opened++ }, func(s Signal) error {
		if s.Message != nil {
			ids = append(ids, s.Message.ID)
		}
		return nil
	})
	return opened, ids, err
}

func TestListenReadsStreams(t *testing.T) {
	long := strings.Repeat("长", 300_000)
	for name, tc := range map[string]struct {
		pieces []string
		want   string
	}{
		"behind the proxy":        {[]string{"{}", event("ping"), event(created("1", "a")), event(created("2", "b"))}, "1 2"},
		"at the origin":           {[]string{event(created("1", "a"))}, "1"},
		"in single bytes":         {strings.Split("{}"+event("ping")+event(created("1", "a")), ""), "1"},
		"other line ends":         {[]string{strings.ReplaceAll(event("ping")+event(created("1", "a")), "\n", "\r\n")}, "1"},
		"no event field":          {[]string{"data: " + created("1", "a") + "\n\n"}, "1"},
		"comments and unknown":    {[]string{": hello\n\nfoo: bar\nid: 7\nretry: 1\ndata: " + created("1", "a") + "\n\n"}, "1"},
		"an event of a megabyte":  {[]string{event(created("1", long)), event(created("2", "b"))}, "1 2"},
		"cut within an event":     {[]string{event(created("1", "a")), event(created("2", "b"))[:60]}, "1"},
		"cut before the last end": {[]string{event(created("1", "a")), strings.TrimSuffix(event(created("2", "b")), "\n")}, "1"},
		"not JSON, then some":     {[]string{event("{"), event("[]"), event(created("1", "a"))}, "1"},
		"other signals":           {[]string{event(`{"type":"new_kind","data":{}}`), event(created("1", "a"))}, "1"},
		"nothing":                 {nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			c, s := serve(t, stream(false, tc.pieces...))
			opened, ids, err := listened(t.Context(), c)
			if opened != 1 || !strings.HasPrefix(strings.Join(ids, " "), tc.want) || len(ids) > len(strings.Fields(tc.want)) {
				t.Errorf("opened %d times, heard %q, want %q", opened, ids, tc.want)
			}
			if e := asError(t, err); !e.Temporary() || !errors.Is(err, io.EOF) {
				t.Errorf("it ended with %v", err)
			}
			r := s.all()[0]
			if r.Path != "/"+testWebhook+"/conversations/"+testUser+"/listen" || r.Header.Get("Accept") != "text/event-stream" || r.Header.Get("X-User-Key") == "" {
				t.Errorf("asked %+v", r)
			}
		})
	}
}

func TestListenRefused(t *testing.T) {
	denied := `{"id":"err_1","code":403,"type":"Forbidden","message":"You are not a participant in this conversation"}`
	for name, tc := range map[string]struct {
		answer http.HandlerFunc
		ok     func(*Error) bool
	}{
		"not a participant":        {reply(403, denied), (*Error).Gone},
		"error under success":      {reply(200, denied), (*Error).Gone},
		"error in an event stream": {stream(false, denied), func(*Error) bool { return true }}, // of no kind that Botpress sends
		"bad key":                  {reply(401, `{"code":401,"type":"Unauthorized","message":"Invalid user key"}`), (*Error).Operator},
		"limited": {reply(429, `{"type":"RateLimited","status":429}`, "Retry-After", "7"), func(e *Error) bool {
			return e.Temporary() && e.RetryAfter == 7*time.Second
		}},
		"broken":        {reply(502, "<html>"), (*Error).Temporary},
		"another thing": {reply(200, `{"hello":1}`), (*Error).Temporary},
		"no length": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Type"] = nil
			_, _ = io.WriteString(w, denied[:20])
			w.(http.Flusher).Flush()
			_, _ = io.WriteString(w, denied[20:])
		}, (*Error).Gone},
	} {
		t.Run(name, func(t *testing.T) {
			c, _ := serve(t, tc.answer)
			_, ids, err := listened(t.Context(), c)
			if e := asError(t, err); !tc.ok(e) || len(ids) > 0 || e.Op != "listenConversation" {
				t.Errorf("%v: status %d, heard %q", e, e.Status, ids)
			}
		})
	}
}

// TestListenSilence: a stream that says nothing, not even a ping, is given up; a ping keeps it alive.
func TestListenSilence(t *testing.T) {
	c, sim := simulated(t, simulator.BotpressConfig{Ping: 10 * time.Millisecond}, func(c *Config) { c.Silence = 2 * time.Second })
	_, key, err := c.CreateUser(t.Context(), testUser, UserFields{})
	if err != nil {
		t.Fatal(err)
	}
	c = c.As(key)
	if err := c.Ensure(t.Context(), testUser, UserFields{}); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	time.AfterFunc(3*time.Second, func() { sim.SilenceStreams(true) })
	_, _, err = listened(t.Context(), c)
	if !errors.Is(err, ErrSilent) || !asError(t, err).Temporary() {
		t.Errorf("it ended with %v", err)
	}
	if d := time.Since(began); d < 3*time.Second {
		t.Errorf("it was given up after %v, while there were pings", d)
	}
}

func TestListenGivesUp(t *testing.T) {
	t.Run("no answer", func(t *testing.T) {
		s := &script{answers: []http.HandlerFunc{func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }}}
		c, _ := serveScript(t, s, func(c *Config) { c.Timeout = 50 * time.Millisecond })
		if opened, _, err := listened(t.Context(), c); !asError(t, err).Temporary() || opened != 0 {
			t.Errorf("opened %d times: %v", opened, err)
		}
	})
	t.Run("context", func(t *testing.T) {
		c, _ := serve(t, stream(true, "{}"))
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(50*time.Millisecond, cancel)
		if _, _, err := listened(ctx, c); !errors.Is(err, context.Canceled) {
			t.Errorf("it ended with %v", err)
		}
	})
	t.Run("hearer", func(t *testing.T) {
		c, _ := serve(t, stream(true, event(created("1", "a"))))
		err := c.Listen(t.Context(), testUser, testUser, func() {}, func(Signal) error { return errBoom })
		if !errors.Is(err, errBoom) {
			t.Errorf("it ended with %v", err)
		}
	})
	t.Run("too long an event", func(t *testing.T) {
		c, _ := serve(t, stream(true, event(strings.Repeat("x", maxEvent))))
		if _, ids, err := listened(t.Context(), c); !asError(t, err).Temporary() || len(ids) > 0 {
			t.Errorf("it ended with %v", err)
		}
	})
}

// FuzzListen: whatever a stream brings, it ends with an error that may be shown.
func FuzzListen(f *testing.F) {
	for _, s := range []string{"{}", event("ping"), event(created("1", "a")), "\ufeffdata:x\r\rdata\n\n", `{"code":403}`, ":\n\n\n\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var c Client
		heard, end := c.follow(t.Context(), strings.NewReader(s), func() {}, func(Signal) error { return nil })
		if heard != nil || end == nil {
			t.Errorf("heard %v, end %v", heard, end)
		}
	})
}
