package wechat

import (
	"bytes"
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// cleanText makes a text fit for WeChat, in XML and in JSON. WeChat shows \uXXXX
// escapes literally or refuses them, and Go's encoder would write them for C0
// controls, for U+2028 and U+2029, and for invalid UTF-8; XML has no room for the
// controls and the noncharacters at all. So line and paragraph separators and CR
// become LF, a tab becomes a blank, invalid UTF-8 and noncharacters U+FFFD; other
// controls are dropped.
func cleanText(s string) string {
	if isClean(s) {
		return s
	}
	s = strings.ReplaceAll(s, "\r\n", "\n")
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n':
			return r
		case r == '\r', r == '\u2028', r == '\u2029':
			return '\n'
		case r == '\t':
			return ' '
		case r < 0x20:
			return -1
		case r == '\ufffe', r == '\uffff':
			return '\ufffd'
		}
		return r
	}, s)
}

func isClean(s string) bool {
	for i := 0; i < len(s); {
		switch b := s[i]; {
		case b < utf8.RuneSelf:
			if b < 0x20 && b != '\n' {
				return false
			}
			i++
		case b >= 0xE3 && b <= 0xEC && i+2 < len(s) && s[i+1]&0xC0 == 0x80 && s[i+2]&0xC0 == 0x80:
			i += 3 // U+3000 to U+CFFF, most of Chinese: none is special
		default:
			r, n := utf8.DecodeRuneInString(s[i:])
			switch {
			case r == utf8.RuneError && n < 2, r == '\u2028', r == '\u2029', r == '\ufffe', r == '\uffff':
				return false
			}
			i += n
		}
	}
	return true
}

// encodeJSON writes raw UTF-8: <, > and & stay what they are, or links would
// break. Texts are to be clean already.
func encodeJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// cutText shortens s to at most n bytes, between code points.
func cutText(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
