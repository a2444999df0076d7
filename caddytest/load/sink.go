package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// How the bot of a sink takes calls.
type temper int

const (
	answering temper = iota
	holding          // takes calls and does not answer
	down             // resets connections
)

// sink is a bot and a WeChat API that answer at once and keep nothing but counts.
// It runs in the client's process.
type sink struct {
	base   string
	srv    *http.Server
	hook   string // where replies are posted; empty: the bot says nothing
	http   *http.Client
	posts  sync.WaitGroup
	ctx    context.Context // ends with close
	cancel context.CancelFunc

	bot    *ledger // messages that the bot got
	posted *ledger // replies, when their webhook began
	seen   *ledger // replies that came to WeChat, by whichever road
	failed atomic.Int64
	lastID atomic.Int64

	mu     sync.Mutex
	temper temper
	change chan struct{} // closed when temper changes
}

// newSink listens on loopback.
func newSink(hook string) (*sink, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("starting bot: %w", err)
	}
	s := &sink{
		base: "http://" + ln.Addr().String(), hook: hook,
		bot: newLedger(), posted: newLedger(), seen: newLedger(),
		change: make(chan struct{}),
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.http = &http.Client{
		Timeout:   answerWithin,
		Transport: &http.Transport{MaxIdleConns: 1024, MaxIdleConnsPerHost: 1024, DisableCompression: true},
	}
	s.srv = &http.Server{Handler: s, ReadHeaderTimeout: answerWithin}
	go func() { _ = s.srv.Serve(ln) }()
	return s, nil
}

func (s *sink) close() {
	s.cancel()
	_ = s.srv.Close()
	s.posts.Wait()
	s.http.CloseIdleConnections()
}

// be changes how the bot takes calls; those it holds take notice.
func (s *sink) be(t temper) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.temper = t
	close(s.change)
	s.change = make(chan struct{})
}

// admit waits until the bot answers; false means that it will not.
func (s *sink) admit(r *http.Request) bool {
	for {
		s.mu.Lock()
		t, change := s.temper, s.change
		s.mu.Unlock()
		switch t {
		case answering:
			return r.Context().Err() == nil // it may be let go and given up at once
		case down:
			return false
		case holding:
		}
		select {
		case <-change:
		case <-r.Context().Done():
			return false
		}
	}
}

// ServeHTTP is WeChat's API below /cgi-bin/, and the Chat API elsewhere.
func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if strings.HasPrefix(r.URL.Path, "/cgi-bin/") {
		s.serveWeChat(w, r, body)
		return
	}
	if !s.admit(r) {
		panic(http.ErrAbortHandler) // the connection is cut, and nothing is logged
	}
	s.serveBot(w, r, body)
}

func (s *sink) serveWeChat(w http.ResponseWriter, r *http.Request, body []byte) {
	said := `{"errcode":0,"errmsg":"ok"}`
	switch r.URL.Path {
	case "/cgi-bin/stable_token":
		said = `{"access_token":"load-access-token","expires_in":7200}`
	case "/cgi-bin/message/custom/send":
		for m := range messagesIn(body) {
			s.seen.note(m)
		}
	}
	write(w, said)
}

func (s *sink) serveBot(w http.ResponseWriter, r *http.Request, body []byte) {
	switch path := r.URL.Path; {
	case strings.HasSuffix(path, "/users/get-or-create"):
		write(w, `{"user":{"id":"user"}}`)
	case strings.HasSuffix(path, "/conversations/get-or-create"):
		write(w, `{"conversation":{"id":"conversation"}}`)
	case r.Method == http.MethodPost && strings.HasSuffix(path, "/messages"):
		id, at := s.nextID()
		for m := range messagesIn(body) {
			if s.bot.note(m) && s.hook != "" {
				s.reply(m, body)
			}
		}
		write(w, `{"message":{"id":"`+id+`","createdAt":"`+at+`"}}`)
	case r.Method == http.MethodGet && strings.HasSuffix(path, "/messages"):
		write(w, `{"messages":[],"meta":{}}`)
	default:
		write(w, `{}`)
	}
}

func write(w http.ResponseWriter, body string) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = io.WriteString(w, body)
}

// nextID gives a message its id, which grows, and its time.
func (s *sink) nextID() (id, at string) {
	return fmt.Sprintf("msg_%012d", s.lastID.Add(1)), time.Now().UTC().Format("2006-01-02T15:04:05.000Z")
}

// reply posts what the bot says to a message, beside the answer to the call.
func (s *sink) reply(m message, body []byte) {
	var in struct {
		ConversationID string `json:"conversationId"`
	}
	if json.Unmarshal(body, &in) != nil || s.ctx.Err() != nil {
		s.failed.Add(1)
		return
	}
	id, at := s.nextID()
	said := fmt.Sprintf(`{"type":"message_created","data":{"id":"%s","createdAt":"%s","conversationId":"%s","userId":"bot",`+
		`"payload":{"type":"text","text":"echo: %s%0*d-%0*d."},"isBot":true}}`,
		id, at, in.ConversationID, nameStart, digits, m.user, digits, m.seq)
	s.posts.Go(func() {
		if err := s.post(m, []byte(said)); err != nil && s.ctx.Err() == nil {
			s.failed.Add(1)
		}
	})
}

// post makes one call of the webhook.
func (s *sink) post(m message, body []byte) error {
	req, err := http.NewRequestWithContext(s.ctx, http.MethodPost, s.hook, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Secret-Key", webhookSecret)
	s.posted.note(m)
	resp, err := s.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("webhook answered %s", resp.Status)
	}
	return nil
}
