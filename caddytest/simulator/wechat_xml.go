package simulator

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// wcCDATA wraps user text so that none of it can be read as markup.
func wcCDATA(s string) string {
	return "<![CDATA[" + strings.ReplaceAll(s, "]]>", "]]]]><![CDATA[>") + "]]>"
}

// wcElem is one element of a pushed body.
func wcElem(name, text string) string {
	return "<" + name + ">" + wcCDATA(text) + "</" + name + ">"
}

// wcNode is an element of a parsed answer.
type wcNode struct {
	name string
	text string
	kids []*wcNode
}

const wcMaxDepth = 8

// parseWcXML reads an answer the way a strict reader would: exactly one root element, no
// DOCTYPE, no attributes, no processing instruction but the XML declaration, valid UTF-8.
func parseWcXML(body []byte) (*wcNode, error) {
	if !utf8.Valid(body) {
		return nil, errors.New("not UTF-8")
	}
	d := xml.NewDecoder(bytes.NewReader(body))
	var root *wcNode
	var open []*wcNode
	for {
		tok, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("not well-formed: %w", err)
		}
		switch t := tok.(type) {
		case xml.StartElement:
			if len(t.Attr) > 0 || t.Name.Space != "" || len(open) == wcMaxDepth || (root != nil && len(open) == 0) {
				return nil, fmt.Errorf("<%s> is not where or how it may be", t.Name.Local)
			}
			n := &wcNode{name: t.Name.Local}
			if root == nil {
				root = n
			} else {
				top := open[len(open)-1]
				top.kids = append(top.kids, n)
			}
			open = append(open, n)
		case xml.EndElement:
			open = open[:len(open)-1]
		case xml.CharData:
			if len(open) > 0 {
				open[len(open)-1].text += string(t)
			} else if len(bytes.TrimSpace(t)) > 0 {
				return nil, errors.New("text outside the root element")
			}
		case xml.Directive:
			return nil, errors.New("a DOCTYPE or other directive")
		case xml.ProcInst:
			if t.Target != "xml" || root != nil {
				return nil, errors.New("a processing instruction")
			}
		}
	}
	if root == nil {
		return nil, errors.New("no root element")
	}
	return root, nil
}

// fields returns the children by name. Every name must be one of those known, every child
// may come once, and those in must have to be there; elements with children and elements
// with text are not mixed.
func (n *wcNode) fields(must, may []string) (map[string]*wcNode, error) {
	if len(n.kids) > 0 && strings.TrimSpace(n.text) != "" {
		return nil, fmt.Errorf("text between the elements of <%s>", n.name)
	}
	m := make(map[string]*wcNode, len(n.kids))
	for _, k := range n.kids {
		if _, twice := m[k.name]; twice {
			return nil, fmt.Errorf("<%s> twice", k.name)
		}
		if !slices.Contains(must, k.name) && !slices.Contains(may, k.name) {
			return nil, fmt.Errorf("<%s> does not belong into <%s>", k.name, n.name)
		}
		m[k.name] = k
	}
	for _, name := range must {
		if m[name] == nil {
			return nil, fmt.Errorf("<%s> is missing", name)
		}
	}
	return m, nil
}

// child returns the first child of that name, or nil.
func (n *wcNode) child(name string) *wcNode {
	for _, k := range n.kids {
		if k.name == name {
			return k
		}
	}
	return nil
}
