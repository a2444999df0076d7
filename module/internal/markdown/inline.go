package markdown

import (
	"strings"
	"unicode"

	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"
)

// lineParser knows of one paragraph and nothing else: "1. A" on a button is no list.
var lineParser = parser.NewParser(
	parser.WithBlockParsers(util.Prioritized(parser.NewParagraphParser(), 1000)),
	parser.WithInlineParsers(
		util.Prioritized(parser.NewCodeSpanParser(), 100),
		util.Prioritized(brackets{parser.NewLinkParser()}, 200),
		util.Prioritized(parser.NewAutoLinkParser(), 300),
		util.Prioritized(angles{parser.NewRawHTMLParser()}, 400),
		util.Prioritized(emphasis{}, 500),
		util.Prioritized(bareURL{}, 600),
	),
)

// Inline is what Markdown says in a place that shows no markup at all, such as the
// title of a card or the label of a button: line by line, without emphasis, code
// marks, tags and the signs of a heading; of a link and of a picture their text.
// White space at the ends of lines may go. What would leave nothing stays as it is.
func Inline(src string) string {
	if src = clean(src); len(src) > maxSource || !strings.ContainsAny(src, "*_`~[<&\\#") {
		return src
	}
	lines := strings.Split(src, "\n")
	for i, line := range lines {
		lines[i] = inlineOf(line)
	}
	return strings.Join(lines, "\n")
}

// inlineOf is Inline of one line.
func inlineOf(line string) (said string) {
	defer func() {
		if recover() != nil || !visible(said) { // as in convert
			said = line
		}
	}()
	src := []byte(unheaded(strings.TrimSpace(line)))
	doc := lineParser.Parse(text.NewReader(src), parser.WithContext(newContext(src)))
	w := newWriter(src, doc)
	for n := doc.FirstChild(); n != nil; n = n.NextSibling() {
		part := w.labelOf(n)
		if said != "" && part != "" {
			said += " "
		}
		said += part
	}
	return said
}

// unheaded is a line without the signs of a heading.
func unheaded(line string) string {
	rest := strings.TrimLeft(line, "#")
	if n := len(line) - len(rest); n == 0 || n > 6 || rest == "" || !isBlank(rest[0]) {
		return line
	}
	return strings.TrimSpace(rest)
}

// visible tells whether a text shows anything.
func visible(s string) bool { return strings.IndexFunc(s, Shows) >= 0 }

// Shows tells whether a character is one that is seen: neither white space nor of no
// width or ink.
func Shows(r rune) bool {
	return unicode.IsGraphic(r) && !unicode.IsSpace(r) && r != '\u2800' &&
		!unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}
