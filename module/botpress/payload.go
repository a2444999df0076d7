package botpress

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"
)

// Payload types. (Botpress Chat API, message payloads.)
const (
	TypeText     = "text"
	TypeMarkdown = "markdown"
	TypeImage    = "image"
	TypeAudio    = "audio"
	TypeVideo    = "video"
	TypeFile     = "file"
	TypeLocation = "location"
	TypeCard     = "card"
	TypeCarousel = "carousel"
	TypeChoice   = "choice"
	TypeDropdown = "dropdown"
	TypeBloc     = "bloc"
)

// Actions of a card.
const (
	ActionPostback = "postback"
	ActionURL      = "url"
	ActionSay      = "say"
)

// maxItemDepth is how deeply items may contain items; deeper ones are left out. Blocs contain no blocs.
const maxItemDepth = 4

// Payload is the content of a message, of any type. Fields that a type does not have, or that are missing or of an
// unexpected kind, are zero: bots' payloads are not validated by anybody. Numbers and booleans where a
// string belongs are taken as text, numbers in strings as numbers.
type Payload struct {
	// Type is one of the Type constants, or newer; see [Payload.Known].
	Type string

	Text     string // text, choice, dropdown; may hold Markdown
	Markdown string // markdown

	ImageURL string // image, card
	AudioURL string // audio
	VideoURL string // video
	FileURL  string // file

	Title    string // card, file, location, and, from bots, image, audio, video
	Subtitle string // card
	Address  string // location

	Latitude, Longitude float64 // location; degrees
	HasPosition         bool    // both were given

	Options []Option  // choice, dropdown
	Actions []Action  // card
	Items   []Payload // carousel (cards, whose type bots leave out), bloc

	fields map[string]any
}

// Option is one answer that a choice or dropdown offers. One of the two missing is the same as the other.
type Option struct {
	Label string // what the user sees
	Value string // what the bot gets
}

// Action is one button of a card.
type Action struct {
	Action string // one of the Action constants
	Label  string // what the user sees
	Value  string // the URL to open, or what the bot gets
}

// ParsePayload reads a message's payload. It fails only on what is not a JSON object or nests absurdly; its errors
// quote nothing.
func ParsePayload(raw []byte) (Payload, error) {
	if !shallow(raw) {
		return Payload{}, errors.New("parsing payload: nested too deeply")
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var fields map[string]any
	if err := dec.Decode(&fields); err != nil || fields == nil {
		return Payload{}, errors.New("parsing payload: not a JSON object")
	}
	if _, err := dec.Token(); err != io.EOF {
		return Payload{}, errors.New("parsing payload: not a JSON object")
	}
	return newPayload(fields, "", 0), nil
}

func newPayload(f map[string]any, defaultType string, depth int) Payload {
	p := Payload{
		Type:     str(f, "type"),
		Text:     str(f, "text"),
		Markdown: str(f, "markdown"),
		ImageURL: str(f, "imageUrl"),
		AudioURL: str(f, "audioUrl"),
		VideoURL: str(f, "videoUrl"),
		FileURL:  str(f, "fileUrl"),
		Title:    str(f, "title"),
		Subtitle: str(f, "subtitle"),
		Address:  str(f, "address"),
		fields:   f,
	}
	if p.Type == "" {
		p.Type = defaultType
	}
	var hasLat, hasLong bool
	p.Latitude, hasLat = degrees(f["latitude"], 90)
	p.Longitude, hasLong = degrees(f["longitude"], 180)
	p.HasPosition = hasLat && hasLong
	for _, o := range objects(f["options"]) {
		if opt := (Option{either(o, "label", "value"), either(o, "value", "label")}); opt.Label != "" {
			p.Options = append(p.Options, opt)
		}
	}
	for _, o := range objects(f["actions"]) {
		if a := (Action{str(o, "action"), either(o, "label", "value"), either(o, "value", "label")}); a.Label != "" {
			p.Actions = append(p.Actions, a)
		}
	}
	if depth < maxItemDepth {
		p.Items = newItems(f["items"], p.Type, depth+1)
	}
	return p
}

func newItems(v any, parent string, depth int) []Payload {
	var items []Payload
	for _, o := range objects(v) {
		// Inside Botpress, a bloc's items keep their content under "payload".
		if inner, ok := o["payload"].(map[string]any); ok && parent == TypeBloc {
			items = append(items, newPayload(inner, str(o, "type"), depth))
			continue
		}
		defaultType := ""
		if parent == TypeCarousel {
			defaultType = TypeCard
		}
		items = append(items, newPayload(o, defaultType, depth))
	}
	return items
}

// Known reports whether the type is one of the twelve that the API documents.
func (p Payload) Known() bool {
	switch p.Type {
	case TypeText, TypeMarkdown, TypeImage, TypeAudio, TypeVideo, TypeFile, TypeLocation, TypeCard, TypeCarousel,
		TypeChoice, TypeDropdown, TypeBloc:
		return true
	default:
		return false
	}
}

// str is a member as text; whitespace alone is kept, it is up to the reader.
func str(f map[string]any, name string) string {
	switch v := f[name].(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	case bool:
		return strconv.FormatBool(v)
	default:
		return ""
	}
}

func either(f map[string]any, name, other string) string {
	if s := str(f, name); s != "" {
		return s
	}
	return str(f, other)
}

func degrees(v any, limit float64) (float64, bool) {
	var s string
	switch v := v.(type) {
	case json.Number:
		s = v.String()
	case string:
		s = strings.TrimSpace(v)
	}
	n, err := strconv.ParseFloat(s, 64)
	if err != nil || !(n >= -limit && n <= limit) { // also not a number
		return 0, false
	}
	return n, true
}

// objects are the objects of a list; other elements are left out. A string stands for an option of that label.
func objects(v any) []map[string]any {
	list, _ := v.([]any)
	var out []map[string]any
	for _, e := range list {
		switch e := e.(type) {
		case map[string]any:
			out = append(out, e)
		case string:
			out = append(out, map[string]any{"label": e, "type": TypeText, "text": e})
		}
	}
	return out
}
