package simulator

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestBotpressFaults(t *testing.T) {
	for _, tc := range []struct {
		name   string
		fault  BotpressFault
		status int    // 0: the connection was cut
		body   string // "*" stands for anything
		effect bool   // the message is there afterwards
	}{
		{"default", BotpressFault{}, 500, `{"id":"err_*","code":500,"type":"Internal","message":"Injected: *"}`, false},
		{"API error", BotpressFault{Status: 402, Message: "pay"}, 402, `{"id":"err_*","code":402,"type":"PaymentRequired","message":"pay"}`, false},
		{"quota", BotpressFault{Status: 403, Type: "QuotaExceeded"}, 403, `{*"type":"QuotaExceeded",*}`, false},
		{"router error", BotpressFault{Status: 400, Shape: ShapeRouter, Message: "m"}, 400, `{"message":"m"}`, false},
		{"plain text", BotpressFault{Shape: ShapeText, Message: "boom (Status Code: 502)"}, 500, `boom (Status Code: 502)`, false},
		{"rate limit", BotpressFault{Status: 429}, 429, `{"type":"RateLimited","description":"The request has been rate-limited.","status":429}`, false},
		{"body", BotpressFault{Status: 502, Body: "<html>"}, 502, `<html>`, false},
		{"after the effect", BotpressFault{Status: 504, After: true}, 504, `{"*"OperationTimeout"*}`, true},
		{"error under 200", BotpressFault{Status: 401, OKWithErrorBody: true}, 200, `{"*"code":401,*}`, false},
		{"reset before", BotpressFault{ResetBefore: true}, 0, "", false},
		{"reset after", BotpressFault{ResetAfter: true}, 0, "", true},
		{"delay", BotpressFault{Delay: time.Millisecond}, 200, `{"message":*}`, true},
		{"late answer", BotpressFault{LateBy: time.Millisecond}, 200, `{"message":*}`, true},
		{"late failure", BotpressFault{LateBy: time.Millisecond, Status: 502}, 502, `{*}`, true},
		{"headers only", BotpressFault{Headers: map[string]string{"X-Test": "1"}}, 200, `{"message":*}`, true},
		{"other operation", BotpressFault{Op: "createEvent"}, 200, `{"message":*}`, true},
		{"this operation", BotpressFault{Op: "createMessage"}, 500, `{*}`, false},
		{"other path", BotpressFault{Path: "/conversations"}, 200, `{"message":*}`, true},
		{"this path", BotpressFault{Path: "/mess"}, 500, `{*}`, false},
		{"other conversation", BotpressFault{Conversation: "bert"}, 200, `{"message":*}`, true},
		{"this conversation", BotpressFault{Conversation: "anna"}, 500, `{*}`, false},
		{"skipped", BotpressFault{Skip: 1}, 200, `{"message":*}`, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			rig := bpStart(t, BotpressConfig{})
			rig.join("anna")
			rig.Fail(tc.fault)
			a := rig.do("POST", "/messages", "anna", bpTextBody("anna", "silent"))
			if a.status != tc.status || !bpGlob(tc.body, a.body) || (a.err != nil) != (tc.status == 0) {
				t.Errorf("got %d %s %v", a.status, a.body, a.err)
			}
			for k, v := range tc.fault.Headers {
				if got := a.header.Get(k); got != v {
					t.Errorf("%s: %q", k, got)
				}
			}
			if got := len(rig.Messages("anna")); (got == 1) != tc.effect {
				t.Errorf("%d messages", got)
			}
		})
	}
}

// bpGlob matches a pattern in which "*" stands for anything.
func bpGlob(pattern, s string) bool {
	parts := strings.Split(pattern, "*")
	if !strings.HasPrefix(s, parts[0]) || !strings.HasSuffix(s, parts[len(parts)-1]) {
		return false
	}
	for _, p := range parts {
		i := strings.Index(s, p)
		if i < 0 {
			return false
		}
		s = s[i+len(p):]
	}
	return len(parts) > 1 || s == ""
}

func TestBotpressFaultTimes(t *testing.T) {
	rig := bpStart(t, BotpressConfig{})
	rig.join("anna")
	rig.Fail(BotpressFault{Op: "getUser", Times: 2, Skip: 1, Status: 504})
	rig.Fail(BotpressFault{Op: "getUser", Status: 502})
	got := make([]int, 0, 5)
	for range 5 {
		got = append(got, rig.do("GET", "/users/me", "anna", "").status)
	}
	// The first fault lets one call through, which the second one then hits.
	if diff := cmp.Diff([]int{502, 504, 504, 200, 200}, got); diff != "" {
		t.Error(diff)
	}
	rig.Fail(BotpressFault{Times: -1})
	for range 3 {
		if a := rig.do("GET", "/users/me", "anna", ""); a.status != 500 {
			t.Errorf("got %d", a.status)
		}
	}
	rig.ClearFaults()
	rig.ok("GET", "/users/me", "anna", "")
}

func TestBotpressDown(t *testing.T) {
	hook := bpListen(t, nil)
	rig := bpStart(t, BotpressConfig{WebhookURL: hook.server.URL})
	rig.join("anna")
	rig.send("anna", "slow 0.1")
	rig.SetDown(true)
	rig.SetDown(true)
	for _, path := range []string{"/hello", "/users/me"} {
		if a := rig.do("GET", path, "anna", ""); a.err == nil {
			t.Errorf("%s answers %d", path, a.status)
		}
	}
	if a := rig.raw("GET", rig.server.URL+"/media/picture.png", "", ""); a.err == nil {
		t.Errorf("media answers %d", a.status)
	}
	if a := rig.raw("GET", rig.server.URL+"/control/botpress/state", "", ""); a.at("down") != true {
		t.Errorf("control: %s", a.body)
	}
	rig.idle()
	if diff := cmp.Diff([]string{"echo: slow 0.1"}, hook.texts("anna")); diff != "" {
		t.Errorf("the bot stopped too: %s", diff)
	}
	rig.SetDown(false)
	rig.ok("GET", "/users/me", "anna", "")
}

func TestBotpressDownCutsCallsUnderWay(t *testing.T) {
	rig := bpStart(t, BotpressConfig{})
	rig.join("anna")
	rig.Fail(BotpressFault{Op: "createMessage", LateBy: time.Hour})
	answered := make(chan bpAnswer, 1)
	go func() { answered <- rig.do("POST", "/messages", "anna", bpTextBody("anna", "silent")) }()
	if _, err := rig.WaitTurns(bpSoon(t), "anna", 1); err != nil {
		t.Fatal(err)
	}
	rig.SetDown(true)
	if a := <-answered; a.err == nil {
		t.Errorf("answered %d", a.status)
	}
}

func TestBotpressRateLimit(t *testing.T) {
	now := time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC)
	rig := bpStart(t, BotpressConfig{RateLimit: 3, Now: func() time.Time { return now }})
	rig.join("anna")
	type seen struct {
		Status           int
		Remaining, Reset string
	}
	var got []seen
	call := func(method, path, body string) bpAnswer {
		a := rig.do(method, path, "anna", body)
		got = append(got, seen{a.status, a.header.Get("RateLimit-Remaining"), a.header.Get("RateLimit-Reset")})
		return a
	}
	text := bpTextBody("anna", "silent")
	call("GET", "/users/me", "")
	call("POST", "/messages", text)
	now = now.Add(20 * time.Second)
	call("POST", "/messages", text)
	call("POST", "/events", `{"conversationId":"anna","payload":{}}`)
	a := call("POST", "/messages", text)
	call("GET", "/users/me", "")
	now = now.Add(40 * time.Second) // the first one leaves the window
	call("POST", "/messages", text)
	call("POST", "/messages", text)
	if diff := cmp.Diff([]seen{
		{200, "3", "60"}, {200, "2", "60"}, {200, "1", "40"}, {200, "0", "40"}, {429, "0", "40"}, {200, "0", "40"}, {200, "0", "20"}, {429, "0", "20"},
	}, got); diff != "" {
		t.Error(diff)
	}
	if a.body != `{"type":"RateLimited","description":"The request has been rate-limited.","status":429}` || a.header.Get("RateLimit-Limit") != "3" {
		t.Errorf("%s %v", a.body, a.header)
	}
	if got := len(rig.Messages("anna")); got != 3 {
		t.Errorf("%d messages taken", got)
	}
}

func TestBotpressControl(t *testing.T) {
	hook := bpListen(t, nil)
	rig := bpStart(t, BotpressConfig{})
	rig.join("anna")
	control := func(method, path, body string) bpAnswer {
		t.Helper()
		a := rig.raw(method, rig.server.URL+"/control/botpress/"+path, "", body)
		if a.status != 200 || !json.Valid([]byte(a.body)) {
			t.Fatalf("%s %s: %d %s", method, path, a.status, a.body)
		}
		return a
	}
	control("POST", "webhook", `{"url":"`+hook.server.URL+`/h","secret":"s"}`)
	id := control("POST", "say", `{"conversation":"anna","text":"主动 <&>","createdAt":"2026-07-01T00:00:00Z","metadata":{"a":1}}`).text("id")
	if h := hook.all()[0]; h.uri != "/h/" || h.text("data.id") != id || h.text("data.createdAt") != "2026-07-01T00:00:00.000Z" {
		t.Errorf("%s %s", h.uri, h.body)
	}
	control("POST", "say", `{"conversation":"anna","payload":{"type":"x"},"silent":true}`)
	a := control("GET", "messages?conversation=anna&count=2&wait=5s", "")
	if !strings.Contains(a.body, "主动 <&>") || !strings.Contains(a.body, "\n  {") {
		t.Errorf("neither raw nor pretty: %s", a.body)
	}
	if a = control("GET", "turns?conversation=anna&count=1&wait=1ms", ""); a.body != "[]\n" {
		t.Errorf("turns: %q", a.body)
	}
	rig.send("anna", "silent")
	var turns []Turn
	if err := json.Unmarshal([]byte(control("GET", "turns", "").body), &turns); err != nil || len(turns) != 1 || turns[0].Text() != "silent" {
		t.Errorf("turns: %v %v", turns, err)
	}
	control("POST", "faults", `{"op":"getUser","status":502,"delay":"1ms","lateBy":"0s","headers":{"Retry-After":"3"}}`)
	if a := rig.do("GET", "/users/me", "anna", ""); a.status != 502 || a.header.Get("Retry-After") != "3" {
		t.Errorf("fault: %d %v", a.status, a.header)
	}
	control("POST", "faults", `{"times":-1}`)
	control("DELETE", "faults", "")
	rig.ok("GET", "/users/me", "anna", "")
	heard := len(hook.all())
	control("POST", "webhook/faults", `{"mode":"skip","delay":"1ms"}`)
	rig.Say("anna", "lost")
	if got := len(hook.all()); got != heard {
		t.Errorf("webhook fault: %d posts, had %d", got, heard)
	}
	if a = control("GET", "webhooks", ""); !strings.Contains(a.body, `"fault": "skip"`) {
		t.Errorf("webhooks: %s", a.body)
	}
	if a = control("GET", "user?id=anna", ""); a.text("id") != "anna" {
		t.Errorf("user: %s", a.body)
	}
	if a = control("GET", "conversations", ""); a.body != "[\n  \"anna\"\n]\n" {
		t.Errorf("conversations: %q", a.body)
	}
	control("POST", "down", `{"down":true}`)
	if a := rig.do("GET", "/hello", "", ""); a.err == nil {
		t.Error("not down")
	}
	control("POST", "down", `{"down":false}`)
	if a = control("POST", "streams", `{"drop":true,"silent":true}`); a.at("dropped") != 0.0 {
		t.Errorf("streams: %s", a.body)
	}
	control("POST", "forget", `{"id":"anna"}`)
	rig.join("anna")
	control("POST", "reset", "")
	if a = control("GET", "state", ""); a.at("users") != 0.0 || a.at("messages") != 0.0 || a.at("webhooks.sent") != 0.0 || a.at("personal") != true {
		t.Errorf("state: %s", a.body)
	}
	for _, bad := range []struct {
		path, body string
		status     int
	}{
		{"say", `{"conversation":"nobody","text":"x"}`, 404},
		{"say", `{"conversaton":"anna"}`, 400},
		{"faults", `{"delay":"soon"}`, 400},
		{"nothing", `{}`, 404},
		{"state", `{}`, 405},
	} {
		if a := rig.raw("POST", rig.server.URL+"/control/botpress/"+bad.path, "", bad.body); a.status != bad.status {
			t.Errorf("%s %s: %d %s", bad.path, bad.body, a.status, a.body)
		}
	}
}
