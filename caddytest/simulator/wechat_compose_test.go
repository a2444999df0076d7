package simulator

import (
	"strings"
	"testing"
)

func TestWeChatPushKinds(t *testing.T) {
	w, s, _ := wcNewPair(t, nil)
	for _, tc := range []struct {
		name string
		push SimPush
		want []string // elements and texts that must be there
	}{
		{"location", w.Location(wcTestUser, 39.904, 116.407, "东城区"), []string{
			"<Location_X>39.904000</Location_X>", "<Location_Y>116.407000</Location_Y>", "<Scale>", "<Label><![CDATA[东城区]]></Label>",
		}},
		{"link", w.Link(wcTestUser, "T", "D", "https://example.com/?a=1&b=2"), []string{
			"<Title><![CDATA[T]]>", "<Url><![CDATA[https://example.com/?a=1&b=2]]>",
		}},
		{"menu tap", w.MenuTap(wcTestUser, "101", "满意"), []string{"<bizmsgmenuid><![CDATA[101]]>", "<Content><![CDATA[满意]]>"}},
		{"voice", w.Voice(wcTestUser), []string{"<MediaId>", "<Format><![CDATA[amr]]>", "<MediaId16K>"}},
		{"short video", w.ShortVideo(wcTestUser), []string{"<MsgType><![CDATA[shortvideo]]>", "<ThumbMediaId>"}},
		{"sticker", w.Sticker(wcTestUser), []string{"【收到不支持的消息类型，暂无法显示】"}},
		{"click", w.Event(wcTestUser, "CLICK", "HELP"), []string{"<Event><![CDATA[CLICK]]>", "<EventKey><![CDATA[HELP]]>"}},
		{"follow", w.Event(wcTestUser, "subscribe", ""), []string{"<Event><![CDATA[subscribe]]>"}},
		{"scan code", w.Event(wcTestUser, "scancode_waitmsg", "S"), []string{"<ScanCodeInfo><ScanType>"}},
		{"report", w.LocationReport(wcTestUser, 1, 2), []string{"<Latitude>1.000000<", "<Longitude>2.000000<", "<Precision>"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if d := w.Push(wcSoon(t), tc.push); d.Outcome != OutcomeSuccess {
				t.Fatalf("delivery %+v", d)
			}
			all := s.pushes()
			got := all[len(all)-1].body
			if _, err := parseWcXML([]byte(got)); err != nil {
				t.Error(err)
			}
			for _, want := range tc.want {
				if !strings.Contains(got, want) {
					t.Errorf("no %s in %s", want, got)
				}
			}
			if isEvent := tc.push.MsgType == "event"; isEvent == strings.Contains(got, "<MsgId>") {
				t.Errorf("MsgId: %s", got)
			}
		})
	}
	if a, b := w.Text("o1", "").MsgID, w.Text("o1", "").MsgID; a == b || len(a) < 17 || len(a) > 19 {
		t.Errorf("MsgIds %s and %s", a, b)
	}
}
