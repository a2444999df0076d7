package markdown

import (
	"bytes"

	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"
)

// Bounds on what takes the parser more than linear time or deep recursion.
// What lies beyond them is text.
const (
	maxNesting    = 24   // blocks in each other; a list takes two
	maxDelimiters = 2000 // runs of *, _ or ~ in one paragraph
	maxBrackets   = 500  // [ in one paragraph
	maxAngles     = 500  // < in one paragraph
	maxLabelLines = 500  // lines of a paragraph that may begin with definitions
)

// markdown is safe for concurrent use.
var markdown = newParser()

func newParser() parser.Parser {
	return parser.NewParser(
		// No code blocks by indentation and no HTML blocks.
		parser.WithBlockParsers(
			util.Prioritized(parser.NewSetextHeadingParser(), 100),
			util.Prioritized(parser.NewThematicBreakParser(), 200),
			util.Prioritized(nesting{parser.NewListParser()}, 300),
			util.Prioritized(parser.NewListItemParser(), 400),
			util.Prioritized(parser.NewATXHeadingParser(), 600),
			util.Prioritized(parser.NewFencedCodeBlockParser(), 700),
			util.Prioritized(quote{nesting{parser.NewBlockquoteParser()}}, 800),
			util.Prioritized(comment{}, 900),
			util.Prioritized(paragraph{parser.NewParagraphParser()}, 1000),
		),
		parser.WithInlineParsers(
			util.Prioritized(checkbox{extension.NewTaskCheckBoxParser()}, 0),
			util.Prioritized(parser.NewCodeSpanParser(), 100),
			util.Prioritized(brackets{parser.NewLinkParser()}, 200),
			util.Prioritized(parser.NewAutoLinkParser(), 300),
			util.Prioritized(angles{parser.NewRawHTMLParser()}, 400),
			util.Prioritized(emphasis{}, 500),
			util.Prioritized(bareURL{}, 600),
		),
		parser.WithParagraphTransformers(
			util.Prioritized(definitions{parser.LinkReferenceParagraphTransformer}, 100),
			util.Prioritized(tables{extension.NewTableParagraphTransformer()}, 200),
		),
		parser.WithASTTransformers(
			util.Prioritized(extension.NewTableASTTransformer(), 0),
		),
	)
}

// context is the state of one parse.
type context struct {
	parser.Context
	delimiters, brackets, angles int // counted in the present paragraph
	lastComment                  int // where the last end of a comment is; negative if nowhere
}

func newContext(src []byte) *context {
	return &context{Context: parser.NewContext(), lastComment: bytes.LastIndex(src, commentClose)}
}

// AddReference takes definitions of real links only: in "[提示]: 明天放假" the
// brackets are text.
func (c *context) AddReference(ref parser.Reference) {
	if absolute(string(ref.Destination())) {
		c.Context.AddReference(ref)
	}
}

// endBlock starts the counters anew.
func (c *context) endBlock() {
	c.delimiters, c.brackets, c.angles = 0, 0, 0
}

// label is the form in which labels of definitions are compared.
func label(b []byte) string {
	return util.ToLinkReference(b)
}

// nesting bounds how deep blocks lie in each other.
type nesting struct{ parser.BlockParser }

func (n nesting) Open(parent ast.Node, r text.Reader, pc parser.Context) (ast.Node, parser.State) {
	depth := 0
	for p := parent; p != nil; p = p.Parent() {
		depth++
	}
	if depth > maxNesting {
		return nil, parser.NoChildren
	}
	return n.BlockParser.Open(parent, r, pc)
}

// brackets bounds how many links are tried.
type brackets struct{ parser.InlineParser }

func (b brackets) Parse(parent ast.Node, r text.Reader, pc parser.Context) ast.Node {
	if c := pc.(*context); r.Peek() != ']' {
		if c.brackets++; c.brackets > maxBrackets {
			return nil
		}
	}
	return b.InlineParser.Parse(parent, r, pc)
}

// CloseBlock makes text of the brackets that are left.
func (b brackets) CloseBlock(parent ast.Node, r text.Reader, pc parser.Context) {
	b.InlineParser.(parser.CloseBlocker).CloseBlock(parent, r, pc)
	pc.(*context).endBlock()
}

// angles bounds how many HTML tags are tried.
type angles struct{ parser.InlineParser }

func (a angles) Parse(parent ast.Node, r text.Reader, pc parser.Context) ast.Node {
	c := pc.(*context)
	if c.angles++; c.angles > maxAngles {
		return nil
	}
	if line, seg := r.PeekLine(); seg.Start > c.lastComment && bytes.HasPrefix(line, commentOpen) {
		return nil
	}
	return a.InlineParser.Parse(parent, r, pc)
}

// checkbox leaves links alone whose text is one x: [x](https://…).
type checkbox struct{ parser.InlineParser }

func (b checkbox) Parse(parent ast.Node, r text.Reader, pc parser.Context) ast.Node {
	if line, _ := r.PeekLine(); len(line) > 3 && !isBlank(line[3]) {
		return nil
	}
	return b.InlineParser.Parse(parent, r, pc)
}

// definitions bounds the paragraphs that are searched for definitions.
type definitions struct{ parser.ParagraphTransformer }

func (d definitions) Transform(n *ast.Paragraph, r text.Reader, pc parser.Context) {
	if n.Lines().Len() <= maxLabelLines {
		d.ParagraphTransformer.Transform(n, r, pc)
	}
}
