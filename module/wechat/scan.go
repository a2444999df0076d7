package wechat

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"sync"
)

const (
	// maxDepth bounds the nesting of elements, the root included. WeChat's
	// deepest event has five levels.
	maxDepth = 16
	// maxElements bounds the number of elements of one push.
	maxElements = 2000
	// maxAttributes bounds the attributes of one element. WeChat sends none.
	maxAttributes = 64
	// maxNamespace bounds the length of a namespace's name in bytes: each
	// element below carries it in its own name.
	maxNamespace = 1024
	// maxBody bounds the length of a body in bytes, so that a span reaches it
	// and what is put behind it.
	maxBody = math.MaxInt32 / 4
	// maxPooled is the size in bytes, and maxPooledItems the number of
	// elements or pieces of text, up to which the room of a scan is kept for
	// the next one. A rare giant does not stay in memory.
	maxPooled      = 64 << 10
	maxPooledItems = 512
)

// span is a piece of scanner.doc.
type span struct{ from, to int32 }

func (s span) size() int { return int(s.to - s.from) }

// none stands for no piece, where an index is expected.
const none = -1

// node is one element as the scanner finds it. The first node is the root; a
// parent comes before its children.
type node struct {
	name   span
	parent int32
	kids   int32 // children, not their children
	// The first and the last piece of the text.
	text, tail int32
	at, length int32 // for build
}

// piece is a stretch of an element's text, without markup and unescaped. next is
// that of the same element, or none.
type piece struct {
	span
	next int32
}

// opened is an element whose end has not come yet.
type opened struct {
	name  span // as it stands in the tag
	node  int32
	bound int // namespaces in force outside of it
}

// scanner reads one document into nodes that point into it. Nothing is allocated
// for them: the room is used again.
type scanner struct {
	// raw is the document, cleaned; it may be the caller's and is not written
	// to. doc is the same until something is unescaped in it, and from then
	// on a copy: unescaped text is never longer than it was, so that the
	// pieces keep their places. Names in namespaces go behind the document.
	raw, doc []byte
	own      []byte // room for the copy
	pos      int    // in raw and doc

	nodes  []node
	pieces []piece
	bound  []binding
	open   [maxDepth]opened
	depth  int

	foreign *foreignNames // nil until there is one
}

var scanners = sync.Pool{New: func() any { return new(scanner) }}

// scan reads a document with the root <xml>. The scanner is to be released; with
// an error, which is a *ParseError, there is none.
func scan(body []byte) (*scanner, error) {
	s, _ := scanners.Get().(*scanner)
	if err := s.read(body); err != nil {
		s.release()
		return nil, err
	}
	return s, nil
}

// release gives the room back. What points into it is not to be used any more.
func (s *scanner) release() {
	s.raw, s.doc, s.foreign = nil, nil, nil
	if s.small() {
		scanners.Put(s)
	}
}

func (s *scanner) small() bool {
	return cap(s.own) <= maxPooled && cap(s.nodes) <= maxPooledItems && cap(s.pieces) <= maxPooledItems
}

// owned makes doc writable.
func (s *scanner) owned() {
	if len(s.own) == 0 {
		s.own = append(s.own[:0], s.raw...)
		s.doc = s.own
	}
}

func (s *scanner) read(body []byte) error {
	s.nodes, s.pieces, s.bound, s.own = s.nodes[:0], s.pieces[:0], s.bound[:0], s.own[:0]
	s.raw = cleanXML(body)
	s.doc, s.pos, s.depth = s.raw, 0, 0
	if len(s.raw) > maxBody {
		return &ParseError{Reason: "too long"}
	}
	for s.pos < len(s.raw) {
		var err error
		switch {
		case s.raw[s.pos] != '<':
			err = s.text()
		case s.has("</"):
			err = s.endTag()
		case s.has("<?"):
			err = s.instruction()
		case s.has("<!"):
			err = s.declaration()
		default:
			err = s.startTag()
		}
		if err != nil {
			return err
		}
	}
	switch {
	case s.depth > 0:
		return s.syntaxError()
	case len(s.nodes) == 0:
		return &ParseError{Reason: "no <xml> element"}
	}
	return nil
}

// has says whether the document goes on with that prefix.
func (s *scanner) has(prefix string) bool {
	return len(s.raw)-s.pos >= len(prefix) && string(s.raw[s.pos:s.pos+len(prefix)]) == prefix
}

// through moves behind the next end mark and returns what stands before it; false
// if there is none.
func (s *scanner) through(end string) (span, bool) {
	rest := s.raw[s.pos:]
	n := bytes.Index(rest, []byte(end))
	if n < 0 {
		return span{}, false
	}
	sp := span{int32(s.pos), int32(s.pos + n)}
	s.pos += n + len(end)
	return sp, true
}

func (s *scanner) space() {
	for s.pos < len(s.raw) {
		switch s.raw[s.pos] {
		case ' ', '\r', '\n', '\t':
			s.pos++
		default:
			return
		}
	}
}

// next takes one byte; 0, which no document holds, at the end.
func (s *scanner) next() byte {
	if s.pos >= len(s.raw) {
		return 0
	}
	s.pos++
	return s.raw[s.pos-1]
}

// declaration reads what starts with <!: a comment or a CDATA section. WeChat
// sends nothing else of that kind; a DOCTYPE could define entities.
func (s *scanner) declaration() error {
	switch {
	case s.has("<!--"):
		s.pos += len("<!--")
		if _, ok := s.through("--"); !ok || s.next() != '>' {
			return s.syntaxError()
		}
		return nil
	case s.has("<![CDATA["):
		s.pos += len("<![CDATA[")
		sp, ok := s.through("]]>")
		if !ok {
			return s.syntaxError()
		}
		if bytes.IndexByte(s.raw[sp.from:sp.to], '\r') >= 0 {
			s.owned()
			sp, _ = unescape(s.doc, sp, false)
		}
		return s.take(sp)
	case s.has("<!-"), s.has("<!["), len(s.raw)-s.pos == len("<!"):
		return s.syntaxError()
	}
	return &ParseError{Reason: "document type or other directive"}
}

// instruction reads a processing instruction. They say nothing, but an XML
// declaration must not ask for what is not spoken here.
func (s *scanner) instruction() error {
	s.pos += len("<?")
	target, _, ok := s.name()
	if !ok {
		return s.syntaxError()
	}
	content, ok := s.through("?>")
	if !ok {
		return s.syntaxError()
	}
	if string(s.raw[target.from:target.to]) != "xml" {
		return nil
	}
	decl := string(s.raw[content.from:content.to])
	version, encoding := declared("version", decl), declared("encoding", decl)
	if version != "" && version != "1.0" || encoding != "" && !strings.EqualFold(encoding, "utf-8") {
		return s.syntaxError()
	}
	return nil
}

// declared returns what an XML declaration says of one thing, empty if nothing.
func declared(name, decl string) string {
	for decl != "" {
		_, after, ok := strings.Cut(decl, name+"=")
		if !ok || after == "" {
			return ""
		}
		quote := after[:1]
		decl = after[1:]
		if quote == `"` || quote == "'" {
			if value, _, ok := strings.Cut(decl, quote); ok {
				return value
			}
			return ""
		}
	}
	return ""
}

// syntaxError names the place only: not a word of the body.
func (s *scanner) syntaxError() error {
	line := 1 + bytes.Count(s.raw[:min(s.pos, len(s.raw))], []byte("\n"))
	return &ParseError{Reason: fmt.Sprintf("malformed XML on line %d", line)}
}
