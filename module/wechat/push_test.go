package wechat

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const common = `<ToUserName><![CDATA[gh_0123456789ab]]></ToUserName><FromUserName><![CDATA[oTEST0000000000000000000000a]]></FromUserName><CreateTime>1700000000</CreateTime>`

// document puts the four common elements around what is special to a push. An
// event's examples start with <Event>.
func document(rest string) []byte {
	if strings.HasPrefix(rest, "<Event>") {
		rest = "<MsgType><![CDATA[event]]></MsgType>" + rest
	}
	return []byte("<xml>" + common + rest + "</xml>")
}

func mustPush(t testing.TB, rest string) *Push {
	t.Helper()
	p, err := ParsePush(document(rest))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// examples are WeChat's messages and events, one of each kind.
var examples = []struct {
	name, xml string
	want      Body
	opens     bool
	unlocks   Grant
}{
	{"text", `<MsgType><![CDATA[text]]></MsgType><Content><![CDATA[订单在哪?]]></Content><MsgId>24000000000000001</MsgId>`, &Text{Content: "订单在哪?"}, true, GrantMessage},
	{"tapped text", `<MsgType><![CDATA[text]]></MsgType><Content><![CDATA[满意]]></Content><MsgId>24000000000000002</MsgId><bizmsgmenuid>a101</bizmsgmenuid>`, &Text{Content: "满意", MenuID: "a101"}, true, GrantMessage},
	{"image", `<MsgType><![CDATA[image]]></MsgType><PicUrl><![CDATA[http://mmbiz.qpic.cn/x/0]]></PicUrl><MediaId><![CDATA[mid-img-1]]></MediaId><MsgId>24000000000000003</MsgId>`, &Image{PicURL: "http://mmbiz.qpic.cn/x/0", MediaID: "mid-img-1"}, true, GrantMessage},
	{"voice", `<MsgType><![CDATA[voice]]></MsgType><MediaId><![CDATA[mid-v-1]]></MediaId><Format><![CDATA[amr]]></Format><MsgId>24000000000000004</MsgId><MediaId16K><![CDATA[mid-v-1-16k]]></MediaId16K><Recognition><![CDATA[hi]]></Recognition>`, &Voice{MediaID: "mid-v-1", Format: "amr", MediaID16K: "mid-v-1-16k", Recognition: "hi"}, true, GrantMessage},
	{"video", `<MsgType><![CDATA[video]]></MsgType><MediaId><![CDATA[mid-vid-1]]></MediaId><ThumbMediaId><![CDATA[mid-th-1]]></ThumbMediaId><MsgId>24000000000000005</MsgId>`, &Video{MediaID: "mid-vid-1", ThumbMediaID: "mid-th-1"}, true, GrantMessage},
	{"shortvideo", `<MsgType><![CDATA[shortvideo]]></MsgType><MediaId><![CDATA[mid-vid-1]]></MediaId><ThumbMediaId><![CDATA[mid-th-1]]></ThumbMediaId><MsgId>24000000000000005</MsgId>`, &Video{MediaID: "mid-vid-1", ThumbMediaID: "mid-th-1", Short: true}, true, GrantMessage},
	{"location", `<MsgType><![CDATA[location]]></MsgType><Location_X>39.904</Location_X><Location_Y>116.407</Location_Y><Scale>16</Scale><Label><![CDATA[东城区]]></Label><MsgId>24000000000000006</MsgId>`, &Location{Latitude: 39.904, Longitude: 116.407, Scale: 16, Label: "东城区"}, true, GrantMessage},
	{"location without place", `<MsgType><![CDATA[location]]></MsgType><Location_X>NaN</Location_X><Location_Y>116.407</Location_Y><MsgId>24000000000000006</MsgId>`, &Unknown{}, true, GrantMessage},
	{"link", `<MsgType><![CDATA[link]]></MsgType><Title><![CDATA[标题]]></Title><Description><![CDATA[摘要]]></Description><Url><![CDATA[https://mp.weixin.qq.com/s/abc]]></Url><MsgId>24000000000000007</MsgId>`, &Link{Title: "标题", Description: "摘要", URL: "https://mp.weixin.qq.com/s/abc"}, true, GrantMessage},
	{"unknown message", `<MsgType><![CDATA[file]]></MsgType><Title>a.pdf</Title><MsgId>24000000000000008</MsgId>`, &Unknown{}, true, GrantMessage},
	{"type in another case", `<MsgType><![CDATA[Text]]></MsgType><Content>a</Content><MsgId>24000000000000009</MsgId>`, &Unknown{}, true, GrantMessage},

	{"subscribe", `<Event><![CDATA[subscribe]]></Event>`, &Subscribe{}, true, GrantAction},
	{"subscribe, empty key", `<Event><![CDATA[subscribe]]></Event><EventKey><![CDATA[]]></EventKey>`, &Subscribe{}, true, GrantAction},
	{"subscribe by code", `<Event><![CDATA[subscribe]]></Event><EventKey><![CDATA[qrscene_1001]]></EventKey><Ticket><![CDATA[tk1]]></Ticket>`, &Subscribe{Scene: "1001", Ticket: "tk1"}, true, GrantAction},
	{"subscribe, other key", `<Event><![CDATA[subscribe]]></Event><EventKey><![CDATA[last_trade_no_1]]></EventKey>`, &Subscribe{}, true, GrantAction},
	{"unsubscribe", `<Event><![CDATA[unsubscribe]]></Event><EventKey><![CDATA[]]></EventKey>`, &Unsubscribe{}, false, GrantNone},
	{"SCAN", `<Event><![CDATA[SCAN]]></Event><EventKey><![CDATA[1001]]></EventKey><Ticket><![CDATA[tk1]]></Ticket>`, &Scan{Scene: "1001", Ticket: "tk1"}, true, GrantAction},
	{"LOCATION", `<Event><![CDATA[LOCATION]]></Event><Latitude>39.904</Latitude><Longitude>116.407</Longitude><Precision>30.0</Precision>`, &LocationReport{Latitude: 39.904, Longitude: 116.407, Precision: 30}, false, GrantNone},
	{"LOCATION without place", `<Event><![CDATA[LOCATION]]></Event><Latitude>39.904</Latitude>`, &Unknown{}, false, GrantNone},
	{"CLICK", `<Event><![CDATA[CLICK]]></Event><EventKey><![CDATA[HELP]]></EventKey>`, &Click{Key: "HELP"}, true, GrantAction},
	{"click in another case", `<Event><![CDATA[click]]></Event><EventKey><![CDATA[HELP]]></EventKey>`, &Unknown{}, false, GrantNone},
	{"VIEW", `<Event><![CDATA[VIEW]]></Event><EventKey><![CDATA[https://example.com/]]></EventKey><MenuId>410000001</MenuId>`, &View{URL: "https://example.com/", MenuID: "410000001"}, false, GrantNone},
	{"view_miniprogram", `<Event><![CDATA[view_miniprogram]]></Event><EventKey><![CDATA[pages/index/index]]></EventKey><MenuId>410000001</MenuId>`, &ViewMiniProgram{Path: "pages/index/index", MenuID: "410000001"}, false, GrantNone},
	{"scancode_waitmsg", `<Event><![CDATA[scancode_waitmsg]]></Event><EventKey><![CDATA[SCAN1]]></EventKey><ScanCodeInfo><ScanType><![CDATA[qrcode]]></ScanType><ScanResult><![CDATA[abc]]></ScanResult></ScanCodeInfo>`, &ScanCode{Key: "SCAN1", Type: "qrcode", Result: "abc", Wait: true}, true, GrantAction},
	{"scancode_push", `<Event><![CDATA[scancode_push]]></Event><EventKey><![CDATA[SCAN1]]></EventKey><ScanCodeInfo><ScanType><![CDATA[qrcode]]></ScanType><ScanResult><![CDATA[abc]]></ScanResult></ScanCodeInfo>`, &ScanCode{Key: "SCAN1", Type: "qrcode", Result: "abc"}, false, GrantAction},
	{"pic_sysphoto", `<Event><![CDATA[pic_sysphoto]]></Event><EventKey><![CDATA[PIC1]]></EventKey>`, &PicEvent{Key: "PIC1"}, false, GrantNone},
	{"pic_photo_or_album", `<Event><![CDATA[pic_photo_or_album]]></Event><EventKey><![CDATA[PIC1]]></EventKey><SendPicsInfo><Count>2</Count><PicList><item><PicMd5Sum><![CDATA[00]]></PicMd5Sum></item><item><PicMd5Sum><![CDATA[11]]></PicMd5Sum></item></PicList></SendPicsInfo>`, &PicEvent{Key: "PIC1", Count: 2, MD5: []string{"00", "11"}}, false, GrantNone},
	{"pic_weixin", `<Event><![CDATA[pic_weixin]]></Event><EventKey><![CDATA[PIC1]]></EventKey><SendPicsInfo><Count>1</Count><PicList><item><PicMd5Sum><![CDATA[00112233445566778899aabbccddeeff]]></PicMd5Sum></item></PicList></SendPicsInfo>`, &PicEvent{Key: "PIC1", Count: 1, MD5: []string{"00112233445566778899aabbccddeeff"}}, false, GrantNone},
	{"location_select", `<Event><![CDATA[location_select]]></Event><EventKey><![CDATA[LOC1]]></EventKey><SendLocationInfo><Location_X><![CDATA[39.9]]></Location_X><Location_Y><![CDATA[116.4]]></Location_Y><Scale><![CDATA[15]]></Scale><Label><![CDATA[东城区]]></Label><Poiname><![CDATA[天坛]]></Poiname></SendLocationInfo>`, &LocationSelect{Key: "LOC1", Location: Location{Latitude: 39.9, Longitude: 116.4, Scale: 15, Label: "东城区"}, POI: "天坛"}, false, GrantNone},
	{"location_select without place", `<Event><![CDATA[location_select]]></Event><EventKey><![CDATA[LOC1]]></EventKey>`, &Unknown{}, false, GrantNone},
	{"TEMPLATESENDJOBFINISH", `<Event><![CDATA[TEMPLATESENDJOBFINISH]]></Event><MsgID>200000001</MsgID><Status><![CDATA[failed:user block]]></Status>`, &TemplateJob{MsgID: "200000001", Status: "failed:user block"}, false, GrantNone},
	{"MASSSENDJOBFINISH", `<Event><![CDATA[MASSSENDJOBFINISH]]></Event><MsgID>1000000001</MsgID><Status><![CDATA[send success]]></Status><TotalCount>100</TotalCount><FilterCount>80</FilterCount><SentCount>75</SentCount><ErrorCount>5</ErrorCount>`, &MassJob{MsgID: "1000000001", Status: "send success", TotalCount: 100, FilterCount: 80, SentCount: 75, ErrorCount: 5}, false, GrantNone},
	{"PUBLISHJOBFINISH", `<Event><![CDATA[PUBLISHJOBFINISH]]></Event><PublishEventInfo><publish_id>2247503051</publish_id><publish_status>2</publish_status><article_id><![CDATA[art1]]></article_id><article_detail><count>1</count></article_detail></PublishEventInfo>`, &PublishJob{PublishID: "2247503051", Status: 2, ArticleID: "art1"}, false, GrantNone},
	{"kf_create_session", `<Event><![CDATA[kf_create_session]]></Event><KfAccount><![CDATA[agent1@gzh]]></KfAccount>`, &KfSession{Account: "agent1@gzh"}, false, GrantNone},
	{"kf_close_session", `<Event><![CDATA[kf_close_session]]></Event><KfAccount><![CDATA[agent1@gzh]]></KfAccount>`, &KfSession{Account: "agent1@gzh", Closed: true}, false, GrantNone},
	{"kf_switch_session", `<Event><![CDATA[kf_switch_session]]></Event><FromKfAccount><![CDATA[agent1@gzh]]></FromKfAccount><ToKfAccount><![CDATA[agent2@gzh]]></ToKfAccount>`, &KfSwitch{From: "agent1@gzh", To: "agent2@gzh"}, false, GrantNone},
	{"subscribe_msg_popup_event", `<Event><![CDATA[subscribe_msg_popup_event]]></Event><SubscribeMsgPopupEvent><List><TemplateId><![CDATA[tpl1]]></TemplateId><SubscribeStatusString><![CDATA[accept]]></SubscribeStatusString><PopupScene>2</PopupScene></List><List><TemplateId>tpl2</TemplateId><SubscribeStatusString>reject</SubscribeStatusString><PopupScene>0</PopupScene></List></SubscribeMsgPopupEvent>`, &SubscribeMsgPopup{Choices: []SubscribeChoice{{"tpl1", "accept", "2"}, {"tpl2", "reject", "0"}}}, false, GrantNone},
	{"subscribe_msg_change_event", `<Event><![CDATA[subscribe_msg_change_event]]></Event><SubscribeMsgChangeEvent><List><TemplateId>tpl1</TemplateId><SubscribeStatusString>reject</SubscribeStatusString></List></SubscribeMsgChangeEvent>`, &SubscribeMsgChange{Choices: []SubscribeChoice{{"tpl1", "reject", ""}}}, false, GrantNone},
	{"subscribe_msg_sent_event", `<Event><![CDATA[subscribe_msg_sent_event]]></Event><SubscribeMsgSentEvent><List><TemplateId>tpl1</TemplateId><MsgID>1700827132819554304</MsgID><ErrorCode>0</ErrorCode><ErrorStatus>success</ErrorStatus></List></SubscribeMsgSentEvent>`, &SubscribeMsgSent{Results: []SubscribeResult{{TemplateID: "tpl1", MsgID: "1700827132819554304", ErrorStatus: "success"}}}, false, GrantNone},
	{"qualification_verify_success", `<Event><![CDATA[qualification_verify_success]]></Event><ExpiredTime>1442401156</ExpiredTime>`, &Qualification{ExpiredTime: 1442401156}, false, GrantNone},
	{"naming_verify_success", `<Event><![CDATA[naming_verify_success]]></Event><ExpiredTime>1442401156</ExpiredTime>`, &Qualification{ExpiredTime: 1442401156}, false, GrantNone},
	{"annual_renew", `<Event><![CDATA[annual_renew]]></Event><ExpiredTime>1442401156</ExpiredTime>`, &Qualification{ExpiredTime: 1442401156}, false, GrantNone},
	{"verify_expired", `<Event><![CDATA[verify_expired]]></Event><ExpiredTime>1442401156</ExpiredTime>`, &Qualification{ExpiredTime: 1442401156}, false, GrantNone},
	{"qualification_verify_fail", `<Event><![CDATA[qualification_verify_fail]]></Event><FailTime>1442401122</FailTime><FailReason><![CDATA[by time]]></FailReason>`, &Qualification{FailTime: 1442401122, FailReason: "by time"}, false, GrantNone},
	{"naming_verify_fail", `<Event><![CDATA[naming_verify_fail]]></Event><FailTime>1442401122</FailTime><FailReason><![CDATA[by time]]></FailReason>`, &Qualification{FailTime: 1442401122, FailReason: "by time"}, false, GrantNone},
	{"user_info_modified", `<Event><![CDATA[user_info_modified]]></Event><OpenID>o1</OpenID><AppID>wx1</AppID><RevokeInfo>1</RevokeInfo>`, &Privacy{OpenID: "o1", AppID: "wx1", RevokeInfo: "1"}, false, GrantNone},
	{"user_authorization_revoke", `<Event><![CDATA[user_authorization_revoke]]></Event><OpenID>o1</OpenID>`, &Privacy{OpenID: "o1"}, false, GrantNone},
	{"user_authorization_cancellation", `<Event><![CDATA[user_authorization_cancellation]]></Event><OpenID>o1</OpenID>`, &Privacy{OpenID: "o1"}, false, GrantNone},
	{"unknown event", `<Event><![CDATA[user_get_card]]></Event><CardId>c1</CardId>`, &Unknown{}, false, GrantNone},
	{"no event", `<MsgType>event</MsgType>`, &Unknown{}, false, GrantNone},
}

func TestParsePushKinds(t *testing.T) {
	for _, tt := range examples {
		t.Run(tt.name, func(t *testing.T) {
			p := mustPush(t, tt.xml)
			if diff := cmp.Diff(tt.want, p.Body); diff != "" {
				t.Errorf("Body (-want +got):\n%s", diff)
			}
			if p.Opens() != tt.opens || p.Unlocks() != tt.unlocks {
				t.Errorf("Opens %v, Unlocks %v; want %v, %v", p.Opens(), p.Unlocks(), tt.opens, tt.unlocks)
			}
			if p.ToUserName != "gh_0123456789ab" || p.FromUserName != "oTEST0000000000000000000000a" || p.CreateTime != 1700000000 {
				t.Errorf("common elements: %+v", p)
			}
			if p.IsEvent() == (p.MsgID != "") {
				t.Errorf("event %v with MsgID %q", p.IsEvent(), p.MsgID)
			}
		})
	}
}

func TestParsePushCommon(t *testing.T) {
	p := mustPush(t, `<MsgType>text</MsgType><Content> a
b </Content><MsgId> 24000000000000001 </MsgId><MsgID>5</MsgID><msgid>6</msgid><MsgDataId>d1</MsgDataId><Idx>2</Idx><New><A>1</A><A>2</A></New>`)
	want := &Push{
		ToUserName: "gh_0123456789ab", FromUserName: "oTEST0000000000000000000000a", CreateTime: 1700000000,
		MsgType: "text", MsgID: "24000000000000001", MsgDataID: "d1", Idx: "2", Body: &Text{Content: " a\nb "},
		Elements: []Element{
			{Name: "ToUserName", Text: "gh_0123456789ab"},
			{Name: "FromUserName", Text: "oTEST0000000000000000000000a"},
			{Name: "CreateTime", Text: "1700000000"},
			{Name: "MsgType", Text: "text"},
			{Name: "Content", Text: " a\nb "},
			{Name: "MsgId", Text: " 24000000000000001 "},
			{Name: "MsgID", Text: "5"},
			{Name: "msgid", Text: "6"},
			{Name: "MsgDataId", Text: "d1"},
			{Name: "Idx", Text: "2"},
			{Name: "New", Children: []Element{{Name: "A", Text: "1"}, {Name: "A", Text: "2"}}},
		},
	}
	if diff := cmp.Diff(want, p); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestParsePushText(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"CDATA", "<![CDATA[<a> & ]] > b]]>", "<a> & ]] > b"},
		{"split CDATA", "<![CDATA[a]]]]><![CDATA[>b]]>", "a]]>b"},
		{"entities", "&lt;a&gt; &amp; &#20320;&#x597d;", "<a> & 你好"},
		{"controls go", "<![CDATA[a\x00\x08b\x1fc\td\x7f]]>", "abc\td\x7f"},
		{"line breaks", "<![CDATA[a\r\nb\rc]]>", "a\nb\nc"},
		{"not UTF-8", "<![CDATA[a\xff\xfeb]]>", "a\ufffdb"},
		{"half a character", "<![CDATA[a\xe4\xbd]]>", "a\ufffd"},
		{"noncharacters", "<![CDATA[a\ufffeb\uffff]]>", "a\ufffdb\ufffd"},
		{"emoji", "<![CDATA[👩‍👩‍👧[旺柴]]]>", "👩‍👩‍👧[旺柴]"},
		{"comment", "a<!-- x -->b", "ab"},
		{"empty", "", ""},
		{"markup that looks like ours", "<![CDATA[</Content><FromUserName>x</FromUserName>]]>", "</Content><FromUserName>x</FromUserName>"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := mustPush(t, "<MsgType>text</MsgType><Content>"+tt.in+"</Content><MsgId>1</MsgId>")
			if got := p.Body.(*Text).Content; got != tt.want {
				t.Errorf("Content = %q, want %q", got, tt.want)
			}
			if p.FromUserName != "oTEST0000000000000000000000a" {
				t.Errorf("FromUserName = %q", p.FromUserName)
			}
		})
	}
}

func TestParsePushAround(t *testing.T) {
	for name, in := range map[string]string{
		"declaration":      `<?xml version="1.0" encoding="UTF-8"?>` + textPush,
		"byte order mark":  "\ufeff" + textPush,
		"white space":      "\r\n " + textPush + "\n",
		"NUL at the end":   textPush + "\x00",
		"comment":          "<!-- c -->" + textPush + "<!-- d -->",
		"pretty-printed":   strings.ReplaceAll(textPush, "><", ">\n  <"),
		"blanks in values": strings.ReplaceAll(strings.ReplaceAll(textPush, "<![CDATA[", "\n<![CDATA["), "]]>", "]]>\n"),
		"attributes":       strings.Replace(textPush, "<MsgType>", `<MsgType a="b">`, 1),
	} {
		t.Run(name, func(t *testing.T) {
			p, err := ParsePush([]byte(in))
			if err != nil {
				t.Fatal(err)
			}
			if p.MsgType != "text" || p.FromUserName != "oTEST0000000000000000000000a" || p.MsgID != "24000000000000001" {
				t.Errorf("%+v", p)
			}
		})
	}
}

func TestParsePushRefuses(t *testing.T) {
	const text = "<MsgType>text</MsgType><Content>secret words</Content>"
	nest := func(n int) string { return strings.Repeat("<a>", n) + strings.Repeat("</a>", n) }
	tests := []struct{ name, in, want string }{
		{"empty", "", "no <xml> element"},
		{"blank", " \n", "no <xml> element"},
		{"no XML", "secret words", "text outside"},
		{"JSON", `{"MsgType":"text"}`, "text outside"},
		{"cut in an element", textPush[:200], "malformed XML on line 1"},
		{"cut before the end", strings.TrimSuffix(textPush, "</xml>"), "malformed XML on line 1"},
		{"crossed", "<xml><a><b></a></b></xml>", "malformed XML on line 1"},
		{"unknown entity", "<xml>&secret;</xml>", "malformed XML on line 1"},
		{"third line", "<xml>\n\n<a></secret></xml>", "malformed XML on line 3"},
		{"other encoding", `<?xml version="1.0" encoding="GBK"?>` + textPush, "malformed XML"},
		{"DOCTYPE", "<!DOCTYPE xml>" + textPush, "document type"},
		{"DOCTYPE with entities", `<!DOCTYPE xml [<!ENTITY a "b">]>` + textPush, "document type"},
		{"DOCTYPE inside", "<xml><!DOCTYPE xml>" + textPush[5:], "document type"},
		{"other root", "<XML>" + common + text + "</XML>", "root element is not <xml>"},
		{"root in a namespace", `<xml xmlns="http://secret/">` + common + text + "</xml>", "root element is not <xml>"},
		{"two roots", textPush + textPush, "more than one root"},
		{"text after the root", textPush + "secret", "text outside"},
		{"no sender", "<xml>" + text + "</xml>", "no FromUserName"},
		{"empty sender", "<xml><FromUserName> </FromUserName>" + text + "</xml>", "no FromUserName"},
		{"sender in another case", "<xml><fromusername>a</fromusername>" + text + "</xml>", "no FromUserName"},
		{"sender in a namespace", `<xml><a:FromUserName>a</a:FromUserName>` + text + "</xml>", "no FromUserName"},
		{"sender too deep", "<xml><a><FromUserName>a</FromUserName></a>" + text + "</xml>", "no FromUserName"},
		{"no type", "<xml>" + common + "</xml>", "no MsgType"},
		{"sender twice", "<xml>" + common + text + "<FromUserName>b</FromUserName></xml>", "FromUserName is repeated"},
		{"type twice", "<xml>" + common + text + "<MsgType>event</MsgType></xml>", "MsgType is repeated"},
		{"long sender", "<xml><FromUserName>" + strings.Repeat("o", 129) + "</FromUserName>" + text + "</xml>", "FromUserName is too long"},
		{"too deep", "<xml>" + common + text + nest(16) + "</xml>", "nested deeper than 16"},
		{"too many", "<xml>" + common + text + strings.Repeat("<a/>", 1995) + "</xml>", "more than 2000 elements"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := ParsePush([]byte(tt.in))
			var pe *ParseError
			if !errors.As(err, &pe) || p != nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("ParsePush = %v, %v; want a ParseError with %q", p, err, tt.want)
			}
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("the error quotes the body: %v", err)
			}
		})
	}
	// The same just within the bounds.
	for name, rest := range map[string]string{
		"deep":        nest(15),
		"many":        strings.Repeat("<a/>", 1994),
		"long sender": "",
	} {
		in := "<xml>" + common + text + rest + "</xml>"
		if name == "long sender" {
			in = strings.Replace(in, "oTEST0000000000000000000000a", strings.Repeat("o", 128), 1)
		}
		if _, err := ParsePush([]byte(in)); err != nil {
			t.Errorf("%s, within the bounds: %v", name, err)
		}
	}
}

func TestCreateTimeMalformed(t *testing.T) {
	for _, s := range []string{"", "x", "1.5", "99999999999999999999"} {
		p, err := ParsePush([]byte(strings.Replace(textPush, "1700000000", s, 1)))
		if err != nil || p.CreateTime != 0 {
			t.Errorf("%q: %v, %v; want 0 and no error", s, p, err)
		}
	}
}
