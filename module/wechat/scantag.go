package wechat

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"slices"
	"unicode/utf8"
)

// xmlNamespace is what the prefix xml stands for, declared or not.
const xmlNamespace = "http://www.w3.org/XML/1998/namespace"

// binding is a namespace prefix in force; an empty one is for names without.
type binding struct{ prefix, value span }

// startTag reads a start tag or an empty element.
func (s *scanner) startTag() error {
	s.pos++ // <
	bound := len(s.bound)
	name, colon, ok := s.qualified()
	if !ok {
		return s.syntaxError()
	}
	for n := 0; ; n++ {
		s.space()
		switch {
		case s.has(">"):
			s.pos++
			return s.start(name, colon, bound)
		case s.has("/>"):
			s.pos += len("/>")
			if err := s.start(name, colon, bound); err != nil {
				return err
			}
			s.end()
			return nil
		case n == maxAttributes:
			return &ParseError{Reason: fmt.Sprintf("more than %d attributes", maxAttributes)}
		}
		if err := s.attribute(); err != nil {
			return err
		}
	}
}

// attribute reads one attribute. It is checked and, unless it binds a namespace,
// forgotten.
func (s *scanner) attribute() error {
	name, _, ok := s.qualified()
	if !ok {
		return s.syntaxError()
	}
	s.space()
	if s.next() != '=' {
		return s.syntaxError()
	}
	s.space()
	quote := s.next()
	if quote != '"' && quote != '\'' {
		return s.syntaxError()
	}
	value, ok := s.through(string(rune(quote)))
	if !ok {
		return s.syntaxError()
	}
	text := s.raw[value.from:value.to]
	if bytes.IndexByte(text, '<') >= 0 {
		return s.syntaxError()
	}
	if bytes.IndexByte(text, '&') >= 0 || bytes.IndexByte(text, '\r') >= 0 {
		s.owned()
		if value, ok = unescape(s.doc, value, true); !ok {
			return s.syntaxError()
		}
	}
	prefix, local := s.cut(name)
	switch {
	case s.is(prefix, "xmlns"):
		prefix = local
	case prefix.size() > 0, !s.is(local, "xmlns"):
		return nil
	}
	if value.size() > maxNamespace {
		return &ParseError{Reason: fmt.Sprintf("namespace of more than %d bytes", maxNamespace)}
	}
	s.bound = append(s.bound, binding{prefix, value})
	return nil
}

// start opens an element. colon says whether its name has one, bound how many
// namespaces are in force outside of it.
func (s *scanner) start(raw span, colon bool, bound int) error {
	name := raw
	if len(s.bound) > 0 || colon {
		name = s.expand(raw)
	}
	switch {
	case len(s.nodes) >= maxElements:
		return &ParseError{Reason: fmt.Sprintf("more than %d elements", maxElements)}
	case s.depth >= maxDepth:
		return &ParseError{Reason: fmt.Sprintf("nested deeper than %d levels", maxDepth)}
	case s.depth == 0 && len(s.nodes) > 0:
		return &ParseError{Reason: "more than one root element"}
	case s.depth == 0 && !s.is(name, "xml"):
		return &ParseError{Reason: "root element is not <xml>"}
	}
	parent := int32(none)
	if s.depth > 0 {
		parent = s.open[s.depth-1].node
		s.nodes[parent].kids++
	}
	s.open[s.depth] = opened{raw, int32(len(s.nodes)), bound}
	s.depth++
	s.nodes = append(s.nodes, node{name: name, parent: parent, text: none, tail: none})
	return nil
}

func (s *scanner) end() {
	s.depth--
	s.bound = s.bound[:s.open[s.depth].bound]
}

func (s *scanner) endTag() error {
	s.pos += len("</")
	if s.depth == 0 {
		return s.syntaxError()
	}
	// A name that is the same is also a proper one.
	was := s.open[s.depth-1].name
	if !bytes.HasPrefix(s.raw[s.pos:], s.raw[was.from:was.to]) {
		return s.syntaxError()
	}
	s.pos += was.size()
	s.space() // a name that is longer goes on here
	if s.next() != '>' {
		return s.syntaxError()
	}
	s.end()
	return nil
}

// Kinds of bytes in names.
const (
	nameStart   = 1 << iota // may start one
	nameRest                // may not
	nameColon               // may, but only one in a name with a namespace
	nameForeign             // is part of a character beyond ASCII
)

// nameBytes tells the kind of each byte, 0 for those that end a name.
var nameBytes = func() (t [256]byte) {
	for b := range 256 {
		switch c := byte(b); {
		case c >= 'A' && c <= 'Z', c >= 'a' && c <= 'z', c == '_':
			t[b] = nameStart
		case c >= '0' && c <= '9', c == '-', c == '.':
			t[b] = nameRest
		case c == ':':
			t[b] = nameColon
		case c >= utf8.RuneSelf:
			t[b] = nameForeign
		}
	}
	return t
}()

// name reads a name and returns what kinds of bytes are in it.
func (s *scanner) name() (sp span, kinds byte, ok bool) {
	from := s.pos
	for ; s.pos < len(s.raw); s.pos++ {
		kind := nameBytes[s.raw[s.pos]]
		if kind == 0 {
			break
		}
		kinds |= kind
	}
	sp = span{int32(from), int32(s.pos)}
	switch {
	case kinds&nameForeign != 0:
		if s.foreign == nil {
			s.foreign = new(foreignNames)
		}
		return sp, kinds, s.foreign.proper(s.raw[from:s.pos])
	case kinds == 0:
		return sp, kinds, false
	}
	return sp, kinds, nameBytes[s.raw[from]] != nameRest
}

// qualified reads a name with one colon at most, and says whether there is one.
func (s *scanner) qualified() (sp span, colon, ok bool) {
	sp, kinds, ok := s.name()
	if kinds&nameColon == 0 {
		return sp, false, ok
	}
	return sp, true, ok && bytes.Count(s.raw[sp.from:sp.to], []byte(":")) == 1
}

// foreignNames judges names that are not all ASCII. XML's table of letters is
// long, and WeChat's names do without: they are left to a decoder that has it.
type foreignNames struct {
	feed    bytes.Buffer
	decoder *xml.Decoder
}

// proper says whether it is a name. After one that is none there is no other.
func (f *foreignNames) proper(name []byte) bool {
	if f.decoder == nil {
		f.decoder = xml.NewDecoder(&f.feed)
	}
	f.feed.WriteString("<?")
	f.feed.Write(name)
	f.feed.WriteString(" ?>")
	_, err := f.decoder.RawToken()
	return err == nil
}

// expand resolves the namespace of an element's name. The result is kept apart
// from plain names, so that a:FromUserName is never taken for FromUserName.
func (s *scanner) expand(name span) span {
	prefix, local := s.cut(name)
	switch {
	case s.is(prefix, "xmlns"), prefix.size() == 0 && s.is(local, "xmlns"):
		return name
	case s.is(prefix, "xml"):
		return s.join([]byte(xmlNamespace), local)
	}
	for _, b := range slices.Backward(s.bound) {
		switch {
		case !bytes.Equal(s.raw[b.prefix.from:b.prefix.to], s.raw[prefix.from:prefix.to]):
			continue
		case b.value.size() == 0:
			return local
		}
		return s.join(s.doc[b.value.from:b.value.to], local)
	}
	return name
}

// join puts a name with a namespace behind the document.
func (s *scanner) join(space []byte, local span) span {
	s.owned()
	from := len(s.doc)
	s.doc = append(s.doc, space...)
	s.doc = append(s.doc, ':')
	s.doc = append(s.doc, s.raw[local.from:local.to]...)
	s.own = s.doc
	return span{int32(from), int32(len(s.doc))}
}

// cut parts a name at its colon; one at either end belongs to the name.
func (s *scanner) cut(name span) (prefix, local span) {
	i := int32(bytes.IndexByte(s.raw[name.from:name.to], ':'))
	if i <= 0 || int(i) == name.size()-1 {
		return span{}, name
	}
	return span{name.from, name.from + i}, span{name.from + i + 1, name.to}
}

func (s *scanner) is(sp span, text string) bool { return string(s.doc[sp.from:sp.to]) == text }
