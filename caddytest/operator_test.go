package caddytest

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-wechat/caddy-wechat/caddytest/simulator"
)

// operate calls the admin endpoint.
func (w *world) operate(method, path, body string) (status int, answer string) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(within(w.t, 30*time.Second), method, "http://"+w.caddy.admin+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return resp.StatusCode, strings.TrimSpace(string(b))
}

// TestOperatorAPI: what an operator does with an account by the admin endpoint.
func TestOperatorAPI(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{mode: simulator.ModeSafe, options: "settle 0\n\t\tpace 0"})
	d := w.wechat.Push(within(t, 20*time.Second), w.wechat.Text("oAlice", "hello"))
	if !d.Accepted() {
		t.Fatalf("push: %+v", d)
	}
	good := `{"button":[{"type":"click","name":"帮助","key":"HELP"}]}`
	for _, tc := range []struct {
		name, method, path, body string
		status                   int
		want                     string
	}{
		{"send", "POST", "/wechat/send", `{"openid":"oAlice","text":"from staff"}`, 200, `{"outcome":"sent"}`},
		{"send to nobody", "POST", "/wechat/send", `{"openid":"oNobody","text":"x"}`, 409, "Nobody of that id"},
		{"send nothing", "POST", "/wechat/send", `{"openid":"oAlice","text":""}`, 409, "empty"},
		{"send, no JSON", "POST", "/wechat/send", `x`, 400, "JSON"},
		{"send, another account", "POST", "/wechat/send", `{"app_id":"wxffff","openid":"oAlice","text":"x"}`, 404, "there are " + appID},
		{"send, GET", "GET", "/wechat/send", "", 405, "method"},
		{"send, large", "POST", "/wechat/send", strings.Repeat(" ", 2<<20), 413, "too large"},
		{"no menu", "GET", "/wechat/menu", "", 200, `{"menu":null}`},
		{"bad menu", "POST", "/wechat/menu", `{"button":[]}`, 400, "0 buttons"},
		{"set menu", "POST", "/wechat/menu", good, 200, `"name":"帮助"`},
		{"get menu", "GET", "/wechat/menu?app_id=" + appID, "", 200, `"key":"HELP"`},
		{"delete menu", "DELETE", "/wechat/menu", "", 200, `{"menu":null}`},
		{"menu, PUT", "PUT", "/wechat/menu", "", 405, "method"},
		{"QR code", "POST", "/wechat/qrcode", `{"scene":"table-1","seconds":60}`, 200, `"seconds":60`},
		{"QR code for good", "POST", "/wechat/qrcode", `{"scene":"table-1"}`, 200, `"seconds":0`},
		{"QR code without a scene", "POST", "/wechat/qrcode", `{}`, 400, "scene"},
		{"evidence", "GET", "/wechat/evidence", "", 200, `"callbacks":{"taken":`},
		{"evidence, POST", "POST", "/wechat/evidence", "{}", 405, "method"},
		{"check, wrong signature", "POST", "/wechat/check", `{"query":"signature=a&timestamp=1&nonce=1","body":""}`, 200, `{"reason":"signature","taken":false}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w.t = t
			status, got := w.operate(tc.method, tc.path, tc.body)
			if status != tc.status || !strings.Contains(got, tc.want) {
				t.Errorf("%d %s, want %d and %q", status, got, tc.status, tc.want)
			}
		})
	}
	w.t = t
	if seen := texts(w.wechat.Seen("oAlice")); len(seen) == 0 || seen[len(seen)-1] != "from staff" {
		t.Errorf("the user read %q", seen)
	}

	// A refusal of WeChat's, and what has come in.
	w.wechat.SetKind(simulator.KindIndividual)
	if status, got := w.operate("GET", "/wechat/menu", ""); status != 502 || !strings.Contains(got, "48001") {
		t.Errorf("menu of an account that has none: %d %s", status, got)
	}
	w.wechat.SetKind(simulator.KindVerified)
	w.wechat.SetMode(simulator.ModePlain)
	w.wechat.Push(within(t, 20*time.Second), w.wechat.Text("oAlice", "in the clear"))
	_, got := w.operate("GET", "/wechat/evidence", "")
	var e struct {
		Callbacks, Webhooks struct {
			Taken, Refused int
			Reason         string
		}
	}
	if err := json.Unmarshal([]byte(got), &e); err != nil || e.Callbacks.Taken == 0 || e.Callbacks.Refused == 0 || e.Callbacks.Reason != "mode" || e.Webhooks.Taken == 0 {
		t.Errorf("evidence %s, %v", got, err)
	}
	body := base64.StdEncoding.EncodeToString([]byte("<xml></xml>"))
	if status, got := w.operate("POST", "/wechat/check", `{"query":"`+signedQuery()+`","body":"`+body+`"}`); status != 200 || !strings.Contains(got, `"mode"`) {
		t.Errorf("check of a plaintext push: %d %s", status, got)
	}
	for _, secret := range []string{appSecret, token, aesKey, encryptionKey, webhookSecret, "in the clear"} {
		if strings.Contains(got, secret) {
			t.Errorf("the answers show %q", secret)
		}
	}
}
