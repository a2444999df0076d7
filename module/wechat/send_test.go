package wechat

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestSendBodies(t *testing.T) {
	tests := []struct {
		name string
		m    Message
		want string // of the object after msgtype
	}{
		{"text", TextMessage("你好 <a href=\"https://x/?a=1&b\">t</a>\n'\\u0041'"), `"msgtype":"text","text":{"content":"你好 <a href=\"https://x/?a=1&b\">t</a>\n'\\u0041'"}`},
		{"text to be cleaned", TextMessage("a\u2028b\u2029c\x00\x1b\x08d\te\r\nf\xffg"), "\"msgtype\":\"text\",\"text\":{\"content\":\"a\\nb\\ncd e\\nf\ufffdg\"}"},
		{"image", ImageMessage("m1"), `"msgtype":"image","image":{"media_id":"m1"}`},
		{"voice", VoiceMessage("m1"), `"msgtype":"voice","voice":{"media_id":"m1"}`},
		{"video", VideoMessage("m1", "t1", "T", "D"), `"msgtype":"video","video":{"media_id":"m1","thumb_media_id":"t1","title":"T","description":"D"}`},
		{"music", MusicMessage(MusicReply{"T", "D", "u", "hq", "t1"}), `"msgtype":"music","music":{"title":"T","description":"D","musicurl":"u","hqmusicurl":"hq","thumb_media_id":"t1"}`},
		{"news", NewsMessage(Article{"T", "D", "https://x/?a&b", "p"}), `"msgtype":"news","news":{"articles":[{"title":"T","description":"D","url":"https://x/?a&b","picurl":"p"}]}`},
		{"mpnews", MPNewsMessage("m1"), `"msgtype":"mpnews","mpnews":{"media_id":"m1"}`},
		{"mpnewsarticle", ArticleMessage("a1"), `"msgtype":"mpnewsarticle","mpnewsarticle":{"article_id":"a1"}`},
		{"msgmenu", MenuMessage("h", []MenuItem{{"101", "满意"}, {"102", "不"}}, "t"), `"msgtype":"msgmenu","msgmenu":{"head_content":"h","list":[{"id":"101","content":"满意"},{"id":"102","content":"不"}],"tail_content":"t"}`},
		{"wxcard", CardMessage("c1"), `"msgtype":"wxcard","wxcard":{"card_id":"c1"}`},
		{"miniprogrampage", MiniProgramMessage("T", "wx1", "p/p", "t1"), `"msgtype":"miniprogrampage","miniprogrampage":{"title":"T","appid":"wx1","pagepath":"p/p","thumb_media_id":"t1"}`},
		{"agent and AI", func() Message {
			m := TextMessage("a")
			m.Agent, m.AI = "agent1@gzh", true
			return m
		}(), `"msgtype":"text","text":{"content":"a"},"customservice":{"kf_account":"agent1@gzh"},"aimsgcontext":{"is_ai_msg":1}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cl := &cloud{}
			if err := mustClient(t, cl).Send(t.Context(), "oA", tt.m); err != nil {
				t.Fatal(err)
			}
			if got, want := string(cl.bodies[0]), `{"touser":"oA",`+tt.want+`}`; got != want {
				t.Errorf("body\n got %s\nwant %s", got, want)
			}
			if !strings.Contains(tt.want, `"msgtype":"`+tt.m.Kind()+`"`) {
				t.Errorf("Kind = %q", tt.m.Kind())
			}
		})
	}
}

func TestSendIncomplete(t *testing.T) {
	cl := &cloud{}
	c := mustClient(t, cl)
	for name, m := range map[string]Message{
		"zero": {}, "text": TextMessage(""), "text of controls": TextMessage("\x00"), "image": ImageMessage(""),
		"voice": VoiceMessage(""), "video": VideoMessage("", "t", "T", "D"), "music": MusicMessage(MusicReply{Title: "T"}),
		"news": NewsMessage(Article{}), "mpnews": MPNewsMessage(""), "article": ArticleMessage(""),
		"menu": MenuMessage("h", nil, "t"), "menu with an empty choice": MenuMessage("h", []MenuItem{{"1", "a"}, {"2", "\x00"}, {"3", "b"}}, "t"), "card": CardMessage(""), "mini program": MiniProgramMessage("T", "", "p", "t"),
	} {
		if err := c.Send(t.Context(), "oA", m); !errors.Is(err, ErrMessage) {
			t.Errorf("%s: %v, want ErrMessage", name, err)
		}
	}
	if err := c.Send(t.Context(), "", TextMessage("a")); !errors.Is(err, ErrMessage) {
		t.Errorf("no receiver: %v, want ErrMessage", err)
	}
	if _, err := c.Upload(t.Context(), MediaImage, "a.png", nil); !errors.Is(err, ErrMessage) {
		t.Errorf("no data: %v, want ErrMessage", err)
	}
	if got := cl.asked(); got != [2]int{} {
		t.Errorf("WeChat was asked: %v", got)
	}
}

// TestSendText states what WeChat needs of any text: raw UTF-8 and no \u escape.
func TestSendText(t *testing.T) {
	cl := &cloud{}
	c := mustClient(t, cl)
	rapid.Check(t, func(rt *rapid.T) {
		text := anyText().Draw(rt, "text")
		err := c.Send(t.Context(), "oA", TextMessage(text))
		if errors.Is(err, ErrMessage) {
			return
		}
		if err != nil {
			rt.Fatal(err)
		}
		body := cl.bodies[len(cl.bodies)-1]
		var got struct{ Text struct{ Content string } }
		if err := json.Unmarshal(body, &got); err != nil || got.Text.Content != cleanText(text) {
			rt.Fatalf("sent %q, %v", got.Text.Content, err)
		}
		if strings.Contains(strings.ReplaceAll(string(body), `\\`, ""), `\u`) {
			rt.Fatalf("escaped: %s", body)
		}
	})
}

func TestTyping(t *testing.T) {
	cl := &cloud{}
	c := mustClient(t, cl)
	if err := errors.Join(c.Typing(t.Context(), "oA", true), c.Typing(t.Context(), "oA", false)); err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{`{"touser":"oA","command":"Typing"}`, `{"touser":"oA","command":"CancelTyping"}`} {
		if string(cl.bodies[i]) != want || cl.calls[i].URL.Path != "/cgi-bin/message/custom/typing" || cl.calls[i].Method != http.MethodPost {
			t.Errorf("%s %s: %s", cl.calls[i].Method, cl.calls[i].URL.Path, cl.bodies[i])
		}
	}
}
