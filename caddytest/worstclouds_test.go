package caddytest

import (
	"fmt"
	"testing"
	"time"

	"github.com/caddy-wechat/caddy-wechat/caddytest/simulator"
)

// htmlPage is what a proxy, a captive portal or a cloud's own front answers.
const htmlPage = "<html><head><title>502 Bad Gateway</title></head><body>sorry</body></html>"

// weChatDays are answers of WeChat's API that are none.
var weChatDays = map[string]simulator.WeChatFault{
	"HTML":                 {HTTPStatus: 200, Body: htmlPage},
	"HTML under 502":       {HTTPStatus: 502, Body: htmlPage},
	"nothing":              {HTTPStatus: 200},
	"half a JSON":          {HTTPStatus: 200, Body: `{"errcode":0,"errm`},
	"half a token":         {HTTPStatus: 200, Body: `{"access_token":"`},
	"JSON of another kind": {HTTPStatus: 200, Body: `[]`},
	"200 with an error":    {Code: -1, Msg: "system error"},
	"a redirect":           {HTTPStatus: 302},
	"no connection":        {Cut: true},
	"too many requests":    {HTTPStatus: 429},
}

// TestWeChatWorstDays has WeChat answer calls for a token, and for sending, with what is no answer. Users'
// messages are taken all the time, and are answered in order once WeChat is itself again.
func TestWeChatWorstDays(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/cgi-bin/stable_token", "/cgi-bin/message/custom/send"} {
		t.Run(path[1:], func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, setup{options: bulk, wechat: func(c *simulator.WeChatConfig) { c.NoAllowance = true }})
			for name, f := range weChatDays {
				f.Path, f.Times = path, 2
				w.wechat.ExpireTokens()
				w.wechat.Fail(f)
				w.conversationOver(name)
				if n := len(w.wechat.Faults()); n != 0 {
					t.Errorf("%s was not met", name)
				}
				w.wechat.ClearFaults()
			}
			w.checkHolds("", "")
		})
	}
}

// botpressDays are answers of Botpress's Chat API that are none.
var botpressDays = map[string]simulator.BotpressFault{
	"error, API's shape":          {Status: 500, Shape: simulator.ShapeAPI},
	"error, router's shape":       {Status: 500, Shape: simulator.ShapeRouter},
	"error, plain text":           {Status: 500, Shape: simulator.ShapeText},
	"error after taking effect":   {Status: 500, Shape: simulator.ShapeText, After: true},
	"error under 200":             {Status: 500, Shape: simulator.ShapeAPI, OKWithErrorBody: true},
	"429 without headers":         {Status: 429},
	"429 that says when":          {Status: 429, Headers: map[string]string{"RateLimit-Remaining": "0", "RateLimit-Reset": "1"}},
	"429 with Retry-After":        {Status: 429, Headers: map[string]string{"Retry-After": "1"}},
	"429 with rubbish":            {Status: 429, Headers: map[string]string{"RateLimit-Reset": "soon", "Retry-After": "-1"}},
	"HTML":                        {Status: 200, Body: htmlPage},
	"HTML under 502":              {Status: 502, Body: htmlPage},
	"half a JSON":                 {Status: 200, Body: `{"message":{"id":"`},
	"half a JSON, after effect":   {Status: 200, Body: `{"message":{"id":"`, After: true},
	"nothing":                     {Status: 200, Body: " "},
	"a redirect":                  {Status: 307, Body: " ", Headers: map[string]string{"Location": "http://127.0.0.1:1/"}},
	"no connection":               {ResetBefore: true},
	"no connection, after effect": {ResetAfter: true},
}

// TestBotpressWorstDays has Botpress answer with what is no answer, or with one of its three kinds of errors.
// The bot has each message once and in order, and its answers reach the users.
func TestBotpressWorstDays(t *testing.T) {
	t.Parallel()
	for _, op := range []string{"createMessage", "getOrCreateConversation"} {
		t.Run(op, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, setup{options: bulk, wechat: func(c *simulator.WeChatConfig) { c.NoAllowance = true }})
			for name, f := range botpressDays {
				f.Op, f.Times = op, 2
				w.botpress.Fail(f)
				w.conversationOver(name)
				w.botpress.ClearFaults()
			}
			if n, want := w.botpress.CountTurns(), int64(2*len(botpressDays)); n != want {
				t.Errorf("the bot had %d turns, want %d", n, want)
			}
			w.checkHolds("bot", "the api address answers with a redirect") // which does not pass by itself
		})
	}
}

// conversationOver has a user say two things on a bad day, and expects both answers in order. What WeChat has
// taken without saying so comes twice.
func (w *world) conversationOver(day string) {
	w.t.Helper()
	openid := fmt.Sprintf("oUser-%x", day)
	w.push(w.wechat.Text(openid, "one"))
	w.push(w.wechat.Text(openid, "two"))
	ctx := within(w.t, 45*time.Second)
	for n := 1; ; n++ {
		seen, err := w.wechat.Wait(ctx, openid, n)
		got, _ := once(texts(seen))
		if len(got) == 2 && got[0] == "echo: one" && got[1] == "echo: two" {
			return
		}
		if err != nil || len(got) > 2 {
			w.t.Errorf("%s: the user read %q (%v)", day, texts(seen), err)
			return
		}
	}
}

// TestNoNames: the names of both clouds cannot be looked up. Messages are taken, and delivered when they can.
func TestNoNames(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{options: bulk, idle: true})
	wechatAt, botAt := w.wechatAt, w.botAt
	w.wechatAt, w.botAt = "http://wechat.invalid", "http://botpress.invalid"
	w.caddy.start(w.config())
	w.push(w.wechat.Text("oAlice", "one"))
	w.push(w.wechat.Text("oAlice", "two"))
	w.await(within(t, 30*time.Second), "bot does not take a message; trying again")
	w.botAt = botAt
	w.reload()
	if _, err := w.botpress.WaitTurns(within(t, 45*time.Second), conversation("oAlice"), 2); err != nil {
		t.Fatal(err)
	}
	w.await(within(t, 30*time.Second), "wechat does not take a message; trying again")
	w.wechatAt = wechatAt
	w.reload()
	w.expect("oAlice", "echo: one", "echo: two")
	w.checkHolds("", "")
}
