package wechat

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCheckCallback(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, answer string
		want         CallbackCheck
		fail         bool
	}{
		{
			"both", `{"dns":[{"ip":"192.0.2.1","real_operator":"UNICOM"},{"ip":""}],"ping":[{"ip":"192.0.2.1","from_operator":"CAP","package_loss":"25%","time":"23.079ms"}]}`,
			CallbackCheck{Configured: true, Addresses: []string{"192.0.2.1"}, Pings: []CallbackPing{{"192.0.2.1", "CAP", 0.25}}},
			false,
		},
		{
			"odd losses", `{"ping":[{"package_loss":"NaN%"},{"package_loss":""},{"package_loss":"-1%"},{"package_loss":"200 %"}]}`,
			CallbackCheck{Configured: true, Pings: []CallbackPing{{}, {}, {}, {Loss: 1}}},
			false,
		},
		{"no URL", `{"errcode":40201,"errmsg":"no callback url"}`, CallbackCheck{}, false},
		{"busy", `{"errcode":-1,"errmsg":"busy"}`, CallbackCheck{}, true},
		{"another shape", `{"dns":"x"}`, CallbackCheck{}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			cl := &cloud{call: func(_ int, r *http.Request) (*http.Response, error) { return answer(tc.answer), nil }}
			got, err := mustClient(t, cl).CheckCallback(t.Context())
			if diff := cmp.Diff(tc.want, got); diff != "" || (err != nil) != tc.fail {
				t.Errorf("%v\n%s", err, diff)
			}
			if b := bodies(cl); len(b) != 1 || b[0] != `{"action":"all","check_operator":"DEFAULT"}` {
				t.Errorf("sent %s", b)
			}
		})
	}
}

func TestQuota(t *testing.T) {
	t.Parallel()
	cl := &cloud{call: func(n int, r *http.Request) (*http.Response, error) {
		if n == 1 {
			return answer(`{"errcode":0,"errmsg":"ok","quota":{"daily_limit":500000,"used":7,"remain":499993}}`), nil
		}
		return answer(`{"errcode":76021,"errmsg":"cgi_path not found"}`), nil
	}}
	c := mustClient(t, cl)
	if q, err := c.Quota(t.Context(), pathSend); err != nil || q != (Quota{500000, 7, 499993}) {
		t.Errorf("%+v, %v", q, err)
	}
	if _, err := c.Quota(t.Context(), "/x"); err == nil {
		t.Error("no error")
	}
	if b := bodies(cl); b[0] != `{"cgi_path":"/cgi-bin/message/custom/send"}` {
		t.Error(b)
	}
}
