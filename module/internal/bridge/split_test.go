package bridge

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/rivo/uniseg"
	"pgregory.net/rapid"
)

func TestSplitText(t *testing.T) {
	t.Parallel()
	const link = `<a href="https://example.com/a/b">这里</a>`
	for _, tc := range []struct {
		name  string
		text  string
		limit int
		want  []string
	}{
		{"empty", "", 10, nil},
		{"fits", "hello", 10, []string{"hello"}},
		{"exactly", "0123456789", 10, []string{"0123456789"}},
		{"paragraph before line", "one\n\ntwo\nthree", 12, []string{"one\n\n", "two\nthree"}},
		{"line before sentence", "A b. C\nd e. f g", 13, []string{"A b. C\n", "d e. f g"}},
		{"Western sentence", "It is so. It is not", 15, []string{"It is so.", " It is not"}},
		{"no sentence inside a number", "It is 3.14159 now", 12, []string{"It is ", "3.14159 now"}},
		{"Chinese sentence", "今天好。明天也好", 18, []string{"今天好。", "明天也好"}},
		{"word", "alpha beta gamma", 12, []string{"alpha beta ", "gamma"}},
		{"wide white space", "好好\u3000好好", 11, []string{"好好\u3000", "好好"}},
		{"closing marks", "他说：“好。”我说好", 24, []string{"他说：“好。”", "我说好"}},
		{"opening mark", "今天好。“明天好", 18, []string{"今天好。", "“明天好"}},
		{"Western closing marks", "(\"So it is.\") It is not", 18, []string{"(\"So it is.\")", " It is not"}},
		{"dots", "今天好……明天好", 18, []string{"今天好……", "明天好"}},
		{"sign and its form", "今天好！\ufe0f明天好", 18, []string{"今天好！\ufe0f", "明天好"}},
		{"code point", "好好好", 8, []string{"好好", "好"}},
		{"grapheme", "ab👩‍👩‍👧cd", 19, []string{"ab", "👩‍👩‍👧c", "d"}},
		{"link stays whole", strings.Repeat("x", 20) + link, 60, []string{strings.Repeat("x", 20), link}},
		{"border too near the beginning", "a\n" + strings.Repeat("b", 20), 12, []string{"a\nbbbbbbbbbb", "bbbbbbbbbb"}},
		{"white space at the end", "aaaaaaaaaa\n", 10, []string{"aaaaaaaaaa", "\n"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, splitText(tc.text, tc.limit)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestSplitTextProperties: the parts put together are the text, none is too long
// or ends within a grapheme or a link that would have fitted.
func TestSplitTextProperties(t *testing.T) {
	t.Parallel()
	pieces := rapid.SampledFrom([]string{
		"word", " ", "\n", "\n\n", "。", "! ", "好", "👩‍👩‍👧", "é", "\u200f", "<a href=\"https://example.com/\">link</a>", "<a href",
		`<a href="weixin://bizmsgmenu?msgmenucontent=好&msgmenuid=1234567890121">1. 好</a>`, "</a>", "\t", "]]>",
		"\u3000", "\u00a0", "\u2028", "\u0301", "\ufe0f", "！", "……", "“", "”", "）", ". ", "\"",
	})
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(pieces, 0, 120).Draw(t, "pieces"), "")
		limit := rapid.IntRange(60, 200).Draw(t, "limit")
		parts := splitText(text, limit)
		if got := strings.Join(parts, ""); got != text {
			t.Fatalf("joined %q, want %q", got, text)
		}
		at := 0
		for i, p := range parts {
			if len(p) > limit || !utf8.ValidString(p) {
				t.Fatalf("part %q has %d bytes of %d, valid %v", p, len(p), limit, utf8.ValidString(p))
			}
			at += len(p)
			if i+1 < len(parts) && !atBorder(text, at) {
				t.Fatalf("cut within a grapheme: %q | %q", p, parts[i+1])
			}
			for _, span := range anchors.FindAllStringIndex(text, -1) {
				if span[0] < at && at < span[1] && span[1]-span[0] <= limit {
					t.Fatalf("cut within a link: %q", p)
				}
			}
		}
	})
}

// atBorder tells whether a place lies between graphemes.
func atBorder(text string, at int) bool {
	n, state := 0, -1
	for rest := text; rest != "" && n < at; {
		var g string
		g, rest, _, state = uniseg.FirstGraphemeClusterInString(rest, state)
		n += len(g)
	}
	return n == at
}
