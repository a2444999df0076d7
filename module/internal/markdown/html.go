package markdown

import (
	"bytes"
	"html"
	"regexp"
	"strings"

	"github.com/yuin/goldmark/ast"
)

// tag is an HTML tag. The name is in lower case, and empty if it is something
// else, such as a comment.
type tag struct {
	name       string
	closing    bool
	attributes map[string]string // of opening tags; names in lower case
}

var (
	tagName    = regexp.MustCompile(`^</?([A-Za-z][A-Za-z0-9-]*)`)
	attributes = regexp.MustCompile(`([A-Za-z_:][A-Za-z0-9:._-]*)(?:\s*=\s*("[^"]*"|'[^']*'|[^\s"'=<>` + "`" + `]+))?`)
)

func readTag(raw []byte) tag {
	m := tagName.FindSubmatch(raw)
	if m == nil {
		return tag{}
	}
	t := tag{name: strings.ToLower(string(m[1])), closing: raw[1] == '/'}
	if t.closing || t.name != "a" && t.name != "img" {
		return t
	}
	t.attributes = map[string]string{}
	for _, a := range attributes.FindAllSubmatch(raw[len(m[0]):], -1) {
		name := strings.ToLower(string(a[1]))
		if _, ok := t.attributes[name]; !ok {
			t.attributes[name] = clean(html.UnescapeString(strings.Trim(string(a[2]), `"'`)))
		}
	}
	return t
}

// html writes what is left of a tag and gives the element to go on with.
func (w *writer) html(n *ast.RawHTML, next ast.Node) ast.Node {
	raw := n.Segments.Value(w.src)
	t := readTag(raw)
	switch {
	case t.name == "a" && !t.closing:
		if end := closing(w.src, next); end != nil && w.anchor(t, next, end) {
			return end.NextSibling()
		}
	case t.name == "img":
		w.image(t.attributes["src"], t.attributes["alt"])
	case t.name == "br":
		if !w.open {
			if len(w.buf) > 0 {
				w.breaks++
			}
			break
		}
		w.lineBreak()
		w.tight = true
	case t.name == "li" && !t.closing:
		w.lineBreak()
		w.text(bullets[0])
	case breaking[t.name]:
		w.lineBreak()
		w.tight = true
	default:
		w.text(w.tagText(raw))
	}
	return next
}

// anchor writes a link that the author wrote as HTML, false if it is none for
// WeChat. Links to mini programs keep what makes them that. (WeChat:
// customer-service messages, text.)
func (w *writer) anchor(t tag, from, end ast.Node) bool {
	url := strings.TrimSpace(t.attributes["href"])
	if !anchorable(scheme(url)) && !strings.HasPrefix(url, "www.") {
		return false
	}
	label := w.flatten(from, end)
	before := len(w.pieces)
	for c := from; c != end; c = c.NextSibling() {
		w.pictures(c)
	}
	if label == "" {
		if len(w.pieces) == before {
			return true
		}
		if label = w.pieces[len(w.pieces)-1].Title; label == "" {
			label = url
		}
	}
	link := anchor(url, label)
	if strings.HasPrefix(link, "<a ") {
		whole := link
		for _, name := range []string{"data-miniprogram-path", "data-miniprogram-appid"} {
			if v := t.attributes[name]; v != "" {
				whole = strings.Replace(whole, ">", " "+name+`="`+href(v)+`">`, 1)
			}
		}
		if len(whole) <= maxAnchor {
			link = whole
		}
	}
	w.text(link)
	return true
}

// closing finds the </a> among the elements from n on.
func closing(src []byte, n ast.Node) ast.Node {
	for ; n != nil; n = n.NextSibling() {
		raw, ok := n.(*ast.RawHTML)
		if !ok || raw.Segments.Len() == 0 {
			continue
		}
		if t := readTag(raw.Segments.Value(src)); t.name == "a" {
			if t.closing {
				return n
			}
			return nil // another link begins
		}
	}
	return nil
}

// tagText is what stands for a tag within a line: nothing, a blank, or, for
// what is no HTML after all, itself: <name> in "git clone <name>".
func (w *writer) tagText(raw []byte) string {
	t := readTag(raw)
	switch {
	case bytes.HasPrefix(raw, commentOpen):
		return ""
	case t.name == "":
		return string(raw)
	case breaking[t.name] || t.name == "br" || t.name == "td" || t.name == "th":
		return " "
	case known[t.name] || w.paired(t.name):
		return ""
	default:
		return string(raw)
	}
}

// tagNames are the names of the tags in a text.
type tagNames struct {
	read             bool
	opening, closing map[string]bool
}

var tagStart = regexp.MustCompile(`</?[A-Za-z][A-Za-z0-9-]*`)

// paired reports whether a tag of that name is opened and closed somewhere.
func (w *writer) paired(name string) bool {
	t := &w.tags
	if !t.read {
		*t = tagNames{read: true, opening: map[string]bool{}, closing: map[string]bool{}}
		for _, b := range tagStart.FindAll(w.src, -1) {
			if b[1] == '/' {
				t.closing[strings.ToLower(string(b[2:]))] = true
			} else {
				t.opening[strings.ToLower(string(b[1:]))] = true
			}
		}
	}
	return t.opening[name] && t.closing[name]
}

// breaking are the elements that begin and end lines.
var breaking = names(`address article aside blockquote body caption center dd details dialog div dl dt
	fieldset figcaption figure footer form h1 h2 h3 h4 h5 h6 head header hr html legend li main nav ol
	option p pre section summary table tbody tfoot thead title tr ul`)

// known are the other elements of HTML.
var known = names(`a abbr acronym area audio b base bdi bdo big button canvas cite code col colgroup data
	datalist del dfn em embed font i iframe img input ins kbd label link map mark meta meter noscript
	object optgroup output param picture progress q rp rt ruby s samp script select slot small source
	span strike strong style sub sup svg template textarea time track tt u var video wbr`)

func names(s string) map[string]bool {
	all := map[string]bool{}
	for name := range strings.FieldsSeq(s) {
		all[name] = true
	}
	return all
}
