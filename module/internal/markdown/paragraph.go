package markdown

import (
	"bytes"

	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"
)

// paragraph is CommonMark's paragraph, but for two things: lines keep the
// blanks they begin with, and any number of blanks may be in front of the
// first one.
type paragraph struct{ parser.BlockParser }

func (p paragraph) Close(n ast.Node, r text.Reader, _ parser.Context) {
	lines := n.Lines()
	if lines.Len() == 0 {
		n.Parent().RemoveChild(n.Parent(), n)
		return
	}
	last := lines.At(lines.Len() - 1)
	lines.Set(lines.Len()-1, last.TrimRightSpace(r.Source()))
}

func (p paragraph) CanAcceptIndentedLine() bool { return true }

// quote is CommonMark's block quote, but for faces like >_<.
type quote struct{ parser.BlockParser }

func (q quote) Open(parent ast.Node, r text.Reader, pc parser.Context) (ast.Node, parser.State) {
	line, _ := r.PeekLine()
	if i := pc.BlockOffset(); i >= 0 && i < len(line) && face(line[i:]) {
		return nil, parser.NoChildren
	}
	return q.BlockParser.Open(parent, r, pc)
}

// face recognises a > that is closed by a < after a few signs.
func face(line []byte) bool {
	i := bytes.IndexByte(line, '<')
	return 1 <= i && i <= 8 && !bytes.ContainsAny(line[:i], " \t")
}

var (
	commentOpen  = []byte("<!--")
	commentClose = []byte("-->")
)

// comment takes HTML comments out that have lines of their own, blank lines
// included. One that is never closed is text.
type comment struct{}

func (comment) Trigger() []byte { return []byte{'<'} }

func (comment) Open(_ ast.Node, r text.Reader, pc parser.Context) (ast.Node, parser.State) {
	line, seg := r.PeekLine()
	i := pc.BlockOffset()
	if i < 0 || i > len(line) || !bytes.HasPrefix(line[i:], commentOpen) || seg.Start > pc.(*context).lastComment {
		return nil, parser.NoChildren
	}
	from := min(seg.Start+max(i-seg.Padding, 0)+len(commentOpen), len(r.Source()))
	rest := r.Source()[from:]
	end := bytes.Index(rest, commentClose)
	if end < 0 {
		return nil, parser.NoChildren
	}
	if len(bytes.TrimSpace(lineAt(rest, end+len(commentClose)))) > 0 {
		return nil, parser.NoChildren // text follows: it is part of a paragraph
	}
	n := ast.NewHTMLBlock(ast.HTMLBlockType2)
	n.Lines().Append(seg)
	r.AdvanceToEOL()
	return n, parser.NoChildren
}

func (comment) Continue(n ast.Node, r text.Reader, _ parser.Context) parser.State {
	lines := n.Lines()
	last := lines.At(lines.Len() - 1)
	if bytes.Contains(last.Value(r.Source()), commentClose) {
		return parser.Close
	}
	_, seg := r.PeekLine()
	lines.Append(seg)
	r.AdvanceToEOL()
	return parser.Continue | parser.NoChildren
}

func (comment) Close(ast.Node, text.Reader, parser.Context) {}

func (comment) CanInterruptParagraph() bool { return true }

func (comment) CanAcceptIndentedLine() bool { return false }

// tables keeps a table's rows from being filled up with more cells than the
// source can have: a wide header over many short rows would take memory
// by the square of the text.
type tables struct{ parser.ParagraphTransformer }

func (t tables) Transform(n *ast.Paragraph, r text.Reader, pc parser.Context) {
	lines := n.Lines()
	columns := 0
	for i := range lines.Len() {
		seg := lines.At(i)
		line := bytes.TrimSpace(seg.Value(r.Source()))
		if len(bytes.Trim(line, "-:| \t")) == 0 {
			columns = max(columns, bytes.Count(line, []byte("|"))+1)
		}
	}
	if columns == 0 {
		return
	}
	size := lines.At(lines.Len()-1).Stop - lines.At(0).Start
	if columns*lines.Len() <= size {
		t.ParagraphTransformer.Transform(n, r, pc)
	}
}
