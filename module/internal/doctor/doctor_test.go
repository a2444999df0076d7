package doctor

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/caddy-wechat/caddy-wechat/caddytest/simulator"
	"github.com/caddy-wechat/caddy-wechat/module/internal/cli"
	"github.com/caddy-wechat/caddy-wechat/module/wechat"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// caddy is a running Caddy's admin endpoint.
func caddy(t *testing.T, answers map[string]string) *cli.Admin {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer, ok := answers[r.URL.Path]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			answer = `{"error":"not configured"}`
		}
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(srv.Close)
	a, err := cli.NewAdmin(strings.TrimPrefix(srv.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	return a
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func broken(err error) *http.Client {
	return &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) { return nil, err })}
}

const (
	appID   = "wx0123456789abcdef"
	account = "/wechat/accounts/" + appID
	well    = `{"app_id":"` + appID + `","health":"ok","journal":{"ok":true},"waiting":{}}`
	taken   = `{"callbacks":{"taken":3,"last_taken":"MINUTE"},"webhooks":{}}`
)

// TestStanding: what only the running Caddy knows, and what no test has a site for.
func TestStanding(t *testing.T) {
	cloud := simulator.NewWeChat(simulator.WeChatConfig{AppID: appID, AppSecret: "secret", CallbackURL: "https://bot.example.com/wechat"})
	t.Cleanup(cloud.Close)
	api := httptest.NewServer(cloud)
	t.Cleanup(api.Close)
	dns := &net.DNSError{Err: "no such host", Name: "bot.example.com", IsNotFound: true}
	for name, tc := range map[string]struct {
		account, check, evidence string
		outside                  *http.Client
		want                     []string // that are neither ok nor notes
		note                     string
	}{
		"all is well":           {account: well},
		"a hold":                {account: `{"journal":{"ok":true},"holds":[{"side":"bot","error":"402","remedy":"Pay."}],"waiting":{}}`, want: []string{"standing.held"}},
		"a backlog of pushes":   {account: `{"journal":{"ok":true},"waiting":{"pushes":7,"oldest_push":"HOUR"}}`, want: []string{"standing.backlog"}},
		"a backlog of replies":  {account: `{"journal":{"ok":true},"waiting":{"pushes":1,"oldest_push":"MINUTE","replies":1,"oldest_reply":"LONG"}}`, want: []string{"standing.backlog"}},
		"a short queue":         {account: `{"journal":{"ok":true},"waiting":{"pushes":7,"oldest_push":"MINUTE"}}`},
		"dead letters":          {account: `{"journal":{"ok":true},"waiting":{"dead":2}}`, note: "standing.dead"},
		"a journal that fails":  {account: `{"journal":{"ok":false,"error":"disk full"},"waiting":{}}`, want: []string{"journal.failing"}},
		"another configuration": {want: []string{"caddy.without_account"}},
		"an odd answer":         {account: `[]`, want: []string{"caddy.odd"}},
		"the name is unknown":   {account: well, outside: broken(dns), want: []string{"public.dns"}},
		"nothing in time":       {account: well, outside: broken(context.DeadlineExceeded), want: []string{"public.timeout"}},
		"another failure":       {account: well, outside: broken(errors.New("no route to host")), want: []string{"public.unreachable"}},
		"no check":              {account: well, check: "[]", note: "crypto.unknown"},
		"no evidence":           {account: well, evidence: "[]", note: "pushes.unknown"},
		"nothing has come":      {account: well, evidence: `{}`, note: "pushes.none"},
	} {
		t.Run(name, func(t *testing.T) {
			answers := map[string]string{"/wechat/check": `{"taken":true}`, "/wechat/evidence": taken}
			for path, answer := range map[string]string{account: tc.account, "/wechat/check": tc.check, "/wechat/evidence": tc.evidence} {
				if answer != "" {
					answers[path] = answer
				}
			}
			ago := func(d time.Duration) string { return time.Now().Add(-d).Format(time.RFC3339Nano) }
			for path, answer := range answers {
				answers[path] = strings.NewReplacer("MINUTE", ago(time.Minute), "HOUR", ago(time.Hour), "LONG", ago(2*time.Hour)).Replace(answer)
			}
			if tc.outside == nil {
				tc.outside = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
					return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(r.URL.Query().Get("echostr"))), Request: r}, nil
				})}
			}
			p := Patient{
				Accounts: []Account{{
					AppID: appID, AppSecret: "secret", URL: "https://bot.example.com/wechat", API: api.URL,
					Callback: &wechat.Callback{Tokens: []string{"testtoken"}, Encryption: wechat.Plain},
				}},
				JournalDir: t.TempDir(), Admin: caddy(t, answers), Outside: tc.outside,
			}
			var got, notes []string
			Examine(t.Context(), p, func(f Finding) {
				switch {
				case f.Level() == Note:
					notes = append(notes, string(f.ID))
				case f.Level() != OK:
					got = append(got, string(f.ID))
				}
				if f.Text(Chinese) == "" || holes.MatchString(f.Text(English)+f.Fix(English)) {
					t.Errorf("%s lacks words or arguments: %s", f.ID, f.Text(English))
				}
			})
			if !slices.Equal(got, tc.want) || tc.note != "" && !slices.Contains(notes, tc.note) {
				t.Errorf("found %q, notes %q; want %q, %q", got, notes, tc.want, tc.note)
			}
		})
	}
}

// TestOutside: the public address is called as by a stranger, and what was found says
// from where.
func TestOutside(t *testing.T) {
	answer := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.URL.Query().Get("echostr")) })
	plain, secured := httptest.NewServer(answer), httptest.NewUnstartedServer(answer)
	secured.Config.ErrorLog = log.New(io.Discard, "", 0)
	secured.StartTLS()
	proxied := false
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		proxied = true
		answer(w, r)
	}))
	for _, srv := range []*httptest.Server{plain, secured, proxy} {
		t.Cleanup(srv.Close)
	}
	towards, err := url.Parse(proxy.URL)
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		at   string
		want ID
		says map[Lang]string
	}{
		"by its name":           {at: "http://bot.localhost:80", want: "public.ok", says: map[Lang]string{English: "this machine", Chinese: "本机"}},
		"a certificate of none": {at: secured.URL, want: "public.certificate"},
		"no proxy":              {at: plain.URL, want: "public.port"}, // a test's port is odd
	} {
		t.Run(name, func(t *testing.T) {
			var got []Finding
			p := Patient{tell: func(f Finding) { got = append(got, f) }, now: time.Now}
			if strings.HasSuffix(tc.at, ":80") { // which a test cannot have
				dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
					return new(net.Dialer).DialContext(ctx, network, plain.Listener.Addr().String())
				}
				p.Outside = &http.Client{Transport: &http.Transport{DialContext: dial}}
			}
			x := &examination{Patient: &p, running: true, same: true, Account: &Account{
				AppID: appID, URL: tc.at, Proxy: towards,
				Callback: &wechat.Callback{Tokens: []string{"testtoken"}, Encryption: wechat.Plain},
			}}
			x.public(t.Context())
			if len(got) != 1 || got[0].ID != tc.want {
				t.Fatalf("found %+v, want %s", got, tc.want)
			}
			for l, said := range tc.says {
				if !strings.Contains(got[0].Text(l), said) {
					t.Errorf("%q does not say %q", got[0].Text(l), said)
				}
			}
		})
	}
	own, ok := (&examination{Patient: new(Patient), Account: &Account{Proxy: towards}}).outside().Transport.(*http.Transport)
	if proxied || !ok || own.Proxy != nil {
		t.Error("it goes through a proxy")
	}
	if own.TLSClientConfig != nil || own.DialContext != nil || own.DialTLSContext != nil {
		t.Error("it does not go by the system's names and authorities")
	}
}

func TestPrint(t *testing.T) {
	var b bytes.Buffer
	f := Finding{AppID: appID, ID: "token.secret", Args: []any{40125}}
	Print(&cli.Out{W: &b}, English, f, false)
	Print(&cli.Out{W: &b, Color: true}, Chinese, f, true)
	Print(&cli.Out{W: &b}, English, Finding{ID: "clock.ok"}, true)
	want := "✗ access token: WeChat says that the AppSecret is wrong (error 40125) → Set app_secret to the one in force; if nobody has it, reset it (" + platformEN + ").\n" +
		"\x1b[31m✗\x1b[0m " + appID + " \x1b[1maccess_token\x1b[0m：微信提示 AppSecret 错误（错误 40125） → 请把 app_secret 设为当前有效的值；如已遗失，请重置（" + platformZH + "）。\n" +
		"✓ clock: it agrees with WeChat's\n"
	if b.String() != want {
		t.Errorf("printed\n%s\nwant\n%s", b.String(), want)
	}
	raw, err := json.Marshal(f.Document(English))
	if err != nil || !strings.HasPrefix(string(raw), `{"app_id":"`+appID+`","check":"token","id":"token.secret","level":"fail"`) {
		t.Errorf("%s, %v", raw, err)
	}
}

func TestPlace(t *testing.T) {
	dir := t.TempDir()
	if got := existing(filepath.Join(dir, "a", "b")); got != dir {
		t.Error(got)
	}
	if err := writable(dir); err != nil {
		t.Error(err)
	}
	if all, _ := os.ReadDir(dir); len(all) > 0 {
		t.Errorf("left behind: %v", all)
	}
	if err := writable(filepath.Join(dir, "a")); err == nil {
		t.Error("it is written where there is nothing")
	}
	if n, ok := freeBytes(dir); ok && n <= 0 {
		t.Error(n)
	}
}
