package bridge

import (
	"cmp"
	"net/url"
	"strconv"
	"strings"
	"unicode"

	"github.com/caddy-wechat/caddy-wechat/module/internal/markdown"
	"github.com/caddy-wechat/caddy-wechat/module/internal/mediafile"
)

// oneLine is a text on one line, without control characters; empty if it shows
// nothing.
func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && !unicode.IsSpace(r) {
			return -1
		}
		return r
	}, s)
	if blank(s) {
		return ""
	}
	return strings.Join(strings.Fields(s), " ")
}

// ellipsis marks what was shortened.
const ellipsis = "…"

// clip shortens a text to at most limit bytes, between graphemes.
func clip(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return strings.TrimRightFunc(s[:graphemes(s, limit-len(ellipsis))], unicode.IsSpace) + ellipsis
}

// isWeb tells whether WeChat opens an address, and fetches from it.
func isWeb(address string) bool {
	u, err := url.Parse(strings.TrimSpace(address))
	return err == nil && u.Host != "" && (strings.EqualFold(u.Scheme, "https") || strings.EqualFold(u.Scheme, "http"))
}

// untag keeps a label from ending its link.
var untag = strings.NewReplacer("<", "＜", ">", "＞")

// anchor is a link in a text. All that could end its attribute is
// percent-encoded.
func anchor(href, label string) string {
	return `<a href="` + escape(strings.TrimSpace(href), `"<>`) + `">` + untag.Replace(label) + `</a>`
}

// escape percent-encodes blanks, control characters and the given ASCII
// characters. What is beyond ASCII stays: WeChat's own examples have it so.
func escape(s, chars string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c == 0x7F || strings.IndexByte(chars, c) >= 0 {
			b.WriteByte('%')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// link is an address under its title, or else under what it is called. What
// WeChat does not open stands beside its title.
func link(title, address string) string {
	title, address = oneLine(title), strings.TrimSpace(address)
	switch {
	case len(address) >= 5 && strings.EqualFold(address[:5], "data:"): // a file, not where it is
		return title
	case !isWeb(address):
		if address = oneLine(markdown.Inline(address)); address == title {
			return title
		}
		return lines(title, address)
	}
	return linked(address, clip(cmp.Or(title, mediafile.Name(address), address), labelLimit))
}

// linked is an anchor, or label and address apart where that is too long to stay
// whole: WeChat finds the address by itself.
func linked(href, label string) string {
	if a := anchor(href, label); len(a) <= linkLimit {
		return a
	}
	href = escape(strings.TrimSpace(href), `"<>`)
	if strings.HasPrefix(href, strings.TrimSuffix(label, ellipsis)) {
		return href
	}
	return lines(label, href)
}

// mapWords is how much of a place's name and of its address the map is told, in
// bytes: each Chinese character makes nine of the link's.
const mapWords = 120

// mapLink opens a place in Tencent's map, as its page on the URI API says.
func mapLink(latitude, longitude float64, title, address string) string {
	coord := strconv.FormatFloat(latitude, 'f', -1, 64) + "," + strconv.FormatFloat(longitude, 'f', -1, 64)
	title, address = clip(oneLine(title), titleLimit), clip(oneLine(address), labelLimit)
	name := cmp.Or(title, address, coord)
	word := func(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }
	return linked("https://apis.map.qq.com/uri/v1/marker?marker=coord:"+coord+
		";title:"+word(clip(name, mapWords))+";addr:"+word(clip(cmp.Or(address, name), mapWords))+"&referer=caddy-wechat", name)
}
