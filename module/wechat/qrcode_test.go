package wechat

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestCreateQRCode(t *testing.T) {
	t.Parallel()
	const full = `{"ticket":"gQ+/x==","expire_seconds":60,"url":"http://weixin.qq.com/q/k"}`
	for _, tc := range []struct {
		name, scene string
		life        time.Duration
		answer      string
		sent        string // empty: nothing
		want        QRCode
	}{
		{
			"temporary", "桌1&\"", time.Minute, full,
			`{"expire_seconds":60,"action_name":"QR_STR_SCENE","action_info":{"scene":{"scene_str":"桌1&\""}}}`,
			QRCode{"gQ+/x==", "http://weixin.qq.com/q/k", time.Minute},
		},
		{
			"for good", "table", 0, `{"ticket":"t","url":"u"}`,
			`{"action_name":"QR_LIMIT_STR_SCENE","action_info":{"scene":{"scene_str":"table"}}}`,
			QRCode{"t", "u", 0},
		},
		{"no scene", "", time.Minute, full, "", QRCode{}},
		{"long scene", strings.Repeat("s", 65), time.Minute, full, "", QRCode{}},
		{"control character", "a\x01", time.Minute, full, "", QRCode{}},
		{"too short a life", "s", time.Millisecond, full, "", QRCode{}},
		{"too long a life", "s", 31 * 24 * time.Hour, full, "", QRCode{}},
		{"no ticket", "s", 0, `{"url":"u"}`, `{"action_name":"QR_LIMIT_STR_SCENE","action_info":{"scene":{"scene_str":"s"}}}`, QRCode{}},
		{"not allowed", "s", 0, `{"errcode":48001,"errmsg":"x"}`, `{"action_name":"QR_LIMIT_STR_SCENE","action_info":{"scene":{"scene_str":"s"}}}`, QRCode{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			cl := &cloud{call: func(_ int, r *http.Request) (*http.Response, error) {
				if r.URL.Path != pathQRCode || r.Method != http.MethodPost {
					t.Errorf("asked for %s %s", r.Method, r.URL.Path)
				}
				return answer(tc.answer), nil
			}}
			got, err := mustClient(t, cl).CreateQRCode(t.Context(), tc.scene, tc.life)
			if got != tc.want || (err == nil) != (tc.want.Ticket != "") {
				t.Errorf("got %+v, %v", got, err)
			}
			if sent := strings.Join(bodies(cl), ""); sent != tc.sent {
				t.Errorf("sent %s, want %s", sent, tc.sent)
			}
		})
	}
	if got := (QRCode{Ticket: "gQ+/x=="}).Image(); got != "https://mp.weixin.qq.com/cgi-bin/showqrcode?ticket=gQ%2B%2Fx%3D%3D" {
		t.Error(got)
	}
}

func bodies(cl *cloud) []string {
	cl.mu.Lock()
	defer cl.mu.Unlock()
	var all []string
	for _, b := range cl.bodies {
		all = append(all, string(b))
	}
	return all
}
