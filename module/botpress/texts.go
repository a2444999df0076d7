package botpress

import (
	"maps"
	"slices"
	"strings"
)

const (
	maxTexts     = 50 // of one payload
	maxTextDepth = 6
)

// textFields are the names under which payloads keep what people read, in reading order.
var textFields = []string{
	"title", "subtitle", "header", "text", "markdown", "body", "content", "message", "caption", "description", "label",
	"address", "footer",
}

// Texts finds what a person could read in a payload of whatever type, for types not known here: its texts in
// reading order, then those of the objects it contains, and the addresses it links to, each once. Empty if there
// is nothing of the kind.
func (p Payload) Texts() []string {
	c := textCollector{seen: make(map[string]bool)}
	c.object(p.fields, 0)
	return c.texts
}

type textCollector struct {
	texts []string
	seen  map[string]bool
}

func (c *textCollector) object(f map[string]any, depth int) {
	if depth > maxTextDepth {
		return
	}
	for _, name := range textFields {
		if s, ok := f[name].(string); ok {
			c.add(s)
		}
	}
	names := slices.Sorted(maps.Keys(f)) // the same every time
	for _, name := range names {
		if s, ok := f[name].(string); ok && isLink(name, s) {
			c.add(s)
		}
	}
	for _, name := range names {
		if name != "metadata" { // not meant for people
			c.value(f[name], depth+1)
		}
	}
}

func (c *textCollector) value(v any, depth int) {
	switch v := v.(type) {
	case map[string]any:
		c.object(v, depth)
	case []any:
		if depth > maxTextDepth {
			return
		}
		for _, e := range v {
			c.value(e, depth+1)
		}
	}
}

func (c *textCollector) add(s string) {
	s = strings.TrimSpace(s)
	if s == "" || c.seen[s] || len(c.texts) >= maxTexts {
		return
	}
	c.seen[s] = true
	c.texts = append(c.texts, s)
}

// isLink takes a web address for one if its name says so, or if it stands under "value" as in a card's actions.
func isLink(name, s string) bool {
	if !strings.HasPrefix(s, "https://") && !strings.HasPrefix(s, "http://") {
		return false
	}
	name = strings.ToLower(name)
	for _, suffix := range []string{"url", "uri", "link", "href", "src", "value"} {
		if strings.HasSuffix(name, suffix) {
			return true
		}
	}
	return false
}

// Outgoing is a payload to send. Bots in practice understand text, and media where they are built for it.
type Outgoing map[string]any

// TextPayload says something. Botpress refuses empty text, but takes a space.
func TextPayload(text string) Outgoing { return Outgoing{"type": TypeText, "text": text} }

// ImagePayload shows a picture. The bot must be able to fetch the URL, here as below perhaps more than once and
// minutes later; Botpress does not look at it.
func ImagePayload(url string) Outgoing { return Outgoing{"type": TypeImage, "imageUrl": url} }

// AudioPayload sends a recording; the API has no voice type.
func AudioPayload(url string) Outgoing { return Outgoing{"type": TypeAudio, "audioUrl": url} }

// VideoPayload sends a video.
func VideoPayload(url string) Outgoing { return Outgoing{"type": TypeVideo, "videoUrl": url} }

// FilePayload sends a file; an empty title is left out.
func FilePayload(url, title string) Outgoing {
	return Outgoing{"type": TypeFile, "fileUrl": url}.with("title", title)
}

// LocationPayload sends a place, in degrees; an empty address or title is left out.
func LocationPayload(latitude, longitude float64, address, title string) Outgoing {
	o := Outgoing{"type": TypeLocation, "latitude": latitude, "longitude": longitude}
	return o.with("address", address).with("title", title)
}

func (o Outgoing) with(name, value string) Outgoing {
	if value != "" {
		o[name] = value
	}
	return o
}
