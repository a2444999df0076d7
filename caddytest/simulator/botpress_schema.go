package simulator

import (
	"bytes"
	"encoding/json"
	"slices"
	"unicode/utf8"
)

// bpFields is a request body, one level decoded. Its methods complain in the validator's words.
type bpFields map[string]json.RawMessage

// bpParseBody requires a JSON object: a body is mandatory even where every field is optional.
func bpParseBody(raw []byte) (bpFields, *bpFailure) {
	if len(bytes.TrimSpace(raw)) == 0 {
		return nil, bpRouterError(400, "must be object")
	}
	if !json.Valid(raw) {
		return nil, bpRouterError(400, "Invalid JSON body")
	}
	var f bpFields
	if err := json.Unmarshal(raw, &f); err != nil || f == nil {
		return nil, bpRouterError(400, "must be object")
	}
	return f, nil
}

// text gives a string field, nil if it is absent. A null is not absence.
func (f bpFields) text(name string, longest int) (*string, *bpFailure) {
	raw, ok := f[name]
	if !ok {
		return nil, nil
	}
	if raw[0] != '"' {
		return nil, bpRouterError(400, "must be string")
	}
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		return nil, bpRouterError(400, "must be string")
	}
	if longest > 0 && utf8.RuneCountInString(s) > longest {
		return nil, bpRouterError(400, "must NOT have more than 1000 characters")
	}
	return &s, nil
}

// required gives a string field that must be there and not be empty.
func (f bpFields) required(name string) (string, *bpFailure) {
	s, fail := f.text(name, 0)
	switch {
	case fail != nil:
		return "", fail
	case s == nil:
		return "", bpRouterError(400, "must have required property '"+name+"'")
	case *s == "":
		return "", bpRouterError(400, "must NOT have fewer than 1 characters")
	}
	return *s, nil
}

// object gives a field that must hold an object, compacted, nil if it is absent and may be.
func (f bpFields) object(name string, need bool) (json.RawMessage, *bpFailure) {
	raw, ok := f[name]
	switch {
	case !ok && need:
		return nil, bpRouterError(400, "must have required property '"+name+"'")
	case !ok:
		return nil, nil
	case raw[0] != '{':
		return nil, bpRouterError(400, "must be object")
	}
	return bpCompact(raw), nil
}

func bpCompact(raw []byte) json.RawMessage {
	var buf bytes.Buffer
	if err := json.Compact(&buf, raw); err != nil {
		return raw
	}
	return buf.Bytes()
}

// payload gives a message payload that fits one of the twelve types. Whatever is wrong with it, the
// complaint is the one about the first type tried, audio.
func (f bpFields) payload() (json.RawMessage, *bpFailure) {
	raw, ok := f["payload"]
	if !ok {
		return nil, bpRouterError(400, "must have required property 'payload'")
	}
	var p map[string]any
	if raw[0] != '{' || json.Unmarshal(raw, &p) != nil {
		return nil, bpRouterError(400, "must be object")
	}
	if !bpFitsPayload(p) {
		audio, there := p["audioUrl"]
		switch s, isText := audio.(string); {
		case !there:
			return nil, bpRouterError(400, "must have required property 'audioUrl'")
		case !isText:
			return nil, bpRouterError(400, "must be string")
		case s == "":
			return nil, bpRouterError(400, "must NOT have fewer than 1 characters")
		default:
			return nil, bpRouterError(400, "must be equal to one of the allowed values")
		}
	}
	// Metadata is kept inside the payload at Botpress, and never shown there to clients.
	if _, ok := p["metadata"]; ok {
		delete(p, "metadata")
		return bpJSON(p), nil
	}
	return bpCompact(raw), nil
}

var bpFlatTypes = []string{"text", "markdown", "image", "audio", "video", "file", "location"}

func bpFitsPayload(p map[string]any) bool {
	switch kind, _ := p["type"].(string); kind {
	case "card":
		return bpFitsCard(p)
	case "carousel":
		return bpFitsEach(p["items"], func(item map[string]any) bool {
			return item["type"] == "card" && bpFitsCard(item)
		})
	case "choice", "dropdown":
		return bpFilled(p, "text") && bpFitsEach(p["options"], func(o map[string]any) bool {
			return bpFilled(o, "label", "value")
		})
	case "bloc":
		return bpFitsEach(p["items"], func(item map[string]any) bool {
			kind, _ := item["type"].(string)
			return slices.Contains(bpFlatTypes, kind) && bpFitsFlat(item)
		})
	default:
		return bpFitsFlat(p)
	}
}

func bpFitsFlat(p map[string]any) bool {
	switch p["type"] {
	case "text":
		return bpFilled(p, "text")
	case "markdown":
		return bpFilled(p, "markdown")
	case "image":
		return bpFilled(p, "imageUrl")
	case "audio":
		return bpFilled(p, "audioUrl")
	case "video":
		return bpFilled(p, "videoUrl")
	case "file":
		return bpFilled(p, "fileUrl") && bpOptional(p, 1, "title")
	case "location":
		_, lat := p["latitude"].(float64)
		_, lon := p["longitude"].(float64)
		return lat && lon && bpOptional(p, 0, "address", "title")
	default:
		return false
	}
}

func bpFitsCard(p map[string]any) bool {
	return bpFilled(p, "title") && bpOptional(p, 1, "subtitle", "imageUrl") &&
		bpFitsEach(p["actions"], func(a map[string]any) bool {
			switch a["action"] {
			case "postback", "url", "say":
				return bpFilled(a, "label", "value")
			default:
				return false
			}
		})
}

// bpFilled reports whether all the named fields are strings of at least one character.
func bpFilled(p map[string]any, names ...string) bool {
	for _, n := range names {
		if s, _ := p[n].(string); s == "" {
			return false
		}
	}
	return true
}

func bpOptional(p map[string]any, shortest int, names ...string) bool {
	for _, n := range names {
		v, there := p[n]
		if s, isText := v.(string); there && (!isText || len(s) < shortest) {
			return false
		}
	}
	return true
}

func bpFitsEach(v any, fits func(map[string]any) bool) bool {
	list, ok := v.([]any)
	if !ok {
		return false
	}
	for _, x := range list {
		o, ok := x.(map[string]any)
		if !ok || !fits(o) {
			return false
		}
	}
	return true
}
