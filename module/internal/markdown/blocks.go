package markdown

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/yuin/goldmark/ast"
	east "github.com/yuin/goldmark/extension/ast"
)

const (
	bar         = "│ "
	rule        = "——————"
	maxUnderway = 40 // signs of a line that dashes below make a heading
)

// blocks writes the blocks in n, as many blank lines apart as they are in the
// source, but headings and tables by one at least.
func (w *writer) blocks(n ast.Node) {
	apart := false
	for c := n.FirstChild(); c != nil; c = c.NextSibling() {
		stands := apart
		apart = false
		switch c := c.(type) {
		case *ast.Heading:
			stands = true
		case *east.Table:
			apart = len(c.Alignments) > 2
			stands = stands || apart
		}
		if c.PreviousSibling() != nil {
			blank := w.blankBefore(c)
			if stands {
				blank = max(blank, 1)
			}
			w.gap(blank)
		}
		w.block(c)
	}
}

func (w *writer) block(n ast.Node) {
	switch n := n.(type) {
	case *ast.Heading:
		w.heading(n)
	case *ast.ThematicBreak:
		w.text(rule)
	case *ast.FencedCodeBlock:
		w.fenced(n)
	case *ast.Blockquote:
		w.push(frame{first: bar, rest: bar, quote: true})
		w.blocks(n)
		w.pop()
	case *ast.List:
		w.list(n)
	case *ast.LinkReferenceDefinition:
		if !w.used[label(n.Label)] {
			w.text(string(bytes.TrimSpace(n.Lines().Value(w.src))))
		}
	case *ast.HTMLBlock: // a comment
	case *east.Table:
		w.table(n)
	default:
		if n.FirstChild() != nil && n.FirstChild().Type() == ast.TypeBlock {
			w.blocks(n)
			return
		}
		w.inlines(n)
	}
}

// start is where a block begins in the source, negative if it is unknown.
func start(n ast.Node) int {
	switch n.(type) {
	case *ast.Paragraph, *ast.TextBlock: // may have lost lines to definitions
		if n.Lines().Len() > 0 {
			return n.Lines().At(0).Start
		}
	}
	return n.Pos()
}

// blankBefore counts the blank lines in front of a block.
func (w *writer) blankBefore(n ast.Node) int {
	pos := start(n)
	if pos < 0 || pos > len(w.src) {
		return 0
	}
	count := 0
	for end := bytes.LastIndexByte(w.src[:pos], '\n'); end >= 0; count++ {
		begin := bytes.LastIndexByte(w.src[:end], '\n')
		if len(bytes.Trim(w.src[begin+1:end], "> \t")) > 0 {
			break
		}
		end = begin
	}
	return count
}

// heading writes a heading in the brackets that Chinese texts set titles in,
// since WeChat has neither sizes nor bold.
func (w *writer) heading(n *ast.Heading) {
	if n.Lines().Len() == 0 { // #s alone are no heading to anybody
		w.text(strings.TrimSpace(string(lineAt(w.src, max(n.Pos(), 0)))))
		return
	}
	title := w.flatten(n.FirstChild(), nil)
	if under, ok := w.underline(n); ok && !underway(n, title, under) {
		w.inlines(n)
		w.lineBreak()
		if strings.HasPrefix(under, "---") {
			under = rule
		}
		w.text(under)
		return
	}
	w.pictures(n)
	outer := w.pictured
	w.pictured = true
	framed := title != "" && !strings.ContainsAny(title, "【】")
	if framed {
		w.text("【")
		w.tight = true
	}
	w.inlines(n)
	w.tight = false
	if framed {
		w.buf = bytes.TrimRight(w.buf, " \t")
		w.text("】")
	}
	w.pictured = outer
}

// underline is the line below a heading if that is what makes it one.
func (w *writer) underline(n *ast.Heading) (string, bool) {
	lines := n.Lines()
	first, last := lines.At(0), lines.At(lines.Len()-1)
	begin := bytes.LastIndexByte(w.src[:first.Start], '\n') + 1
	if bytes.IndexByte(w.src[begin:first.Start], '#') >= 0 {
		return "", false
	}
	// Segments end behind the line break or, when they are trimmed, before it.
	pos := last.Stop
	if pos > 0 && pos <= len(w.src) && w.src[pos-1] != '\n' {
		pos += len(lineAt(w.src, pos)) + 1
	}
	return strings.Trim(string(lineAt(w.src, pos)), "> \t"), true
}

// underway reports whether an underlined text is meant to be a heading, rather
// than to be followed by a line across: it is one short line without an end.
func underway(n *ast.Heading, title, under string) bool {
	last, _ := utf8.DecodeLastRuneInString(title)
	return n.Lines().Len() == 1 && len(under) >= 3 && title != "" &&
		utf8.RuneCountInString(title) <= maxUnderway && !strings.ContainsRune("。！？；，.!?;,", last)
}

// fenced writes a code block. Waves that nothing ends were no fence; and if there is
// no code, it stands behind the fence, in the place of the language's name.
func (w *writer) fenced(n *ast.FencedCodeBlock) {
	fence := bytes.TrimSpace(lineAt(w.src, max(n.Pos(), 0)))
	lines := n.Lines()
	if bytes.HasPrefix(fence, []byte("~")) && w.unfenced(n) {
		w.text(string(fence))
		w.lineBreak()
	}
	all := make([][]byte, 0, lines.Len())
	for i := range lines.Len() {
		seg := lines.At(i)
		all = append(all, bytes.TrimRight(seg.Value(w.src), "\n"))
	}
	if len(bytes.TrimSpace(bytes.Join(all, nil))) == 0 && n.Info != nil {
		if info := n.Info.Segment.Value(w.src); bytes.ContainsAny(info, " \t<") {
			all = [][]byte{info}
		}
	}
	w.verbatim(all)
}

// unfenced reports whether a code block goes on to the end of the text.
func (w *writer) unfenced(n *ast.FencedCodeBlock) bool {
	lines := n.Lines()
	if lines.Len() == 0 {
		return len(lineAt(w.src, max(n.Pos(), 0)))+max(n.Pos(), 0) >= len(w.src)
	}
	return lines.At(lines.Len()-1).Stop >= len(w.src)
}

var bullets = []string{"• ", "◦ ", "· "}

func (w *writer) list(n *ast.List) {
	number, previous := 0, -1
	if !n.IsOrdered() {
		w.bullets++
		defer func() { w.bullets-- }()
	}
	for c := n.FirstChild(); c != nil; c = c.NextSibling() {
		item, ok := c.(*ast.ListItem)
		if !ok {
			continue
		}
		if c != n.FirstChild() {
			w.gap(w.blankBefore(c))
		}
		literal := lineAt(w.src, max(item.Pos(), 0))
		marker := bullets[min(max(w.bullets, 1), len(bullets))-1]
		if n.IsOrdered() {
			// Numbers stay as they are written, unless all are the same.
			digits := literal[:len(literal)-len(bytes.TrimLeft(literal, "0123456789"))]
			written, err := strconv.Atoi(string(digits))
			if err != nil || written == previous {
				number++
			} else {
				number = written
			}
			previous = written
			marker = strconv.Itoa(number) + string(n.Marker) + " "
		}
		w.item(n, item, marker, literal)
	}
}

func (w *writer) item(list *ast.List, n *ast.ListItem, marker string, literal []byte) {
	if n.FirstChild() == nil && n.PreviousSibling() == nil && n.NextSibling() == nil {
		w.text(strings.TrimSpace(string(literal))) // a sign alone
		return
	}
	if box := checkboxOf(n); box != "" {
		if list.IsOrdered() {
			marker += box
		} else {
			marker = box
		}
	}
	indent := w.outdent(n)
	w.push(frame{
		first: indent + marker,
		rest:  indent + strings.Repeat(" ", utf8.RuneCountInString(marker)),
		width: n.Offset,
	})
	if n.FirstChild() == nil {
		w.begin()
	}
	w.blocks(n)
	w.pop()
}

// outdent is the indentation of an item of an outermost list. It is too little
// to nest it, but the author may have meant just that.
func (w *writer) outdent(n *ast.ListItem) string {
	if len(w.frames) > 0 || n.Pos() < 0 {
		return ""
	}
	begin := bytes.LastIndexByte(w.src[:n.Pos()], '\n') + 1
	if blanks := string(w.src[begin:n.Pos()]); strings.Trim(blanks, " ") == "" {
		return blanks
	}
	return ""
}

// checkboxOf is the box that an item of a list of tasks begins with.
func checkboxOf(n *ast.ListItem) string {
	if n.FirstChild() == nil {
		return ""
	}
	box, ok := n.FirstChild().FirstChild().(*east.TaskCheckBox)
	switch {
	case !ok:
		return ""
	case box.IsChecked:
		return "☑ "
	default:
		return "☐ "
	}
}
