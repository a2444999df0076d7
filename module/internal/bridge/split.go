package bridge

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rivo/uniseg"
)

// anchors are what a text must not be cut in: links as they are written here, with
// no other markup in them, and addresses that WeChat makes links of. What shows a
// tag without being one is none: it might end with the next link.
var anchors = regexp.MustCompile(`(?i)<a\s[^<>]*>[^<]*</a>|https?://[!#-;=?-~]+`)

// splitText cuts a text into parts of at most limit bytes: between paragraphs,
// else between lines, else behind a sentence, else behind a word, else between
// graphemes. Links stay whole unless one alone is longer than the limit. The
// parts put together are the text; a part may be nothing but white space.
func splitText(text string, limit int) []string {
	var parts []string
	for len(text) > limit {
		n := cut(text, limit)
		parts = append(parts, text[:n])
		text = text[n:]
	}
	if text != "" {
		parts = append(parts, text)
	}
	return parts
}

// borders find the places where a text may be cut, best first. Each gives the
// index behind the border, 0 if there is none.
var borders = []func(string) int{
	func(s string) int { return behind(s, "\n\n") },
	func(s string) int { return behind(s, "\n") },
	sentence,
	wordEnd,
}

func behind(s, border string) int {
	if i := strings.LastIndex(s, border); i >= 0 {
		return i + len(border)
	}
	return 0
}

// wordEnd finds the last white space. It may be a wide one.
func wordEnd(s string) int {
	i := strings.LastIndexFunc(s, unicode.IsSpace)
	if i < 0 {
		return 0
	}
	_, n := utf8.DecodeRuneInString(s[i:])
	return i + n
}

// sentence finds the end of the last sentence: behind Chinese punctuation
// anywhere, behind Western punctuation only where white space follows. The marks
// that close what the sentence stands in belong to it.
func sentence(s string) int {
	best := 0
	chinese, western := false, false // what stands before ends a sentence
	for i, r := range s {
		switch {
		case strings.ContainsRune("。！？；…", r):
			chinese = true
		case strings.ContainsRune(".!?;", r):
			western = true
		case (chinese || western) && strings.ContainsRune("”’」』）】》〉)\uFE0F", r):
		case western && strings.ContainsRune("\"'", r): // or it might open the next
		default:
			if chinese || western && unicode.IsSpace(r) {
				best = i
			}
			chinese, western = false, false
		}
	}
	return best
}

// cut finds where the first part of a text ends. A border is taken only if the
// part is not made much shorter by it.
func cut(text string, limit int) int {
	window := text[:graphemes(text, limit)]
	// A link that begins in the window and fits into a part ends within two of them.
	spans := anchors.FindAllStringIndex(text[:min(len(text), 2*limit)], -1)
	for _, border := range borders {
		for n := border(window); n > limit/3; n = border(window[:n-1]) {
			if outside(spans, n) && !within(window, n) {
				return n
			}
		}
	}
	n := len(window)
	for _, sp := range spans {
		if sp[0] < n && n < sp[1] && sp[0] > 0 {
			return sp[0] // the link goes to the next part as a whole
		}
	}
	return n
}

// within tells whether a place lies in a grapheme: a mark may stand on white space.
func within(s string, n int) bool {
	if n == len(s) {
		return false
	}
	_, size := utf8.DecodeLastRuneInString(s[:n])
	g, _, _, _ := uniseg.FirstGraphemeClusterInString(s[n-size:], -1)
	return len(g) > size
}

func outside(spans [][]int, n int) bool {
	for _, sp := range spans {
		if sp[0] < n && n < sp[1] {
			return false
		}
	}
	return true
}

// graphemes is the length of as many whole graphemes as fit into limit bytes.
// A single one that does not fit is cut between code points.
func graphemes(s string, limit int) int {
	n := 0
	rest, state := s, -1
	for rest != "" {
		var g string
		g, rest, _, state = uniseg.FirstGraphemeClusterInString(rest, state)
		if n+len(g) > limit {
			break
		}
		n += len(g)
	}
	if n > 0 {
		return n
	}
	for i := range s {
		if i > limit {
			break
		}
		n = i
	}
	if n == 0 {
		return min(limit, len(s))
	}
	return n
}
