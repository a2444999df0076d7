package botpress

import (
	"bytes"
	"encoding/json"
	"math"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	maxMessage  = 300 // bytes of a server's explanation that are kept
	minRedacted = 4   // bytes; shorter sent values are too common to take out
)

// failure is the error in an answer; nil for a good one. Botpress fails in several shapes:
//
//	{"id","code","type","message"}       the API's own
//	{"message"}                          its router and validator
//	{"type","description","status"}      its rate limiter
//	plain text                           anything unexpected, status 500
//
// and the first and third also come under a success status.
func failure(a *answer) *Error {
	good := a.status >= 200 && a.status <= 299
	var shape struct {
		ID          any `json:"id"`
		Code        any `json:"code"`
		Status      any `json:"status"`
		Type        any `json:"type"`
		Message     any `json:"message"`
		Description any `json:"description"`
	}
	body := bytes.TrimSpace(a.body)
	if good && !bytes.Contains(body, []byte(`"code"`)) && !bytes.Contains(body, []byte(`"status"`)) {
		return nil // nearly always, and much cheaper than a second parse
	}
	// All fields are any: decoding an object fails only on bad syntax.
	isObject := len(body) > 0 && body[0] == '{' && json.Unmarshal(body, &shape) == nil
	if !isObject {
		if good {
			return nil
		}
		return &Error{Status: a.status, Message: plainText(a.header, body)}
	}
	e := &Error{Status: a.status, Type: token(shape.Type), ID: token(shape.ID), Message: text(shape.Message)}
	if e.Message == "" {
		e.Message = text(shape.Description)
	}
	switch code, status := errorCode(shape.Code), errorCode(shape.Status); {
	case code != 0:
		e.Status = code
	case status != 0 && e.Type != "":
		e.Status = status
	case good:
		return nil
	}
	e.race = e.Status == http.StatusInternalServerError && strings.Contains(e.Message, "already assigned to another value")
	e.wrongHost = e.Status == http.StatusBadRequest && strings.Contains(e.Message, "should be called from the chat domain")
	return e
}

func errorCode(v any) int {
	f, ok := v.(float64)
	if !ok || f < 400 || f > 599 || f != math.Trunc(f) {
		return 0
	}
	return int(f)
}

func text(v any) string {
	s, _ := v.(string)
	return s
}

var tokenShape = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`)

// token keeps identifiers only, so that nothing else slips into a log by way of type or id.
func token(v any) string {
	if s := text(v); tokenShape.MatchString(s) {
		return s
	}
	return ""
}

// plainText explains an answer that is no JSON. Pages of proxies explain nothing.
func plainText(h http.Header, body []byte) string {
	if strings.HasPrefix(h.Get("Content-Type"), "text/html") || bytes.HasPrefix(body, []byte("<")) {
		return "answered with a web page"
	}
	return string(body)
}

var (
	jwtShape = regexp.MustCompile(`eyJ[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*\.?[A-Za-z0-9_-]*`)
	urlQuery = regexp.MustCompile(`(https?://[^\s"'<>?#]*)[?#][^\s"'<>]*`)
	userInfo = regexp.MustCompile(`(https?://)[^\s"'<>/@]*@`)
)

const redacted = "[redacted]"

// redact makes a server's or the network's explanation fit for a log: one short line without keys and queries, without
// the secrets, and without what we sent (ids and users' words, which validators like to quote).
func redact(msg string, secrets, sent []string) string {
	if msg == "" {
		return ""
	}
	msg = strings.ToValidUTF8(msg, "\uFFFD")
	for _, s := range secrets {
		if s = strings.TrimSpace(s); s != "" {
			msg = strings.ReplaceAll(msg, s, redacted)
		}
	}
	// A longer string may contain a shorter one, and must be found whole.
	slices.SortFunc(sent, func(a, b string) int { return len(b) - len(a) })
	for _, s := range sent {
		if len(s) >= minRedacted {
			msg = strings.ReplaceAll(msg, s, redacted)
		}
	}
	msg = jwtShape.ReplaceAllString(msg, redacted)
	msg = urlQuery.ReplaceAllString(msg, "$1")
	msg = userInfo.ReplaceAllString(msg, "$1")
	msg = strings.Join(strings.FieldsFunc(msg, func(r rune) bool { return r <= ' ' || r == 0x7f }), " ")
	return shorten(msg, maxMessage)
}

func shorten(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit] + "…"
}

// values lists the strings in a JSON text that may identify or quote somebody.
func values(sent []byte) []string {
	var v any
	if len(sent) == 0 || json.Unmarshal(sent, &v) != nil {
		return nil
	}
	var out []string
	var walk func(name string, v any)
	walk = func(name string, v any) {
		switch v := v.(type) {
		case string:
			if name != "type" {
				out = append(out, v)
			}
		case []any:
			for _, e := range v {
				walk(name, e)
			}
		case map[string]any:
			for k, e := range v {
				walk(k, e)
			}
		}
	}
	walk("", v)
	return out
}
