package bridge

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/caddy-wechat/caddy-wechat/module/botpress"
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
	kind    partKind
	text    string
	joins   bool   // goes on in the middle of the text before it
	url     string // where a picture is fetched
	title   string // of a picture
	media   string // its media_id, once it is uploaded
	renewed bool   // it has been uploaded anew
}

// fallBack makes a link of a picture that cannot be shown.
func (p *part) fallBack() bool {
	link := lines(p.title, p.url)
	if p.kind != partImage || link == "" {
		return false
	}
	p.kind, p.media, p.text = partText, "", link
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
			parts = append(parts, part{text: s, joins: len(parts) > 0})
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
