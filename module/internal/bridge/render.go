package bridge

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/caddy-wechat/caddy-wechat/module/botpress"
	"github.com/caddy-wechat/caddy-wechat/module/wechat"
)

// textLimit is how long one text may be, in bytes of UTF-8. WeChat refuses
// texts beyond 2048 bytes.
const textLimit = 2000

type partKind int

const (
	partText partKind = iota
	partImage
)

// part is one WeChat message that a payload becomes.
type part struct {
	kind  partKind
	text  string
	rest  []string // what follows when the text had to be cut smaller
	url   string   // where a picture is fetched
	title string   // of a picture
	media string   // its media_id, once it is uploaded
}

// message is what is sent for the part now.
func (p *part) message() wechat.Message {
	if p.kind == partImage {
		return wechat.ImageMessage(p.media)
	}
	return wechat.TextMessage(p.text)
}

// advance goes on to the rest of a text, false if there is none.
func (p *part) advance() bool {
	if len(p.rest) == 0 {
		return false
	}
	p.text, p.rest = p.rest[0], p.rest[1:]
	return true
}

// halve cuts a text that is too long for WeChat after all.
func (p *part) halve() bool {
	if p.kind != partText || len(p.text) < 16 {
		return false
	}
	pieces := splitText(p.text, len(p.text)/2+1)
	if len(pieces) < 2 {
		return false
	}
	p.text, p.rest = pieces[0], append(pieces[1:], p.rest...)
	return true
}

// fallBack makes a link of a picture that cannot be shown.
func (p *part) fallBack() bool {
	if p.kind != partImage {
		return false
	}
	pieces := splitText(lines(p.title, p.url), textLimit)
	if len(pieces) == 0 {
		return false
	}
	p.kind, p.text, p.rest = partText, pieces[0], pieces[1:]
	return true
}

// render makes WeChat messages of a Botpress payload. It is false if the
// payload is of a kind that has nothing to show; the messages then tell the
// user that something is missing.
func render(s *Settings, raw json.RawMessage) ([]part, bool) {
	p, err := botpress.ParsePayload(raw)
	if err != nil {
		return textParts(s.Notices.Failed), false
	}
	parts, known := renderPayload(p, 0)
	if !known && len(parts) == 0 {
		parts = textParts(s.Notices.Failed)
	}
	return parts, known
}

// maxNesting is how deep a bloc may lie in a bloc.
const maxNesting = 4

func renderPayload(p botpress.Payload, depth int) ([]part, bool) {
	switch p.Type {
	case "text":
		return textParts(p.Text), true
	case "markdown":
		return textParts(p.Markdown), true
	case "image":
		return []part{{kind: partImage, url: p.ImageURL, title: p.Title}}, true
	case "audio":
		return textParts(lines(p.Title, p.AudioURL)), true
	case "video":
		return textParts(lines(p.Title, p.VideoURL)), true
	case "file":
		return textParts(lines(p.Title, p.FileURL)), true
	case "location":
		return textParts(lines(p.Title, p.Address, coordinates(p))), true
	case "choice", "dropdown":
		return textParts(lines(p.Text, numbered(p.Options))), true
	case "card":
		return cardParts(p), true
	case "carousel", "bloc":
		if depth >= maxNesting {
			return nil, false
		}
		var parts []part
		known := true
		for _, item := range p.Items {
			if p.Type == "carousel" {
				item.Type = "card" // carousel items lack it on the wire
			}
			more, ok := renderPayload(item, depth+1)
			parts, known = append(parts, more...), known && ok
		}
		return parts, known
	}
	texts := p.Texts()
	return textParts(lines(texts...)), len(texts) > 0
}

func textParts(text string) []part {
	var parts []part
	for _, s := range splitText(text, textLimit) {
		if strings.TrimSpace(s) != "" { // WeChat refuses empty texts
			parts = append(parts, part{text: s})
		}
	}
	return parts
}

func cardParts(p botpress.Payload) []part {
	var parts []part
	if p.ImageURL != "" {
		parts = append(parts, part{kind: partImage, url: p.ImageURL, title: p.Title})
	}
	all := []string{p.Title, p.Subtitle}
	for i, a := range p.Actions {
		line := strconv.Itoa(i+1) + ". " + a.Label
		if a.Action == "url" {
			line += " " + a.Value
		}
		all = append(all, line)
	}
	return append(parts, textParts(lines(all...))...)
}

func numbered(options []botpress.Option) string {
	all := make([]string, len(options))
	for i, o := range options {
		all[i] = strconv.Itoa(i+1) + ". " + o.Label
	}
	return strings.Join(all, "\n")
}

func coordinates(p botpress.Payload) string {
	return strconv.FormatFloat(p.Latitude, 'f', -1, 64) + "," + strconv.FormatFloat(p.Longitude, 'f', -1, 64)
}
