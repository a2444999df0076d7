package bridge

import (
	"cmp"
	"net/url"
	"strconv"
	"strings"
	"unicode"

	"github.com/caddy-wechat/caddy-wechat/module/internal/mediafile"
)

// shows tells whether a character is one that is seen.
func shows(r rune) bool { return unicode.IsGraphic(r) && !unicode.IsSpace(r) }

// oneLine is a text on one line, without control characters.
func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && !unicode.IsSpace(r) {
			return -1
		}
		return r
	}, s)
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
		if address = oneLine(address); address == title {
			return title
		}
		return lines(title, address)
	}
	a := anchor(address, clip(cmp.Or(title, mediafile.Name(address), address), labelLimit))
	if len(a) > textLimit {
		return lines(title, address)
	}
	return a
}

// mapLink opens a place in Tencent's map, as its page on the URI API says.
func mapLink(latitude, longitude float64, title, address string) string {
	coord := strconv.FormatFloat(latitude, 'f', -1, 64) + "," + strconv.FormatFloat(longitude, 'f', -1, 64)
	title, address = clip(oneLine(title), titleLimit), clip(oneLine(address), labelLimit)
	name := cmp.Or(title, address, coord)
	word := func(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }
	return anchor("https://apis.map.qq.com/uri/v1/marker?marker=coord:"+coord+
		";title:"+word(name)+";addr:"+word(cmp.Or(address, name))+"&referer=caddy-wechat", name)
}
