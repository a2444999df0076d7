package simulator

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
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
