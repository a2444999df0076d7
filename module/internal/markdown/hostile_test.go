package markdown

import (
	"fmt"
	"strings"
	"testing"
)

// hostile are texts made to cost a parser more than linear time, memory or stack.
func hostile(n int) map[string]string {
	lines := func(line string) string { return strings.Repeat(line, n/len(line)) }
	var ticks strings.Builder
	for i := 1; ticks.Len() < n; i++ {
		ticks.WriteString(strings.Repeat("`", i) + " ")
	}
	return map[string]string{
		"brackets":            lines("["),
		"brackets closed":     lines("[")[:n/2] + lines("]")[:n/2],
		"brackets in pairs":   lines("[]"),
		"brackets nested":     lines("[a")[:n/2] + lines("](b)")[:n/2],
		"pictures nested":     lines("![a")[:n/2] + lines("](b)")[:n/2],
		"links":               lines("[a](b)"),
		"links unclosed":      lines("[a](<b"),
		"titles unclosed":     lines(`[a](b "`),
		"stars":               lines("*"),
		"stars opening":       lines("*a "),
		"stars closing":       lines("a* "),
		"stars both":          lines("a*"),
		"stars and bars":      lines("*a _a ") + lines("a* ")[:n/2],
		"stars nested":        lines("**a ")[:n/2] + lines("a**")[:n/2],
		"stars mixed":         lines("*a **a ***a a_ a__"),
		"bars":                lines("_a_"),
		"waves":               lines("~~a "),
		"quotes":              lines(">"),
		"quotes and lines":    strings.Repeat(">", n/2) + lines("a\n")[:n/2],
		"quotes and blanks":   strings.Repeat("> ", n/4) + "a" + lines("\n")[:n/2] + "b",
		"lists":               lines("- "),
		"lists and lines":     strings.Repeat("- ", n/4) + "a\n" + lines("\n b\n")[:n/2],
		"lists numbered":      lines("1. "),
		"lists deeper":        deeper(n),
		"items empty":         lines("-\n"),
		"ticks":               lines("`"),
		"ticks growing":       ticks.String(),
		"ticks and letters":   lines("`a``b"),
		"angles":              lines("<"),
		"tags":                lines("<a b"),
		"tags with quotes":    lines("<a b='\""),
		"tags unclosed":       lines(`<a href="https://e.cn">`),
		"tags unknown":        lines("<abc></abd>"),
		"comments":            lines("<!--"),
		"comments in lines":   lines("<!--\n"),
		"instructions":        lines("<?"),
		"sections":            lines("<![CDATA["),
		"entities":            lines("&amp"),
		"backslashes":         lines(`\`),
		"URLs":                lines("a://"),
		"URLs long":           lines("a://b_c_"),
		"mail":                lines("a_a@"),
		"hashes":              lines("#"),
		"headings":            lines("# a\n"),
		"headings underlined": lines("a\n-\n"),
		"definitions":         lines("[a]: b\n"),
		"definitions of URLs": lines("[a]: a:b\n"),
		"definitions open":    lines("[a\n"),
		"table":               wideTable(n),
		"table of labels":     labelTable(n),
		"tables":              lines("a|b\n-|-\n"),
		"rows":                "a|b|c\n-|-|-\n" + lines("|\n"),
		"fences":              lines("```\n"),
		"waves in lines":      lines("~~~\n"),
		"tabs":                lines("\t- \t"),
		"breaks":              lines("\\\n"),
		"blanks":              "*a" + lines(" ") + "b*",
		"blank lines":         "*a*" + lines("\n") + "b",
	}
}

// deeper is a list that nests as deep as it can within n bytes.
func deeper(n int) string {
	var b strings.Builder
	for i := 0; b.Len() < n; i++ {
		b.WriteString(strings.Repeat("  ", i) + "- a\n")
	}
	return b.String()
}

// wideTable is a table of a wide header over many rows of one cell.
func wideTable(n int) string {
	return strings.Repeat("a|", n/8) + "\n" + strings.Repeat("-|", n/8) + "\n" + strings.Repeat("a\n", n/4)
}

// labelTable is a table whose header is long, over many rows.
func labelTable(n int) string {
	h := strings.Repeat("h", n/4)
	return h + "|b|c\n-|-|-\n" + strings.Repeat("a|b|c\n", n/9)
}

func TestRenderHostile(t *testing.T) {
	for name, src := range hostile(100_000) {
		t.Run(name, func(t *testing.T) {
			size := 0
			for _, p := range Render(src) {
				size += len(p.Text) + len(p.ImageURL) + len(p.Title)
			}
			if size > 20*len(src) {
				t.Errorf("%d bytes became %d", len(src), size)
			}
		})
	}
}

func BenchmarkHostile(b *testing.B) {
	for _, n := range []int{20_000, 100_000} {
		for name, src := range hostile(n) {
			b.Run(fmt.Sprintf("%s/%d", strings.ReplaceAll(name, " ", "_"), n), func(b *testing.B) {
				b.SetBytes(int64(len(src)))
				for b.Loop() {
					Render(src)
				}
			})
		}
	}
}
