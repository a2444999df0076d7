package wechat

import (
	"encoding/xml"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"
)

const replyHead = `<xml><ToUserName><![CDATA[oTEST0000000000000000000000a]]></ToUserName><FromUserName><![CDATA[gh_0123456789ab]]></FromUserName><CreateTime>1700000001</CreateTime>`

func TestEncodeReply(t *testing.T) {
	message := mustPush(t, "<MsgType>text</MsgType><MsgId>1</MsgId>")
	event := mustPush(t, "<Event>CLICK</Event><EventKey>a</EventKey>")
	articles := func(n int) []Article {
		return append([]Article{{"T", "D", "https://example.com?a=1&b=2", "https://example.com/p.png"}}, make([]Article, n-1)...)
	}
	const item = `<item><Title><![CDATA[T]]></Title><Description><![CDATA[D]]></Description><PicUrl><![CDATA[https://example.com/p.png]]></PicUrl><Url><![CDATA[https://example.com?a=1&b=2]]></Url></item>`
	const empty = `<item><Title><![CDATA[]]></Title><Description><![CDATA[]]></Description><PicUrl><![CDATA[]]></PicUrl><Url><![CDATA[]]></Url></item>`
	tests := []struct {
		name string
		p    *Push
		r    Reply
		want string // after the head; empty: an error
	}{
		{"text", message, TextReply{"收到"}, `<MsgType><![CDATA[text]]></MsgType><Content><![CDATA[收到]]></Content>`},
		{"link in text", message, TextReply{`<a href="https://x/?a&b">t</a>` + "\nb"}, `<MsgType><![CDATA[text]]></MsgType><Content><![CDATA[<a href="https://x/?a&b">t</a>` + "\n" + `b]]></Content>`},
		{"end of CDATA in text", message, TextReply{"a]]>b]]>"}, `<MsgType><![CDATA[text]]></MsgType><Content><![CDATA[a]]]]><![CDATA[>b]]]]><![CDATA[>]]></Content>`},
		{"text of full length", message, TextReply{strings.Repeat("x", 2048)}, `<MsgType><![CDATA[text]]></MsgType><Content><![CDATA[` + strings.Repeat("x", 2048) + `]]></Content>`},
		{"text too long", message, TextReply{strings.Repeat("x", 2049)}, ""},
		{"no text", message, TextReply{""}, ""},
		{"text of controls", message, TextReply{"\x00\x01"}, ""},
		{"image", message, ImageReply{"m1"}, `<MsgType><![CDATA[image]]></MsgType><Image><MediaId><![CDATA[m1]]></MediaId></Image>`},
		{"no image", message, ImageReply{""}, ""},
		{"voice", message, VoiceReply{"m1"}, `<MsgType><![CDATA[voice]]></MsgType><Voice><MediaId><![CDATA[m1]]></MediaId></Voice>`},
		{"video", message, VideoReply{MediaID: "m1"}, `<MsgType><![CDATA[video]]></MsgType><Video><MediaId><![CDATA[m1]]></MediaId></Video>`},
		{"video, all", message, VideoReply{"m1", "T", "D"}, `<MsgType><![CDATA[video]]></MsgType><Video><MediaId><![CDATA[m1]]></MediaId><Title><![CDATA[T]]></Title><Description><![CDATA[D]]></Description></Video>`},
		{"title to be cleaned", message, VideoReply{"m1", "a\x00]]>\tb", ""}, `<MsgType><![CDATA[video]]></MsgType><Video><MediaId><![CDATA[m1]]></MediaId><Title><![CDATA[a]]]]><![CDATA[> b]]></Title></Video>`},
		{"music", message, MusicReply{ThumbMediaID: "m1"}, `<MsgType><![CDATA[music]]></MsgType><Music><ThumbMediaId><![CDATA[m1]]></ThumbMediaId></Music>`},
		{"music, all", message, MusicReply{"T", "D", "u", "hq", "m1"}, `<MsgType><![CDATA[music]]></MsgType><Music><Title><![CDATA[T]]></Title><Description><![CDATA[D]]></Description><MusicUrl><![CDATA[u]]></MusicUrl><HQMusicUrl><![CDATA[hq]]></HQMusicUrl><ThumbMediaId><![CDATA[m1]]></ThumbMediaId></Music>`},
		{"no music", message, MusicReply{Title: "T"}, ""},
		{"news", message, NewsReply{articles(1)}, `<MsgType><![CDATA[news]]></MsgType><ArticleCount>1</ArticleCount><Articles>` + item + `</Articles>`},
		{"two news to a message", message, NewsReply{articles(2)}, ""},
		{"eight news to an event", event, NewsReply{articles(8)}, `<MsgType><![CDATA[news]]></MsgType><ArticleCount>8</ArticleCount><Articles>` + item + strings.Repeat(empty, 7) + `</Articles>`},
		{"nine news to an event", event, NewsReply{articles(9)}, ""},
		{"no news", event, NewsReply{}, ""},
		{"transfer", message, TransferReply{}, `<MsgType><![CDATA[transfer_customer_service]]></MsgType>`},
		{"transfer to one", message, TransferReply{"a@b"}, `<MsgType><![CDATA[transfer_customer_service]]></MsgType><TransInfo><KfAccount><![CDATA[a@b]]></KfAccount></TransInfo>`},
		{"no account", &Push{FromUserName: "o"}, TextReply{"a"}, ""},
		{"no user", &Push{ToUserName: "g"}, TextReply{"a"}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := EncodeReply(tt.p, tt.r, time.Unix(1700000001, 0))
			if tt.want == "" {
				if err == nil {
					t.Errorf("EncodeReply = %s; want an error", got)
				}
				return
			}
			if want := replyHead + tt.want + "</xml>"; err != nil || string(got) != want {
				t.Errorf("EncodeReply\n got %s, %v\nwant %s", got, err, want)
			}
		})
	}
}

// anyText draws text with what is hard about it: ends of CDATA, controls,
// separators, bytes that are no UTF-8.
func anyText() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		parts := rapid.SliceOfN(rapid.OneOf(
			rapid.SampledFrom([]string{"]]>", "]", ">", "<![CDATA[", "</Content>", "&#10;", "\r\n", "\r", "\t", "\n", "\x00", "\x1b", "\u2028", "\u2029", "\ufffe", "\uffff", "\xff", "\xe4\xbd", "\\u0041", "\"", "\\", "&", "<a href=\"x\">"}),
			rapid.String(),
		), 1, 8).Draw(t, "parts")
		return strings.Join(parts, "")
	})
}

func TestReplyReadsBack(t *testing.T) {
	p := mustPush(t, "<MsgType>text</MsgType><MsgId>1</MsgId>")
	rapid.Check(t, func(t *rapid.T) {
		text := anyText().Draw(t, "text")
		out, err := EncodeReply(p, TextReply{text}, time.Unix(1700000001, 0))
		if clean := cleanText(text); clean == "" || len(clean) > MaxTextBytes {
			if err == nil {
				t.Fatal("no error")
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			XMLName                           xml.Name `xml:"xml"`
			ToUserName, FromUserName, Content string
		}
		if err := xml.Unmarshal(out, &got); err != nil {
			t.Fatalf("%v in %q", err, out)
		}
		if got.Content != cleanText(text) || got.ToUserName != p.FromUserName || got.FromUserName != p.ToUserName {
			t.Fatalf("read back %+v of %q", got, text)
		}
	})
}

func TestCleanText(t *testing.T) {
	for in, want := range map[string]string{
		"":                       "",
		"plain 你好 👩‍👩‍👧":         "plain 你好 👩‍👩‍👧",
		"a\nb":                   "a\nb",
		"a\r\nb\rc":              "a\nb\nc",
		"a\tb":                   "a b",
		"a\x00\x07\x08\x0c\x1fb": "ab",
		"a\u2028b\u2029c":        "a\nb\nc",
		"a\xffb":                 "a\ufffdb",
		"\xe4\xbd\xa0\xe4":       "你\ufffd",
		"a\ufffd":                "a\ufffd",
		"a\ufffeb\uffff":         "a\ufffdb\ufffd",
		"<a href=\"x\">&amp;":    "<a href=\"x\">&amp;",
	} {
		if got := cleanText(in); got != want {
			t.Errorf("cleanText(%q) = %q, want %q", in, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		once := cleanText(anyText().Draw(t, "text"))
		if !isClean(once) || !utf8.ValidString(once) || cleanText(once) != once {
			t.Fatalf("not clean: %q", once)
		}
		// Clean text needs no \u escape in JSON.
		b, err := encodeJSON(once)
		if err != nil || strings.Contains(strings.ReplaceAll(string(b), `\\`, ""), `\u`) {
			t.Fatalf("JSON %s, %v", b, err)
		}
	})
}

func TestCutText(t *testing.T) {
	for n, want := range map[int]string{0: "", 1: "a", 2: "a", 3: "a", 4: "a你", 5: "a你", 7: "a你好", 99: "a你好"} {
		if got := cutText("a你好", n); got != want {
			t.Errorf("cutText(%d) = %q, want %q", n, got, want)
		}
	}
}

func ExampleEncodeReply() {
	p := &Push{ToUserName: "gh_0123456789ab", FromUserName: "oTEST", MsgType: "text"}
	b, err := EncodeReply(p, ImageReply{MediaID: "m1"}, time.Unix(1700000001, 0))
	fmt.Println(string(b), err)
	// Output: <xml><ToUserName><![CDATA[oTEST]]></ToUserName><FromUserName><![CDATA[gh_0123456789ab]]></FromUserName><CreateTime>1700000001</CreateTime><MsgType><![CDATA[image]]></MsgType><Image><MediaId><![CDATA[m1]]></MediaId></Image></xml> <nil>
}
