package caddytest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-wechat/caddy-wechat/caddytest/simulator"
)

// admin makes a request to the admin API and decodes the answer.
func (w *world) admin(method, path string, body, into any) int {
	w.t.Helper()
	var sent io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			w.t.Fatal(err)
		}
		sent = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(within(w.t, 30*time.Second), method, "http://"+w.caddy.admin+"/wechat/"+path, sent)
	if err != nil {
		w.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	w.clean("the answer to "+path, raw)
	if into != nil {
		if err := json.Unmarshal(raw, into); err != nil {
			w.t.Fatalf("%s %s: %v in %s", method, path, err, raw)
		}
	}
	return resp.StatusCode
}

// secretWords is what a user says in the tests of what operators see.
const secretWords = "words of a user that nobody else is to read"

// clean fails the test if something that an operator sees holds a secret, or what a
// user or the bot has said.
func (w *world) clean(what string, shown []byte) {
	w.t.Helper()
	for _, s := range []string{appSecret, aesKey, encryptionKey, webhookSecret, "token=" + token, `"` + token + `"`, secretWords, "echo:"} {
		if bytes.Contains(shown, []byte(s)) {
			w.t.Errorf("%s holds %q:\n%s", what, s, shown)
		}
	}
}

// decision is one of the trace.
type decision struct {
	Seq                              uint64
	Time                             time.Time
	AppID                            string `json:"app_id"`
	OpenID                           string `json:"openid"`
	Stage, Outcome, Push, Kind, Road string
	MessageID                        string `json:"message_id"`
	Attempt, Code                    int
	Reason, Side, Error, Remedy      string
	Took                             float64
	AllowanceLeft                    *int `json:"allowance_left"`
}

func (d decision) String() string { return d.Stage + " " + d.Outcome }

// tracing is a stream of decisions.
type tracing struct {
	t      *testing.T
	cancel context.CancelFunc

	mu   sync.Mutex
	seen []decision
	lost int
	end  bool
}

func (w *world) trace(query string) *tracing {
	w.t.Helper()
	ctx, cancel := context.WithCancel(w.t.Context())
	w.t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+w.caddy.admin+"/wechat/trace?"+query, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "text/event-stream" {
		w.t.Fatalf("the trace answers %s, %s", resp.Status, resp.Header.Get("Content-Type"))
	}
	tr := &tracing{t: w.t, cancel: cancel}
	go tr.read(w, resp.Body)
	return tr
}

func (tr *tracing) read(w *world, body io.ReadCloser) {
	defer body.Close()
	lines := bufio.NewScanner(body)
	event := ""
	for lines.Scan() {
		line := lines.Text()
		w.clean("the trace", []byte(line))
		name, value, _ := strings.Cut(line, ": ")
		tr.mu.Lock()
		switch {
		case name == "event":
			event = value
		case name == "data" && event == "lost":
			tr.lost++
		case name == "data":
			var d decision
			if err := json.Unmarshal([]byte(value), &d); err != nil {
				tr.t.Errorf("decision %s: %v", value, err)
			}
			tr.seen = append(tr.seen, d)
		}
		tr.mu.Unlock()
	}
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.end = true
}

// await waits for a decision and returns all of them so far.
func (tr *tracing) await(want string) []decision {
	tr.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		seen := tr.sofar()
		for _, d := range seen {
			if d.String() == want {
				return seen
			}
		}
		if time.Now().After(deadline) {
			tr.t.Fatalf("no %q in the trace: %v", want, seen)
		}
	}
}

func (tr *tracing) sofar() []decision {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return append([]decision(nil), tr.seen...)
}

func (tr *tracing) ended() bool {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return tr.end
}

// account is what the admin API tells of an account.
type account struct {
	AppID              string `json:"app_id"`
	Bot, Reply, Health string
	Journal            struct {
		OK         bool
		Error, Dir string
		Size       int64
	}
	LastPush  *time.Time `json:"last_push"`
	LastReply *time.Time `json:"last_reply"`
	MayPush   *bool      `json:"may_push"`
	Windows   int
	Lanes     struct{ In, Out int }
	Holds     []struct{ Side, Error, Remedy string }
	Waiting   *struct {
		Pushes, Replies, Parked, Dead int64
		OldestPush                    *time.Time `json:"oldest_push"`
	}
}

func (w *world) account() account {
	w.t.Helper()
	var all struct{ Accounts []account }
	if status := w.admin(http.MethodGet, "accounts", nil, &all); status != http.StatusOK || len(all.Accounts) != 1 {
		w.t.Fatalf("accounts: %d %+v", status, all)
	}
	return all.Accounts[0]
}

// awaitAccount waits until an account is as wanted.
func (w *world) awaitAccount(what string, ok func(account) bool) account {
	w.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		a := w.account()
		if ok(a) {
			return a
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("account is never %s: %+v", what, a)
		}
	}
}

// TestTrace: what becomes of a message can be followed while it happens, and again
// afterwards, over a reload; a reader does not keep Caddy from reloading or ending.
func TestTrace(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{options: "settle 0"})
	const alice = "oAlice"
	live := w.trace("app_id=" + appID + "&openid=" + alice)
	others := w.trace("openid=oNobody")

	w.push(w.wechat.Text(alice, secretWords))
	w.expect(alice, "echo: "+secretWords)
	live.await("send ok")
	seen := live.await("bot delivered") // the bot may have answered before that
	var names []string
	for i, d := range seen {
		names = append(names, d.String())
		if d.AppID != appID || d.OpenID != alice || d.Time.IsZero() || i > 0 && d.Seq <= seen[i-1].Seq {
			t.Errorf("decision %+v", d)
		}
	}
	for _, want := range []string{"append ok", "push taken", "window opened", "bot delivered", "reply received", "plan passive", "window answered"} {
		if !strings.Contains(strings.Join(names, ","), want) {
			t.Errorf("no %q among %v", want, names)
		}
	}
	if seen := others.sofar(); len(seen) > 0 {
		t.Errorf("somebody else's trace shows %v", seen)
	}

	// Not WeChat: a refusal tells no more than that.
	resp, err := http.Get("http://" + w.site + "/wechat?signature=00&timestamp=1&nonce=2&echostr=3")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	all := w.trace("since=0")
	all.await("push refused")

	w.reload()
	for deadline := time.Now().Add(20 * time.Second); !live.ended(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("a reload does not end the trace")
		}
	}
	last := seen[len(seen)-1].Seq
	again := w.trace(fmt.Sprintf("openid=%s&since=%d", alice, last))
	w.push(w.wechat.Text(alice, secretWords))
	if behind := again.await("push taken"); behind[0].Seq <= last {
		t.Errorf("behind %d comes %d", last, behind[0].Seq)
	}
}

// TestAccounts: how an account is doing can be asked.
func TestAccounts(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{options: "reply push\nsettle 0"})
	const alice = "oAlice"
	a := w.account()
	if a.AppID != appID || a.Bot != "botpress" || a.Reply != "push" || a.Health != "ok" || !a.Journal.OK || a.Journal.Size == 0 || a.LastPush != nil || a.MayPush != nil {
		t.Errorf("at the start: %+v", a)
	}
	w.push(w.wechat.Text(alice, secretWords))
	w.expect(alice, "echo: "+secretWords)
	a = w.awaitAccount("done", func(a account) bool { return a.MayPush != nil && a.Waiting.Replies == 0 })
	if !*a.MayPush || a.LastPush == nil || a.LastReply == nil || len(a.Holds) > 0 {
		t.Errorf("after a message: %+v", a)
	}

	// Something only the operator can mend.
	w.wechat.Fail(simulator.WeChatFault{Path: "/cgi-bin/message/custom/send", Code: 40164, Msg: "invalid ip 192.0.2.7, not in whitelist"})
	w.push(w.wechat.Text(alice, secretWords))
	a = w.awaitAccount("held", func(a account) bool { return a.Health == "held" })
	if len(a.Holds) != 1 || a.Holds[0].Side != "wechat" || !strings.Contains(a.Holds[0].Remedy, "192.0.2.7") || a.Waiting.Replies != 1 {
		t.Errorf("held: %+v", a)
	}
	w.wechat.ClearFaults()
	w.awaitAccount("well again", func(a account) bool { return a.Health == "ok" && a.Waiting.Replies == 0 })

	for name, test := range map[string]struct {
		method, path string
		status       int
	}{
		"one":           {http.MethodGet, "accounts/" + appID, http.StatusOK},
		"another":       {http.MethodGet, "accounts/wx99", http.StatusNotFound},
		"no such":       {http.MethodGet, "nothing", http.StatusNotFound},
		"deeper":        {http.MethodGet, "accounts/" + appID + "/x", http.StatusNotFound},
		"wrong method":  {http.MethodPost, "accounts", http.StatusMethodNotAllowed},
		"trace, since":  {http.MethodGet, "trace?since=x", http.StatusBadRequest},
		"trace, method": {http.MethodPost, "trace", http.StatusMethodNotAllowed},
	} {
		if got := w.admin(test.method, test.path, nil, nil); got != test.status {
			t.Errorf("%s: %d, want %d", name, got, test.status)
		}
	}
}
