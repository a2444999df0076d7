package simulator

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// bpHelp is the answer to "help".
const bpHelp = `audio: a sound
bloc: text, picture and link in one message
card: a card with actions
carousel: three cards
choice: options to choose from
dropdown: many options
event: a custom event
file: a file
image: a picture
location: a place
long: 5000 bytes of text
many 7: seven messages at once
markdown: formatted text
reverse 3: three messages, the last one first
silent: no reply
slow 8: a reply after 8 seconds
stream: a reply in pieces
abort: a reply that ends half-way
twice: two messages, one second apart
unknown: a kind of message not yet invented
video: a film
anything else: an echo`

// EchoBot is the built-in bot. A text that is exactly one of the keywords of bpHelp gets what that
// says; every other text comes back as "echo: " and the text. Media of the user is answered by its
// type and URL, such as "image: https://...". Custom events are answered with "event: " and their
// "event" field if BotpressConfig.AnswerEvents is set, else not at all.
func EchoBot(_ context.Context, t *BotTurn) {
	if t.Event {
		bpEchoEvent(t)
		return
	}
	text := t.Text()
	if text == "" {
		bpEchoMedia(t)
		return
	}
	command, arg, _ := strings.Cut(strings.TrimSpace(text), " ")
	if f := bpCounted[command]; f != nil {
		if n, err := strconv.ParseFloat(arg, 64); err == nil && n > 0 && n <= 100_000 {
			f(t, n)
			return
		}
	}
	if arg == "" {
		if f := bpKeywords[command]; f != nil {
			f(t)
			return
		}
		if p := bpSample(command, t.MediaURL); p != nil {
			t.Reply(p)
			return
		}
	}
	t.Reply("echo: " + text)
}

func bpEchoEvent(t *BotTurn) {
	if !t.answers {
		return
	}
	var p struct {
		Event string `json:"event"`
	}
	_ = json.Unmarshal(t.Payload, &p)
	t.Reply("event: " + p.Event)
}

func bpEchoMedia(t *BotTurn) {
	var p struct {
		Type      string      `json:"type"`
		ImageURL  string      `json:"imageUrl"`
		AudioURL  string      `json:"audioUrl"`
		VideoURL  string      `json:"videoUrl"`
		FileURL   string      `json:"fileUrl"`
		Latitude  json.Number `json:"latitude"`
		Longitude json.Number `json:"longitude"`
	}
	_ = json.Unmarshal(t.Payload, &p)
	what := p.ImageURL + p.AudioURL + p.VideoURL + p.FileURL
	if p.Type == "location" {
		what = p.Latitude.String() + "," + p.Longitude.String()
	}
	t.Reply(strings.TrimSpace(p.Type + ": " + what))
}

// bpCounted are the keywords with a number.
var bpCounted = map[string]func(t *BotTurn, n float64){
	"slow": func(t *BotTurn, n float64) {
		if t.Sleep(time.Duration(n * float64(time.Second))) {
			t.Reply("echo: " + t.Text())
		}
	},
	"many": func(t *BotTurn, n float64) {
		for i := 1; i <= int(n); i++ {
			t.Reply(fmt.Sprintf("%d/%d", i, int(n)))
		}
	},
	"reverse": func(t *BotTurn, n float64) {
		newest := t.At.Add(time.Duration(n) * 100 * time.Millisecond)
		for i := int(n); i >= 1; i-- {
			t.Reply(fmt.Sprintf("%d/%d", i, int(n)), SayAt(newest))
			newest = newest.Add(-100 * time.Millisecond)
		}
	},
}

// bpKeywords are those that do more than send one message.
var bpKeywords = map[string]func(t *BotTurn){
	"help":   func(t *BotTurn) { t.Reply(bpHelp) },
	"silent": func(*BotTurn) {},
	"event": func(t *BotTurn) {
		_ = t.SendEvent(map[string]any{"name": "demo", "text": "a custom event"})
	},
	"twice": func(t *BotTurn) {
		t.Reply("1/2")
		if t.Sleep(time.Second) {
			t.Reply("2/2")
		}
	},
	"stream": func(t *BotTurn) {
		id := "stream-" + t.MessageID
		for i, piece := range []string{"echo: ", "str", "eam"} {
			_ = t.Delta(id, i, piece)
		}
		t.Reply("echo: stream", SayMetadata(map[string]any{"streamId": id}))
	},
	"abort": func(t *BotTurn) {
		id := "stream-" + t.MessageID
		_ = t.Delta(id, 0, "echo: ab")
		_ = t.Abort(id)
	},
}

type bpObject = map[string]any

// bpSample is one message of a kind, nil if there is no such keyword.
func bpSample(kind string, media func(name string) string) any {
	switch kind {
	case "image":
		return bpObject{"type": "image", "imageUrl": media("picture.png"), "title": "A picture"}
	case "audio":
		return bpObject{"type": "audio", "audioUrl": media("sound.mp3"), "title": "A sound"}
	case "video":
		return bpObject{"type": "video", "videoUrl": media("clip.mp4"), "title": "A film"}
	case "file":
		return bpObject{"type": "file", "fileUrl": media("document.pdf"), "title": "文件.pdf"}
	case "location":
		return bpObject{"type": "location", "latitude": 39.9087, "longitude": 116.3975, "title": "天安门", "address": "北京市东城区"}
	case "markdown":
		return bpObject{"type": "markdown", "markdown": strings.ReplaceAll(bpMarkdown, bpMarkdownPicture, media("picture.png"))}
	case "long":
		return bpObject{"type": "text", "text": bpLongText()}
	case "card":
		card := bpCard(media, 1)
		card["type"] = "card"
		return card
	case "carousel":
		return bpObject{"type": "carousel", "items": []any{bpCard(media, 1), bpCard(media, 2), bpCard(media, 3)}}
	case "choice":
		return bpObject{"type": "choice", "text": "Which one? 选哪一个？", "options": bpOptions("Red 红", "Green 绿", "Blue 蓝")}
	case "dropdown":
		return bpObject{"type": "dropdown", "text": "Which day?", "options": bpOptions(
			"Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")}
	case "bloc":
		return bpObject{"type": "bloc", "items": []any{
			bpObject{"type": "text", "payload": bpObject{"text": "first"}},
			bpObject{"type": "image", "payload": bpObject{"imageUrl": media("picture.png")}},
			bpObject{"type": "text", "payload": bpObject{"text": "last"}},
		}}
	case "unknown":
		return bpObject{"type": "hologram", "hologramUrl": media("picture.png"), "depth": 3}
	default:
		return nil
	}
}

// bpCard has no "type": that is how bots send the items of a carousel.
func bpCard(media func(string) string, n int) bpObject {
	return bpObject{
		"title": fmt.Sprintf("Card %d", n), "subtitle": "副标题", "imageUrl": media("photo.jpg"),
		"actions": []any{
			bpObject{"action": "url", "label": "Open", "value": fmt.Sprintf("https://example.com/%d?a=1&b=2", n)},
			bpObject{"action": "say", "label": "Say it", "value": fmt.Sprintf("say %d", n)},
			bpObject{"action": "postback", "label": "Choose", "value": fmt.Sprintf("card_%d", n)},
		},
	}
}

func bpOptions(labels ...string) []any {
	options := make([]any, len(labels))
	for i, label := range labels {
		options[i] = bpObject{"label": label, "value": fmt.Sprintf("option_%d", i+1)}
	}
	return options
}

const bpMarkdownPicture = "https://example.com/p.png" // for which one that exists is put in

const bpMarkdown = "# Title 标题\n\nSome **bold**, *italic*, `code` and a [link](https://example.com/a?b=1&c=2).\n\n" +
	"- one\n- two\n  - two and a half\n\n1. first\n2. second\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n> quoted\n\n```\ncode <block> & more\n```\n\n![picture](" + bpMarkdownPicture + ")\n"

// bpLongText is 5000 bytes of sentences in two languages, numbered so that a reader sees order and gaps.
func bpLongText() string {
	const size = 5000
	var s strings.Builder
	for i := 1; ; i++ {
		sentence := fmt.Sprintf("%d. 这是一句很长的中文，用来看看消息在哪里被分开。And this is the same in English, to see where it is split. 👩‍👩‍👧\n", i)
		if s.Len()+len(sentence) > size {
			break
		}
		s.WriteString(sentence)
	}
	s.WriteString(strings.Repeat("z", size-s.Len()))
	return s.String()
}
