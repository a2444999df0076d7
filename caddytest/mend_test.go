package caddytest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-wechat/caddy-wechat/caddytest/simulator"
)

// letter is a dead letter as the admin API shows it.
type letter struct {
	ID                        int64
	AppID                     string `json:"app_id"`
	OpenID, Kind, Ref, Reason string
	At                        time.Time
	Size                      int64
	Body                      []byte
}

func (w *world) letters(query string) []letter {
	w.t.Helper()
	var answer struct{ Dead []letter }
	if status := w.admin(http.MethodGet, "dead?"+query, nil, &answer); status != http.StatusOK {
		w.t.Fatalf("dead letters: %d", status)
	}
	return answer.Dead
}

// act does something by the admin API and returns how many it was done to.
func (w *world) act(path string, body map[string]any) int {
	w.t.Helper()
	var answer struct{ Count *int }
	if status := w.admin(http.MethodPost, path, body, &answer); status != http.StatusOK || answer.Count == nil {
		w.t.Fatalf("%s %v: %d", path, body, status)
	}
	return *answer.Count
}

// waitingUser is a user for whom something waits.
type waitingUser struct {
	OpenID                  string
	Pushes, Replies, Parked int
	Left                    int `json:"allowance_left"`
}

func (w *world) waiting() []waitingUser {
	w.t.Helper()
	var answer struct{ Users []waitingUser }
	w.admin(http.MethodGet, "waiting", nil, &answer)
	return answer.Users
}

// TestDeadLettersReplayed: what a bot does not take is put aside; once it does, an
// operator has it delivered, in order, and over a restart nothing of it is lost.
func TestDeadLettersReplayed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{options: bulk})
	const alice, bob = "oAlice", "oBob"
	w.botpress.Fail(simulator.BotpressFault{Op: "createMessage", Times: -1, Status: http.StatusBadRequest})
	var ids []string
	for i := range 5 {
		p := w.wechat.Text(alice, fmt.Sprintf("%s %d", secretWords, i))
		ids = append(ids, fmt.Sprint(p.MsgID))
		w.push(p)
	}
	w.push(w.wechat.Text(bob, secretWords))
	w.awaitAccount("short of six letters", func(a account) bool { return a.Waiting.Dead == 6 })

	all := w.letters("")
	var refs []string
	of := make(map[string]int64) // the last letter of each
	for _, l := range all {
		if l.AppID != appID || l.Kind != "push" || l.Size == 0 || l.Body != nil || l.Reason == "" || l.At.IsZero() {
			t.Errorf("letter %+v", l)
		}
		of[l.OpenID] = l.ID
		if l.OpenID == alice {
			refs = append(refs, l.Ref)
		}
	}
	if diff := cmp.Diff(ids, refs); diff != "" {
		t.Errorf("letters (-want +got):\n%s", diff)
	}
	if page := w.letters(fmt.Sprintf("app_id=%s&after=%d&limit=2", appID, all[1].ID)); len(page) != 2 || page[0].ID != all[2].ID {
		t.Errorf("second page: %+v", page)
	}

	if n := w.act("dead/drop", map[string]any{"app_id": appID, "ids": []int64{of[bob], 99}}); n != 1 {
		t.Errorf("dropped %d", n)
	}
	// Not mended yet: it dies again, as a new letter.
	if n := w.act("dead/replay", map[string]any{"app_id": appID, "ids": []int64{of[alice]}}); n != 1 {
		t.Errorf("replayed %d", n)
	}
	w.awaitAccount("short of a new letter", func(a account) bool { return a.Waiting.Dead == 5 })

	w.botpress.ClearFaults()
	w.restart()
	if n := w.act("dead/replay", map[string]any{"app_id": appID, "all": true}); n != 5 {
		t.Errorf("replayed %d", n)
	}
	var want []string
	for i := range 5 {
		want = append(want, fmt.Sprintf("echo: %s %d", secretWords, i))
	}
	w.expect(alice, want...)
	a := w.awaitAccount("clear", func(a account) bool { return a.Waiting.Dead == 0 && a.Waiting.Pushes == 0 })
	if a.Health != "ok" {
		t.Errorf("health %s", a.Health)
	}
	if n := len(w.botpress.Turns(conversation(bob))); n != 0 {
		t.Errorf("the bot got %d dropped messages", n)
	}
}

// TestDeadReplyReplayed: a reply that WeChat refuses can be sent once that is mended.
// Its text is shown only where it is asked for.
func TestDeadReplyReplayed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{options: bulk})
	const alice = "oAlice"
	w.wechat.Fail(simulator.WeChatFault{Path: "/cgi-bin/message/custom/send", Times: 1, Code: 45008})
	w.push(w.wechat.Text(alice, secretWords))
	w.awaitAccount("short of a letter", func(a account) bool { return a.Waiting.Dead == 1 && a.Waiting.Replies == 0 })
	dead := w.letters("")[0]
	if dead.Kind != "reply" || !strings.Contains(dead.Reason, "45008") {
		t.Errorf("letter %+v", dead)
	}
	resp, err := http.Get(fmt.Sprintf("http://%s/wechat/dead/%d?app_id=%s", w.caddy.admin, dead.ID, appID))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var shown letter
	if err := json.NewDecoder(resp.Body).Decode(&shown); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(shown.Body), secretWords) || shown.Ref != dead.Ref {
		t.Errorf("shown: %+v", shown)
	}
	if n := w.act("dead/replay", map[string]any{"ids": []int64{dead.ID}}); n != 1 { // the only account there is
		t.Errorf("replayed %d", n)
	}
	w.expect(alice, "echo: "+secretWords)
}

// TestParkedByHand: what is parked can be seen, let go of, and sent.
func TestParkedByHand(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{options: "reply push\nsettle 0\npace 0\nallowance 1 48h\nnotice more MORE"})
	const alice, bob = "oAlice", "oBob"
	for _, openid := range []string{alice, bob} {
		w.push(w.wechat.Text(openid, "long"))
	}
	w.awaitAccount("parked", func(a account) bool { return a.Waiting.Parked == 2 && a.Waiting.Replies == 0 })
	var parked struct {
		Parked []struct {
			OpenID, Kind string
			MessageID    string    `json:"message_id"`
			PartsSent    int       `json:"parts_sent"`
			ExpiresAt    time.Time `json:"expires_at"`
		}
		Next string
	}
	w.admin(http.MethodGet, "parked?limit=1", nil, &parked)
	if len(parked.Parked) != 1 || parked.Parked[0].OpenID != alice || parked.Parked[0].Kind != "text" || parked.Parked[0].PartsSent > 1 || parked.Next == "" ||
		time.Until(parked.Parked[0].ExpiresAt) < 40*time.Hour {
		t.Errorf("first page: %+v", parked)
	}
	first := parked.Parked[0].MessageID
	w.admin(http.MethodGet, "parked?app_id="+appID+"&after="+parked.Next, nil, &parked)
	if len(parked.Parked) == 0 || parked.Parked[0].MessageID == first {
		t.Errorf("second page: %+v", parked)
	}
	users := w.waiting()
	if len(users) != 2 || users[0].OpenID != alice || users[0].Parked == 0 || users[0].Left != 0 {
		t.Fatalf("waiting: %+v", users)
	}

	if n := w.act("parked/drop", map[string]any{"app_id": appID, "openid": bob}); n != users[1].Parked {
		t.Errorf("dropped %d", n)
	}
	// A larger allowance frees nothing by itself: what is parked waits for the user, or
	// for the operator.
	w.options = "reply push\nsettle 0\npace 0\nallowance 9 48h\nnotice more MORE"
	w.reload()
	if n := w.act("parked/deliver", map[string]any{"app_id": appID, "openid": alice}); n != users[0].Parked {
		t.Errorf("delivered %d", n)
	}
	w.awaitAccount("clear", func(a account) bool { return a.Waiting.Parked == 0 && a.Waiting.Replies == 0 })
	seen, err := w.wechat.Wait(within(t, 30*time.Second), alice, 3)
	if err != nil {
		t.Errorf("%v: %v", err, texts(seen))
	}
	if left := w.waiting(); len(left) > 0 {
		t.Errorf("waiting: %+v", left)
	}
}

// TestRelease: a hold ends at once when the operator says that it is mended.
func TestRelease(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{options: bulk})
	const alice = "oAlice"
	release := func(side string) (held, released bool) {
		var answer struct{ Held, Released bool }
		if status := w.admin(http.MethodPost, "release", map[string]any{"app_id": appID, "side": side}, &answer); status != http.StatusOK {
			t.Fatalf("release: %d", status)
		}
		return answer.Held, answer.Released
	}
	if held, _ := release("wechat"); held {
		t.Error("held before anything has happened")
	}
	w.wechat.Fail(simulator.WeChatFault{Path: "/cgi-bin/message/custom/send", Code: 45009})
	w.push(w.wechat.Text(alice, secretWords))
	w.awaitAccount("held", func(a account) bool { return a.Health == "held" })
	if held, released := release("wechat"); !held || released {
		t.Errorf("not mended: held %v, released %v", held, released)
	}
	time.Sleep(2 * time.Second) // the pauses between tries grow
	w.wechat.ClearFaults()
	if held, released := release("wechat"); held && !released { // it may have ended by itself just now
		t.Errorf("mended: held %v, released %v", held, released)
	}
	w.expect(alice, "echo: "+secretWords)
}

// TestAdminRefuses: what cannot be meant is refused, with words.
func TestAdminRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	for name, test := range map[string]struct {
		method, path string
		body         any
		status       int
	}{
		"limit":                 {http.MethodGet, "dead?limit=0", nil, http.StatusBadRequest},
		"limit too high":        {http.MethodGet, "waiting?limit=1001", nil, http.StatusBadRequest},
		"after":                 {http.MethodGet, "dead?after=x", nil, http.StatusBadRequest},
		"after, parked":         {http.MethodGet, "parked?after=***", nil, http.StatusBadRequest},
		"another account":       {http.MethodGet, "dead?app_id=wx9", nil, http.StatusNotFound},
		"no such letter":        {http.MethodGet, "dead/7", nil, http.StatusNotFound},
		"no number":             {http.MethodGet, "dead/x", nil, http.StatusBadRequest},
		"get an action":         {http.MethodGet, "parked/drop", nil, http.StatusMethodNotAllowed},
		"nobody":                {http.MethodPost, "parked/drop", map[string]any{"app_id": appID}, http.StatusBadRequest},
		"ids and all":           {http.MethodPost, "dead/drop", map[string]any{"ids": []int{1}, "all": true}, http.StatusBadRequest},
		"neither ids nor all":   {http.MethodPost, "dead/drop", map[string]any{"app_id": appID}, http.StatusBadRequest},
		"misspelt":              {http.MethodPost, "dead/drop", map[string]any{"All": true, "id": 1}, http.StatusBadRequest},
		"no JSON":               {http.MethodPost, "dead/replay", nil, http.StatusBadRequest},
		"no such side":          {http.MethodPost, "release", map[string]any{"side": "journal"}, http.StatusBadRequest},
		"release nobody's side": {http.MethodPost, "release", map[string]any{"app_id": "wx9", "side": "bot"}, http.StatusNotFound},
	} {
		var answer struct{ Error string }
		if got := w.admin(test.method, test.path, test.body, &answer); got != test.status || answer.Error == "" {
			t.Errorf("%s: %d %q, want %d", name, got, answer.Error, test.status)
		}
	}
}
