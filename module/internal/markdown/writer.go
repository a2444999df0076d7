package markdown

import (
	"bytes"
	"strings"

	"github.com/yuin/goldmark/ast"
)

// writer writes pieces, line by line. Nothing is written before there is
// something to see on a line, so that what turns out empty leaves no trace.
type writer struct {
	src    []byte
	used   map[string]bool // labels of the definitions that are links now
	tags   tagNames
	pieces []Piece

	buf    []byte  // the text before the next picture
	frames []frame // what the present block lies in
	open   bool    // there is something on the present line
	code   bool    // that line is to stay as it is, blanks at its end included
	breaks int     // line breaks to write before the next line
	blank  string  // what blank lines among these begin with
	indent string  // blanks that the next line begins with
	depth  int     // how many of the frames the next line lies in; all if negative

	bullets  int  // lists with bullets around the present block
	tight    bool // no blanks before what is written next
	pictured bool // pictures are not written: they were already
}

// frame is what the lines of a block quote or of a list item begin with.
type frame struct {
	first, rest string // of the first line, of the others
	begun       bool   // the first line is written
	quote       bool
	width       int // columns the source indents the lines of an item by
}

func newWriter(src []byte, doc ast.Node) *writer {
	return &writer{src: src, used: usedLabels(doc), depth: -1}
}

// text writes to the present line. Blanks at the start of a line wait until
// something to see follows.
func (w *writer) text(s string) {
	for {
		line, rest, more := strings.Cut(s, "\n")
		w.segment(line)
		if !more {
			return
		}
		w.lineBreak()
		s = rest
	}
}

func (w *writer) segment(s string) {
	if w.tight {
		s = strings.TrimLeft(s, " \t")
		w.tight = s == ""
	}
	if !w.open {
		visible := strings.TrimLeft(s, " \t")
		w.indent += s[:len(s)-len(visible)]
		s = visible
		if s == "" {
			return
		}
		w.begin()
	}
	w.buf = append(w.buf, s...)
}

// begin begins a line: breaks, what its frames want, its indentation.
func (w *writer) begin() {
	if w.open {
		return
	}
	w.open = true
	fresh := len(w.buf) == 0 && len(w.pieces) > 0 // behind a picture
	if len(w.buf) > 0 {
		if !w.code {
			w.buf = bytes.TrimRight(w.buf, " \t")
		}
		for i := range w.breaks {
			if i > 0 {
				w.buf = append(w.buf, w.blank...)
			}
			w.buf = append(w.buf, '\n')
		}
	}
	w.breaks, w.code = 0, false
	frames := w.frames
	if w.depth >= 0 && w.depth < len(frames) {
		frames = frames[:w.depth]
	}
	w.depth = -1
	for i := range frames {
		f := &frames[i]
		if f.begun {
			w.buf = append(w.buf, f.rest...)
			continue
		}
		w.buf = append(w.buf, f.first...)
		f.begun, fresh = true, true
	}
	if !fresh {
		w.buf = append(w.buf, w.indent...)
	}
	w.indent = ""
}

// lineBreak ends the present line, if there is anything on it.
func (w *writer) lineBreak() {
	w.indent = ""
	if w.open {
		w.open = false
		w.breaks = 1
		w.blank = w.margin()
	}
}

// gap sets two blocks apart by n blank lines.
func (w *writer) gap(n int) {
	w.lineBreak()
	w.depth = -1
	w.breaks = max(w.breaks, n+1)
	w.blank = w.margin()
}

// margin is what blank lines begin with: the bars of quotes.
func (w *writer) margin() string {
	last := -1
	for i := range w.frames {
		if w.frames[i].quote {
			last = i
		}
	}
	var b strings.Builder
	for _, f := range w.frames[:last+1] {
		b.WriteString(f.rest)
	}
	return strings.TrimRight(b.String(), " ")
}

// verbatim writes the lines of a code block.
func (w *writer) verbatim(lines [][]byte) {
	for _, line := range lines {
		w.lineBreak()
		if len(bytes.TrimSpace(line)) == 0 {
			if w.breaks > 0 {
				w.breaks++
			}
			continue
		}
		w.begin()
		w.buf = append(w.buf, line...)
		w.code = true
	}
	w.lineBreak()
}

// flush makes a piece of the text so far.
func (w *writer) flush() {
	text := strings.TrimRight(string(w.buf), " \t\n")
	if strings.TrimSpace(text) != "" {
		w.pieces = append(w.pieces, Piece{Text: text})
	}
	w.buf = w.buf[:0]
	w.open, w.code, w.breaks, w.indent = false, false, 0, ""
}

// image takes a picture out of the text, or writes its title if its URL leads
// nowhere.
func (w *writer) image(url, title string) {
	if w.pictured {
		return
	}
	title = strings.Join(strings.Fields(title), " ")
	switch scheme(strings.TrimSpace(url)) {
	case "http", "https":
		w.flush()
		w.pieces = append(w.pieces, Piece{ImageURL: href(url), Title: title})
	case "data":
		w.text(title)
	default:
		w.text(aside(title, strings.TrimSpace(url)))
	}
}

// push and pop enter and leave a frame.
func (w *writer) push(f frame) { w.frames = append(w.frames, f) }

func (w *writer) pop() { w.frames = w.frames[:len(w.frames)-1] }

// lie finds out which frames the line of the source at pos lies in. A line that
// only continues a paragraph may have none of the signs of the blocks around
// it, and looks as if it lay outside of them.
func (w *writer) lie(pos int) {
	line := lineAt(w.src, pos)
	column := 0
	for i := range w.frames {
		f := &w.frames[i]
		n, width := indentation(line, column)
		switch {
		case f.quote && width < 4 && n < len(line) && line[n] == '>':
			line, column = line[n+1:], column+width+1
			if len(line) > 0 && line[0] == ' ' {
				line, column = line[1:], column+1
			}
		case !f.quote && width >= f.width:
			// A tab may reach over the item's margin; the rest of it is of no account.
			for n, target := 0, column+f.width; column < target; n++ {
				if line[0] == '\t' {
					column += 4 - column%4
				} else {
					column++
				}
				line = line[1:]
			}
		default:
			w.depth = i
			return
		}
	}
	w.depth = -1
}

// indentation is how many bytes of blanks a line begins with and how wide they
// are from a column on.
func indentation(line []byte, column int) (n, width int) {
	for ; n < len(line); n++ {
		switch line[n] {
		case ' ':
			width++
		case '\t':
			width += 4 - (column+width)%4
		default:
			return n, width
		}
	}
	return n, width
}
