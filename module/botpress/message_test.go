package botpress

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// handlerTransport is a handler without a network.
type handlerTransport struct{ h http.Handler }

func (t handlerTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	t.h.ServeHTTP(w, r)
	return w.Result(), nil
}

func TestCreateMessage(t *testing.T) {
	c, s := serve(t, reply(200, `{"message":{"id":"msg_1","createdAt":"2026-07-23T14:15:17.123Z","conversationId":"`+testUser+`","userId":"`+testUser+`","payload":{"type":"text","text":"hi"},"metadata":{"wechatMsgId":"1"}}}`))
	m, err := c.CreateMessage(t.Context(), testUser, testUser, TextPayload("<你好> & \u2028"), map[string]any{"wechatMsgId": "1"})
	if err != nil {
		t.Fatal(err)
	}
	want := Message{
		ID: "msg_1", ConversationID: testUser, UserID: testUser,
		CreatedAt: time.Date(2026, 7, 23, 14, 15, 17, 123e6, time.UTC),
		Payload:   json.RawMessage(`{"type":"text","text":"hi"}`), Metadata: map[string]any{"wechatMsgId": "1"},
	}
	if diff := cmp.Diff(want, m); diff != "" {
		t.Errorf("message (-want +got):\n%s", diff)
	}
	got := s.all()[0]
	if got.Method != http.MethodPost || got.Path != "/"+testWebhook+"/messages" {
		t.Errorf("asked %s %s", got.Method, got.Path)
	}
	if want := `{"conversationId":"` + testUser + `","payload":{"text":"<你好> & \u2028","type":"text"},"metadata":{"wechatMsgId":"1"}}`; got.Body != want {
		t.Errorf("body\n%s, want\n%s", got.Body, want)
	}
	// Without metadata the member is left out: null would be refused.
	if _, err := c.CreateMessage(t.Context(), testUser, testUser, TextPayload("x"), nil); err != nil {
		t.Fatal(err)
	}
	if body := s.all()[1].Body; strings.Contains(body, "metadata") {
		t.Errorf("body %s", body)
	}
}

func TestCreateEvent(t *testing.T) {
	c, s := serve(t, reply(200, `{"event":{"id":"evt_1","createdAt":"2026-07-23T14:15:17.123Z","conversationId":"c","userId":"u","payload":{"source":"wechat"}}}`))
	e, err := c.CreateEvent(t.Context(), "u", "c", map[string]any{"source": "wechat"})
	if err != nil {
		t.Fatal(err)
	}
	want := Event{"evt_1", "c", "u", time.Date(2026, 7, 23, 14, 15, 17, 123e6, time.UTC), json.RawMessage(`{"source":"wechat"}`)}
	if diff := cmp.Diff(want, e); diff != "" {
		t.Errorf("event (-want +got):\n%s", diff)
	}
	got := s.all()[0]
	if got.Path != "/"+testWebhook+"/events" || got.Body != `{"conversationId":"c","payload":{"source":"wechat"}}` {
		t.Errorf("asked %+v", got)
	}
}

func TestListMessages(t *testing.T) {
	token := "a+b/c=&x=1 ü"
	c, s := serve(t,
		reply(200, `{"messages":[
			{"id":"m3","userId":"bot","createdAt":"2026-07-23T14:15:17.123Z","payload":{"type":"text"},"metadata":null},
			{"id":"m2","userId":7,"createdAt":12,"payload":"odd","metadata":["odd"],"conversationId":{}},
			{"id":"m1","metadata":{"n":1}}],"meta":{"nextToken":`+fmt.Sprintf("%q", token)+`}}`),
		reply(200, `{"messages":[],"meta":{}}`))
	page, err := c.ListMessages(t.Context(), "u", "conv_01ABC", "")
	if err != nil {
		t.Fatal(err)
	}
	want := MessagePage{NextToken: token, Messages: []Message{
		{ID: "m3", UserID: "bot", CreatedAt: time.Date(2026, 7, 23, 14, 15, 17, 123e6, time.UTC), Payload: json.RawMessage(`{"type":"text"}`)},
		{ID: "m2", Payload: json.RawMessage(`"odd"`)},
		{ID: "m1", Metadata: map[string]any{"n": 1.0}},
	}}
	if diff := cmp.Diff(want, page); diff != "" {
		t.Errorf("page (-want +got):\n%s", diff)
	}
	page, err = c.ListMessages(t.Context(), "u", "conv_01ABC", page.NextToken)
	if err != nil || len(page.Messages) != 0 || page.NextToken != "" {
		t.Errorf("last page %+v, %v", page, err)
	}
	got := s.all()
	if got[0].Method != http.MethodGet || got[0].Path != "/"+testWebhook+"/conversations/conv_01ABC/messages" || got[0].Query != "" || got[0].Body != "" {
		t.Errorf("asked %+v", got[0])
	}
	if q, err := url.ParseQuery(got[1].Query); err != nil || len(q) != 1 || q.Get("nextToken") != token {
		t.Errorf("second query %q", got[1].Query)
	}
}

// A page full of the largest messages is longer than other answers may be.
func TestListMessagesTakesLargePages(t *testing.T) {
	one := `{"id":"m","payload":{"type":"text","text":"` + strings.Repeat("x", 128<<10) + `"}}`
	c, _ := serve(t, reply(200, `{"messages":[`+strings.Repeat(one+",", 19)+one+`],"meta":{}}`))
	page, err := c.ListMessages(t.Context(), "u", "c", "")
	if err != nil || len(page.Messages) != 20 {
		t.Errorf("%d messages, %v", len(page.Messages), err)
	}
}

func TestListMessagesWithoutMessages(t *testing.T) {
	c, _ := serve(t, reply(200, `{}`)) // as a proxy in between might say; it must not pass for an empty conversation
	if _, err := c.ListMessages(t.Context(), "u", "c", ""); err == nil {
		t.Error("no error")
	}
}

var noon = time.Date(2026, 7, 23, 12, 0, 0, 0, time.UTC)

// pages serves a conversation: message i is i minutes before noon.
func pages(t *testing.T, minutes ...[]int) (*Client, *script) {
	handler := func(w http.ResponseWriter, r *http.Request) {
		n := 0
		_, _ = fmt.Sscanf(r.URL.Query().Get("nextToken"), "p%d", &n)
		ms := make([]string, 0, len(minutes[n]))
		for _, m := range minutes[n] {
			ms = append(ms, fmt.Sprintf(`{"id":"m%d","createdAt":%q,"metadata":{"wechatMsgId":"%d"}}`, m,
				noon.Add(-time.Duration(m)*time.Minute).Format("2006-01-02T15:04:05.000Z"), m))
		}
		next := ""
		if n+1 < len(minutes) {
			next = fmt.Sprintf(`"nextToken":"p%d"`, n+1)
		}
		reply(200, `{"messages":[`+strings.Join(ms, ",")+`],"meta":{`+next+`}}`)(w, r)
	}
	return serve(t, handler)
}

func TestFind(t *testing.T) {
	long := make([][]int, findPages+5)
	for i := range long {
		long[i] = []int{2 * i, 2*i + 1}
	}
	for name, tc := range map[string]struct {
		pages [][]int
		since time.Duration // before noon
		want  int           // minutes; -1: not there
		asked int
	}{
		"on the first page":              {[][]int{{1, 2, 3}, {4, 5}}, time.Hour, 2, 1},
		"on a later page":                {[][]int{{1, 2}, {3, 4}, {5, 6}}, time.Hour, 5, 3},
		"not there":                      {[][]int{{1, 2}, {3, 4}}, time.Hour, -1, 2},
		"empty conversation":             {[][]int{{}}, time.Hour, -1, 1},
		"stops once a page is too old":   {[][]int{{1, 2}, {30, 31}, {40, 41}}, 20 * time.Minute, -1, 2},
		"one old message is not enough":  {[][]int{{30, 1}, {2, 3}}, 20 * time.Minute, 3, 2},
		"clocks differ a little":         {[][]int{{6, 7}, {8, 9}}, 5 * time.Minute, 8, 2},
		"oldest first":                   {[][]int{{90, 80}, {70, 60}, {2, 1}}, 20 * time.Minute, 1, 3},
		"oldest first, a small mix-up":   {[][]int{{90, 91, 80}, {70, 60}, {2, 1}}, 20 * time.Minute, 1, 3},
		"oldest first, one at a time":    {[][]int{{90}, {80}, {1}}, 20 * time.Minute, 1, 3},
		"page cap":                       {long, 24 * time.Hour, -1, findPages},
		"same message, but after a page": {[][]int{{1}, {}, {5}}, time.Hour, 5, 3},
	} {
		t.Run(name, func(t *testing.T) {
			c, s := pages(t, tc.pages...)
			m, err := c.Find(t.Context(), "u", "c", noon.Add(-tc.since), func(m Message) bool {
				return m.Metadata["wechatMsgId"] == fmt.Sprint(tc.want)
			})
			if err != nil {
				t.Fatal(err)
			}
			switch {
			case tc.want < 0 && m != nil:
				t.Errorf("found %s", m.ID)
			case tc.want >= 0 && (m == nil || m.ID != fmt.Sprintf("m%d", tc.want)):
				t.Errorf("found %+v, want m%d", m, tc.want)
			}
			if n := len(s.all()); n != tc.asked {
				t.Errorf("%d pages read, want %d", n, tc.asked)
			}
		})
	}
}

func TestFindWithoutTimes(t *testing.T) {
	c, s := serve(t, reply(200, `{"messages":[{"id":"a"},{"id":"b","createdAt":"?"}],"meta":{"nextToken":"t"}}`),
		reply(200, `{"messages":[{"id":"c"}],"meta":{"nextToken":"t"}}`))
	m, err := c.Find(context.Background(), "u", "c", noon, func(m Message) bool { return m.ID == "c" })
	if err != nil || m == nil {
		t.Errorf("got %v, %v", m, err)
	}
	if m, err := c.Find(context.Background(), "u", "c", time.Time{}, func(Message) bool { return false }); err != nil || m != nil {
		t.Errorf("a token that leads nowhere: %v, %v", m, err)
	}
	if n := len(s.all()); n > 5 {
		t.Errorf("%d pages read", n)
	}
}

func TestFindDoesNotTakeATimelessMessageForOld(t *testing.T) {
	at := func(minutes int) string { return noon.Add(-time.Duration(minutes) * time.Minute).Format(time.RFC3339) }
	c, _ := serve(t,
		reply(200, fmt.Sprintf(`{"messages":[{"id":"a","createdAt":%q},{"id":"b","createdAt":%q},{"id":"c"}],"meta":{"nextToken":"t"}}`, at(60), at(61))),
		reply(200, `{"messages":[{"id":"d"}],"meta":{}}`))
	m, err := c.Find(t.Context(), "u", "c", noon, func(m Message) bool { return m.ID == "d" })
	if err != nil || m == nil {
		t.Errorf("got %v, %v", m, err)
	}
}

func TestFindFails(t *testing.T) {
	c, _ := serve(t, reply(200, `{"messages":[{"id":"a"}],"meta":{"nextToken":"t"}}`), reply(503, ""))
	m, err := c.Find(t.Context(), "u", "c", noon, func(Message) bool { return false })
	if m != nil || err == nil {
		t.Fatalf("got %v, %v: an unfinished look-up must not say that it is not there", m, err)
	}
	if e := asError(t, err); verdictOf(e) != later {
		t.Errorf("%+v", e)
	}
}
