package simulator

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// wcReply is a passive reply to wcTestUser with the given MsgType and body.
func wcReply(kind, body string) string {
	return "<xml><ToUserName><![CDATA[" + wcTestUser + "]]></ToUserName><FromUserName><![CDATA[gh_0123456789ab]]></FromUserName>" +
		"<CreateTime>1700000001</CreateTime><MsgType><![CDATA[" + kind + "]]></MsgType>" + body + "</xml>"
}

func wcNews(n int) string {
	item := "<item><Title>T</Title><Description>D</Description><PicUrl>p</PicUrl><Url>u</Url></item>"
	return wcReply("news", fmt.Sprintf("<ArticleCount>%d</ArticleCount><Articles>%s</Articles>", n, strings.Repeat(item, n)))
}

func TestWeChatJudgePlain(t *testing.T) {
	w, s, _ := wcNewPair(t, nil)
	img := w.keepMedia("image", "a.png", wcPicture(1)).ID
	vid := w.keepMedia("video", "a.mp4", wcFilm()).ID
	text := wcReply("text", "<Content><![CDATA[收到]]></Content>")
	event := w.Event(wcTestUser, "CLICK", "K")
	gone := w.Event(wcTestUser, "unsubscribe", "")
	for _, tc := range []struct {
		name   string
		push   SimPush // zero: a text message
		status int     // zero: 200
		body   string
		want   string
		see    string // type:text of what the user sees
	}{
		{name: "success", body: "success", want: OutcomeSuccess},
		{name: "empty", body: "", want: OutcomeEmpty},
		{name: "text", body: text, want: OutcomeReply, see: "text:收到"},
		{name: "text with a declaration and spaces", body: "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n" + text + "\n", want: OutcomeReply, see: "text:收到"},
		{name: "text without CDATA", body: wcReply("text", "<Content>a &lt; b</Content>"), want: OutcomeReply, see: "text:a < b"},
		{name: "text of 2048 bytes", body: wcReply("text", "<Content>"+strings.Repeat("x", 2048)+"</Content>"), want: OutcomeReply, see: "text:" + strings.Repeat("x", 2048)},
		{name: "image", body: wcReply("image", "<Image><MediaId>"+img+"</MediaId></Image>"), want: OutcomeReply, see: "image:"},
		{name: "video", body: wcReply("video", "<Video><MediaId>"+vid+"</MediaId><Title>V</Title></Video>"), want: OutcomeReply, see: "video:V"},
		{name: "news", body: wcNews(1), want: OutcomeReply, see: "news:T"},
		{name: "news to an event", push: event, body: wcNews(8), want: OutcomeReply, see: "news:T"},
		{name: "hand-over", body: wcReply("transfer_customer_service", ""), want: OutcomeReply, see: "transfer:"},

		{name: "success with a newline", body: "success\n", want: OutcomeIllegal},
		{name: "success in JSON", body: `"success"`, want: OutcomeIllegal},
		{name: "a space", body: " ", want: OutcomeIllegal},
		{name: "success with 500", status: 500, body: "success", want: OutcomeIllegal},
		{name: "empty with 204", status: 204, want: OutcomeIllegal},
		{name: "success with 302", status: 302, body: "success", want: OutcomeIllegal},
		{name: "JSON", body: `{"errcode":0}`, want: OutcomeIllegal},
		{name: "not closed", body: strings.TrimSuffix(text, "</xml>"), want: OutcomeIllegal},
		{name: "twice", body: text + text, want: OutcomeIllegal},
		{name: "text behind", body: text + "x", want: OutcomeIllegal},
		{name: "DOCTYPE", body: "<!DOCTYPE xml>" + text, want: OutcomeIllegal},
		{name: "not UTF-8", body: wcReply("text", "<Content>\xff</Content>"), want: OutcomeIllegal},
		{name: "control character", body: wcReply("text", "<Content>a\x08b</Content>"), want: OutcomeIllegal},
		{name: "other root", body: strings.NewReplacer("<xml>", "<x>", "</xml>", "</x>").Replace(text), want: OutcomeIllegal},
		{name: "names not swapped", body: strings.NewReplacer("FromUserName", "ToUserName", "ToUserName", "FromUserName").Replace(text), want: OutcomeIllegal},
		{name: "another user", body: strings.Replace(text, wcTestUser, "oOTHER", 1), want: OutcomeIllegal},
		{name: "injected name", body: strings.Replace(text, "<Content>", "<ToUserName>x</ToUserName><Content>", 1), want: OutcomeIllegal},
		{name: "repeated Content", body: wcReply("text", "<Content>x</Content><Content>y</Content>"), want: OutcomeIllegal},
		{name: "no CreateTime", body: strings.Replace(text, "<CreateTime>1700000001</CreateTime>", "", 1), want: OutcomeIllegal},
		{name: "CreateTime no number", body: strings.Replace(text, "1700000001", "now", 1), want: OutcomeIllegal},
		{name: "no MsgType", body: strings.Replace(text, "<MsgType><![CDATA[text]]></MsgType>", "", 1), want: OutcomeIllegal},
		{name: "unknown MsgType", body: wcReply("file", ""), want: OutcomeIllegal},
		{name: "no Content", body: wcReply("text", ""), want: OutcomeIllegal},
		{name: "empty Content", body: wcReply("text", "<Content></Content>"), want: OutcomeIllegal},
		{name: "2049 bytes", body: wcReply("text", "<Content>"+strings.Repeat("x", 2049)+"</Content>"), want: OutcomeIllegal},
		{name: "2049 bytes of Chinese", body: wcReply("text", "<Content>"+strings.Repeat("字", 683)+"</Content>"), want: OutcomeIllegal},
		{name: "markup in Content", body: wcReply("text", `<Content>see <a href="x">y</a></Content>`), want: OutcomeIllegal},
		{name: "unknown media", body: wcReply("image", "<Image><MediaId>nope</MediaId></Image>"), want: OutcomeIllegal},
		{name: "media of another kind", body: wcReply("image", "<Image><MediaId>"+vid+"</MediaId></Image>"), want: OutcomeIllegal},
		{name: "media without a frame", body: wcReply("image", "<MediaId>"+img+"</MediaId>"), want: OutcomeIllegal},
		{name: "two articles", body: wcNews(2), want: OutcomeIllegal},
		{name: "nine articles to an event", push: event, body: wcNews(9), want: OutcomeIllegal},
		{name: "no article", push: event, body: wcNews(0), want: OutcomeIllegal},
		{name: "wrong count", body: strings.Replace(wcNews(1), ">1<", ">2<", 1), want: OutcomeIllegal},
		{name: "wrong case", body: wcReply("text", "<content>x</content>"), want: OutcomeIllegal},
		{name: "reply to unsubscribe", push: gone, body: text, want: OutcomeIllegal},
		{name: "encrypted in plain mode", body: wcSealed(text, "testtoken", wcTestAppID), want: OutcomeIllegal},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w.users.Clear()
			if tc.status == 0 {
				tc.status = http.StatusOK
			}
			s.says(tc.status, tc.body)
			if tc.push.OpenID == "" {
				tc.push = w.Text(wcTestUser, "hi")
			}
			wcExpect(t, w, tc.push, tc.want, tc.see)
		})
	}
}

// wcExpect pushes p and checks how the answer is judged and what the user sees.
func wcExpect(t *testing.T, w *WeChat, p SimPush, want, see string) {
	t.Helper()
	d := w.Push(wcSoon(t), p)
	if d.Outcome != want {
		t.Fatalf("outcome %s, want %s: %s", d.Outcome, want, d.Attempts[0].Err)
	}
	if (d.Attempts[0].Err != "") != (want == OutcomeIllegal) {
		t.Errorf("error %q", d.Attempts[0].Err)
	}
	got := ""
	for _, s := range w.Replies(p.OpenID) {
		got += s.Type + ":" + s.Text
	}
	if got != see {
		t.Errorf("the user sees %q, want %q", got, see)
	}
	if want == OutcomeReply && (d.Reply == nil || d.Reply.Road != RoadPassive || d.Reply.ReplyTo != p.MsgID || d.Reply.Seq != 1) {
		t.Errorf("reply %+v", d.Reply)
	}
	// Someone who has left sees no notice.
	if d.Notice != (want == OutcomeIllegal && p.Event != "unsubscribe") {
		t.Errorf("notice %v", d.Notice)
	}
}

// wcSealed wraps a reply as the encrypted modes want it.
func wcSealed(reply, token, appID string) string {
	enc := mustWcCipher(wcKeyAbc).seal([]byte(reply), appID)
	return "<xml><Encrypt><![CDATA[" + enc + "]]></Encrypt><MsgSignature><![CDATA[" + wcSign(token, "1700000001", "987", enc) +
		"]]></MsgSignature><TimeStamp>1700000001</TimeStamp><Nonce><![CDATA[987]]></Nonce></xml>"
}

func TestWeChatJudgeEncrypted(t *testing.T) {
	text := wcReply("text", "<Content>ok</Content>")
	sealed := wcSealed(text, "testtoken", wcTestAppID)
	for _, tc := range []struct {
		name, body       string
		compatible, safe string
	}{
		{"success", "success", OutcomeSuccess, OutcomeSuccess},
		{"empty", "", OutcomeEmpty, OutcomeEmpty},
		{"encrypted", sealed, OutcomeReply, OutcomeReply},
		{"plaintext", text, OutcomeReply, OutcomeIllegal},
		{"another token", wcSealed(text, "other", wcTestAppID), OutcomeIllegal, OutcomeIllegal},
		{"another AppID", wcSealed(text, "testtoken", "wxffffffffffffffff"), OutcomeIllegal, OutcomeIllegal},
		{"encrypted success", wcSealed("success", "testtoken", wcTestAppID), OutcomeIllegal, OutcomeIllegal},
		{"no timestamp", strings.Replace(sealed, "<TimeStamp>1700000001</TimeStamp>", "", 1), OutcomeIllegal, OutcomeIllegal},
		{"changed timestamp", strings.Replace(sealed, "1700000001", "1700000002", 1), OutcomeIllegal, OutcomeIllegal},
		{"plain fields beside", strings.Replace(sealed, "<xml>", "<xml><ToUserName>x</ToUserName>", 1), OutcomeIllegal, OutcomeIllegal},
	} {
		for mode, want := range map[string]string{ModeCompatible: tc.compatible, ModeSafe: tc.safe} {
			t.Run(tc.name+"/"+mode, func(t *testing.T) {
				w, s, _ := wcNewPair(t, func(c *WeChatConfig) { c.Mode = mode })
				s.says(http.StatusOK, tc.body)
				see := ""
				if want == OutcomeReply {
					see = "text:ok"
				}
				wcExpect(t, w, w.Text(wcTestUser, "hi"), want, see)
			})
		}
	}
}

func FuzzWeChatJudge(f *testing.F) {
	w := NewWeChat(WeChatConfig{AppID: wcTestAppID, Token: "testtoken", AESKey: wcKeyAbc, Mode: ModeCompatible})
	f.Cleanup(w.Close)
	f.Add([]byte(wcReply("text", "<Content>x</Content>")))
	f.Add([]byte(wcNews(1)))
	f.Add([]byte(wcSealed(wcNews(1), "testtoken", wcTestAppID)))
	p := w.Text(wcTestUser, "hi")
	f.Fuzz(func(t *testing.T, body []byte) {
		kind, seen, err := w.judge(w.settings.Load(), &p, http.StatusOK, body)
		if (kind == OutcomeIllegal) != (err != nil) || (kind == OutcomeReply) != (seen != nil) {
			t.Errorf("%s %v %v", kind, seen, err)
		}
	})
}
