package bridge

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-wechat/caddy-wechat/module/internal/journal"
	"github.com/caddy-wechat/caddy-wechat/module/wechat"
)

// pushOf makes a push of what is special about it.
func pushOf(t *testing.T, inner string) *wechat.Push {
	t.Helper()
	p, err := wechat.ParsePush([]byte("<xml><ToUserName>gh_1</ToUserName><FromUserName>oUser</FromUserName><CreateTime>1700000000</CreateTime>" + inner + "</xml>"))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func asJSON(t *testing.T, raw json.RawMessage) any {
	t.Helper()
	if raw == nil {
		return nil
	}
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// TestNewTurn: what the bot gets of each push, without further configuration.
func TestNewTurn(t *testing.T) {
	t.Parallel()
	text := func(s string) map[string]any { return map[string]any{"type": "text", "text": s} }
	for _, tc := range []struct {
		name  string
		inner string
		want  any    // the message
		event string // or the event's name
		none  bool   // or nothing
	}{
		{name: "text", inner: `<MsgType>text</MsgType><Content>你好</Content><MsgId>1</MsgId>`, want: text("你好")},
		{name: "text with white space around", inner: `<MsgType>text</MsgType><Content> a&#10;</Content><MsgId>1</MsgId>`, want: text(" a\n")},
		{name: "empty text", inner: `<MsgType>text</MsgType><Content></Content><MsgId>1</MsgId>`, want: text("[空消息]")},
		{name: "sticker", inner: `<MsgType>text</MsgType><Content>【收到不支持的消息类型，暂无法显示】</Content><MsgId>1</MsgId>`, want: text("[表情或暂不支持的消息]")},
		{
			name: "picture", inner: `<MsgType>image</MsgType><PicUrl>http://pic.example/0</PicUrl><MediaId>m</MediaId><MsgId>1</MsgId>`,
			want: map[string]any{"type": "image", "imageUrl": "http://pic.example/0"},
		},
		{name: "picture without address", inner: `<MsgType>image</MsgType><PicUrl></PicUrl><MediaId>m</MediaId><MsgId>1</MsgId>`, want: text("[图片]")},
		{name: "voice", inner: `<MsgType>voice</MsgType><MediaId>m</MediaId><Format>amr</Format><MsgId>1</MsgId>`, want: text("[语音]")},
		{name: "video", inner: `<MsgType>video</MsgType><MediaId>m</MediaId><ThumbMediaId>t</ThumbMediaId><MsgId>1</MsgId>`, want: text("[视频]")},
		{name: "short video", inner: `<MsgType>shortvideo</MsgType><MediaId>m</MediaId><ThumbMediaId>t</ThumbMediaId><MsgId>1</MsgId>`, want: text("[小视频]")},
		{
			name: "location", inner: `<MsgType>location</MsgType><Location_X>39.904</Location_X><Location_Y>116.407</Location_Y><Scale>16</Scale><Label>东城区</Label><MsgId>1</MsgId>`,
			want: map[string]any{"type": "location", "latitude": 39.904, "longitude": 116.407, "address": "东城区", "title": "东城区"},
		},
		{name: "link to nothing", inner: `<MsgType>link</MsgType><Title></Title><Description> </Description><Url></Url><MsgId>1</MsgId>`, want: text("[链接]")},
		{
			name: "link", inner: `<MsgType>link</MsgType><Title>T</Title><Description>D</Description><Url>https://example.com</Url><MsgId>1</MsgId>`,
			want: text("T\nD\nhttps://example.com"),
		},
		{name: "a kind of the future", inner: `<MsgType>hologram</MsgType><MsgId>1</MsgId>`, want: text("[暂不支持的消息: hologram]")},
		{name: "menu tap", inner: `<MsgType>event</MsgType><Event>CLICK</Event><EventKey>HELP</EventKey>`, want: text("HELP")},
		{name: "location report", inner: `<MsgType>event</MsgType><Event>LOCATION</Event><Latitude>1</Latitude><Longitude>2</Longitude><Precision>3</Precision>`, none: true},
		{name: "follow", inner: `<MsgType>event</MsgType><Event>subscribe</Event><EventKey>qrscene_1</EventKey><Ticket>tk</Ticket>`, event: "subscribe"},
		{name: "unfollow", inner: `<MsgType>event</MsgType><Event>unsubscribe</Event>`, event: "unsubscribe"},
		{name: "template result", inner: `<MsgType>event</MsgType><Event>TEMPLATESENDJOBFINISH</Event><MsgID>200</MsgID><Status>success</Status>`, event: "TEMPLATESENDJOBFINISH"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			p := pushOf(t, tc.inner)
			turn, ok := newTurn(&Settings{AppID: "wx1"}, journal.Push{ID: 7, ReceivedAt: time.Unix(1700000001, 0)}, p)
			if ok == tc.none {
				t.Fatalf("told to the bot: %v", ok)
			}
			if tc.none {
				return
			}
			if diff := cmp.Diff(tc.want, asJSON(t, turn.Message)); diff != "" {
				t.Errorf("message (-want +got):\n%s", diff)
			}
			if tc.event == "" {
				if turn.Metadata["wechatMsgId"] != turn.ID || turn.Metadata["type"] != kindOf(p) || turn.Metadata["openid"] != "oUser" || turn.Metadata["appId"] != "wx1" {
					t.Errorf("metadata: %v", turn.Metadata)
				}
				return
			}
			e, _ := asJSON(t, turn.Event).(map[string]any)
			if e["event"] != tc.event || e["source"] != "wechat" || e["openid"] != "oUser" || e["createTime"] != 1.7e9 || e["eventId"] != turn.ID {
				t.Errorf("event: %v", e)
			}
			if tc.name == "template result" && (e["Status"] != "success" || e["MsgID"] != "200") {
				t.Errorf("what the event carries besides is missing: %v", e)
			}
		})
	}
}

// TestEventID: the id of an event is the same in every attempt, and another
// event's is another.
func TestEventID(t *testing.T) {
	t.Parallel()
	a := pushOf(t, `<MsgType>event</MsgType><Event>CLICK</Event><EventKey>A</EventKey>`)
	b := pushOf(t, `<MsgType>event</MsgType><Event>CLICK</Event><EventKey>B</EventKey>`)
	if eventID(a) != eventID(pushOf(t, `<MsgType>event</MsgType><EventKey>A</EventKey><Event>CLICK</Event>`)) || eventID(a) == eventID(b) {
		t.Errorf("ids %q and %q", eventID(a), eventID(b))
	}
	if !strings.HasPrefix(eventID(a), "event-1700000000-") {
		t.Errorf("id %q", eventID(a))
	}
}

// TestEventRules: a rule for the key goes before one for the event, and both
// before the default.
func TestEventRules(t *testing.T) {
	t.Parallel()
	s := &Settings{Events: []EventRule{
		{Name: "CLICK", Action: EventIgnore},
		{Name: "CLICK", Key: "HELP", Action: EventText, Text: "I need help"},
		{Name: "CLICK", Key: "MENU", Action: EventText},
		{Name: "LOCATION", Action: EventEvent},
		{Name: "subscribe", Action: EventReply, Text: "welcome"},
		{Name: "VIEW", Action: EventText},
	}}
	for _, tc := range []struct{ event, key, text, custom string }{
		{"CLICK", "HELP", "I need help", ""},
		{"CLICK", "MENU", "MENU", ""},
		{"CLICK", "OTHER", "", ""},
		{"LOCATION", "", "", "LOCATION"},
		{"subscribe", "", "", ""},
		{"VIEW", "", "VIEW", ""},
		{"SCAN", "1", "", "SCAN"},
	} {
		t.Run(tc.event+":"+tc.key, func(t *testing.T) {
			t.Parallel()
			p := pushOf(t, "<MsgType>event</MsgType><Event>"+tc.event+"</Event><EventKey>"+tc.key+"</EventKey>")
			turn, ok := newTurn(s, journal.Push{}, p)
			var message, event string
			if m, is := asJSON(t, turn.Message).(map[string]any); is {
				message, _ = m["text"].(string)
			}
			if e, is := asJSON(t, turn.Event).(map[string]any); is {
				event, _ = e["event"].(string)
			}
			if message != tc.text || event != tc.custom || ok != (tc.text != "" || tc.custom != "") {
				t.Errorf("told %v: message %q, event %q", ok, message, event)
			}
		})
	}
}
