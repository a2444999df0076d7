package wechat

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// referenceXML is parseXML on top of encoding/xml: what it accepts, and what it
// makes of that, is the measure of the own scanner.
func referenceXML(body []byte) ([]Element, error) {
	d := xml.NewDecoder(bytes.NewReader(referenceClean(body)))
	p := referenceParser{d: d}
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

// referenceParser builds the tree of one document, token by token, within the bounds.
type referenceParser struct {
	d     *xml.Decoder
	root  Element
	open  []*Element // from the root to the innermost open element
	text  []*strings.Builder
	count int
	done  bool // the root has been closed
}

func (p *referenceParser) take(tok xml.Token) error {
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
		return &ParseError{Reason: "document type or other directive"}
	}
	return nil // comments and processing instructions say nothing
}

func (p *referenceParser) start(name xml.Name) error {
	full := name.Local
	if name.Space != "" {
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

func (p *referenceParser) push(e *Element) {
	p.open = append(p.open, e)
	p.text = append(p.text, new(strings.Builder))
}

func (p *referenceParser) end() {
	n := len(p.open) - 1
	p.open[n].Text = p.text[n].String()
	p.open, p.text = p.open[:n], p.text[:n]
	p.done = n == 0
}

// syntaxError names the place only: what the decoder says quotes the body.
func (p *referenceParser) syntaxError() error {
	line, _ := p.d.InputPos()
	return &ParseError{Reason: fmt.Sprintf("malformed XML on line %d", line)}
}

// referenceClean is cleanXML, one step after the other.
func referenceClean(body []byte) []byte {
	body = bytes.TrimPrefix(body, []byte("\ufeff"))
	body = bytes.ToValidUTF8(body, []byte("\ufffd"))
	body = bytes.ReplaceAll(body, []byte("\ufffe"), []byte("\ufffd"))
	body = bytes.ReplaceAll(body, []byte("\uffff"), []byte("\ufffd"))
	if bytes.IndexFunc(body, isReferenceControl) < 0 {
		return body
	}
	return bytes.Map(func(r rune) rune {
		if isReferenceControl(r) {
			return -1
		}
		return r
	}, body)
}

func isReferenceControl(r rune) bool {
	return r < 0x20 && r != '\t' && r != '\n' && r != '\r'
}

// referenceCipherText is what the envelope of an encrypted push holds, by way of
// the reference's tree.
func referenceCipherText(body []byte) (string, bool) {
	root, err := referenceXML(body)
	if err != nil {
		return "", false
	}
	text, found := "", false
	for _, e := range root {
		if e.Name != "Encrypt" {
			continue
		}
		if found {
			return "", false
		}
		text, found = strings.TrimSpace(e.Text), true
	}
	return text, found && text != ""
}

// referenceKey is Push.Key, one part after the other. Keys lie in journals: if they
// change, WeChat's retries across an upgrade look new.
func referenceKey(p *Push) string {
	switch {
	case p.IsEvent():
		id := elements(p.Elements).value("MsgID")
		if b, ok := p.Body.(*SubscribeMsgSent); ok {
			ids := make([]string, len(b.Results))
			for i, r := range b.Results {
				ids[i] = r.MsgID
			}
			id = strings.Join(ids, ",")
		}
		return referenceJoin("e", strconv.FormatInt(p.CreateTime, 10), p.FromUserName, p.Event, p.EventKey, id)
	case p.MsgID != "":
		return referenceJoin("m", p.MsgID, p.FromUserName)
	}
	h := sha256.New()
	for _, e := range p.Elements {
		h.Write([]byte(referenceElementKey(e)))
	}
	return referenceJoin("x", strconv.FormatInt(p.CreateTime, 10), p.FromUserName, p.MsgType, hex.EncodeToString(h.Sum(nil)))
}

func referenceElementKey(e Element) string {
	parts := []string{e.Name, e.Text}
	for _, c := range e.Children {
		parts = append(parts, referenceElementKey(c))
	}
	return "(" + referenceJoin(parts...) + ")"
}

func referenceJoin(parts ...string) string {
	out := slices.Clone(parts)
	for i, p := range parts {
		if out[i] = url.PathEscape(p); len(p) > maxKeyPart {
			sum := sha256.Sum256([]byte(p))
			out[i] = "#" + hex.EncodeToString(sum[:])
		}
	}
	return strings.Join(out, "/")
}

// isReferenceCleanText is isClean, rune by rune.
func isReferenceCleanText(s string) bool {
	return utf8.ValidString(s) && strings.IndexFunc(s, func(r rune) bool {
		return r < 0x20 && r != '\n' || r == '\u2028' || r == '\u2029' || r == '\ufffe' || r == '\uffff'
	}) < 0
}
