package simulator

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// wcProbe calls something harmless with a token and returns the errcode.
func wcProbe(w *WeChat, token string) int { return w.tokens.check(token, w.now()) }

func TestWeChatTokenErrors(t *testing.T) {
	w, _, api := wcNewPair(t, nil)
	const stable = "/cgi-bin/stable_token"
	body := func(grant, appID, secret string) string {
		return fmt.Sprintf(`{"grant_type":%q,"appid":%q,"secret":%q}`, grant, appID, secret)
	}
	query := func(grant, appID, secret string) string {
		return "/cgi-bin/token?grant_type=" + grant + "&appid=" + appID + "&secret=" + secret
	}
	for _, tc := range []struct {
		name                 string
		grant, appID, secret string
		want                 int
	}{
		{"good", "client_credential", wcTestAppID, wcTestSecret, 0},
		{"grant", "other", wcTestAppID, wcTestSecret, 40002},
		{"no appid", "client_credential", "", wcTestSecret, 41002},
		{"no secret", "client_credential", wcTestAppID, "", 41004},
		{"appid", "client_credential", "wx0", wcTestSecret, 40013},
		{"secret", "client_credential", wcTestAppID, "x", 40125},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := wcCode(wcCall(t, api, "POST", stable, body(tc.grant, tc.appID, tc.secret))); got != tc.want {
				t.Errorf("stable_token: %d, want %d", got, tc.want)
			}
			if got := wcCode(wcCall(t, api, "GET", query(tc.grant, tc.appID, tc.secret), "")); got != tc.want {
				t.Errorf("token: %d, want %d", got, tc.want)
			}
		})
	}
	good := body("client_credential", wcTestAppID, wcTestSecret)
	if got := wcCode(wcCall(t, api, "GET", stable, "")); got != 43002 {
		t.Errorf("GET stable_token: %d", got)
	}
	if got := wcCode(wcCall(t, api, "POST", stable, "{")); got != 47001 {
		t.Errorf("broken JSON: %d", got)
	}
	w.SetAllowedIPs("10.1.2.3")
	out := wcCall(t, api, "POST", stable, good)
	if msg, _ := out["errmsg"].(string); wcCode(out) != 40164 || !strings.Contains(msg, "127.0.0.1") || !strings.Contains(msg, "rid: ") {
		t.Errorf("allowlist: %v", out)
	}
	w.SetAllowedIPs("10.1.2.3", "127.0.0.1")
	if got := wcCode(wcCall(t, api, "POST", stable, good)); got != 0 {
		t.Errorf("on the allowlist: %d", got)
	}
	w.SetAllowedIPs("10.1.2.3")
	w.SetKind(KindSandbox)
	if got := wcCode(wcCall(t, api, "POST", stable, good)); got != 0 {
		t.Errorf("sandbox: %d", got)
	}
	w.SetAllowedIPs()
	w.SetKind(KindVerified)
	token := wcTokenOf(t, api)
	w.SetSecret("new")
	if got := wcCode(wcCall(t, api, "POST", stable, good)); got != 40125 {
		t.Errorf("old secret: %d", got)
	}
	if got := wcProbe(w, token); got != 40001 {
		t.Errorf("token of the old secret: %d", got)
	}
}

func TestWeChatStableToken(t *testing.T) {
	w, _, api := wcNewPair(t, nil)
	get := func(force bool) (string, int) {
		out := wcCall(t, api, "POST", "/cgi-bin/stable_token", fmt.Sprintf(
			`{"grant_type":"client_credential","appid":%q,"secret":%q,"force_refresh":%v}`, wcTestAppID, wcTestSecret, force))
		if wcCode(out) != 0 {
			return "", wcCode(out)
		}
		if _, has := out["errcode"]; has {
			t.Error("success carries an errcode")
		}
		left, _ := out["expires_in"].(float64)
		return out["access_token"].(string), int(left)
	}
	first, left := get(false)
	if left < 7199 || left > 7200 {
		t.Errorf("expires_in %d", left)
	}
	w.Advance(6000 * time.Second)
	if again, left := get(false); again != first || left < 1199 || left > 1200 {
		t.Errorf("not the same token, or expires_in %d", left)
	}
	w.Advance(901 * time.Second) // 299 s are left
	second, _ := get(false)
	if second == first || wcProbe(w, first) != 0 || wcProbe(w, second) != 0 {
		t.Error("in the last five minutes: not a new token with both working")
	}
	w.Advance(300 * time.Second)
	if got := wcProbe(w, first); got != 42001 {
		t.Errorf("old token after its time: %d", got)
	}
	third, _ := get(true)
	if third == second || wcProbe(w, second) != 40001 || wcProbe(w, third) != 0 {
		t.Error("force_refresh does not end the old token at once")
	}
	if again, _ := get(true); again != third {
		t.Error("a second force_refresh within 30 s refreshed")
	}
	for range wcForceDaily - 1 {
		w.tokens.mu.Lock()
		w.tokens.forced = time.Time{}
		w.tokens.mu.Unlock()
		get(true)
	}
	w.Advance(31 * time.Second)
	if _, c := get(true); c != 45009 {
		t.Errorf("21st force_refresh of the day: %d", c)
	}
	w.ExpireTokens()
	if fresh, _ := get(false); fresh == third || wcProbe(w, third) != 40001 {
		t.Error("after ExpireTokens")
	}
}

func TestWeChatRollingToken(t *testing.T) {
	w, _, api := wcNewPair(t, nil)
	get := func() string {
		out := wcCall(t, api, "GET", "/cgi-bin/token?grant_type=client_credential&appid="+wcTestAppID+"&secret="+wcTestSecret, "")
		return out["access_token"].(string)
	}
	stable := wcTokenOf(t, api)
	first, second := get(), get()
	if first == second || wcProbe(w, first) != 0 || wcProbe(w, second) != 0 {
		t.Error("old and new token do not work side by side")
	}
	w.Advance(5*time.Minute + time.Second)
	if wcProbe(w, first) != 40001 || wcProbe(w, second) != 0 || wcProbe(w, stable) != 0 {
		t.Error("after five minutes: the old token is over, the others are not")
	}
	w.Advance(2 * time.Hour)
	if got := wcProbe(w, second); got != 42001 {
		t.Errorf("after two hours: %d", got)
	}
}

func TestWeChatTokenCheck(t *testing.T) {
	w, _, api := wcNewPair(t, nil)
	token := wcTokenOf(t, api)
	probe := func(query string) int { return wcCode(wcCall(t, api, "GET", "/cgi-bin/getcallbackip"+query, "")) }
	for query, want := range map[string]int{
		"?access_token=" + token: 0, "": 41001, "?access_token=x": 40014, "?access_token=" + strings.Repeat("x", 40): 40001,
	} {
		if got := probe(query); got != want {
			t.Errorf("%q: %d, want %d", query, got, want)
		}
	}
	w.ExpireTokens()
	if got := probe("?access_token=" + token); got != 42001 {
		t.Errorf("expired: %d", got)
	}
	token = wcTokenOf(t, api)
	w.RevokeTokens()
	if got := probe("?access_token=" + token); got != 40001 {
		t.Errorf("revoked: %d", got)
	}
	for range wcTokensKept + 10 {
		w.tokens.roll(w.now())
	}
	if len(w.tokens.all) > wcTokensKept {
		t.Errorf("%d tokens kept", len(w.tokens.all))
	}
}
