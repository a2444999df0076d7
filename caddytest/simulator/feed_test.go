package simulator

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// kinds lists what happened, in order.
func kinds(list []Happening) string {
	var s []string
	for _, h := range list {
		s = append(s, h.Kind)
	}
	return strings.Join(s, " ")
}

func dataOf[T any](t *testing.T, list []Happening, kind string) T {
	t.Helper()
	var v T
	for _, h := range list {
		if h.Kind == kind {
			if err := json.Unmarshal(h.Data, &v); err != nil {
				t.Fatalf("%s: %v in %s", kind, err, h.Data)
			}
			return v
		}
	}
	t.Fatalf("no %s among %s", kind, kinds(list))
	return v
}

func wcFeedPair(t *testing.T) (*WeChat, *wcServer, *httptest.Server) {
	return wcNewPair(t, func(c *WeChatConfig) { c.KeepEvents, c.Mode = 100, ModeSafe })
}

func TestHappeningsOfAPush(t *testing.T) {
	w, s, _ := wcFeedPair(t)
	s.says(http.StatusOK, "no valid answer")
	w.Push(t.Context(), w.Text(wcTestUser, "<b>&]]>"))
	list, _ := w.Happenings(0)
	if got, want := kinds(list), "push request answer seen delivery"; got != want {
		t.Fatalf("%s, not %s", got, want)
	}
	push := dataOf[Pushed](t, list, "push")
	if push.Fields["Content"] != "<b>&]]>" || push.Fields["MsgId"] != push.MsgID || push.Key == "" {
		t.Errorf("pushed: %+v", push)
	}
	request := dataOf[PushRequest](t, list, "request")
	if !strings.Contains(request.Body, "<Encrypt>") || !strings.Contains(request.URL, "msg_signature=") || request.Attempt != 1 {
		t.Errorf("request: %+v", request)
	}
	if a := dataOf[PushAnswer](t, list, "answer"); a.Answer.Kind != OutcomeIllegal || string(a.Answer.Body) != "no valid answer" || a.Push != push.Push {
		t.Errorf("answer: %+v", a)
	}
	if e := dataOf[PushEnd](t, list, "delivery"); e.Outcome != OutcomeIllegal || !e.Notice {
		t.Errorf("end: %+v", e)
	}
	if seen := dataOf[SeenEvent](t, list, "seen"); seen.Text != NoticeFailure {
		t.Errorf("seen: %+v", seen)
	}
	if later, _ := w.Happenings(list[2].Seq); kinds(later) != "seen delivery" {
		t.Errorf("after the answer came %s", kinds(later))
	}
	if all, _ := w.Happenings(9999); len(all) != len(list) {
		t.Error("a number of another simulator's hides what happened")
	}
	w.Reset()
	if list, _ = w.Happenings(0); kinds(list) != "reset" {
		t.Errorf("after a reset: %s", kinds(list))
	}
}

func TestHappeningsOfTheAPI(t *testing.T) {
	w, _, api := wcFeedPair(t)
	w.Push(t.Context(), w.Text(wcTestUser, "hello"))
	before, _ := w.Happenings(0)
	since := before[len(before)-1].Seq
	token := wcTokenOf(t, api)
	send := "/cgi-bin/message/custom/send?access_token=" + token
	wcCall(t, api, http.MethodPost, "/cgi-bin/message/custom/typing?access_token="+token, `{"touser":"`+wcTestUser+`","command":"Typing"}`)
	wcCall(t, api, http.MethodPost, send, `{"touser":"`+wcTestUser+`","msgtype":"news","news":{"articles":[{"title":"T","description":"D","url":"U","picurl":"P"}]}}`)
	w.EndWindows("")
	if out := wcCall(t, api, http.MethodPost, send, `{"touser":"`+wcTestUser+`","msgtype":"text","text":{"content":"x"}}`); out["errcode"] != 45015.0 {
		t.Errorf("sent though the windows have ended: %v", out)
	}
	menu := `{"button":[{"type":"click","name":"A","key":"K"}]}`
	wcCall(t, api, http.MethodPost, "/cgi-bin/menu/create?access_token="+token, menu)
	list, _ := w.Happenings(since)
	if got, want := kinds(list), strings.Join([]string{"call typing call seen call", "call menu call"}, " "); got != want {
		t.Fatalf("%s, not %s", got, want)
	}
	if seen := dataOf[SeenEvent](t, list, "seen"); len(seen.Articles) != 1 || seen.Articles[0] != (Article{"T", "D", "P", "U"}) {
		t.Errorf("seen: %+v", seen)
	}
	if got := dataOf[json.RawMessage](t, list, "menu"); string(got) != menu {
		t.Errorf("menu: %s", got)
	}
	var refused CallEvent
	if err := json.Unmarshal(list[5].Data, &refused); err != nil || refused.Code != 45015 ||
		!strings.Contains(refused.Answer, "45015") || !strings.Contains(refused.Body, `"content":"x"`) {
		t.Errorf("refused call: %+v (%v)", refused, err)
	}
}

func TestControlMenuAndFiles(t *testing.T) {
	w, _, api := wcFeedPair(t)
	wcCall(t, api, http.MethodPost, "/control/wechat/menu", `{"button":[{"type":"view","name":"A","url":"https://example.com"}]}`)
	if w.Menu() == nil {
		t.Error("no menu")
	}
	_, resp := wcRaw(t, api, http.MethodPost, "/control/wechat/menu", "", strings.NewReader(`{"button":[]}`))
	if resp.StatusCode != http.StatusBadRequest {
		t.Errorf("an empty menu: status %d", resp.StatusCode)
	}
	wcCall(t, api, http.MethodDelete, "/control/wechat/menu", "")
	if w.Menu() != nil {
		t.Error("the menu is still there")
	}
	for kind, want := range map[string]string{"voice": "audio/ogg", "video": "video/webm", "image": "image/png"} {
		file := map[string]string{"voice": "T2dnUw==", "video": "GkXfow==", "image": "iVBORw0KGgo="}[kind]
		wcCall(t, api, http.MethodPost, "/control/wechat/push",
			fmt.Sprintf(`{"openid":%q,"type":%q,"file":%q,"wait":true}`, wcTestUser, kind, file))
		list, _ := w.Happenings(0)
		p := dataOf[Pushed](t, list, "push")
		if m := w.Media(p.Fields["MediaId"]); m == nil || m.ContentType != want {
			t.Errorf("%s: %+v of %v", kind, m, p.Fields)
		}
		w.Reset()
	}
}

func TestHappeningsAreOffByDefault(t *testing.T) {
	w, _, api := wcNewPair(t, nil)
	w.Push(t.Context(), w.Text(wcTestUser, "hello"))
	if list, _ := w.Happenings(0); list != nil {
		t.Errorf("kept: %s", kinds(list))
	}
	if _, resp := wcRaw(t, api, http.MethodGet, "/control/wechat/events", "", nil); resp.StatusCode != http.StatusNotFound {
		t.Errorf("events: status %d", resp.StatusCode)
	}
}

// TestEventStream: a reader gets what was kept, then what happens, and ends with the simulator.
func TestEventStream(t *testing.T) {
	w, _, api := wcFeedPair(t)
	w.Push(t.Context(), w.Text(wcTestUser, "one"))
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, api.URL+"/control/wechat/events?since=1", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := api.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	next := func() (kind string) {
		for lines.Scan() {
			if kind, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
				return kind
			}
		}
		return ""
	}
	for _, want := range []string{"request", "answer", "delivery"} {
		if got := next(); got != want {
			t.Fatalf("%q, not %q", got, want)
		}
	}
	wcCall(t, api, http.MethodPost, "/control/wechat/kind", `{"kind":"sandbox"}`)
	if got := next(); got != "state" {
		t.Errorf("%q, not state", got)
	}
	w.Close()
	if got := next(); got != "" {
		t.Errorf("%q after the end", got)
	}
}

func TestFeedKeepsTheNewest(t *testing.T) {
	f := newFeed(3)
	for i := range 5 {
		f.add(fmt.Sprint(i), "", nil)
	}
	if list, _ := f.after(0); kinds(list) != "2 3 4" {
		t.Errorf("kept %s", kinds(list))
	}
	list, changed := f.after(4)
	if kinds(list) != "4" {
		t.Errorf("after 4: %s", kinds(list))
	}
	f.add("5", "", nil)
	<-changed
}

func TestHeadWriter(t *testing.T) {
	for _, tc := range []struct{ name, contentType, in, want string }{
		{"text", "text/plain", "héllo", "héllo"},
		{"long", "", strings.Repeat("中", wcKeepBody), strings.Repeat("中", wcKeepBody/3)},
		{"binary", "image/png", "\x89PNG", "[4 bytes, image/png]"},
		{"form", "multipart/form-data", "abc", "[3 bytes, multipart/form-data]"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var h headWriter
			_, _ = h.Write([]byte(tc.in))
			if got := h.text(tc.contentType); got != tc.want {
				t.Errorf("%d bytes, not %d: %.40q", len(got), len(tc.want), got)
			}
		})
	}
}

func TestHappeningsOfBotpress(t *testing.T) {
	r := bpStart(t, BotpressConfig{KeepEvents: 100})
	r.SetThinkTime(time.Millisecond)
	r.join("c1")
	r.send("c1", "hello")
	r.idle()
	list, _ := r.Happenings(0)
	if turn := dataOf[Turn](t, list, "turn"); turn.Text() != "hello" {
		t.Errorf("turn: %+v", turn)
	}
	if m := dataOf[BotpressMessage](t, list, "message"); !m.Bot || !strings.Contains(string(m.Payload), "echo: hello") {
		t.Errorf("message: %+v", m)
	}
	if c := dataOf[CallEvent](t, list, "call"); c.Status != http.StatusOK || c.Answer == "" {
		t.Errorf("call: %+v", c)
	}
	if got := r.State().Think; got != 0.001 {
		t.Errorf("think time: %v", got)
	}
	r.SetDown(true)
	_ = r.do(http.MethodGet, "/users/me", "c1", "")
	list, _ = r.Happenings(list[len(list)-1].Seq)
	if c := dataOf[CallEvent](t, list, "call"); c.Status != 0 {
		t.Errorf("a call that was cut: %+v", c)
	}
}
