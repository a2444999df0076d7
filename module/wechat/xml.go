package wechat

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
)

const (
	// maxDepth bounds the nesting of elements, the root included. WeChat's
	// deepest event has five levels.
	maxDepth = 16
	// maxElements bounds the number of elements of one push.
	maxElements = 2000
)

// Element is one XML element below the root of a push, as it came.
type Element struct {
	// Name is case-sensitive; a name with a namespace is "space:local".
	Name string
	// Text is the character data directly inside, CDATA or not. Of an element
	// with children it is normally white space.
	Text string
	// Children are the elements inside, in order.
	Children []Element
}

// ParseError says why a body is no push. It holds nothing of the body itself.
type ParseError struct {
	// Reason is a short phrase, such as "no FromUserName".
	Reason string
}

// Error implements error.
func (e *ParseError) Error() string { return "parsing push: " + e.Reason }

// parseXML reads a document with the root <xml> and returns the elements below
// it. The error is a *ParseError.
func parseXML(body []byte) ([]Element, error) {
	d := xml.NewDecoder(bytes.NewReader(cleanXML(body)))
	p := treeParser{d: d}
	for {
		tok, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, p.syntaxError()
		}
		if err := p.take(tok); err != nil {
			return nil, err
		}
	}
	if !p.done {
		return nil, &ParseError{Reason: "no <xml> element"}
	}
	return p.root.Children, nil
}

// treeParser builds the tree of one document, token by token, within the bounds.
type treeParser struct {
	d     *xml.Decoder
	root  Element
	open  []*Element // from the root to the innermost open element
	text  []*strings.Builder
	count int
	done  bool // the root has been closed
}

func (p *treeParser) take(tok xml.Token) error {
	switch t := tok.(type) {
	case xml.StartElement:
		return p.start(t.Name)
	case xml.EndElement:
		p.end()
	case xml.CharData:
		if n := len(p.open); n > 0 {
			p.text[n-1].Write(t)
		} else if len(bytes.TrimSpace(t)) > 0 {
			return &ParseError{Reason: "text outside of the <xml> element"}
		}
	case xml.Directive:
		// WeChat sends none; a DOCTYPE could define entities.
		return &ParseError{Reason: "document type or other directive"}
	}
	return nil // comments and processing instructions say nothing
}

func (p *treeParser) start(name xml.Name) error {
	full := name.Local
	if name.Space != "" {
		// Kept apart, so that a:FromUserName is never taken for
		// FromUserName.
		full = name.Space + ":" + name.Local
	}
	p.count++
	switch {
	case p.count > maxElements:
		return &ParseError{Reason: fmt.Sprintf("more than %d elements", maxElements)}
	case len(p.open) >= maxDepth:
		return &ParseError{Reason: fmt.Sprintf("nested deeper than %d levels", maxDepth)}
	case p.done:
		return &ParseError{Reason: "more than one root element"}
	case len(p.open) == 0:
		if full != "xml" {
			return &ParseError{Reason: "root element is not <xml>"}
		}
		p.root.Name = full
		p.push(&p.root)
	default:
		parent := p.open[len(p.open)-1]
		parent.Children = append(parent.Children, Element{Name: full})
		// The pointer stays good: the parent grows again only after this
		// element is closed.
		p.push(&parent.Children[len(parent.Children)-1])
	}
	return nil
}

func (p *treeParser) push(e *Element) {
	p.open = append(p.open, e)
	p.text = append(p.text, new(strings.Builder))
}

func (p *treeParser) end() {
	n := len(p.open) - 1
	p.open[n].Text = p.text[n].String()
	p.open, p.text = p.open[:n], p.text[:n]
	p.done = n == 0
}

// syntaxError names the place only: what the decoder says quotes the body.
func (p *treeParser) syntaxError() error {
	line, _ := p.d.InputPos()
	return &ParseError{Reason: fmt.Sprintf("malformed XML on line %d", line)}
}

// cleanXML makes a body acceptable to an XML parser without touching what a user
// can mean: users do send control characters, and a message refused for one would
// be lost. Control characters below U+0020 but tab, LF and CR are dropped; invalid
// UTF-8 and the noncharacters U+FFFE and U+FFFF become U+FFFD; a byte order mark
// at the start goes.
func cleanXML(body []byte) []byte {
	body = bytes.TrimPrefix(body, []byte("\ufeff"))
	body = bytes.ToValidUTF8(body, []byte("\ufffd"))
	body = bytes.ReplaceAll(body, []byte("\ufffe"), []byte("\ufffd"))
	body = bytes.ReplaceAll(body, []byte("\uffff"), []byte("\ufffd"))
	if bytes.IndexFunc(body, isControl) < 0 {
		return body
	}
	return bytes.Map(func(r rune) rune {
		if isControl(r) {
			return -1
		}
		return r
	}, body)
}

func isControl(r rune) bool {
	return r < 0x20 && r != '\t' && r != '\n' && r != '\r'
}

// elements is a level of the tree, with look-up by name. The first of several of
// one name counts.
type elements []Element

func (es elements) get(name string) (Element, bool) {
	for _, e := range es {
		if e.Name == name {
			return e, true
		}
	}
	return Element{}, false
}

// text returns the text exactly as sent: blanks at the ends may be the user's.
func (es elements) text(name string) string {
	e, _ := es.get(name)
	return e.Text
}

// value returns text that is an identifier, number or address, without the white
// space of a pretty-printed document.
func (es elements) value(name string) string {
	return strings.TrimSpace(es.text(name))
}

func (es elements) below(name string) elements {
	e, _ := es.get(name)
	return e.Children
}

// all returns the elements of that name, at this level.
func (es elements) all(name string) []Element {
	var out []Element
	for _, e := range es {
		if e.Name == name {
			out = append(out, e)
		}
	}
	return out
}
