package markdown

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/yuin/goldmark/ast"
	east "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"
)

// emphasis finds the delimiters * ** _ __ ~~. CommonMark's rules which of them
// open and which close look for blanks and punctuation around them. In Chinese
// there are no blanks, and the rules fail next to punctuation; there they are
// widened, so that all of CommonMark's emphasis stays emphasis.
type emphasis struct{}

func (emphasis) Trigger() []byte { return []byte{'*', '_', '~'} }

func (e emphasis) Parse(_ ast.Node, r text.Reader, pc parser.Context) ast.Node {
	line, seg := r.PeekLine()
	c := line[0]
	n := 1
	for n < len(line) && line[n] == c {
		n++
	}
	ctx := pc.(*context)
	if ctx.delimiters++; ctx.delimiters > maxDelimiters || n > 3 || c == '~' && n != 2 {
		return run(r, seg, n)
	}
	after, then := ' ', ' '
	if n < len(line) {
		after = util.ToRune(line, n)
		if next := n + utf8.RuneLen(after); next > n && next < len(line) {
			then = util.ToRune(line, next)
		}
	}
	open, shut, exact := flanks(c, n, r.PrecendingCharacter(), after, then)
	if !open && !shut {
		return run(r, seg, n)
	}
	var p parser.DelimiterProcessor = delimiters{exact}
	if c == '~' {
		p = strikes{}
	}
	d := parser.NewDelimiter(open, shut, n, c, p)
	d.Segment = seg.WithStop(seg.Start + n)
	r.Advance(n)
	pc.PushDelimiter(d)
	return d
}

// run is a run of delimiters that stays text as a whole.
func run(r text.Reader, seg text.Segment, n int) ast.Node {
	r.Advance(n)
	return ast.NewTextSegment(seg.WithStop(seg.Start + n))
}

// delimiters pairs * and _.
type delimiters struct {
	exact bool // closes only what a run of the same length opened
}

func (delimiters) IsDelimiter(b byte) bool { return b == '*' || b == '_' }

func (delimiters) CanOpenCloser(o, c *parser.Delimiter) bool {
	if p, ok := c.Processor.(delimiters); ok && p.exact && o.OriginalLength != c.OriginalLength {
		return false
	}
	return o.Char == c.Char
}

func (delimiters) OnMatch(consumes int) ast.Node { return ast.NewEmphasis(consumes) }

// strikes pairs ~~.
type strikes struct{}

func (strikes) IsDelimiter(b byte) bool { return b == '~' }

func (strikes) CanOpenCloser(o, c *parser.Delimiter) bool { return o.Char == c.Char }

func (strikes) OnMatch(int) ast.Node { return east.NewStrikethrough() }

// flanks tells whether a run of n delimiters c may open and may close. It may
// close none of another length if it is kept from opening although CommonMark
// lets it: CommonMark has a rule against that for runs that do both. The sign
// behind the one after the run tells whether that begins a name: .env, :wq.
func flanks(c byte, n int, before, after, then rune) (open, shut, exact bool) {
	if c == '_' {
		open, shut = underscores(n, before, after)
		return open, shut, false
	}
	// Chinese punctuation counts as letters, unless it stands on the wrong
	// side: nothing begins with a comma, nothing ends with an opening bracket.
	punctBefore := util.IsPunctRune(before) && (!wide(before) || opening(before))
	punctAfter := util.IsPunctRune(after) && (!wide(after) || ending(after))
	open = !isSpace(after) && (!punctAfter || isSpace(before) || punctBefore || wide(before) && (!ending(after) || after < utf8.RuneSelf && operand(then, '(')))
	shut = !isSpace(before) && (!punctBefore || isSpace(after) || punctAfter || wide(after) && !opening(before))
	if c != '*' {
		return open, shut, false
	}
	could := open
	between := digit(before) && digit(after) // a mask, or arithmetic
	switch n {
	case 1:
		// 3*4*5, a*b*c, (a)*(b)*(c), (*^_^*)
		face := before == '(' || before == '（'
		formula := operand(before, ')') && operand(after, '(')
		open = open && !formula && after != ')' && (!face || unicode.IsLetter(after) || digit(after))
		shut = shut && !between
	case 2:
		// x**2 + y**2; but **Note:**text
		power := operand(before, ')') && digit(after)
		open = open && !power
		shut = shut || ending(before) && operand(after, '(')
	default:
		open, shut = open && !between, shut && !between
	}
	return open, shut, could && !open
}

// underscores is flanks for _ and __. CommonMark's rules stand, for they find
// nothing within words, but for faces: ^_^ >_< -_-
func underscores(n int, before, after rune) (open, shut bool) {
	if n == 1 && (before == after && util.IsPunctRune(before) || before == '>' && after == '<') {
		return false, false
	}
	punctBefore, punctAfter := util.IsPunctRune(before), util.IsPunctRune(after)
	left := !isSpace(after) && (!punctAfter || isSpace(before) || punctBefore)
	right := !isSpace(before) && (!punctBefore || isSpace(after) || punctAfter)
	return left && (!right || punctBefore), right && (!left || punctAfter)
}

// operand reports whether a sign may be next to an operator in a formula.
func operand(r, bracket rune) bool {
	return digit(r) || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || r == bracket
}

func digit(r rune) bool { return '0' <= r && r <= '9' }

// ending reports whether a sign ends what stands before it.
func ending(r rune) bool {
	return strings.ContainsRune(":;,.!?，。、；：！？）】》」』”’…", r)
}

// opening reports whether a sign opens what stands behind it.
func opening(r rune) bool {
	return strings.ContainsRune("（【《「『“‘", r)
}

func isSpace(r rune) bool {
	return unicode.IsSpace(r)
}

// wide reports whether a sign is of a script that puts no blanks between
// words, punctuation and pictures included.
func wide(r rune) bool {
	switch {
	case r < 0x2000:
		return r == '·'
	case r < 0x2E80:
		// Quotation marks, dashes and dots that Chinese shares; symbols, emoji among them.
		return 0x2014 <= r && r <= 0x2027 || 0x2100 <= r && !unicode.In(r, unicode.Sm)
	default:
		return !isSpace(r)
	}
}
