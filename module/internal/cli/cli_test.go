package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestMain(m *testing.M) {
	time.Local = time.UTC
	m.Run()
}

// running is the admin endpoint of a Caddy that answers by table, and remembers
// what it was asked.
type running struct {
	answers map[string]string // by method and path
	asked   []string
}

func (r *running) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body)
	r.asked = append(r.asked, strings.TrimSpace(req.Method+" "+req.URL.RequestURI()+" "+string(body)))
	answer, ok := r.answers[req.Method+" "+req.URL.Path]
	switch {
	case req.Header.Get("Origin") == "":
		w.WriteHeader(http.StatusForbidden)
	case !ok:
		http.NotFound(w, req)
	case strings.HasPrefix(answer, "!"):
		w.WriteHeader(http.StatusConflict)
		_, _ = io.WriteString(w, answer[1:])
	default:
		_, _ = io.WriteString(w, answer)
	}
}

func start(t *testing.T, answers map[string]string) (*Admin, *running) {
	t.Helper()
	r := &running{answers: answers}
	srv := httptest.NewServer(r)
	t.Cleanup(srv.Close)
	a, err := NewAdmin(strings.TrimPrefix(srv.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	return a, r
}

const (
	wellJSON = `{"app_id":"wx0123456789abcdef","bot":"botpress","reply":"auto","health":"ok",` +
		`"journal":{"ok":true,"dir":"/var/lib/caddy/wechat","size":5242880},"last_push":"2026-03-01T11:59:59.5Z",` +
		`"last_reply":"2026-03-01T11:58:30Z","may_push":true,"windows":1,"lanes":{"in":2,"out":0},"holds":[],` +
		`"waiting":{"pushes":0,"replies":1,"oldest_reply":"2026-03-01T11:00:00Z","parked":0,"dead":0}}`
	illJSON = `{"app_id":"wxfedcba9876543210","bot":"botpress","reply":"push","health":"held",` +
		`"journal":{"ok":false,"error":"no space left on device","dir":"/x","size":0},"may_push":null,"lanes":{},` +
		`"holds":[{"side":"wechat","since":"2026-03-01T10:00:00Z","error":"calling /cgi-bin/stable_token: WeChat error 40164: \u001b[2J","remedy":"Add 192.0.2.7 to the allowlist."}],` +
		`"waiting":{"pushes":3,"oldest_push":"2026-02-27T11:00:00Z","replies":0,"parked":2,"dead":1}}`
	deadJSON = `{"dead":[{"id":7,"app_id":"wx0","openid":"oAlice","kind":"push","ref":"1","reason":"the bot refused 消息","at":"2026-03-01T11:00:00Z","size":271},` +
		`{"id":8,"app_id":"wx0","openid":"","kind":"body","ref":"","reason":"not XML","at":"2026-03-01T11:30:00Z","size":3}]}`
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func TestGolden(t *testing.T) {
	answers := map[string]string{
		"GET /wechat/accounts":                    `{"accounts":[` + wellJSON + `,` + illJSON + `]}`,
		"GET /wechat/accounts/wx0123456789abcdef": wellJSON,
		"GET /wechat/dead":                        deadJSON,
		"GET /wechat/dead/7":                      `{"id":7,"app_id":"wx0","openid":"oAlice","kind":"push","ref":"1","reason":"r","at":"2026-03-01T11:00:00Z","body":"PHhtbD7lpb08L3htbD4KG1szMW0="}`,
		"GET /wechat/dead/8":                      `{"id":8,"app_id":"wx0","kind":"body","at":"2026-03-01T11:00:00Z","body":"/wA="}`,
		"POST /wechat/dead/replay":                `{"count":2}`,
		"POST /wechat/dead/drop":                  `{"count":0}`,
		"GET /wechat/parked":                      `{"parked":[{"openid":"oAlice","id":3,"kind":"text","parts_sent":1,"created_at":"2026-02-28T12:30:00Z","expires_at":"2026-03-02T12:30:00Z"},{"openid":"oBob","id":4,"kind":"image","parts_sent":0,"created_at":"2026-02-27T13:00:00Z","expires_at":"2026-03-01T13:00:00Z"},{"openid":"oEve","id":5,"kind":"image","created_at":"2026-02-27T11:00:00Z","expires_at":"2026-03-01T11:00:00Z"}]}`,
		"POST /wechat/parked/deliver":             `{"count":1}`,
		"POST /wechat/parked/drop":                `{"count":3}`,
		"POST /wechat/send":                       `{"outcome":"sent"}`,
		"GET /wechat/menu":                        `{"menu":{"button":[{"type":"view","name":"官网","url":"https://example.com/?a=1&b=2"}]}}`,
		"POST /wechat/menu":                       `{"menu":{"button":[]}}`,
		"DELETE /wechat/menu":                     `{"menu":null}`,
		"POST /wechat/qrcode":                     `{"ticket":"gQ","url":"http://weixin.qq.com/q/x","image":"https://mp.weixin.qq.com/cgi-bin/showqrcode?ticket=gQ","seconds":604800}`,
		"GET /wechat/trace": "id: 1\nevent: decision\ndata: {\"time\":\"2026-03-01T12:00:00.123456Z\",\"openid\":\"oAlice\",\"stage\":\"push\",\"outcome\":\"taken\",\"push\":\"24\",\"kind\":\"text\"}\n\n" +
			": still here\n\nid: 2\nevent: decision\ndata: {\"time\":\"2026-03-01T12:00:01Z\",\"openid\":\"oAlice\",\"stage\":\"send\",\"outcome\":\"refused\",\"code\":45047,\ndata: \"took\":0.0123,\"allowance_left\":0,\"attempt\":2,\"reason\":\"no more\",\"error\":\"x\",\"road\":\"parked\",\"side\":\"wechat\",\"message_id\":\"m1\"}\n\n" +
			"event: lost\ndata: {\"count\":12}\n\n",
	}
	all := Options{Now: func() time.Time { return noon }}
	one, user, page := all, all, all
	one.Account, user.User, page.After, page.Limit = "wx0123456789abcdef", "oAlice", 6, 2
	user.Account = "wx0"
	for _, tc := range []struct {
		name string
		run  func(ctx context.Context, a *Admin, out *Out) error
	}{
		{"status", func(ctx context.Context, a *Admin, out *Out) error { return told(out)(Status(ctx, a, out, all)) }},
		{"status-one", func(ctx context.Context, a *Admin, out *Out) error { return told(out)(Status(ctx, a, out, one)) }},
		{"tail", func(ctx context.Context, a *Admin, out *Out) error { return Tail(ctx, a, out, user, true) }},
		{"dead-list", func(ctx context.Context, a *Admin, out *Out) error { return DeadList(ctx, a, out, page) }},
		{"dead-show", func(ctx context.Context, a *Admin, out *Out) error { return DeadShow(ctx, a, out, all, 7) }},
		{"dead-show-bytes", func(ctx context.Context, a *Admin, out *Out) error { return DeadShow(ctx, a, out, one, 8) }},
		{"dead-replay", func(ctx context.Context, a *Admin, out *Out) error {
			return DeadDo(ctx, a, out, all, Replay, []int64{7, 8}, false)
		}},
		{"dead-drop", func(ctx context.Context, a *Admin, out *Out) error { return DeadDo(ctx, a, out, one, Drop, nil, true) }},
		{"parked", func(ctx context.Context, a *Admin, out *Out) error { return Parked(ctx, a, out, user) }},
		{"parked-deliver", func(ctx context.Context, a *Admin, out *Out) error { return ParkedDo(ctx, a, out, user, Deliver) }},
		{"parked-drop", func(ctx context.Context, a *Admin, out *Out) error { return ParkedDo(ctx, a, out, user, Drop) }},
		{"send", func(ctx context.Context, a *Admin, out *Out) error {
			return told(out)(Send(ctx, a, out, user, "你好"))
		}},
		{"menu-get", func(ctx context.Context, a *Admin, out *Out) error {
			return Menu(ctx, a, out, all, http.MethodGet, nil)
		}},
		{"menu-set", func(ctx context.Context, a *Admin, out *Out) error {
			return Menu(ctx, a, out, user, http.MethodPost, json.RawMessage(`{"button":[]}`))
		}},
		{"menu-delete", func(ctx context.Context, a *Admin, out *Out) error {
			return Menu(ctx, a, out, all, http.MethodDelete, nil)
		}},
		{"qrcode", func(ctx context.Context, a *Admin, out *Out) error {
			return QRCode(ctx, a, out, user, "table-1", 168*time.Hour)
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var got strings.Builder
			for _, how := range []struct {
				name        string
				json, color bool
			}{{"words", false, false}, {"colours", false, true}, {"JSON", true, false}} {
				a, r := start(t, answers)
				var b bytes.Buffer
				err := tc.run(t.Context(), a, &Out{W: &b, JSON: how.json, Color: how.color})
				if err != nil && !errors.Is(err, io.EOF) {
					t.Fatal(err)
				}
				if how.color && b.Len() > 0 && strings.Contains(strings.ReplaceAll(b.String(), "\x1b[", ""), "\x1b") {
					t.Error("an escape sequence of somebody else")
				}
				fmt.Fprintf(&got, "== %s: %s\n%s", how.name, strings.Join(r.asked, "; "), strings.ReplaceAll(b.String(), "\x1b", "^"))
			}
			golden(t, tc.name, got.String())
		})
	}
}

// told makes what a command found a line of its output.
func told(out *Out) func(bool, error) error {
	return func(well bool, err error) error {
		out.Line(fmt.Sprintf("well: %v", well))
		return err
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s\n%s", file, diff)
	}
}

// Nothing may wait for long without a word on where to look: a hold says it, or the hint.
func TestStuck(t *testing.T) {
	whole := Journal{OK: true}
	held := []Hold{{Side: "bot"}}
	for name, tc := range map[string]struct {
		account Account
		want    bool
	}{
		"nothing waits":       {Account{Journal: whole}, false},
		"a push just came":    {Account{Journal: whole, Waiting: Waiting{Pushes: 1, OldestPush: noon.Add(-time.Second)}}, false},
		"a push waits":        {Account{Journal: whole, Waiting: Waiting{Pushes: 1, OldestPush: noon.Add(-soon)}}, true},
		"a reply waits":       {Account{Journal: whole, Waiting: Waiting{Replies: 2, OldestReply: noon.Add(-soon)}}, true},
		"only parked replies": {Account{Journal: whole, Waiting: Waiting{Parked: 2}}, false},
		"a hold says why":     {Account{Journal: whole, Holds: held, Waiting: Waiting{Pushes: 1, OldestPush: noon.Add(-time.Hour)}}, false},
		"the journal is down": {Account{Waiting: Waiting{Pushes: 1, OldestPush: noon.Add(-time.Hour)}}, false},
	} {
		if got := tc.account.stuck(noon); got != tc.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestOutcomes(t *testing.T) {
	for outcome, want := range map[string]string{
		"sent": "Sent.", "parked": "until the user acts", "dead": "does not take it", "waiting": "tried again. Why: caddy wechat doctor", "": "Not sent yet",
	} {
		a, _ := start(t, map[string]string{"POST /wechat/send": `{"outcome":"` + outcome + `"}`})
		var b bytes.Buffer
		sent, err := Send(t.Context(), a, &Out{W: &b}, Options{User: "o"}, "x")
		if err != nil || sent != (outcome == "sent") || !strings.Contains(b.String(), want) {
			t.Errorf("%q: %v, %v, %q", outcome, sent, err, b.String())
		}
	}
	for name, tc := range map[string]struct {
		answers map[string]string
		run     func(*Admin, *Out) error
		want    string
	}{
		"nothing dead":   {map[string]string{"GET /wechat/dead": `{"dead":[]}`}, func(a *Admin, o *Out) error { return DeadList(t.Context(), a, o, Options{}) }, "No dead letters."},
		"nothing parked": {map[string]string{"GET /wechat/parked": `{"parked":null}`}, func(a *Admin, o *Out) error { return Parked(t.Context(), a, o, Options{}) }, "No parked replies."},
		"no accounts": {map[string]string{"GET /wechat/accounts": `{"accounts":[]}`}, func(a *Admin, o *Out) error {
			_, err := Status(t.Context(), a, o, Options{})
			return err
		}, "No account"},
		"no menu": {map[string]string{"GET /wechat/menu": `{"menu":null}`}, func(a *Admin, o *Out) error { return Menu(t.Context(), a, o, Options{}, http.MethodGet, nil) }, "no menu"},
	} {
		a, _ := start(t, tc.answers)
		var b bytes.Buffer
		if err := tc.run(a, &Out{W: &b}); err != nil || !strings.Contains(b.String(), tc.want) {
			t.Errorf("%s: %v, %q", name, err, b.String())
		}
	}
}

func TestRefusals(t *testing.T) {
	gone := httptest.NewServer(nil)
	gone.Close()
	dead, err := NewAdmin(strings.TrimPrefix(gone.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	if err := dead.Get(t.Context(), "/wechat/accounts", nil, nil); !errors.Is(err, ErrNotRunning) {
		t.Errorf("nobody there: %v", err)
	}
	a, _ := start(t, map[string]string{"POST /said": `!{"error":"The text is empty."}`, "POST /plain": "!oops", "POST /bad": "<html>"})
	for path, want := range map[string]string{"/said": "The text is empty.", "/plain": "409", "/missing": "without this module", "/bad": "reading what Caddy answers"} {
		var into struct{}
		if err := a.Post(t.Context(), path, 1, &into); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", path, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := a.Get(ctx, "/said", nil, nil); !errors.Is(err, context.Canceled) || errors.Is(err, ErrNotRunning) {
		t.Errorf("interrupted: %v", err)
	}
	for _, address := range []string{"localhost:2019-2020", "a/b/c/d:x-y"} {
		if _, err := NewAdmin(address); err == nil {
			t.Errorf("%s is an address", address)
		}
	}
}

// TestSocket: the admin endpoint may be a socket, with its mode behind it.
func TestSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	srv := httptest.NewUnstartedServer(&running{answers: map[string]string{"GET /x": "{}"}})
	ln, err := new(net.ListenConfig).Listen(t.Context(), "unix", path)
	if err != nil {
		t.Skip(err)
	}
	srv.Listener.Close()
	srv.Listener = ln
	srv.Start()
	defer srv.Close()
	a, err := NewAdmin("unix/" + path + "|0200")
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if err := a.Get(t.Context(), "/x", nil, nil); err != nil {
		t.Error(err)
	}
}

func FuzzClean(f *testing.F) {
	f.Add("a\x1b[31mb\n\u202ec")
	f.Fuzz(func(t *testing.T, s string) {
		if got := Clean(s); strings.ContainsAny(got, "\x1b\n\r\u202e\u2066\u0085") {
			t.Errorf("%q", got)
		}
	})
}
