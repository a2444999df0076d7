// Package markdown turns Markdown as language models and the authors of bots
// write it into what WeChat shows in a text message: plain text, in which
// <a href="…">…</a> is the only markup, and pictures, which WeChat wants as
// messages of their own.
//
// It reads CommonMark with GitHub's tables, strikethrough and task lists, and
// departs from it where a chat means something else:
//   - A line break is a line break, and blank lines stay as many as they are.
//   - Four blanks in front of a line are an indentation, not a code block.
//   - ** and * open and close next to Chinese punctuation (**注意：**请), and
//     are arithmetic between numbers (2*3*4, x**2).
//   - A single ~ strikes nothing through (10~20元).
//   - HTML blocks are no special case: their text is Markdown too.
//   - Definitions of links that no link uses are text.
package markdown

import (
	"bytes"
	"strings"

	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"
)

// maxSource is the longest text, in bytes, that is read as Markdown. Parsing
// is not linear in everything; a longer text is some sixty messages anyway.
const maxSource = 128 << 10

// Piece is either a text or a picture.
type Piece struct {
	// Text is plain text with <a> links, of any length, never only white
	// space; empty if the piece is a picture. It is valid UTF-8 whose only
	// control characters are line feeds and tabs.
	Text string

	// ImageURL is an http or https URL; empty if the piece is a text.
	ImageURL string

	// Title is what a picture shows, in plain text on one line: its
	// alternative text, or else its title. May be empty.
	Title string
}

// Render makes pieces of Markdown, in the order of the source. CR LF and CR
// become LF, invalid UTF-8 becomes U+FFFD, other control characters vanish.
//
// A text that holds no markup comes out as it is, byte for byte. In any other,
// blank lines at its start and white space at its end stay as well, but white
// space before a line break goes, and so does what surrounds a picture. Nothing
// but white space makes no pieces. A text of more than 128 KiB is not read as
// Markdown.
func Render(src string) []Piece {
	src = clean(src)
	if strings.TrimSpace(src) == "" {
		return nil
	}
	if len(src) > maxSource || plain(src) {
		return []Piece{{Text: src}}
	}
	return render(src)
}

// render is Render for a clean text, whether or not there is markup in it.
func render(src string) []Piece {
	core := strings.TrimRight(src, " \t\n")
	trail := src[len(core):]
	start := 0
	for i := 0; i < len(core) && isBlank(core[i]); i++ {
		if core[i] == '\n' {
			start = i + 1
		}
	}
	lead, core := core[:start], core[start:]
	all, ok := convert([]byte(cells(core)))
	if !ok || len(all) == 0 && !strings.Contains(src, "<") {
		return []Piece{{Text: src}} // better markup than nothing
	}
	if len(all) > 0 {
		if first := &all[0]; first.Text != "" {
			first.Text = lead + first.Text
		}
		if last := &all[len(all)-1]; last.Text != "" {
			last.Text += trail
		}
	}
	return all
}

// convert is pieces, false if the parser gave up.
func convert(src []byte) (all []Piece, ok bool) {
	// A panic of the parser must cost the text its looks, not the user the answer.
	defer func() {
		if recover() != nil {
			all, ok = nil, false
		}
	}()
	return pieces(src), true
}

// pieces parses and writes.
func pieces(src []byte) []Piece {
	doc := markdown.Parse(text.NewReader(src), parser.WithContext(newContext(src)))
	w := newWriter(src, doc)
	w.blocks(doc)
	w.flush()
	return w.pieces
}

// plain reports whether a text holds nothing that could be markup, so that
// parsing it would be in vain.
func plain(src string) bool {
	if strings.ContainsAny(src, "*_`~[]<&\\|") {
		return false
	}
	for line := range strings.Lines(src) {
		line = strings.TrimLeft(line, " \t")
		switch {
		case line == "":
		case strings.IndexByte("#>-+=", line[0]) >= 0:
			return false
		case '0' <= line[0] && line[0] <= '9':
			rest := strings.TrimLeft(line, "0123456789")
			if rest != "" && (rest[0] == '.' || rest[0] == ')') {
				return false
			}
		}
	}
	return true
}

// clean makes line feeds of all line breaks and valid UTF-8 of the text.
func clean(src string) string {
	src = strings.ToValidUTF8(src, "\uFFFD")
	if strings.Contains(src, "\r") {
		src = strings.ReplaceAll(strings.ReplaceAll(src, "\r\n", "\n"), "\r", "\n")
	}
	if strings.IndexFunc(src, isControl) < 0 {
		return src
	}
	return strings.Map(func(r rune) rune {
		if isControl(r) {
			return -1
		}
		return r
	}, src)
}

func isControl(r rune) bool {
	return r < 0x20 && r != '\n' && r != '\t' || r == 0x7F
}

func isBlank(b byte) bool {
	return b == ' ' || b == '\t' || b == '\n'
}

// usedLabels are the labels of the definitions that links and images use.
func usedLabels(doc ast.Node) map[string]bool {
	var used map[string]bool
	add := func(ref *ast.ReferenceLink) {
		if ref == nil {
			return
		}
		if used == nil {
			used = map[string]bool{}
		}
		used[label(ref.Value)] = true
	}
	_ = ast.Walk(doc, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if entering {
			switch n := n.(type) {
			case *ast.Link:
				add(n.Reference)
			case *ast.Image:
				add(n.Reference)
			}
		}
		return ast.WalkContinue, nil
	})
	return used
}

// lineAt is the line of the source that pos lies in, from pos on.
func lineAt(src []byte, pos int) []byte {
	line, _, _ := bytes.Cut(src[min(pos, len(src)):], []byte("\n"))
	return line
}
