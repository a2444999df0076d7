package markdown

import (
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// innocent are words without any character that is markup somewhere.
var innocent = rapid.StringOfN(rapid.SampledFrom([]rune(
	"abcXYZ0123 你好世界，。！？：；“”《》（）、—…·😀👨‍👩‍👧🇨🇳שלוםمرحبا   ?!,:;/@$%^({}'\"éñ한국어の")), 0, 30, -1)

// TestPlainStays: a text without markup comes out byte for byte.
func TestPlainStays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		src := strings.Join(rapid.SliceOfN(innocent, 0, 8).Draw(t, "lines"), "\n")
		if strings.TrimSpace(src) == "" {
			return
		}
		got := Render(src)
		if len(got) != 1 || got[0].Text != src {
			t.Fatalf("%q became %q", src, got)
		}
	})
}

var lineEnds = regexp.MustCompile(`(?m)[ \t]+$`)

// TestPlainStaysBesideMarkup: neither does it change when the text is parsed,
// for there is markup elsewhere; but for white space at the ends of lines.
func TestPlainStaysBesideMarkup(t *testing.T) {
	trim := func(s string) string { return lineEnds.ReplaceAllString(s, "") }
	rapid.Check(t, func(t *rapid.T) {
		src := "甲\n" + strings.Join(rapid.SliceOfN(innocent, 1, 8).Draw(t, "lines"), "\n") + "\n乙"
		if !plain(src) {
			return // digits and a bracket at the start of a line
		}
		got := Render("**!** " + src + " ~~!~~")
		if want := "! " + src + " !"; len(got) != 1 || trim(got[0].Text) != trim(want) {
			t.Fatalf("%q became %q", src, got)
		}
	})
}

// TestMarkersGo: no marker of emphasis around words survives, whatever
// stands beside it.
func TestMarkersGo(t *testing.T) {
	word := rapid.SampledFrom([]string{
		"重点", "重点：", "“重点”", "（重点）", "重点。", "《重点》", "word", "word:", "8折", "😀", "重点…", "【重点】", "a b", "1",
	})
	beside := rapid.SampledFrom([]string{"", "前", "内容", "：", "，", "。", "“", "”", "（", "）", " ", "\n", "😀"})
	marker := rapid.SampledFrom([]string{"**", "***", "~~"})
	rapid.Check(t, func(t *rapid.T) {
		m := marker.Draw(t, "marker")
		before, inner, after := beside.Draw(t, "before"), word.Draw(t, "inner"), beside.Draw(t, "after")
		src := "文" + before + m + inner + m + after + "字"
		want := "文" + before + inner + after + "字"
		want = strings.ReplaceAll(want, " \n", "\n")
		if got := Render(src); len(got) != 1 || got[0].Text != want {
			t.Fatalf("%q became %q, want %q", src, got, want)
		}
	})
}

// TestWordsStay: markup may go, words never do.
func TestWordsStay(t *testing.T) {
	word := rapid.StringMatching(`W[0-9]{1,4}`)
	pattern := rapid.SampledFrom([]string{
		"%", "**%**", "# %\n", "\n- %", "\n1. %\n   %", "\n> %", "`%`", "\n\n```\n%\n```\n", "[%](https://e.cn/%)",
		"![%](https://e.cn/%)", "\n\n|%|%|\n|-|-|\n|%|%|\n\n", "\n\n|%|b|c|\n|-|-|-|\n|%|%|%|\n%\n\n", "<b>%</b>", "<br>%", "\n\n    %\n",
		"\n%\n---\n", "\n%\n===\n", "[%]: %", "\n\n[%]: https://e.cn/%\n", "<% ", "*%", "~~%~~ ", "<https://e.cn/%>", "\n  - [x] %",
		"<a href=\"https://e.cn/%\">%</a>", "\n~~~ %\n", "\n\n* * *\n", "  \n", "\\\n", "\n<!-- c -->\n", "\n\t- %", "\n>- %\n%", "\n- # %",
	})
	rapid.Check(t, func(t *rapid.T) {
		var src strings.Builder
		var words []string
		for _, p := range rapid.SliceOfN(pattern, 1, 12).Draw(t, "patterns") {
			for _, s := range strings.SplitAfter(p, "%") {
				if head, found := strings.CutSuffix(s, "%"); found {
					w := word.Draw(t, "word")
					words = append(words, w)
					s = head + w
				}
				src.WriteString(s)
			}
		}
		if strings.Contains(src.String(), "```") || strings.Contains(src.String(), "~~~") {
			// What is said behind the opening of a fence is lost.
			return
		}
		out := show(Render(src.String()))
		for _, w := range words {
			if !strings.Contains(out, w) {
				t.Fatalf("%q lost %s: %q", src.String(), w, out)
			}
		}
	})
}

// checkPieces are the promises that Piece makes.
func checkPieces(t *testing.T, src string, all []Piece) {
	t.Helper()
	for _, p := range all {
		for _, s := range []string{p.Text, p.ImageURL, p.Title} {
			if !utf8.ValidString(s) || strings.ContainsFunc(s, isControl) {
				t.Fatalf("%q became %q", src, p)
			}
		}
		switch {
		case p.ImageURL == "" && (strings.TrimSpace(p.Text) == "" || p.Title != ""),
			p.ImageURL != "" && p.Text != "",
			strings.ContainsAny(p.ImageURL, "\"<> \n\t"),
			strings.Contains(p.Title, "\n"):
			t.Fatalf("%q became %q", src, p)
		}
		if s := scheme(p.ImageURL); p.ImageURL != "" && s != "http" && s != "https" {
			t.Fatalf("%q became the picture %q", src, p.ImageURL)
		}
	}
}

// FuzzRender looks for panics, which Render hides, and broken promises.
func FuzzRender(f *testing.F) {
	for _, src := range hostile(200) {
		f.Add(src)
	}
	f.Add("# a\n\n1. **b：**c\n   - [d](https://e.cn \"f\")\n\n> ![g](h)\n\n|i|j|k|\n|-|-|-|\n|l\n```\nm\n```\n[n]: o\n<!-- p --> <a href='q'>r</a>&amp;\\*")
	f.Fuzz(func(t *testing.T, src string) {
		src = clean(src)
		if !utf8.ValidString(src) || strings.ContainsFunc(src, isControl) {
			t.Fatalf("clean left %q", src)
		}
		if len(src) > maxSource {
			return
		}
		pieces([]byte(src)) // must not panic
		all := render(src)
		if strings.TrimSpace(src) != "" {
			checkPieces(t, src, all)
			checkPieces(t, src, Render(src))
		}
		if len(all) == 1 && strings.TrimSpace(src) != "" && plain(src) {
			got, want := lineEnds.ReplaceAllString(all[0].Text, ""), lineEnds.ReplaceAllString(src, "")
			if got != want {
				t.Fatalf("%q is plain but became %q", src, all[0].Text)
			}
		}
	})
}
