package simulator

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestWeChatSend(t *testing.T) {
	w, _, api := wcNewPair(t, func(c *WeChatConfig) { c.NoAllowance = true })
	w.Follow(wcTestUser)
	w.Follow("oGONE")
	w.Unfollow("oGONE")
	over, cancel := context.WithCancel(t.Context())
	cancel()
	_, _ = w.Wait(over, "oAWAITED", 1) // waiting for a user makes nobody follow
	img := w.keepMedia("image", "a.png", wcPicture(1)).ID
	vid := w.keepMedia("video", "a.mp4", wcFilm()).ID
	thumb := w.keepMedia("thumb", "a.jpg", wcThumb()).ID
	msg := func(kind, object string) string {
		return fmt.Sprintf(`{"touser":%q,"msgtype":%q,%q:%s}`, wcTestUser, kind, kind, object)
	}
	for _, tc := range []struct {
		name, body string
		want       int
		see        string
	}{
		{"text", msg("text", `{"content":"a <b> & \"c\"\n你好"}`), 0, "text:a <b> & \"c\"\n你好"},
		{"2048 bytes", wcTextBody(wcTestUser, strings.Repeat("x", 2048)), 0, "text:" + strings.Repeat("x", 2048)},
		{"image", msg("image", `{"media_id":"`+img+`"}`), 0, "image:"},
		{"video", msg("video", `{"media_id":"`+vid+`","thumb_media_id":"`+thumb+`","title":"V"}`), 0, "video:V"},
		{"news", msg("news", `{"articles":[{"title":"T","url":"u"}]}`), 0, "news:T"},
		{"menu", msg("msgmenu", `{"head_content":"H","list":[{"id":"1","content":"A"},{"id":"2","content":"B"}],"tail_content":"E"}`), 0, "msgmenu:H\nA\nB\nE"},
		{"backslash before a u", msg("text", `{"content":"C:\\users"}`), 0, `text:C:\users`},

		{"nothing", "", 44002, ""},
		{"no JSON", "touser=x", 47001, ""},
		{"half a JSON", `{"touser":`, 47001, ""},
		{"not UTF-8", msg("text", "{\"content\":\"x\xff\"}"), 47001, ""},
		{"escapes", msg("text", `{"content":"\u4f60\u597d"}`), 40033, ""},
		{"escaped markup", msg("text", `{"content":"\u003ca\u003e"}`), 40033, ""},
		{"empty text", msg("text", `{"content":""}`), 44004, ""},
		{"no text", msg("text", `{}`), 44004, ""},
		{"names in another case", msg("text", `{"Content":"x"}`), 44004, ""},
		{"2049 bytes", wcTextBody(wcTestUser, strings.Repeat("x", 2049)), 45002, ""},
		{"683 Chinese characters", wcTextBody(wcTestUser, strings.Repeat("字", 683)), 45002, ""},
		{"no type", `{"touser":"` + wcTestUser + `"}`, 40008, ""},
		{"unknown type", msg("file", `{"media_id":"x"}`), 40008, ""},
		{"no media", msg("image", `{}`), 41006, ""},
		{"unknown media", msg("image", `{"media_id":"nope"}`), 40007, ""},
		{"media of another kind", msg("voice", `{"media_id":"`+img+`"}`), 40007, ""},
		{"two articles", msg("news", `{"articles":[{"title":"A"},{"title":"B"}]}`), 45008, ""},
		{"no article", msg("news", `{"articles":[]}`), 44003, ""},
		{"unknown user", wcTextBody("oNOBODY", "x"), 40003, ""},
		{"user only waited for", wcTextBody("oAWAITED", "x"), 40003, ""},
		{"no user", wcTextBody("", "x"), 40003, ""},
		{"user who left", wcTextBody("oGONE", "x"), 43004, ""},
		{"no content wins over no user", wcTextBody("oNOBODY", ""), 44004, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			before := len(w.Seen(wcTestUser))
			if got := wcSend(t, api, tc.body); got != tc.want {
				t.Fatalf("code %d, want %d", got, tc.want)
			}
			got := ""
			for _, s := range w.Seen(wcTestUser)[before:] {
				got += s.Type + ":" + s.Text
				if s.Road != RoadPush || s.Raw != tc.body {
					t.Errorf("seen %+v", s)
				}
			}
			if got != tc.see {
				t.Errorf("the user sees %q, want %q", got, tc.see)
			}
		})
	}
	if got := w.Totals().Escapes; got != 2 {
		t.Errorf("%d bodies with escapes", got)
	}
	if got := w.Media(img); got == nil || w.Seen(wcTestUser)[2].Media.SHA256 != got.SHA256 {
		t.Error("the seen image does not tell its file")
	}
}

func TestWeChatEscapes(t *testing.T) {
	for how, want := range map[string]string{
		EscapesLiteral: `\u4f60 "q" C:\u ` + "\n", EscapesAccept: `你 "q" C:\u ` + "\n",
	} {
		t.Run(how, func(t *testing.T) {
			w, _, api := wcNewPair(t, func(c *WeChatConfig) { c.Escapes, c.NoAllowance = how, true })
			w.Follow(wcTestUser)
			if got := wcSend(t, api, `{"touser":"`+wcTestUser+`","msgtype":"text","text":{"content":"\u4f60 \"q\" C:\\u \n"}}`); got != 0 {
				t.Fatalf("code %d", got)
			}
			if got := w.Seen(wcTestUser)[0].Text; got != want {
				t.Errorf("shown %q, want %q", got, want)
			}
		})
	}
}

func TestWeChatAllowance(t *testing.T) {
	const wait = "wait"
	type step struct {
		do    string // event to push, "text", "send", or wait
		key   string
		after time.Duration
		want  int // of send
	}
	send := func(codes ...int) (out []step) {
		for _, c := range codes {
			out = append(out, step{do: "send", want: c})
		}
		return out
	}
	text := []step{{do: "text"}}
	event := func(name string) []step { return []step{{do: name, key: "K"}} }
	pause := func(d time.Duration) []step { return []step{{do: wait, after: d}} }
	for name, parts := range map[string][][]step{
		"five to a message":          {text, send(0, 0, 0, 0, 0, 45047, 45047)},
		"a new message starts anew":  {text, send(0, 0), text, send(0, 0, 0, 0, 0, 45047)},
		"48 hours":                   {text, send(0), pause(48*time.Hour - time.Minute), send(0), pause(2 * time.Minute), send(45015)},
		"over and used up":           {text, send(0, 0, 0, 0, 0, 45047), pause(49 * time.Hour), send(45015)},
		"three to a tap":             {event("CLICK"), send(0, 0, 0, 45047)},
		"three to a follow":          {event("subscribe"), send(0, 0, 0, 45047)},
		"three to a scan":            {event("SCAN"), send(0, 0, 0, 45047)},
		"three to scancode_push":     {event("scancode_push"), send(0, 0, 0, 45047)},
		"three to scancode_waitmsg":  {event("scancode_waitmsg"), send(0, 0, 0, 45047)},
		"a minute after a tap":       {event("CLICK"), send(0), pause(61 * time.Second), send(45015)},
		"a link opens nothing":       {event("VIEW"), send(45015)},
		"a report opens nothing":     {event("LOCATION"), send(45015)},
		"a tap does not end 48 h":    {text, send(0), event("CLICK"), send(0, 0, 0, 0, 0, 0, 0, 45047)},
		"the tap's are spent first":  {text, event("CLICK"), send(0, 0, 0), pause(time.Hour), send(0, 0, 0, 0, 0, 45047)},
		"used up, then a tap":        {text, send(0, 0, 0, 0, 0, 45047), event("CLICK"), send(0, 0, 0, 45047)},
		"left":                       {text, event("unsubscribe"), send(43004)},
		"left and back without word": {text, event("unsubscribe"), event("subscribe"), send(0, 0, 0, 45047)},
	} {
		t.Run(name, func(t *testing.T) {
			w, _, api := wcNewPair(t, nil)
			for _, part := range parts {
				for i, s := range part {
					switch s.do {
					case wait:
						w.Advance(s.after)
					case "text":
						w.Push(wcSoon(t), w.Text(wcTestUser, "hi"))
					case "send":
						if got := wcSend(t, api, wcTextBody(wcTestUser, "x")); got != s.want {
							t.Fatalf("send %d: %d, want %d", i+1, got, s.want)
						}
					default:
						w.Push(wcSoon(t), w.Event(wcTestUser, s.do, s.key))
					}
				}
			}
		})
	}
	t.Run("switched off", func(t *testing.T) {
		w, _, api := wcNewPair(t, func(c *WeChatConfig) { c.NoAllowance = true })
		w.Follow(wcTestUser)
		for range 10 {
			if got := wcSend(t, api, wcTextBody(wcTestUser, "x")); got != 0 {
				t.Fatalf("code %d", got)
			}
		}
	})
	t.Run("a passive reply costs nothing", func(t *testing.T) {
		w, s, api := wcNewPair(t, nil)
		s.says(http.StatusOK, wcReply("text", "<Content>x</Content>"))
		w.Push(wcSoon(t), w.Text(wcTestUser, "hi"))
		for i := range 5 {
			if got := wcSend(t, api, wcTextBody(wcTestUser, "x")); got != 0 {
				t.Fatalf("send %d: code %d", i+1, got)
			}
		}
	})
}

func TestWeChatKinds(t *testing.T) {
	for _, tc := range []struct {
		kind         string
		send, menu   int // of a text, of a msgmenu
		media, users int
	}{
		{KindVerified, 0, 0, 0, 0},
		{KindSandbox, 0, 48008, 0, 0},
		{KindIndividual, 48001, 48001, 48001, 48001},
	} {
		t.Run(tc.kind, func(t *testing.T) {
			w, _, api := wcNewPair(t, func(c *WeChatConfig) { c.Kind = tc.kind })
			w.Push(wcSoon(t), w.Text(wcTestUser, "hi"))
			token := wcTokenOf(t, api)
			got := []int{
				wcSend(t, api, wcTextBody(wcTestUser, "x")),
				wcSend(t, api, `{"touser":"`+wcTestUser+`","msgtype":"msgmenu","msgmenu":{"head_content":"H","list":[{"id":"1","content":"A"}]}}`),
				wcCode(wcUpload(t, api, "/cgi-bin/media/upload?type=image&", "media", "a.png", wcPicture(1))),
				wcCode(wcCall(t, api, "GET", "/cgi-bin/user/info?openid="+wcTestUser+"&access_token="+token, "")),
				wcCode(wcCall(t, api, "POST", "/cgi-bin/message/custom/typing?access_token="+token, `{"touser":"`+wcTestUser+`","command":"Typing"}`)),
				wcCode(wcCall(t, api, "GET", "/cgi-bin/getcallbackip?access_token="+token, "")),
			}
			if diff := cmp.Diff([]int{tc.send, tc.menu, tc.media, tc.users, tc.send, 0}, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestWeChatTyping(t *testing.T) {
	w, _, api := wcNewPair(t, nil)
	token := wcTokenOf(t, api)
	typing := func(openid, command string) int {
		return wcCode(wcCall(t, api, "POST", "/cgi-bin/message/custom/typing?access_token="+token,
			fmt.Sprintf(`{"touser":%q,"command":%q}`, openid, command)))
	}
	check := func(what string, got, want int, shows bool) {
		t.Helper()
		if got != want || w.Typing(wcTestUser) != shows {
			t.Errorf("%s: code %d, want %d; shows %v", what, got, want, w.Typing(wcTestUser))
		}
	}
	check("unknown user", typing(wcTestUser, "Typing"), 40003, false)
	w.Follow(wcTestUser)
	check("no exchange", typing(wcTestUser, "Typing"), 45080, false)
	w.Push(wcSoon(t), w.Text(wcTestUser, "hi"))
	check("bad command", typing(wcTestUser, "typing"), 45072, false)
	check("typing", typing(wcTestUser, "Typing"), 0, true)
	check("typing already", typing(wcTestUser, "Typing"), 45081, true)
	w.Advance(16 * time.Second)
	check("after 15 s", typing(wcTestUser, "Typing"), 0, true)
	check("cancelled", typing(wcTestUser, "CancelTyping"), 0, false)
	check("typing again", typing(wcTestUser, "Typing"), 0, true)
	if got := wcSend(t, api, wcTextBody(wcTestUser, "x")); got != 0 || w.Typing(wcTestUser) {
		t.Errorf("a message does not end typing (code %d)", got)
	}
	w.Advance(31 * time.Second)
	check("after 30 s", typing(wcTestUser, "Typing"), 45080, false)
}

func TestWeChatWait(t *testing.T) {
	w, s, _ := wcNewPair(t, func(c *WeChatConfig) { c.KeepSeen = 2 })
	s.says(http.StatusOK, wcReply("text", "<Content>x</Content>"))
	got := make(chan []Seen)
	go func() {
		seen, err := w.Wait(wcSoon(t), wcTestUser, 3)
		if err != nil {
			t.Error(err)
		}
		got <- seen
	}()
	for range 3 {
		w.Push(wcSoon(t), w.Text(wcTestUser, "hi"))
	}
	if seen := <-got; len(seen) != 2 || seen[0].Seq != 2 || seen[1].Seq != 3 {
		t.Errorf("seen %+v", seen)
	}
	s.says(http.StatusOK, "oops")
	w.Push(wcSoon(t), w.Text(wcTestUser, "hi"))
	if r := w.Replies(wcTestUser); len(r) != 1 || r[0].Seq != 3 {
		t.Errorf("replies %+v", r)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := w.Wait(ctx, wcTestUser, 4); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a notice counts as a message: %v", err)
	}
	seen, err := w.WaitFor(wcSoon(t), wcTestUser, func(s []Seen) bool { return s[len(s)-1].Type == "notice" })
	if err != nil || len(seen) != 2 {
		t.Errorf("%v %v", seen, err)
	}
	time.AfterFunc(10*time.Millisecond, w.Close)
	if _, err := w.Wait(t.Context(), wcTestUser, 99); !errors.Is(err, context.Canceled) {
		t.Errorf("Close does not end Wait: %v", err)
	}
}

func TestWeChatOnSeenAndAI(t *testing.T) {
	var hooked []string
	w, _, api := wcNewPair(t, func(c *WeChatConfig) {
		c.OnSeen = func(openid string, s Seen) { hooked = append(hooked, openid+":"+s.Text) }
	})
	w.Push(wcSoon(t), w.Text(wcTestUser, "hi"))
	body := strings.TrimSuffix(wcTextBody(wcTestUser, "x"), "}") + `,"aimsgcontext":{"is_ai_msg":1}}`
	if got := wcSend(t, api, body); got != 0 {
		t.Fatal(got)
	}
	s := w.Seen(wcTestUser)[0]
	if diff := cmp.Diff([]string{wcTestUser + ":x"}, hooked); diff != "" || !s.AI {
		t.Errorf("AI %v, %s", s.AI, diff)
	}
	if o := s.Object(); o["content"] != "x" {
		t.Errorf("object %v", o)
	}
	if got := w.Totals(); got != (Totals{Push: 1}) {
		t.Errorf("totals %+v", got)
	}
	w.Reset()
	if w.Seen(wcTestUser) != nil || w.Totals() != (Totals{}) || w.CountCalls("/cgi-bin/stable_token") != 0 {
		t.Error("Reset left something")
	}
}
