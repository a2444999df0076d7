package markdown

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// TestInline: what stands in a title or on a button.
func TestInline(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, src, want string }{
		{"plain", "Red, 红", "Red, 红"},
		{"empty", "", ""},
		{"bold", "**Red** and __blue__", "Red and blue"},
		{"bold beside Chinese", "**注意：**请看", "注意：请看"},
		{"code", "run `ls -l`", "run ls -l"},
		{"struck", "~~old~~ new", "old new"},
		{"link", "see [the page](https://example.com/)", "see the page"},
		{"link without text", "[](https://example.com/)", "[](https://example.com/)"},
		{"picture", "![A cat](https://example.com/c.png)", "A cat"},
		{"tags", "<b>Red</b>", "Red"},
		{"anchor", `<a href="https://example.com/">Red</a>`, "Red"},
		{"entity", "A &amp; B", "A & B"},
		{"heading", "## Red", "Red"},
		{"number sign", "#1 of all", "#1 of all"},
		{"no list", "1. Red", "1. Red"},
		{"no bullet", "- 5 °C", "- 5 °C"},
		{"no quote", "> 18", "> 18"},
		{"no arithmetic", "2*3*4", "2*3*4"},
		{"file name", "a_b_c.pdf", "a_b_c.pdf"},
		{"lines", "**a**\n# b\n\n`c`", "a\nb\n\nc"},
		{"no rule", "***", "***"},
		{"not closed", "**Red", "**Red"},
		{"only code marks", "``", "``"},
		{"bare address", "https://example.com/a_b_c*d*", "https://example.com/a_b_c*d*"},
		{"control characters", "a\x00**b**", "ab"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := Inline(tc.src); got != tc.want {
				t.Errorf("%q became %q, want %q", tc.src, got, tc.want)
			}
		})
	}
}

// FuzzInline: whatever is written, there is no more of it afterwards, and something if there was.
func FuzzInline(f *testing.F) {
	for _, s := range []string{"**a** `b`", "[x](y)", "<a href=\"x\">", "![](", "\u200b**\u200b**", "&#0;", "# #", "*\n*"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := Inline(s)
		if !utf8.ValidString(got) || visible(clean(s)) != visible(got) || strings.Count(got, "\n") != strings.Count(clean(s), "\n") {
			t.Errorf("%q became %q", s, got)
		}
	})
}

// TestShows: what nobody sees does not count as something to read.
func TestShows(t *testing.T) {
	t.Parallel()
	for _, r := range "a好👍é!שَ。" {
		if !Shows(r) {
			t.Errorf("%q is not seen", r)
		}
	}
	for _, r := range "\u200b\u200c\u200d\ufeff\u2060\u00ad\u3164\u115f\u2800\ufe0f\u034f \n\t\u3000\u202e" {
		if Shows(r) {
			t.Errorf("%q is seen", r)
		}
	}
}
