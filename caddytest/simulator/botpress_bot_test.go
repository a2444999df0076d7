package simulator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Turns of a conversation are handled one at a time and in order, with fewer workers than
// conversations.
func TestBotpressTurnOrder(t *testing.T) {
	const conversations, turns, workers = 20, 25, 3
	var atWork, most atomic.Int32
	var mu sync.Mutex
	busy := map[string]bool{}
	rig := bpStart(t, BotpressConfig{BotWorkers: workers, Bot: func(_ context.Context, turn *BotTurn) {
		for n := atWork.Add(1); ; {
			if m := most.Load(); n <= m || most.CompareAndSwap(m, n) {
				break
			}
		}
		mu.Lock()
		if busy[turn.Conversation] {
			t.Errorf("two turns of %s at once", turn.Conversation)
		}
		busy[turn.Conversation] = true
		mu.Unlock()
		turn.Reply("r" + turn.Text())
		mu.Lock()
		busy[turn.Conversation] = false
		mu.Unlock()
		atWork.Add(-1)
	}})
	var wg sync.WaitGroup
	want := make([]string, 0, turns)
	for i := range turns {
		want = append(want, fmt.Sprint("r", i))
	}
	for c := range conversations {
		conv := fmt.Sprint("c", c)
		rig.join(conv)
		wg.Go(func() {
			for i := range turns {
				rig.send(conv, fmt.Sprint(i))
			}
		})
	}
	wg.Wait()
	rig.idle()
	for _, conv := range rig.Conversations() {
		if diff := cmp.Diff(want, rig.said(conv)); diff != "" {
			t.Errorf("%s: %s", conv, diff)
		}
	}
	if got := most.Load(); got > workers {
		t.Errorf("%d workers, bound %d", got, workers)
	}
	if got := rig.CountTurns(); got != conversations*turns {
		t.Errorf("%d turns", got)
	}
	all := rig.AllTurns()
	if len(all) != conversations*turns || !slices.IsSortedFunc(all, func(a, b Turn) int { return int(a.seq - b.seq) }) {
		t.Errorf("AllTurns: %d", len(all))
	}
}

func TestBotpressWorkersAreBounded(t *testing.T) {
	release := make(chan struct{})
	rig := bpStart(t, BotpressConfig{BotWorkers: 2, Bot: func(context.Context, *BotTurn) { <-release }})
	at := func(running, ready int) {
		t.Helper()
		rig.mu.Lock()
		defer rig.mu.Unlock()
		if rig.lanes.running != running || len(rig.lanes.ready) != ready {
			t.Errorf("%d running, %d ready", rig.lanes.running, len(rig.lanes.ready))
		}
	}
	for _, id := range []string{"a", "b", "c", "d"} {
		rig.join(id)
	}
	rig.send("a", "1")
	rig.send("a", "2")
	at(1, 0) // one conversation never takes two workers
	for _, id := range []string{"b", "c", "d"} {
		rig.send(id, "1")
	}
	at(2, 2)
	close(release)
	rig.idle()
}

func TestBotpressWorkersEnd(t *testing.T) {
	rig := bpStart(t, BotpressConfig{})
	rig.join("anna")
	for range 3 {
		rig.send("anna", "hello")
		rig.idle()
	}
	rig.wg.Wait() // without Close: no worker is left once the bot is idle
	rig.mu.Lock()
	defer rig.mu.Unlock()
	if rig.lanes.running != 0 || len(rig.lanes.ready) != 0 {
		t.Errorf("%d running, %d ready", rig.lanes.running, len(rig.lanes.ready))
	}
}

func TestBotpressScript(t *testing.T) {
	rig := bpStart(t, BotpressConfig{})
	rig.join("anna")
	rig.Script(func(ctx context.Context, turn *BotTurn) {
		if turn.Text() == "panic" {
			panic("a bug in the script")
		}
		turn.Reply("scripted", SayMetadata(map[string]any{"k": "v"}))
		EchoBot(ctx, turn)
	})
	rig.send("anna", "a")
	rig.send("anna", "panic")
	rig.send("anna", "b")
	rig.idle()
	rig.Script(nil)
	rig.send("anna", "c")
	rig.idle()
	if diff := cmp.Diff([]string{"scripted", "echo: a", "scripted", "echo: b", "echo: c"}, rig.said("anna")); diff != "" {
		t.Error(diff)
	}
	if got := rig.State().Panics; got != 1 {
		t.Errorf("%d panics", got)
	}
}

func TestBotpressSay(t *testing.T) {
	hook := bpListen(t, nil)
	rig := bpStart(t, BotpressConfig{WebhookURL: hook.server.URL})
	rig.join("anna")
	if id := rig.Say("nobody", "x"); id != "" {
		t.Errorf("said %q into nothing", id)
	}
	at := time.Date(2026, 7, 23, 14, 15, 17, 123_456_789, time.UTC)
	id := rig.Say("anna", json.RawMessage(`{"type": "text", "text": "past"}`), SayAt(at), SayMetadata(map[string]any{"x": 1}))
	h := hook.all()[0]
	want := `{"type":"message_created","data":{"id":"` + id + `","createdAt":"2026-07-23T14:15:17.123Z","conversationId":"anna","userId":"` +
		h.text("data.userId") + `","payload":{"type":"text","text":"past"},"metadata":{"x":1},"isBot":true}}`
	if h.body != want {
		t.Errorf("got  %s\nwant %s", h.body, want)
	}
	rig.Say("anna", map[string]any{"type": "image", "imageUrl": "u"}, SaySilently())
	if got := len(hook.all()); got != 1 {
		t.Errorf("%d webhooks after a silent message", got)
	}
	if a := rig.ok("GET", "/conversations/anna/messages", "anna", ""); len(a.at("messages").([]any)) != 2 {
		t.Errorf("listing %s", a.body)
	}
	if turns, err := rig.WaitTurns(t.Context(), "anna", 0); err != nil || len(turns) != 0 {
		t.Errorf("the bot's own messages are turns: %v %v", turns, err)
	}
}

func TestBotpressWaitTurns(t *testing.T) {
	rig := bpStart(t, BotpressConfig{})
	got := make(chan []Turn, 1)
	go func() {
		turns, _ := rig.WaitTurns(bpSoon(t), "anna", 2) // the conversation does not exist yet
		got <- turns
	}()
	rig.join("anna")
	rig.send("anna", "1")
	rig.send("anna", "2")
	if turns := <-got; len(turns) < 2 || turns[1].Text() != "2" {
		t.Errorf("%v", turns)
	}
	if turns, err := rig.WaitTurns(t.Context(), "", 2); err != nil || len(turns) != 2 {
		t.Errorf("any conversation: %v %v", turns, err)
	}
	short, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if turns, err := rig.WaitTurns(short, "anna", 3); !errors.Is(err, context.DeadlineExceeded) || len(turns) != 2 {
		t.Errorf("%v %v", turns, err)
	}
	rig.mu.Lock()
	defer rig.mu.Unlock()
	if len(rig.waiters) != 0 {
		t.Errorf("%d waiters left", len(rig.waiters))
	}
}

func TestBotpressKeep(t *testing.T) {
	rig := bpStart(t, BotpressConfig{Keep: 5, Bot: func(context.Context, *BotTurn) {}})
	rig.join("anna")
	for i := range 30 {
		rig.send("anna", fmt.Sprint(i))
	}
	rig.idle()
	m, turns := rig.Messages("anna"), rig.Turns("anna")
	if len(m) >= 10 || len(turns) >= 10 || (Turn{Payload: m[len(m)-1].Payload}).Text() != "29" || turns[len(turns)-1].Text() != "29" {
		t.Errorf("%d messages, %d turns", len(m), len(turns))
	}
	rig.mu.Lock()
	defer rig.mu.Unlock()
	if got := len(rig.store.messages); got != len(m) {
		t.Errorf("%d by id, %d kept", got, len(m))
	}
	if rig.store.turns != 30 {
		t.Errorf("%d turns counted", rig.store.turns)
	}
}

func TestBotpressForget(t *testing.T) {
	rig := bpStart(t, BotpressConfig{})
	rig.join("anna")
	rig.send("anna", "1")
	rig.Forget("anna")
	if a := rig.do("POST", "/messages", "anna", bpTextBody("anna", "2")); a.status != 403 {
		t.Errorf("send: %d", a.status)
	}
	if a := rig.do("GET", "/users/me", "anna", ""); a.status != 404 {
		t.Errorf("user: %d", a.status)
	}
	rig.join("anna")
	rig.send("anna", "3")
	if got := len(rig.Turns("anna")); got != 1 {
		t.Errorf("%d turns in the new conversation", got)
	}
	if got := len(rig.AllTurns()); got != 2 {
		t.Errorf("%d turns in all", got)
	}
}

func TestBotpressResetDropsWaitingTurns(t *testing.T) {
	release := make(chan struct{})
	rig := bpStart(t, BotpressConfig{Bot: func(_ context.Context, turn *BotTurn) {
		<-release
		turn.Reply("late", SaySilently())
	}})
	rig.join("anna")
	for range 3 {
		rig.send("anna", "x")
	}
	rig.Reset()
	close(release)
	rig.idle()
	if s := rig.State(); s.Pending != 0 || s.Turns != 0 || s.Conversations != 0 || s.Calls["createMessage"] != 0 {
		t.Errorf("%+v", s)
	}
}
