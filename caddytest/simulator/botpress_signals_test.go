package simulator

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestBotpressStreaming(t *testing.T) {
	hook := bpListen(t, nil)
	rig := bpStart(t, BotpressConfig{WebhookURL: hook.server.URL})
	rig.join("anna")
	rig.send("anna", "stream")
	rig.idle()
	rig.send("anna", "abort")
	rig.idle()
	var kinds []string
	for _, h := range hook.all() {
		if h.at("data.isBot") != false {
			kinds = append(kinds, h.text("type"))
		}
	}
	if diff := cmp.Diff([]string{
		"message_stream_delta", "message_stream_delta", "message_stream_delta", "message_stream_complete", "message_created",
		"message_stream_delta", "message_stream_abort",
	}, kinds); diff != "" {
		t.Error(diff)
	}
	var complete, created bpHeard
	for _, h := range hook.all() {
		switch {
		case h.text("type") == "message_stream_complete":
			complete = h
		case h.text("type") == "message_created" && h.at("data.isBot") == true:
			created = h
		}
	}
	if complete.text("data.message.id") != created.text("data.id") || created.text("data.id") == "" ||
		complete.text("data.message.payload.text") != "echo: stream" || strings.Contains(complete.body, "isBot") {
		t.Errorf("complete %s\ncreated %s", complete.body, created.body)
	}
	if complete.text("data.streamId") == "" || complete.text("data.streamId") != created.text("data.metadata.streamId") {
		t.Errorf("stream ids: %s %s", complete.body, created.body)
	}
	if got := len(rig.Messages("anna")); got != 3 {
		t.Errorf("%d messages: deltas and aborted streams are not stored", got)
	}
}

func TestBotpressDeltaFailsWithTheWebhook(t *testing.T) {
	hook := bpListen(t, func(bpHeard) int { return http.StatusTeapot })
	errs := make(chan error, 3)
	rig := bpStart(t, BotpressConfig{WebhookURL: hook.server.URL, Bot: func(_ context.Context, turn *BotTurn) {
		errs <- turn.Delta("s", 0, "x")
		errs <- turn.Abort("s")
		turn.b.SetWebhook("", "")
		errs <- turn.Delta("s", 1, "y")
	}})
	rig.join("anna")
	rig.send("anna", "x")
	if e1, e2, e3 := <-errs, <-errs, <-errs; e1 == nil || e2 == nil || e3 != nil {
		t.Errorf("%v, %v, %v", e1, e2, e3)
	}
}

func TestBotpressDeletedMessageSignal(t *testing.T) {
	hook := bpListen(t, nil)
	rig := bpStart(t, BotpressConfig{WebhookURL: hook.server.URL})
	rig.join("anna")
	id := rig.send("anna", "silent").text("message.id")
	rig.ok("DELETE", "/messages/"+id, "anna", "")
	h := hook.all()[1]
	user, _ := rig.User("anna")
	if h.text("type") != "message_deleted" || h.text("data.id") != id ||
		!strings.HasPrefix(h.text("data.conversationId"), "conv_") || h.text("data.userId") != user.InternalID {
		t.Error(h.body)
	}
	if len(rig.Messages("anna")) != 0 || len(rig.Turns("anna")) != 1 {
		t.Errorf("%d messages, %d turns", len(rig.Messages("anna")), len(rig.Turns("anna")))
	}
}

func TestBotpressParticipantSignals(t *testing.T) {
	hook := bpListen(t, nil)
	rig := bpStart(t, BotpressConfig{WebhookURL: hook.server.URL})
	rig.join("anna")
	rig.ok("POST", "/users/get-or-create", "bert", `{}`)
	bert, _ := rig.User("bert")
	rig.ok("POST", "/conversations/anna/participants", "anna", `{"userId":"`+bert.InternalID+`"}`)
	rig.ok("DELETE", "/conversations/anna/participants/bert", "anna", "")
	heard := hook.all()
	for i, want := range []string{
		`{"type":"participant_added","data":{"conversationId":"anna","participantId":"` + bert.InternalID + `"}}`,
		`{"type":"participant_removed","data":{"conversationId":"anna","participantId":"bert"}}`,
	} {
		if heard[i].body != want {
			t.Errorf("%s, want %s", heard[i].body, want)
		}
	}
}

// BenchmarkBotpressTurn is a user's message with its echo, the bot's answer and its webhook.
func BenchmarkBotpressTurn(b *testing.B) {
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }))
	defer hook.Close()
	bp := NewBotpress(BotpressConfig{EncryptionKey: bpTestKey, WebhookURL: hook.URL})
	server := httptest.NewServer(bp)
	defer server.Close()
	defer bp.Close()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}}
	post := func(path, key, body string) {
		r, _ := http.NewRequest(http.MethodPost, server.URL+"/"+bp.WebhookID()+path, strings.NewReader(body))
		r.Header.Set("x-user-key", key)
		resp, err := client.Do(r)
		if err != nil || resp.StatusCode != http.StatusOK {
			b.Error(resp, err)
			return
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
	var next atomic.Int32
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		id := fmt.Sprint("u", next.Add(1))
		key := bpKeyFor(id)
		post("/users/get-or-create", key, `{}`)
		post("/conversations/get-or-create", key, `{"id":"`+id+`"}`)
		for pb.Next() {
			post("/messages", key, bpTextBody(id, "hello"))
		}
	})
	if err := bp.WaitIdle(context.Background()); err != nil {
		b.Fatal(err)
	}
	client.CloseIdleConnections()
}

func TestBotpressCloseFreesEverybody(t *testing.T) {
	release := make(chan struct{})
	hook := bpListen(t, func(bpHeard) int { <-release; return 200 })
	rig := bpStart(t, BotpressConfig{WebhookURL: hook.server.URL})
	rig.join("anna")
	answered := make(chan bpAnswer, 1)
	go func() { answered <- rig.do("POST", "/messages", "anna", bpTextBody("anna", "slow 3600")) }()
	if _, err := rig.WaitTurns(bpSoon(t), "anna", 1); err != nil {
		t.Fatal(err)
	}
	waited := make(chan error, 1)
	go func() {
		_, err := rig.WaitTurns(context.Background(), "anna", 2)
		waited <- err
	}()
	rig.Close()
	if a := <-answered; a.err == nil {
		t.Errorf("answered %d", a.status)
	}
	if err := <-waited; !errors.Is(err, context.Canceled) {
		t.Errorf("WaitTurns: %v", err)
	}
	if a := rig.do("GET", "/hello", "", ""); a.err == nil {
		t.Errorf("a closed simulator answers %d", a.status)
	}
	close(release)
}
