package simulator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestEchoBot(t *testing.T) {
	const media = `{"conversationId":"anna","payload":`
	for _, tc := range []struct {
		name, body string
		want       []string // payloads of the bot, PUBLIC standing for the base of media URLs
	}{
		{"echo", bpTextBody("anna", "你好 <b>&"), []string{`{"type":"text","text":"echo: 你好 <b>&"}`}},
		{"keyword in a sentence", bpTextBody("anna", "image of a cat"), []string{`{"type":"text","text":"echo: image of a cat"}`}},
		{"number missing", bpTextBody("anna", "many"), []string{`{"type":"text","text":"echo: many"}`}},
		{"many", bpTextBody("anna", "many 3"), []string{`{"type":"text","text":"1/3"}`, `{"type":"text","text":"2/3"}`, `{"type":"text","text":"3/3"}`}},
		{"slow", bpTextBody("anna", "slow 0.01"), []string{`{"type":"text","text":"echo: slow 0.01"}`}},
		{"silent", bpTextBody("anna", "silent"), nil},
		{"event", bpTextBody("anna", "event"), nil},
		{"abort", bpTextBody("anna", "abort"), nil},
		{"stream", bpTextBody("anna", "stream"), []string{`{"type":"text","text":"echo: stream"}`}},
		{"image", bpTextBody("anna", "image"), []string{`{"imageUrl":"PUBLIC/media/picture.png","title":"A picture","type":"image"}`}},
		{"audio", bpTextBody("anna", "audio"), []string{`{"audioUrl":"PUBLIC/media/sound.mp3","title":"A sound","type":"audio"}`}},
		{"video", bpTextBody("anna", "video"), []string{`{"title":"A film","type":"video","videoUrl":"PUBLIC/media/clip.mp4"}`}},
		{"file", bpTextBody("anna", "file"), []string{`{"fileUrl":"PUBLIC/media/document.pdf","title":"文件.pdf","type":"file"}`}},
		{"bloc is flat", bpTextBody("anna", "bloc"), []string{
			`{"type":"bloc","items":[{"text":"first","type":"text"},{"imageUrl":"PUBLIC/media/picture.png","type":"image"},{"text":"last","type":"text"}]}`,
		}},
		{"a picture from the user", media + `{"type":"image","imageUrl":"http://x/y"}}`, []string{`{"type":"text","text":"image: http://x/y"}`}},
		{"a film from the user", media + `{"type":"video","videoUrl":"http://x/y"}}`, []string{`{"type":"text","text":"video: http://x/y"}`}},
		{"a place from the user", media + `{"type":"location","latitude":1.5,"longitude":2}}`, []string{`{"type":"text","text":"location: 1.5,2"}`}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			rig := bpStart(t, BotpressConfig{})
			rig.join("anna")
			rig.ok("POST", "/messages", "anna", tc.body)
			rig.idle()
			got := tc.want[:0:0]
			for _, m := range rig.Messages("anna")[1:] {
				got = append(got, strings.ReplaceAll(string(m.Payload), rig.server.URL, "PUBLIC"))
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestEchoBotKinds(t *testing.T) {
	rig := bpStart(t, BotpressConfig{PublicURL: "https://bot.example.com/"})
	rig.join("anna")
	kinds := map[string]string{
		"image": "image", "audio": "audio", "video": "video", "file": "file", "location": "location", "card": "card",
		"carousel": "carousel", "choice": "choice", "dropdown": "dropdown", "markdown": "markdown", "bloc": "bloc",
		"long": "text", "help": "text", "unknown": "hologram",
	}
	for word, kind := range kinds {
		before := len(rig.Messages("anna"))
		rig.send("anna", word)
		rig.idle()
		var p map[string]any
		if err := json.Unmarshal(rig.Messages("anna")[before+1].Payload, &p); err != nil || p["type"] != kind {
			t.Errorf("%s: %v %v", word, p, err)
		}
		switch word {
		case "unknown":
			if p["text"] != nil || bpFitsPayload(p) {
				t.Errorf("unknown is known: %v", p)
			}
		case "carousel":
			if item := p["items"].([]any)[0].(map[string]any); item["type"] != nil || item["imageUrl"] != "https://bot.example.com/media/photo.jpg" {
				t.Errorf("carousel item %v", item)
			}
		case "long":
			if got := len(p["text"].(string)); got != 5000 {
				t.Errorf("%d bytes", got)
			}
		default:
			if !bpFitsPayload(p) {
				t.Errorf("%s is not a payload of the API: %v", word, p)
			}
		}
	}
	for word := range bpKeywords {
		if !strings.Contains(bpHelp, word+":") && word != "help" {
			t.Errorf("help does not name %s", word)
		}
	}
}

func TestEchoBotTwice(t *testing.T) {
	rig := bpStart(t, BotpressConfig{})
	rig.join("anna")
	rig.send("anna", "twice")
	m, err := rig.WaitMessages(bpSoon(t), "anna", 3)
	if err != nil {
		t.Fatal(err)
	}
	if gap := m[2].CreatedAt.Sub(m[1].CreatedAt); gap < 900*time.Millisecond {
		t.Errorf("the second came after %v", gap)
	}
	rig.idle()
}

func TestEchoBotReverse(t *testing.T) {
	rig := bpStart(t, BotpressConfig{})
	rig.join("anna")
	rig.send("anna", "reverse 3")
	rig.idle()
	if diff := cmp.Diff([]string{"3/3", "2/3", "1/3"}, rig.said("anna")); diff != "" {
		t.Error(diff)
	}
	m := rig.Messages("anna")
	if !m[1].CreatedAt.After(m[2].CreatedAt) || !m[2].CreatedAt.After(m[3].CreatedAt) || !m[3].CreatedAt.After(m[0].CreatedAt) {
		t.Errorf("createdAt %v %v %v %v", m[0].CreatedAt, m[1].CreatedAt, m[2].CreatedAt, m[3].CreatedAt)
	}
}

func TestBotpressEvents(t *testing.T) {
	for _, answer := range []bool{false, true} {
		t.Run(fmt.Sprint(answer), func(t *testing.T) {
			hook := bpListen(t, nil)
			rig := bpStart(t, BotpressConfig{AnswerEvents: answer, WebhookURL: hook.server.URL})
			rig.join("anna")
			a := rig.ok("POST", "/events", "anna", `{"conversationId":"anna","payload":{"event":"SCAN","eventKey":"7"}}`)
			id := a.text("event.id")
			if !strings.HasPrefix(id, "evt_") || a.text("event.userId") != "anna" || a.text("event.payload.eventKey") != "7" {
				t.Errorf("answer %s", a.body)
			}
			// The bot may answer before the echo is heard.
			echo := hook.all()[slices.IndexFunc(hook.all(), func(h bpHeard) bool { return h.text("type") == "event_created" })]
			if echo.text("data.id") != id || echo.at("data.isBot") != false {
				t.Errorf("echo %s", echo.body)
			}
			rig.idle()
			if turns := rig.Turns("anna"); len(turns) != 1 || !turns[0].Event || turns[0].MessageID != id {
				t.Errorf("turns %v", turns)
			}
			var want []string
			if answer {
				want = []string{"event: SCAN"}
			}
			if diff := cmp.Diff(want, rig.said("anna")); diff != "" {
				t.Error(diff)
			}
			if got := rig.ok("GET", "/events/"+id, "anna", "").text("event.id"); got != id {
				t.Errorf("getEvent %q", got)
			}
		})
	}
	t.Run("from the bot", func(t *testing.T) {
		hook := bpListen(t, nil)
		rig := bpStart(t, BotpressConfig{WebhookURL: hook.server.URL})
		rig.join("anna")
		rig.send("anna", "event")
		rig.idle()
		for _, h := range hook.all() {
			if h.text("type") == "event_created" {
				if !strings.Contains(h.body, `"id":null`) || h.at("data.isBot") != true || !strings.HasPrefix(h.text("data.userId"), "user_") {
					t.Error(h.body)
				}
				return
			}
		}
		t.Error("no event heard")
	})
}

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
