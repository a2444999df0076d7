package wechat

import "strings"

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
//
// It reads XML 1.0 in UTF-8 as encoding/xml does, namespaces included, after
// cleanXML; and is as lax in what that lets pass, such as a repeated attribute.
// It is stricter in these: a DOCTYPE or other directive is refused, wherever it
// stands and whether it ends or not, so there are no entities but the five
// predefined ones and those by number; and so are documents beyond maxDepth,
// maxElements, maxAttributes, maxNamespace and maxBody.
//
// All names and texts share one string that holds nothing else: of a large body
// with little in it little is kept. body itself is neither kept nor written to.
func parseXML(body []byte) ([]Element, error) {
	s, err := scan(body)
	if err != nil {
		return nil, err
	}
	defer s.release()
	return s.build(), nil
}

// build makes the tree, in two allocations: one for all elements, one for all
// they say.
func (s *scanner) build() []Element {
	if len(s.nodes) < 2 {
		return nil
	}
	words := s.words()
	tree := make([]Element, len(s.nodes)-1)
	// The children of an element stand side by side; each parent gets its
	// stretch of the tree first.
	at := int32(0)
	for i := range s.nodes {
		s.nodes[i].at = at
		at += s.nodes[i].kids
	}
	for i := range s.nodes[1:] {
		n := &s.nodes[i+1]
		parent := &s.nodes[n.parent]
		e := &tree[parent.at]
		parent.at++
		size := n.name.size()
		e.Name, e.Text, words = words[:size], words[size:size+int(n.length)], words[size+int(n.length):]
		if n.kids > 0 {
			e.Children = tree[n.at : n.at+n.kids : n.at+n.kids]
		}
	}
	kids := s.nodes[0].kids
	return tree[:kids:kids]
}

// words returns name and text of each node but the root, one after the other, and
// notes how long the texts are.
func (s *scanner) words() string {
	total := 0
	for i := range s.nodes[1:] {
		n := &s.nodes[i+1]
		n.length = 0
		for p := n.text; p != none; p = s.pieces[p].next {
			n.length += int32(s.pieces[p].size())
		}
		total += n.name.size() + int(n.length)
	}
	var b strings.Builder
	b.Grow(total)
	for i := range s.nodes[1:] {
		n := &s.nodes[i+1]
		b.Write(s.doc[n.name.from:n.name.to])
		for p := n.text; p != none; p = s.pieces[p].next {
			b.Write(s.doc[s.pieces[p].from:s.pieces[p].to])
		}
	}
	return b.String()
}

// elements is a level of the tree, with look-up by name. The first of several of
// one name counts.
type elements []Element

func (es elements) get(name string) *Element {
	for i := range es {
		if es[i].Name == name {
			return &es[i]
		}
	}
	return nil
}

// text returns the text exactly as sent: blanks at the ends may be the user's.
func (es elements) text(name string) string {
	if e := es.get(name); e != nil {
		return e.Text
	}
	return ""
}

// value returns text that is an identifier, number or address, without the white
// space of a pretty-printed document.
func (es elements) value(name string) string {
	return strings.TrimSpace(es.text(name))
}

func (es elements) below(name string) elements {
	if e := es.get(name); e != nil {
		return e.Children
	}
	return nil
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

// count returns how many elements of that name there are at this level.
func (es elements) count(name string) int {
	n := 0
	for i := range es {
		if es[i].Name == name {
			n++
		}
	}
	return n
}
