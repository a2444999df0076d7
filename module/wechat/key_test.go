package wechat

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestKey(t *testing.T) {
	event := func(event, rest string) string { return "<Event>" + event + "</Event>" + rest }
	msg := func(rest string) string { return "<MsgType>text</MsgType>" + rest }
	at := func(sec, from, rest string) *Push {
		x := strings.Replace(string(document(rest)), "1700000000", sec, 1)
		x = strings.Replace(x, "oTEST0000000000000000000000a", from, 1)
		p, err := ParsePush([]byte(x))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	const sent = `<SubscribeMsgSentEvent><List><TemplateId>t</TemplateId><MsgID>%s</MsgID></List></SubscribeMsgSentEvent>`
	long := strings.Repeat("k", 2000)
	pushes := map[string]*Push{
		"text":                    at("1", "o1", msg("<MsgId>5</MsgId>")),
		"other MsgId":             at("1", "o1", msg("<MsgId>6</MsgId>")),
		"other user":              at("1", "o2", msg("<MsgId>5</MsgId>")),
		"user in other case":      at("1", "O1", msg("<MsgId>5</MsgId>")),
		"no MsgId":                at("1", "o1", msg("<Content>a</Content>")),
		"no MsgId, other second":  at("2", "o1", msg("<Content>a</Content>")),
		"no MsgId, other content": at("1", "o1", msg("<Content>b</Content>")),
		"no MsgId, nested":        at("1", "o1", msg("<Content><a>b</a></Content>")),
		"no MsgId, nested flat":   at("1", "o1", msg("<Content></Content><a>b</a>")),
		"no MsgId, two elements":  at("1", "o1", msg("<a>x</a><b>2</b>")),
		"no MsgId, cut elsewhere": at("1", "o1", msg("<a></a><xb>2</xb>")),
		"click":                   at("1", "o1", event("CLICK", "<EventKey>a</EventKey>")),
		"other second":            at("2", "o1", event("CLICK", "<EventKey>a</EventKey>")),
		"other event":             at("1", "o1", event("VIEW", "<EventKey>a</EventKey>")),
		"other key":               at("1", "o1", event("CLICK", "<EventKey>b</EventKey>")),
		"no key":                  at("1", "o1", event("CLICK", "")),
		"slashes 1":               at("1", "o1", event("CLICK", "<EventKey>a/b</EventKey>")),
		"slashes 2":               at("1", "o1", event("CLICK/a", "<EventKey>b</EventKey>")),
		"slashes 3":               at("1", "o1", event("CLICK", "<EventKey>a</EventKey><MsgID>b</MsgID>")),
		"escape":                  at("1", "o1", event("CLICK", "<EventKey>a%2Fb</EventKey>")),
		"job":                     at("1", "o1", event("TEMPLATESENDJOBFINISH", "<MsgID>7</MsgID>")),
		"other job":               at("1", "o1", event("TEMPLATESENDJOBFINISH", "<MsgID>8</MsgID>")),
		"sent":                    at("1", "o1", event("subscribe_msg_sent_event", fmt.Sprintf(sent, "7"))),
		"other sent":              at("1", "o1", event("subscribe_msg_sent_event", fmt.Sprintf(sent, "8"))),
		"long key":                at("1", "o1", event("CLICK", "<EventKey>"+long+"1</EventKey>")),
		"other long key":          at("1", "o1", event("CLICK", "<EventKey>"+long+"2</EventKey>")),
	}
	seen := map[string]string{}
	for name, p := range pushes {
		k := p.Key()
		if other, dup := seen[k]; dup {
			t.Errorf("%s and %s have the same key %q", name, other, k)
		}
		seen[k] = name
		if len(k) > 1000 {
			t.Errorf("%s: a key of %d bytes", name, len(k))
		}
	}
	for want, p := range map[string]*Push{
		"m/5/o1":                          pushes["text"],
		"e/1/o1/CLICK/a/":                 pushes["click"],
		"e/1/o1/TEMPLATESENDJOBFINISH//7": pushes["job"],
		"e/1/o1/CLICK/a%2Fb/":             pushes["slashes 1"],
	} {
		if got := p.Key(); got != want {
			t.Errorf("Key = %q, want %q", got, want)
		}
	}
	// A retry may come in another form, but says the same.
	again := at("9", "o1", msg("<New>1</New><MsgId>\n<![CDATA[5]]></MsgId>"))
	if again.Key() != pushes["text"].Key() {
		t.Errorf("the same message has the keys %q and %q", again.Key(), pushes["text"].Key())
	}
}

func TestFields(t *testing.T) {
	tests := []struct {
		name, xml string
		want      map[string]any
	}{
		{"bare event", "<Event>subscribe</Event><EventKey>k</EventKey>", map[string]any{}},
		{"flat", "<Event>VIEW</Event><EventKey>k</EventKey><MenuId>4</MenuId><Empty></Empty>", map[string]any{"MenuId": "4", "Empty": ""}},
		{
			"nested", "<Event>x</Event><A>\n <B>1</B>\n <C><D>2</D></C>\n</A>",
			map[string]any{"A": map[string]any{"B": "1", "C": map[string]any{"D": "2"}}},
		},
		{"repeated", "<Event>x</Event><A>1</A><A>2</A><A><B>3</B></A>", map[string]any{"A": []any{"1", "2", map[string]any{"B": "3"}}}},
		{
			"lists of one", "<Event>x</Event><S><List><T>1</T></List></S><P><item>1</item></P>",
			map[string]any{"S": map[string]any{"List": []any{map[string]any{"T": "1"}}}, "P": map[string]any{"item": []any{"1"}}},
		},
		{"message", "<MsgType>file</MsgType><Event>e</Event><MsgId>1</MsgId>", map[string]any{"Event": "e", "MsgId": "1"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, mustPush(t, tt.xml).Fields()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestIsUnsupportedPlaceholder(t *testing.T) {
	for content, want := range map[string]bool{
		"【收到不支持的消息类型，暂无法显示】":  true,
		"【收到不支持的消息类型，暂无法显示】x": false,
		"": false,
	} {
		p := mustPush(t, "<MsgType>text</MsgType><Content>"+content+"</Content><MsgId>1</MsgId>")
		if got := p.IsUnsupportedPlaceholder(); got != want {
			t.Errorf("%q: %v", content, got)
		}
	}
	p := mustPush(t, "<MsgType>link</MsgType><Content>【收到不支持的消息类型，暂无法显示】</Content><MsgId>1</MsgId>")
	if p.IsUnsupportedPlaceholder() {
		t.Error("a link is taken for the placeholder")
	}
}
