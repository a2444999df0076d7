package caddytest

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestAttackAdmin has a web page, in a browser beside Caddy, ask the admin endpoint, by
// its own name or by one that leads there. None of what the bridge adds to it answers.
func TestAttackAdmin(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	var before struct{ Accounts []any }
	if got := w.admin(http.MethodGet, "accounts", nil, &before); got != http.StatusOK {
		t.Fatalf("the operator's own request: %d", got)
	}
	for name, change := range map[string]func(*http.Request){
		"a page's":         func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") },
		"a form's":         func(r *http.Request) { r.Header.Set("Sec-Fetch-Mode", "navigate") },
		"a name of theirs": func(r *http.Request) { r.Host = "evil.example" },
	} {
		for _, address := range []string{
			"GET accounts", "GET accounts/" + appID, "GET trace", "GET waiting", "GET parked", "GET dead", "GET dead/1",
			"GET evidence", "GET menu", "POST menu", "DELETE menu", "POST send", "POST qrcode", "POST check",
			"POST parked/deliver", "POST parked/drop", "POST dead/replay", "POST dead/drop", "POST release",
		} {
			method, path, _ := strings.Cut(address, " ")
			r, err := http.NewRequestWithContext(within(t, 30*time.Second), method, "http://"+w.caddy.admin+"/wechat/"+path, strings.NewReader("{}"))
			if err != nil {
				t.Fatal(err)
			}
			change(r)
			resp, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != http.StatusForbidden {
				t.Errorf("%s: %s answered %d, want 403", name, address, resp.StatusCode)
			}
			// Nor is it at the public address.
			w.do(request{name: address + " of the site", method: method, path: "/wechat/" + path, status: http.StatusOK, want: elsewhat})
		}
	}
}
