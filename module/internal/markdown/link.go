package markdown

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"
)

// bareURL takes URLs in the text out of the search for emphasis and entities.
// They need no other treatment: WeChat finds them by itself.
type bareURL struct{}

func (bareURL) Trigger() []byte { return []byte{':'} }

func (bareURL) Parse(_ ast.Node, r text.Reader, _ parser.Context) ast.Node {
	line, seg := r.PeekLine()
	if !bytes.HasPrefix(line, []byte("://")) || seg.Padding > 0 || seg.Start == 0 || !letter(r.Source()[seg.Start-1]) {
		return nil
	}
	n := urlLength(line)
	if n <= len("://") {
		return nil
	}
	r.Advance(n)
	return ast.NewRawTextSegment(seg.WithStop(seg.Start + n))
}

// urlLength is how far a URL goes at most. It may end too early, for what is
// behind is looked at as text, but must leave the markup around it.
func urlLength(line []byte) int {
	n := 0
	for n < len(line) {
		b := line[n]
		if b <= ' ' || b >= utf8.RuneSelf || strings.IndexByte("<>\"`[]|\\", b) >= 0 {
			break
		}
		if (b == '*' || b == '~') && n+1 < len(line) && line[n+1] == b {
			break
		}
		n++
	}
	return len(bytes.TrimRight(line[:n], "*_~.,:;!?'()"))
}

func letter(b byte) bool {
	return 'a' <= b|0x20 && b|0x20 <= 'z'
}

// scheme is that of a URL in lower case, empty if it has none.
func scheme(url string) string {
	for i := range len(url) {
		b := url[i]
		switch {
		case letter(b):
		case i > 0 && (b == '+' || b == '-' || b == '.' || '0' <= b && b <= '9'):
		case i > 0 && b == ':':
			return strings.ToLower(url[:i])
		default:
			return ""
		}
	}
	return ""
}

// absolute reports whether a link goes somewhere by itself.
func absolute(url string) bool {
	return scheme(url) != "" || strings.HasPrefix(url, "www.")
}

// anchorable are the schemes that WeChat opens from an <a>.
func anchorable(scheme string) bool {
	return scheme == "http" || scheme == "https" || scheme == "weixin"
}

// href makes a URL fit to stand in an attribute. All that could end the
// attribute or the tag is percent-encoded. What is beyond ASCII stays, and the
// blanks of weixin: links do, for these hold words that WeChat sends back.
func href(url string) string {
	url = strings.TrimSpace(url)
	if strings.HasPrefix(url, "www.") {
		url = "https://" + url
	}
	const hex = "0123456789ABCDEF"
	words := scheme(url) == "weixin"
	var b strings.Builder
	for i := range len(url) {
		c := url[i]
		switch {
		case c == ' ' && words:
			b.WriteByte(c)
		case c <= ' ' || c == '"' || c == '<' || c == '>' || c == 0x7F:
			b.WriteByte('%')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// maxAnchor is how long a link may be, tags included: it has to stay whole where
// a text is cut into messages of some 2000 bytes. Of a longer one label and
// address stand apart, and WeChat finds the address by itself.
const maxAnchor = 1600

// anchor is a link as WeChat shows it. Its label must not hold tags.
func anchor(url, label string) string {
	if a := `<a href="` + href(url) + `">` + untag.Replace(label) + `</a>`; len(a) <= maxAnchor {
		return a
	}
	if label == url {
		return href(url) + " "
	}
	return label + " " + href(url) + " " // or what follows would be part of it
}

// untag keeps a label from ending its link.
var untag = strings.NewReplacer("<", "＜", ">", "＞")

// link is what becomes of a link that goes to url.
func link(url, label string) string {
	url = strings.TrimSpace(url)
	s := scheme(url)
	switch {
	case url == "" || strings.HasPrefix(url, "#"):
		return label
	case s == "tel" || s == "mailto":
		// WeChat finds numbers and addresses in the text.
		address, _, _ := strings.Cut(url[len(s)+1:], "?")
		return aside(label, address)
	case anchorable(s) || strings.HasPrefix(url, "www."):
		if !visible(label) { // nobody could tap it
			label = url
		}
		if label == url && s != "weixin" {
			return href(url)
		}
		return anchor(url, label)
	default:
		return aside(label, url)
	}
}

// aside is a text and where it leads to, for what cannot be a link.
func aside(label, url string) string {
	switch {
	case label == "" || label == url:
		return url
	case strings.Contains(label, url):
		return label
	default:
		return label + " (" + url + ")"
	}
}
