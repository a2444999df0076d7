package bridge

import (
	"encoding/json"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/caddy-wechat/caddy-wechat/module/internal/journal"
	"github.com/caddy-wechat/caddy-wechat/module/wechat"
)

var taps = regexp.MustCompile(`<a href="(weixin://bizmsgmenu\?[^"]*)">([^<>]*)</a>`)

// someText draws what bots and their users write, and what breaks programs.
var someText = rapid.Custom(func(t *rapid.T) string {
	return strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{
		"word", " ", "\n", "\n\n", "。", "! ", "好", "👩‍👩‍👧", "é", "\u200f", "שלום", "]]>", "<", ">", "&", `"`, "'", "%", "%41", "#", "+", "=", "?", "\\", "`", "**", "_", "|",
		"[a](https://example.com/)", "![p](https://example.com/p.png)", "<a href=\"https://example.com/\">x</a>", "</a>", "https://example.com/?a=b", "\x00", "\u2028", "２", "二", "1.", "…",
		strings.Repeat("长", 90),
	}), 0, 12).Draw(t, "text"), "")
})

var someURL = rapid.SampledFrom([]string{"", " ", "https://example.com/a.png", "https://example.com/\"><b>", "http://[::1", "data:image/png;base64,AA", "weixin://dl/business", "tel:1", "not a URL", "https://example.com/" + strings.Repeat("x", 2500)})

// somePayload draws payloads of all kinds.
func somePayload(depth int) *rapid.Generator[map[string]any] {
	return rapid.Custom(func(t *rapid.T) map[string]any {
		kinds := []string{"text", "markdown", "image", "audio", "video", "file", "location", "choice", "dropdown", "card", "hologram"}
		if depth > 0 {
			kinds = append(kinds, "bloc", "carousel")
		}
		p := map[string]any{"type": rapid.SampledFrom(kinds).Draw(t, "type")}
		for _, name := range []string{"text", "markdown", "title", "subtitle", "address"} {
			if rapid.Bool().Draw(t, name+"?") {
				p[name] = someText.Draw(t, name)
			}
		}
		for _, name := range []string{"imageUrl", "audioUrl", "videoUrl", "fileUrl"} {
			p[name] = someURL.Draw(t, name)
		}
		if rapid.Bool().Draw(t, "position?") {
			p["latitude"], p["longitude"] = rapid.Float64Range(-90, 90).Draw(t, "latitude"), 1.5
		}
		options := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) map[string]any {
			return map[string]any{"label": someText.Draw(t, "label"), "value": someText.Draw(t, "value"), "action": rapid.SampledFrom([]string{"say", "postback", "url", "new"}).Draw(t, "action")}
		}), 0, 30)
		p["options"], p["actions"] = options.Draw(t, "options"), options.Draw(t, "actions")
		if depth > 0 {
			p["items"] = rapid.SliceOfN(somePayload(depth-1), 0, 5).Draw(t, "items")
		}
		return p
	})
}

// TestRenderProperties: whatever a bot says, WeChat takes the messages, they are the
// same each time, and each option of a choice can be taken in every way.
func TestRenderProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		raw, err := json.Marshal(somePayload(2).Draw(t, "payload"))
		if err != nil {
			t.Fatal(err)
		}
		s := contentSettings(rapid.SampledFrom([]ChoiceStyle{ChoiceLinks, ChoiceNumbers, ChoiceMenu}).Draw(t, "style"))
		s.Reply = rapid.SampledFrom([]ReplyMode{ReplyAuto, ReplyPassive}).Draw(t, "mode")
		rd := render(s, "msg_01", raw)
		if diff := cmp.Diff(rd, render(s, "msg_01", raw), cmp.AllowUnexported(rendered{}, part{}, wechat.Article{})); diff != "" {
			t.Fatalf("not the same each time:\n%s", diff)
		}
		if rd.dead != "" && len(rd.parts) == 0 {
			t.Fatal("the user is not told that something is missing")
		}
		if why := unsound(rd); why != "" {
			t.Fatal(why)
		}
		if why := unreachable(rd, s.Choices); why != "" {
			t.Fatal(why)
		}
	})
}

// unsound is why WeChat would not take the parts of a reply, or what they fall back
// to.
func unsound(rd *rendered) string {
	to := &wechat.Push{FromUserName: "oAlice", ToUserName: "gh", MsgType: "text"}
	for _, p := range rd.parts {
		for again := true; again; again = p.fallBack() {
			p.media = "MEDIA"
			if _, err := wechat.EncodeReply(to, p.reply(), time.Unix(1, 0)); p.kind != partText && p.kind != partMenu && err != nil {
				return "part cannot be sent: " + err.Error()
			}
			for _, text := range splitText(p.text, textLimit) {
				_, err := wechat.EncodeReply(to, wechat.TextReply{Content: text}, time.Unix(1, 0))
				if err != nil || len(text) > textLimit || !utf8.ValidString(text) || blank(text) {
					return "text cannot be sent: " + strconv.Quote(text)
				}
			}
			if p.kind == partNews && (blank(p.article.Title) || p.article.URL == "") {
				return "card without a title or an address"
			}
		}
	}
	return ""
}

// unreachable is which option cannot be taken.
func unreachable(rd *rendered, style ChoiceStyle) string {
	shown := make(map[int]string) // what a tap says, by number
	var all strings.Builder
	for _, p := range rd.parts {
		all.WriteString(p.text)
		for _, item := range p.items {
			if ref, n, ok := parseMenuID(item.ID); ok && ref == rd.ref && !blank(item.Content) {
				shown[n] = item.Content
			}
		}
	}
	for _, m := range taps.FindAllStringSubmatch(all.String(), -1) {
		u, err := url.Parse(m[1])
		if err != nil {
			return "malformed link " + m[1]
		}
		q, err := url.ParseQuery(u.RawQuery)
		if ref, n, ok := parseMenuID(q.Get("msgmenuid")); err == nil && ok && ref == rd.ref {
			shown[n] = q.Get("msgmenucontent")
		}
	}
	labels, exact := make(map[string]int), make(map[string]int)
	for _, o := range rd.options {
		labels[plain(o.Label)]++
		labels[plain(clip(o.Label, labelLimit))] += 0
		exact[strings.TrimSpace(o.Label)]++
		if short := strings.TrimSpace(clip(o.Label, labelLimit)); short != strings.TrimSpace(o.Label) {
			exact[short]++
		}
	}
	for _, o := range rd.options {
		name := strconv.Itoa(o.Number) + " " + strconv.Quote(o.Label)
		if said, ok := shown[o.Number]; style != ChoiceNumbers && (!ok || said != clip(o.Label, labelLimit)) {
			return "no tap, or another one, for " + name + ": " + said
		}
		written := clip(o.Label, labelLimit)
		if style != ChoiceNumbers { // within a tag
			written = untag.Replace(written)
		}
		if !strings.Contains(all.String(), strconv.Itoa(o.Number)+". "+written) {
			return "not to be read: " + name
		}
		number := strconv.Itoa(o.Number)
		if got, ok := typed(rd.options, number); labels[number] == 0 && (!ok || got != o) {
			return "no number for " + name
		}
		if got, ok := typed(rd.options, o.Label); exact[strings.TrimSpace(o.Label)] == 1 && plain(o.Label) != "" && (!ok || got != o) {
			return "no label, letter by letter, for " + name
		}
		if got, ok := typed(rd.options, strings.ToUpper(" "+o.Label)); labels[plain(o.Label)] == 1 && plain(o.Label) != "" &&
			plain(strings.ToUpper(o.Label)) == plain(o.Label) && !numbered(rd.options, o) && (!ok || got != o) {
			return "no label for " + name
		}
	}
	return ""
}

// numbered tells whether a label reads like another option with its number.
func numbered(options []journal.Option, o journal.Option) bool {
	for _, other := range options {
		if other != o && (plain(o.Label) == strconv.Itoa(other.Number)+"."+plain(other.Label) || plain(clip(o.Label, labelLimit)) == plain(clip(other.Label, labelLimit))) {
			return true
		}
	}
	return false
}

// FuzzRender: no JSON makes the renderer panic, or send what WeChat refuses.
func FuzzRender(f *testing.F) {
	for _, seed := range []string{
		`{"type":"text","text":"hi"}`, `{"type":"choice","text":"?","options":["A",{"value":"b"}]}`, `{"type":"carousel","items":[{"title":"\u0000"}]}`,
		`{"type":"bloc","items":[{"type":"bloc","items":[{"type":"card","imageUrl":"https://e.com/","actions":[{"label":"\u200b"}]}]}]}`, `{"type":"x","a":{"text":"\u200b"}}`, `[`, `null`,
	} {
		f.Add([]byte(seed), uint8(0))
	}
	f.Fuzz(func(t *testing.T, raw []byte, style uint8) {
		s := contentSettings([]ChoiceStyle{ChoiceLinks, ChoiceNumbers, ChoiceMenu}[style%3])
		rd := render(s, "msg_01", raw)
		if why := unsound(rd); why != "" {
			t.Fatal(why)
		}
		if why := unreachable(rd, s.Choices); why != "" {
			t.Fatal(why)
		}
	})
}

// TestTyped: what counts as a choice when it is typed.
func TestTyped(t *testing.T) {
	t.Parallel()
	colours := []journal.Option{{Number: 1, Label: "Red", Value: "r"}, {Number: 2, Label: "深 蓝", Value: "b"}, {Number: 3, Label: "Buy", Value: "x"}, {Number: 4, Label: "Buy", Value: "y"}}
	for n := 5; n <= 30; n++ {
		colours = append(colours, journal.Option{Number: n, Label: "colour " + strconv.Itoa(n), Value: strconv.Itoa(n)})
	}
	counts := []journal.Option{{Number: 1, Label: "2", Value: "two"}, {Number: 2, Label: "4", Value: "four"}}
	letters := []journal.Option{{Number: 1, Label: "A", Value: "upper"}, {Number: 2, Label: " a", Value: "lower"}, {Number: 3, Label: "Ａ", Value: "wide"}}
	for _, tc := range []struct {
		options []journal.Option
		says    string
		want    string // empty: none
	}{
		{colours, "2", "b"},
		{colours, "２", "b"},
		{colours, " 2. ", "b"},
		{colours, "2、", "b"},
		{colours, "（2）", "b"},
		{colours, "2️⃣", "b"},
		{colours, "二", "b"},
		{colours, "第二个", "b"},
		{colours, "第2项。", "b"},
		{colours, "十", "10"},
		{colours, "十二", "12"},
		{colours, "二十", "20"},
		{colours, "二十三", "23"},
		{colours, "red", "r"},
		{colours, " R E D", "r"},
		{colours, "ＲＥＤ", "r"},
		{colours, "深蓝", "b"},
		{colours, "2. 深 蓝", "b"},
		{colours, "3", "x"},
		{colours, "4. Buy", "y"},
		{colours, "Buy", ""}, // which?
		{colours, "0", ""},
		{colours, "31", ""},
		{colours, "-1", ""},
		{colours, "+1", ""},
		{colours, "99999999999999999999", ""},
		{colours, "2 please", ""},
		{colours, "一个", ""},
		{colours, "十十", ""},
		{colours, "", ""},
		{colours, "。", ""},
		{counts, "2", "two"}, // what it says goes before where it stands
		{counts, "1", "two"},
		{letters, "A", "upper"},
		{letters, "a ", "lower"},
		{letters, "Ａ", "wide"},
		{letters, "ａ", ""}, // which?
		{letters, "1.a", "upper"},
		{nil, "1", ""},
	} {
		if got, ok := typed(tc.options, tc.says); ok != (tc.want != "") || got.Value != tc.want && ok {
			t.Errorf("%q chooses %+v (%v), want %q", tc.says, got, ok, tc.want)
		}
	}
}
