package simulator

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// bpStreamClient reads a stream, line by line.
type bpStreamClient struct {
	t      *testing.T
	header http.Header
	lines  *bufio.Reader
	body   io.Closer
}

func (r *bpRig) listenAs(user, conv string) *bpStreamClient {
	r.t.Helper()
	ctx, cancel := context.WithCancel(r.t.Context())
	r.t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.server.URL+"/"+r.WebhookID()+"/conversations/"+conv+"/listen", nil)
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("x-user-key", bpKeyFor(user))
	client := &http.Client{Transport: r.client.Transport}
	resp, err := client.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK {
		r.t.Fatalf("listening: %d", resp.StatusCode)
	}
	r.t.Cleanup(func() { resp.Body.Close() })
	return &bpStreamClient{r.t, resp.Header, bufio.NewReader(resp.Body), resp.Body}
}

// event reads three lines: name, data, blank.
func (c *bpStreamClient) event() (name, data string) {
	c.t.Helper()
	var lines [3]string
	for i := range lines {
		line, err := c.lines.ReadString('\n')
		if err != nil {
			c.t.Fatalf("reading the stream: %v", err)
		}
		lines[i] = strings.TrimSuffix(line, "\n")
	}
	data, ok := strings.CutPrefix(lines[1], "data: ")
	if !ok || lines[2] != "" {
		c.t.Fatalf("lines %q", lines)
	}
	return lines[0], data
}

func (c *bpStreamClient) end() error {
	_, err := io.ReadAll(c.lines)
	return err
}

func TestBotpressListen(t *testing.T) {
	rig := bpStart(t, BotpressConfig{})
	rig.join("anna")
	rig.send("anna", "silent") // before the stream: not replayed
	s := rig.listenAs("anna", "anna")
	if got := s.header.Get("Content-Type"); got != "text/event-stream" {
		t.Errorf("Content-Type %q", got)
	}
	rig.send("anna", "微信")
	rig.idle()
	got := make([]string, 0, 6)
	for range 2 {
		name, data := s.event()
		a := bpAnswer{body: data}
		got = append(got, name, a.text("type"), a.text("data.payload.text"))
		if _, isBool := a.at("data.isBot").(bool); !isBool {
			t.Errorf("no isBot: %s", data)
		}
	}
	if diff := cmp.Diff([]string{
		"{}event: message", "message_created", "微信",
		"event: message", "message_created", "echo: 微信",
	}, got); diff != "" {
		t.Error(diff)
	}
}

func TestBotpressListenStartsAtOnce(t *testing.T) {
	rig := bpStart(t, BotpressConfig{})
	rig.join("anna")
	s := rig.listenAs("anna", "anna")
	head := make([]byte, 2)
	if _, err := io.ReadFull(s.lines, head); err != nil || string(head) != "{}" {
		t.Errorf("%q %v", head, err)
	}
}

func TestBotpressListenPing(t *testing.T) {
	rig := bpStart(t, BotpressConfig{Ping: 20 * time.Millisecond})
	rig.join("anna")
	s := rig.listenAs("anna", "anna")
	for _, want := range []string{"{}event: message", "event: message"} {
		if name, data := s.event(); name != want || data != "ping" {
			t.Errorf("%q %q", name, data)
		}
	}
	rig.SilenceStreams(true)
	rig.Say("anna", "lost")
	// At most the pings of the moment when silence fell, then nothing.
	quiet := make(chan string)
	go func() {
		for {
			line, err := s.lines.ReadString('\n')
			if err != nil {
				close(quiet)
				return
			}
			quiet <- line
		}
	}()
	for silent := false; !silent; {
		select {
		case line := <-quiet:
			if strings.Contains(line, "lost") {
				t.Error("a silent stream spoke")
			}
		case <-time.After(200 * time.Millisecond):
			silent = true
		}
	}
	rig.SilenceStreams(false)
	if line := <-quiet; line != "event: message\n" {
		t.Errorf("after the silence %q", line)
	}
	go func() { s.body.Close() }()
	for range quiet {
	}
}

func TestBotpressListenEnds(t *testing.T) {
	for _, tc := range []struct {
		name  string
		cause func(r *bpRig)
		last  string // type of the last signal before the end
		clean bool
	}{
		{"participant removed elsewhere", func(r *bpRig) { r.ok("DELETE", "/conversations/other/participants/bert", "anna", "") }, "", true},
		{"participant removed here", func(r *bpRig) { r.ok("DELETE", "/conversations/anna/participants/bert", "anna", "") }, "participant_removed", true},
		{"dropped", func(r *bpRig) {
			if n := r.DropStreams("anna"); n != 1 {
				r.t.Errorf("%d dropped", n)
			}
		}, "", false},
		{"down", func(r *bpRig) { r.SetDown(true) }, "", false},
		{"reset", func(r *bpRig) { r.Reset() }, "", false},
		{"closed", func(r *bpRig) { r.Close() }, "", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			rig := bpStart(t, BotpressConfig{})
			rig.join("anna")
			rig.ok("POST", "/users/get-or-create", "bert", `{}`)
			rig.ok("POST", "/conversations/get-or-create", "anna", `{"id":"other"}`)
			for _, conv := range []string{"anna", "other"} {
				rig.ok("POST", "/conversations/"+conv+"/participants", "anna", `{"userId":"bert"}`)
			}
			s := rig.listenAs("bert", "anna")
			tc.cause(rig)
			if tc.last != "" {
				if _, data := s.event(); (bpAnswer{body: data}).text("type") != tc.last {
					t.Errorf("last signal %s", data)
				}
			}
			if err := s.end(); (err == nil) != tc.clean {
				t.Errorf("end: %v", err)
			}
		})
	}
}

func TestBotpressListenSurvivesDeletion(t *testing.T) {
	rig := bpStart(t, BotpressConfig{Ping: 20 * time.Millisecond})
	rig.join("anna")
	s := rig.listenAs("anna", "anna")
	rig.ok("DELETE", "/conversations/anna", "anna", "")
	for range 2 {
		if _, data := s.event(); data != "ping" {
			t.Errorf("got %s", data)
		}
	}
}

func TestBotpressWaitStreams(t *testing.T) {
	rig := bpStart(t, BotpressConfig{})
	rig.join("anna")
	short, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := rig.WaitStreams(short, "anna", 1); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("without a stream: %v", err)
	}
	rig.listenAs("anna", "anna")
	if err := rig.WaitStreams(bpSoon(t), "anna", 1); err != nil {
		t.Error(err)
	}
	if got := rig.State().Streams; got != 1 {
		t.Errorf("%d streams", got)
	}
}

// TestSetEncryptionKey: what was issued or signed before is refused, and the users are still there.
func TestSetEncryptionKey(t *testing.T) {
	rig := bpStart(t, BotpressConfig{})
	rig.join("c")
	rig.SetEncryptionKey("")
	if a := rig.do("GET", "/users/me", "c", ""); a.status != http.StatusUnauthorized {
		t.Errorf("a signed key of before: %d", a.status)
	}
	if a := rig.do("POST", "/users", "", `{"id":"c"}`); a.status != http.StatusConflict {
		t.Errorf("the same user again: %d", a.status)
	}
	if a := rig.do("POST", "/users", "", `{"id":"d"}`); a.status != http.StatusOK {
		t.Errorf("another user: %d", a.status)
	}
	rig.SetEncryptionKey(bpTestKey)
	rig.ok("GET", "/users/me", "c", "")
	rig.ok("GET", "/users/me", "d", "")
}
