package simulator

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

// wcCurl does what `curl -d body` or `curl` does, and decodes the answer.
func wcCurl(t *testing.T, api *httptest.Server, method, path, body string, status int, into any) string {
	t.Helper()
	raw, resp := wcRaw(t, api, method, "/control/wechat/"+path, "application/x-www-form-urlencoded", strings.NewReader(body))
	if resp.StatusCode != status {
		t.Fatalf("%s %s: status %d: %s", method, path, resp.StatusCode, raw)
	}
	if into != nil {
		if err := json.Unmarshal(raw, into); err != nil {
			t.Fatalf("%s: %v in %s", path, err, raw)
		}
	}
	return string(raw)
}

func TestWeChatControlChat(t *testing.T) {
	w, s, api := wcNewPair(t, nil)
	s.says(http.StatusOK, strings.ReplaceAll(wcReply("text", "<Content>你好 &lt;b&gt;</Content>"), wcTestUser, "oAlice"))
	wcCurl(t, api, "POST", "push", `{"openid":"oAlice","text":"hello"}`, 200, nil)
	var seen wcSeenAnswer
	raw := wcCurl(t, api, "GET", "seen?openid=oAlice&wait=1", "", 200, &seen)
	if len(seen.Messages) != 1 || seen.Messages[0].Text != "你好 <b>" || seen.Last != 1 {
		t.Errorf("seen %+v", seen)
	}
	if !strings.Contains(raw, "\n  ") || !strings.Contains(raw, "你好 <b>") {
		t.Errorf("not pretty, or not raw: %s", raw)
	}
	// Without after, what came before the latest push is no reason to stop waiting.
	s.answer = func(_ int, _ wcPushed, rw http.ResponseWriter) {
		time.Sleep(20 * time.Millisecond)
		_, _ = io.WriteString(rw, strings.ReplaceAll(wcReply("text", "<Content>late</Content>"), wcTestUser, "oAlice"))
	}
	wcCurl(t, api, "POST", "push", `{"openid":"oAlice","text":"again"}`, 200, nil)
	wcCurl(t, api, "GET", "seen?openid=oAlice&wait=1", "", 200, &seen)
	if len(seen.Messages) != 2 || seen.Messages[1].Text != "late" {
		t.Errorf("seen %+v", seen)
	}
	var d Delivery
	wcCurl(t, api, "POST", "push", `{"openid":"oAlice","type":"event","event":"CLICK","key":"K","wait":true}`, 200, &d)
	if d.Outcome != OutcomeReply || d.Event != "CLICK" || d.Reply == nil {
		t.Errorf("delivery %+v", d)
	}
	wcCurl(t, api, "GET", "seen?openid=oAlice&after=2&wait=1", "", 200, &seen)
	if len(seen.Messages) != 1 || seen.Messages[0].Seq != 3 {
		t.Errorf("after=2: %+v", seen)
	}
	var many []Delivery
	wcCurl(t, api, "POST", "push", `{"openid":"oBob","text":"x","duplicates":2,"msgid":"24000000000000009","wait":true}`, 200, &many)
	if len(many) != 3 || many[0].MsgID != "24000000000000009" || many[0].Outcome != OutcomeIllegal {
		t.Errorf("duplicates %+v", many)
	}
	wcCurl(t, api, "GET", "deliveries?openid=oAlice", "", 200, &many)
	if !slices.ContainsFunc(many, func(d Delivery) bool { return d.Event == "CLICK" && d.OpenID == "oAlice" }) ||
		slices.ContainsFunc(many, func(d Delivery) bool { return d.OpenID != "oAlice" }) {
		t.Errorf("deliveries %+v", many)
	}
	wcCurl(t, api, "GET", "deliveries?limit=1", "", 200, &many)
	if len(many) != 1 {
		t.Errorf("%d deliveries", len(many))
	}
	for _, in := range []string{
		`{"openid":"oAlice","type":"image"}`, `{"openid":"oAlice","type":"voice"}`, `{"openid":"oAlice","type":"video"}`,
		`{"openid":"oAlice","type":"shortvideo"}`, `{"openid":"oAlice","type":"sticker"}`, `{"openid":"oAlice","type":"image","file":"R0lGODlh"}`,
		`{"openid":"oAlice","type":"location","lat":1,"lng":2,"label":"L"}`, `{"openid":"oAlice","type":"link","url":"u"}`,
		`{"openid":"oAlice","type":"file","inner":"<X>1</X>"}`, `{"openid":"oAlice","event":"LOCATION","lat":1,"lng":2}`,
		`{"openid":"oAlice","text":"满意","menuid":"101"}`, `{"openid":"oAlice","raw":"<xml/>"}`, `{"openid":"oAlice","body":"x"}`,
	} {
		wcCurl(t, api, "POST", "push", strings.TrimSuffix(in, "}")+`,"wait":true}`, 200, &d)
		if d.Outcome != OutcomeReply {
			t.Errorf("%s: %+v", in, d)
		}
	}
	for _, in := range []string{
		`{}`, `{"openid":"o","typ":"text"}`, `{"openid":"o","type":"event"}`, `{"openid":"o","type":"scan","ticket":"x"}`,
		`{"openid":"o","msgid":"<x>"}`, `{"openid":"o","duplicates":101}`, `nonsense`,
	} {
		wcCurl(t, api, "POST", "push", in, 400, nil)
	}
	if got := wcCurl(t, api, "GET", "seen", "", 400, nil); !strings.Contains(got, "oAlice") {
		t.Errorf("no users in %s", got)
	}
	w.Close()
	wcCurl(t, api, "POST", "push", `{"openid":"oAlice","text":"late"}`, 400, nil)
}

func TestWeChatControlSettings(t *testing.T) {
	w, s, api := wcNewPair(t, nil)
	s.answer = func(_ int, p wcPushed, rw http.ResponseWriter) {
		if p.q.Get("signature") != wcSign("testtoken", p.q.Get("timestamp"), p.q.Get("nonce")) {
			rw.WriteHeader(http.StatusForbidden)
		}
		_, _ = rw.Write([]byte(p.q.Get("echostr")))
	}
	var state map[string]any
	for _, tc := range []struct {
		path, body string
		holds      func() bool
	}{
		{"clock", `{"advance":"49h"}`, func() bool { return time.Duration(w.offset.Load()) == 49*time.Hour }},
		{"clock", `{"advance":60}`, func() bool { return time.Duration(w.offset.Load()) == 49*time.Hour+time.Minute }},
		{"mode", `{"mode":"safe"}`, func() bool { return state["mode"] == "safe" }},
		{"kind", `{"kind":"individual"}`, func() bool { return state["kind"] == "individual" }},
		{"secret", `{"secret":"s2"}`, func() bool { return w.settings.Load().secret == "s2" }},
		{"ips", `{"allow":["10.0.0.1"]}`, func() bool { return len(state["allowed_ips"].([]any)) == 1 }},
		{"ips", `{"allow":[]}`, func() bool { return len(w.settings.Load().allowed) == 0 }},
		{"ips", `{"callback":["10.1.0.0/16"]}`, func() bool { return len(w.settings.Load().sources) == 1 && len(w.settings.Load().allowed) == 0 }},
		{"down", `{"down":true}`, func() bool { return state["down"] == true }},
		{"down", `{"down":false}`, func() bool { return state["down"] == false }},
		{"tokens", `{"end":"expired"}`, func() bool { return true }},
		{"tokens", `{"end":"revoked"}`, func() bool { return true }},
	} {
		wcCurl(t, api, "POST", tc.path, tc.body, 200, &state)
		if !tc.holds() {
			t.Errorf("%s %s has no effect: %v", tc.path, tc.body, state)
		}
	}
	for path, body := range map[string]string{
		"mode": `{"mode":"x"}`, "kind": `{"kind":"x"}`, "clock": `{"advance":"x"}`, "tokens": `{"end":"x"}`, "faults": `{"nope":1}`,
	} {
		wcCurl(t, api, "POST", path, body, 400, nil)
	}
	var faults []WeChatFault
	wcCurl(t, api, "POST", "faults", `{"path":"/cgi-bin/user/info","code":-1,"times":2,"delay":"1ms"}`, 200, &faults)
	if len(faults) != 1 || faults[0].Delay != time.Millisecond || faults[0].Times != 2 {
		t.Errorf("faults %+v", faults)
	}
	if got := wcCode(wcCall(t, api, "GET", "/cgi-bin/user/info", "")); got != -1 {
		t.Errorf("fault: code %d", got)
	}
	wcCurl(t, api, "GET", "faults", "", 200, &faults)
	wcCurl(t, api, "DELETE", "faults", "", 200, &faults)
	if len(w.Faults()) != 0 {
		t.Error("faults are left")
	}
	var calls []Call
	wcCurl(t, api, "GET", "calls?path=/cgi-bin/user/info", "", 200, &calls)
	if len(calls) != 1 || !calls[0].Fault || calls[0].Code != -1 {
		t.Errorf("calls %+v", calls)
	}
	var verified struct{ OK, Refused bool }
	wcCurl(t, api, "POST", "verify", "", 200, &verified)
	if !verified.OK {
		t.Error("not verified")
	}
	wcCurl(t, api, "POST", "verify", `{"forge":{"signature":true}}`, 200, &verified)
	if !verified.Refused {
		t.Error("forged verification not refused")
	}
	wcCurl(t, api, "POST", "push", `{"openid":"o1","text":"x","age":"10m","forge":{"plain":true},"wait":true}`, 200, nil)
	if p := s.pushes(); p[len(p)-1].q.Has("encrypt_type") {
		t.Error("forge has no effect")
	}
	wcCurl(t, api, "POST", "reset", "", 200, &state)
	if state["deliveries"] != 0.0 || len(state["users"].([]any)) != 0 || state["mode"] != "safe" {
		t.Errorf("state after reset: %v", state)
	}
	var index []string
	wcCurl(t, api, "GET", "", "", 200, &index)
	if len(index) != len(wcControls()) {
		t.Errorf("index %v", index)
	}
}
