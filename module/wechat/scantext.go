package wechat

import (
	"bytes"
	"encoding/binary"
	"unicode/utf8"
)

// text reads character data up to the next markup.
func (s *scanner) text() error {
	from, plain := s.pos, true
	for ; s.pos < len(s.raw) && s.raw[s.pos] != '<'; s.pos++ {
		switch s.raw[s.pos] {
		case '&', '\r':
			plain = false
		case '>':
			if s.pos-from >= 2 && s.raw[s.pos-1] == ']' && s.raw[s.pos-2] == ']' {
				return s.syntaxError() // XML has it so, for SGML's sake
			}
		}
	}
	sp := span{int32(from), int32(s.pos)}
	if !plain {
		s.owned()
		var ok bool
		if sp, ok = unescape(s.doc, sp, true); !ok {
			return s.syntaxError()
		}
	}
	return s.take(sp)
}

// take adds text to the innermost open element. That of the root nobody asks for.
func (s *scanner) take(sp span) error {
	switch {
	case s.depth == 0:
		if len(bytes.TrimSpace(s.doc[sp.from:sp.to])) > 0 {
			return &ParseError{Reason: "text outside of the <xml> element"}
		}
		return nil
	case s.depth == 1, sp.size() == 0:
		return nil
	}
	i, n := int32(len(s.pieces)), &s.nodes[s.open[s.depth-1].node]
	s.pieces = append(s.pieces, piece{sp, none})
	if n.text == none {
		n.text = i
	} else {
		s.pieces[n.tail].next = i
	}
	n.tail = i
	return nil
}

// unescape makes CR LF and CR a LF in a piece of doc and, if asked to, resolves
// references, in place: a character never takes more bytes than its reference.
// False says that one of them is unknown, malformed, or for no character of XML.
func unescape(doc []byte, sp span, references bool) (span, bool) {
	text := doc[sp.from:sp.to]
	w := 0
	for r := 0; r < len(text); {
		switch b := text[r]; {
		case b == '\r':
			text[w] = '\n'
			if r++; r < len(text) && text[r] == '\n' {
				r++
			}
			w++
		case b == '&' && references:
			char, n := reference(text[r+1:])
			if n == 0 {
				return sp, false
			}
			w += utf8.EncodeRune(text[w:r+1+n], char)
			r += 1 + n
		default:
			text[w] = b
			w++
			r++
		}
	}
	return span{sp.from, sp.from + int32(w)}, true
}

// references are the five that XML predefines. There are no others without a
// DOCTYPE.
var references = [...]struct {
	name string
	char rune
}{{"lt;", '<'}, {"gt;", '>'}, {"amp;", '&'}, {"quot;", '"'}, {"apos;", '\''}}

// reference reads what follows an ampersand. It returns the character and the
// number of bytes read, 0 if it is none.
func reference(text []byte) (rune, int) {
	if len(text) > 0 && text[0] == '#' {
		return numeric(text)
	}
	for _, r := range references {
		if bytes.HasPrefix(text, []byte(r.name)) {
			return r.char, len(r.name)
		}
	}
	return 0, 0
}

// numeric reads a reference by number, decimal (#123;) or hex (#x1F600;). Half of
// a surrogate pair gives U+FFFD.
func numeric(text []byte) (rune, int) {
	i, base := 1, rune(10)
	if len(text) > i && text[i] == 'x' {
		i, base = i+1, 16
	}
	char := rune(0) // as without digits: none of XML
	for ; i < len(text); i++ {
		d := digit(text[i])
		if d >= base {
			break
		}
		if char = char*base + d; char > utf8.MaxRune {
			return 0, 0
		}
	}
	if i == len(text) || text[i] != ';' || !isXMLChar(char) {
		return 0, 0
	}
	return char, i + 1
}

// digit returns the value of a hex digit, and 16 for anything else.
func digit(b byte) rune {
	switch {
	case b >= '0' && b <= '9':
		return rune(b - '0')
	case b >= 'a' && b <= 'f':
		return rune(b-'a') + 10
	case b >= 'A' && b <= 'F':
		return rune(b-'A') + 10
	}
	return 16
}

// isXMLChar says whether XML has the character. Surrogates are let pass: they
// have become U+FFFD before that is asked elsewhere.
func isXMLChar(r rune) bool {
	return (r >= 0x20 || r == '\t' || r == '\n' || r == '\r') && r != '\ufffe' && r != '\uffff'
}

// cleanXML makes a body acceptable to an XML parser without touching what a user
// can mean: users do send control characters, and a message refused for one would
// be lost. Control characters below U+0020 but tab, LF and CR are dropped; invalid
// UTF-8 and the noncharacters U+FFFE and U+FFFF become U+FFFD; a byte order mark
// at the start goes. A body that needs none of it comes back as it is, not copied.
func cleanXML(body []byte) []byte {
	body = bytes.TrimPrefix(body, []byte("\ufeff"))
	if isCleanXML(body) {
		return body
	}
	if !utf8.Valid(body) {
		body = bytes.ToValidUTF8(body, []byte("\ufffd"))
	}
	return bytes.Map(func(r rune) rune {
		switch {
		case r == '\ufffe', r == '\uffff':
			return '\ufffd'
		case !isXMLChar(r):
			return -1
		}
		return r
	}, body)
}

func isCleanXML(body []byte) bool {
	for i := 0; i < len(body); {
		switch b := body[i]; {
		case b < utf8.RuneSelf:
			if n := printable(body[i:]); n > 0 {
				i += n
				continue
			}
			if !isXMLChar(rune(b)) {
				return false
			}
			i++
		case b >= 0xE1 && b <= 0xEC && i+2 < len(body) && body[i+1]&0xC0 == 0x80 && body[i+2]&0xC0 == 0x80:
			i += 3 // U+1000 to U+CFFF, the Chinese characters among them: none is special
		default:
			r, n := utf8.DecodeRune(body[i:])
			if r == utf8.RuneError && n == 1 || !isXMLChar(r) {
				return false
			}
			i += n
		}
	}
	return true
}

// printable returns 8 if the next eight bytes are all in 0x20 to 0x7F: most of a
// push is, and this is the quickest to tell.
func printable(b []byte) int {
	if len(b) < 8 {
		return 0
	}
	x := binary.LittleEndian.Uint64(b)
	const highs, blanks = 0x8080808080808080, 0x2020202020202020
	// Below 0x20 the difference borrows and sets the high bit.
	if (x-blanks|x)&highs != 0 {
		return 0
	}
	return 8
}
