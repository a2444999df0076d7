package markdown

import (
	"bytes"
	"html"
	"strings"
	"unicode/utf8"

	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/util"
)

// inlines writes what is in a paragraph or in emphasis.
func (w *writer) inlines(n ast.Node) {
	for c := n.FirstChild(); c != nil; {
		c = w.inline(c)
	}
}

// inline writes one element and gives the one to go on with.
func (w *writer) inline(n ast.Node) ast.Node {
	next := n.NextSibling()
	switch n := n.(type) {
	case *ast.Text:
		w.text(w.value(n))
		if n.SoftLineBreak() || n.HardLineBreak() {
			w.lineBreak()
			w.lie(n.Segment.Stop + len(lineAt(w.src, n.Segment.Stop)) + 1)
		}
	case *ast.CodeSpan:
		w.text(w.flatten(n, next))
	case *ast.Link:
		w.pictures(n)
		w.text(w.apart(n, link(decode(n.Destination), w.labelOf(n))))
	case *ast.AutoLink:
		w.text(w.apart(n, w.autoLink(n)))
	case *ast.Image:
		w.image(decode(n.Destination), w.titleOf(n))
	case *ast.RawHTML:
		return w.html(n, next)
	default: // emphasis; boxes are written with their items
		w.inlines(n)
	}
	return next
}

// value is what a text says. Texts that are raw are URLs.
func (w *writer) value(n *ast.Text) string {
	b := n.Segment.Value(w.src)
	if n.IsRaw() {
		return strings.ReplaceAll(string(b), "&amp;", "&")
	}
	return decode(b)
}

// pictures takes out the pictures in an element.
func (w *writer) pictures(n ast.Node) {
	_ = ast.Walk(n, func(c ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		switch c := c.(type) {
		case *ast.Image:
			w.image(decode(c.Destination), w.titleOf(c))
			return ast.WalkSkipChildren, nil
		case *ast.RawHTML:
			if t := readTag(c.Segments.Value(w.src)); t.name == "img" {
				w.image(t.attributes["src"], t.attributes["alt"])
			}
		}
		return ast.WalkContinue, nil
	})
}

// labelOf is a link's text; if it is only pictures, that of the first.
func (w *writer) labelOf(n ast.Node) string {
	label := w.flatten(n.FirstChild(), nil)
	for c := n.FirstChild(); c != nil && label == ""; c = c.NextSibling() {
		if image, ok := c.(*ast.Image); ok {
			label = w.titleOf(image)
		}
	}
	return label
}

func (w *writer) titleOf(n *ast.Image) string {
	if alt := w.flatten(n.FirstChild(), nil); alt != "" {
		return alt
	}
	return strings.Join(strings.Fields(decode(n.Title)), " ")
}

// autoLink writes <https://…> without its brackets. What only looks like it,
// <key:value>, keeps them.
func (w *writer) autoLink(n *ast.AutoLink) string {
	url := string(n.Label(w.src))
	if n.AutoLinkType == ast.AutoLinkEmail {
		return url
	}
	switch s := scheme(url); s {
	case "mailto", "tel":
		return link(url, "")
	case "http", "https", "ftp", "weixin":
		return link(url, url)
	default:
		return "<" + url + ">"
	}
}

// apart is what n shows. An address of which WeChat would not see the end gets tags:
// it has signs beyond ASCII, or what follows would be part of it.
func (w *writer) apart(n ast.Node, shown string) string {
	if s := scheme(shown); s != "http" && s != "https" || strings.ContainsAny(shown, " <") {
		return shown
	}
	if strings.IndexFunc(shown, func(r rune) bool { return r >= utf8.RuneSelf }) < 0 && !w.goesOn(n) {
		return shown
	}
	return anchor(shown, shown)
}

// goesOn tells whether a sign that may stand in an address comes right behind n.
func (w *writer) goesOn(n ast.Node) bool {
	for ; n != nil && n.Type() == ast.TypeInline; n = n.Parent() {
		if next := n.NextSibling(); next != nil {
			if t, ok := n.(*ast.Text); ok && (t.SoftLineBreak() || t.HardLineBreak()) {
				return false
			}
			var b strings.Builder
			w.flattenTo(&b, next)
			s := b.String()
			return s != "" && (letter(s[0]) || '0' <= s[0] && s[0] <= '9' || strings.IndexByte("/-_?=&#%~+@$", s[0]) >= 0)
		}
	}
	return false
}

// flatten is the text of the elements from n up to end, on one line, without
// pictures.
func (w *writer) flatten(n, end ast.Node) string {
	var b strings.Builder
	for ; n != nil && n != end; n = n.NextSibling() {
		w.flattenTo(&b, n)
	}
	return strings.TrimSpace(strings.ReplaceAll(b.String(), "\n", " "))
}

func (w *writer) flattenTo(b *strings.Builder, n ast.Node) {
	switch n := n.(type) {
	case *ast.Text:
		b.WriteString(w.value(n))
		if n.SoftLineBreak() || n.HardLineBreak() {
			b.WriteByte('\n')
		}
	case *ast.CodeSpan:
		for c := n.FirstChild(); c != nil; c = c.NextSibling() {
			if t, ok := c.(*ast.Text); ok {
				b.Write(t.Segment.Value(w.src))
			}
		}
	case *ast.AutoLink:
		b.WriteString(w.autoLink(n))
	case *ast.RawHTML:
		b.WriteString(w.tagText(n.Segments.Value(w.src)))
	case *ast.Image:
	default:
		for c := n.FirstChild(); c != nil; c = c.NextSibling() {
			w.flattenTo(b, c)
		}
	}
}

// decode resolves backslashes and HTML entities. Control characters that come
// out of it vanish.
func decode(b []byte) string {
	if bytes.IndexByte(b, '\\') < 0 && bytes.IndexByte(b, '&') < 0 {
		return string(b)
	}
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); i++ {
		switch {
		case b[i] == '\\' && i+1 < len(b) && util.IsPunct(b[i+1]):
			i++
			out = append(out, b[i])
		case b[i] == '&':
			s, n := entity(b[i:])
			out = append(out, s...)
			i += n - 1
		default:
			out = append(out, b[i])
		}
	}
	return string(out)
}

// maxEntity is more bytes than the longest name of an entity has.
const maxEntity = 40

// entity resolves the HTML entity that b begins with and tells its length. If
// there is none it is the & alone.
func entity(b []byte) (string, int) {
	n := bytes.IndexByte(b[:min(len(b), maxEntity)], ';') + 1
	if n < 3 {
		return "&", 1
	}
	raw := string(b[:n])
	s := html.UnescapeString(raw)
	if s == raw || strings.HasSuffix(s, ";") && s != ";" {
		return "&", 1 // unknown, or known in part: &ampere;
	}
	return clean(s), n
}
