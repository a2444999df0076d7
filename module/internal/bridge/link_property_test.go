package bridge

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/caddy-wechat/caddy-wechat/module/wechat"
)

// longText draws texts in which links of all lengths stand between words. There are fewer tags in
// it than the parser of Markdown is ready to look at.
var longText = rapid.Custom(func(t *rapid.T) string {
	var b strings.Builder
	for range rapid.IntRange(1, 8).Draw(t, "pieces") {
		label := strings.Repeat(rapid.SampledFrom([]string{"word ", "好", "👩‍👩‍👧", "é", "x", "a.b "}).Draw(t, "letter"), rapid.SampledFrom([]int{1, 3, 40, 300, 1400}).Draw(t, "label"))
		url := "https://example.com/" + strings.Repeat(rapid.SampledFrom([]string{"p/", "?a=b&", "%E5", "好", "."}).Draw(t, "part"), rapid.IntRange(0, 700).Draw(t, "length"))
		switch rapid.IntRange(0, 6).Draw(t, "as") {
		case 6: // what shows markup is none
			b.WriteString(rapid.SampledFrom([]string{"if x <a and y then", "\n\n```html\n<a href=\"/x\">\n```\n\n", "\n\nWrite `<a href=\"...\"` first.\n\n"}).Draw(t, "shown"))
		case 0:
			b.WriteString("[" + label + "](" + url + ")")
		case 1:
			b.WriteString(`<a href="` + url + `">` + label + `</a>`)
		case 2:
			b.WriteString(url)
		case 3:
			b.WriteString("[" + label + "](weixin://dl/" + url[len("https://"):] + ")")
		default:
			b.WriteString(label)
		}
		b.WriteString(rapid.SampledFrom([]string{" ", "\n", "\n\n", "。", ". "}).Draw(t, "then"))
	}
	return b.String()
})

// longURL draws addresses of all lengths, and what is none.
var longURL = rapid.Custom(func(t *rapid.T) string {
	if rapid.Bool().Draw(t, "text") {
		return longText.Draw(t, "not an address")
	}
	return rapid.SampledFrom([]string{"https://example.com/", "weixin://dl/", "www.example.com/"}).Draw(t, "host") +
		strings.Repeat(rapid.SampledFrom([]string{"p/", "%E5", "好", "<", `"`, " "}).Draw(t, "part"), rapid.IntRange(0, 700).Draw(t, "length"))
})

// linkedPayload draws payloads of the kinds that make links.
var linkedPayload = rapid.Custom(func(t *rapid.T) map[string]any {
	options := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) map[string]any {
		return map[string]any{"label": longText.Draw(t, "label"), "value": longURL.Draw(t, "value"), "action": rapid.SampledFrom([]string{"say", "url"}).Draw(t, "action")}
	}), 1, 4)
	return map[string]any{
		"type": rapid.SampledFrom([]string{"text", "markdown", "file", "choice", "card", "carousel", "location", "image"}).Draw(t, "type"),
		"text": longText.Draw(t, "text"), "title": longText.Draw(t, "title"), "subtitle": longText.Draw(t, "subtitle"), "address": longText.Draw(t, "address"),
		"fileUrl": longURL.Draw(t, "file"), "latitude": 1.5, "longitude": 2.5,
		"options": options.Draw(t, "options"), "actions": options.Draw(t, "actions"),
		"items": []any{map[string]any{"title": longText.Draw(t, "item"), "actions": options.Draw(t, "its actions")}},
	}
})

// wholes are links and bare addresses.
var wholes = regexp.MustCompile(`<a href="[^"]*">[^<]*</a>|https://example\.com/[p/?ab=&%E5.]*`)

// cutLink is a link of a text that ends beyond a place within it, empty for none. An address that
// no message holds has to be cut.
func cutLink(text string, at int) string {
	for _, sp := range wholes.FindAllStringIndex(text, -1) {
		if sp[0] < at && at < sp[1] && sp[1]-sp[0] <= textLimit {
			return text[sp[0]:sp[1]]
		}
	}
	return ""
}

// TestNoLinkCut: however a reply is rendered, split, merged, labelled and announced, no link is cut, and
// what the messages show together is the text.
func TestNoLinkCut(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		raw, err := json.Marshal(linkedPayload.Draw(t, "payload"))
		if err != nil {
			t.Fatal(err)
		}
		s := contentSettings(rapid.SampledFrom([]ChoiceStyle{ChoiceLinks, ChoiceNumbers, ChoiceMenu}).Draw(t, "style"))
		s.Reply = rapid.SampledFrom([]ReplyMode{ReplyAuto, ReplyPassive}).Draw(t, "mode")
		sit := situation{
			now: time.Unix(100, 0), pushes: rapid.Bool().Draw(t, "pushes"), left: rapid.IntRange(1, 5).Draw(t, "left"), more: rapid.Bool().Draw(t, "more"),
			limit: textLimit, notice: strings.Repeat("还有", rapid.SampledFrom([]int{1, 20, 250}).Draw(t, "notice")), label: rapid.SampledFrom([]string{"", aiLabel}).Draw(t, "label"),
		}
		if !sit.pushes || rapid.Bool().Draw(t, "window") {
			sit.window, sit.windows = &opening{live: true}, rapid.IntRange(1, 3).Draw(t, "windows")
		}
		var whole strings.Builder
		var borders []int // within it
		for _, p := range render(s, "msg_01", raw).parts {
			if p.kind != partText && !p.fallBack() {
				continue
			}
			for _, span := range anchors.FindAllString(p.text, -1) {
				if strings.HasPrefix(span, "<a") && len(span) > linkLimit {
					t.Fatalf("a link of %d bytes: %s", len(span), span)
				}
			}
			if p.joins {
				borders = append(borders, whole.Len())
			}
			whole.WriteString(p.text)
			sit.pieces = append(sit.pieces, piece{text: p.text, ready: true, joins: p.joins})
		}
		for _, at := range borders {
			if link := cutLink(whole.String(), at); link != "" {
				t.Fatalf("split within %s", link)
			}
		}
		if why := sendAll(sit); why != "" {
			t.Fatal(why)
		}
	})
}

// sendAll has the planner make messages until nothing is left. It returns what is wrong with them.
func sendAll(sit situation) string {
	for len(sit.pieces) > 0 {
		m := sit.decide()
		if m.road != roadPassive && m.road != roadPush {
			return "nothing is sent: " + m.why
		}
		if len(m.text) > wechat.MaxTextBytes {
			return "too long: " + m.text
		}
		var shown strings.Builder
		for i, p := range sit.pieces[:m.n] {
			if i > 0 && !p.joins {
				shown.WriteString("\n\n")
			}
			if i < m.n-1 || m.cut == 0 {
				shown.WriteString(p.text)
				continue
			}
			if link := cutLink(p.text, m.cut); link != "" {
				return "cut within " + link
			}
			shown.WriteString(p.text[:m.cut])
			sit.pieces[i].text, sit.pieces[i].joins = p.text[m.cut:], true
			m.n--
		}
		if !strings.HasPrefix(m.text, shown.String()) || len(m.text)-shown.Len() > len("\n\n"+sit.notice+sit.label) {
			return "not what was decided: " + m.text
		}
		sit.pieces = sit.pieces[m.n:]
	}
	return ""
}
