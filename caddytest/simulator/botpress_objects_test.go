package simulator

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestBotpressForeignIDs(t *testing.T) {
	rig := bpStart(t, BotpressConfig{})
	for _, tc := range []struct {
		name, id string
		message  string
	}{
		{"openid", "wx-wx0123456789abcdef-oABC_def-0123456789abcdefghij", ""},
		{"slash", "a/b", ""},
		{"backslash", `a\b`, ""},
		{"70 characters", strings.Repeat("x", 70), ""},
		{"71 characters", strings.Repeat("x", 71), "Fid length exceeds the maximum allowed length of 70"},
		{"dot", "a.b", "Fid contains invalid characters"},
		{"colon", "a:b", "Fid contains invalid characters"},
		{"at", "a@b", "Fid contains invalid characters"},
		{"space", "a b", "Fid contains invalid characters"},
		{"not ASCII", "微信", "Fid contains invalid characters"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			check := func(what string, a bpAnswer) {
				t.Helper()
				if tc.message == "" && a.status != 200 {
					t.Errorf("%s: %d %s", what, a.status, a.body)
				}
				if tc.message != "" && (a.status != 400 || a.text("type") != "InvalidPayload" || a.text("message") != tc.message) {
					t.Errorf("%s: %d %s", what, a.status, a.body)
				}
			}
			check("user", rig.do("POST", "/users/get-or-create", bpKeyFor(tc.id), `{}`))
			rig.ok("POST", "/users/get-or-create", "anna", `{}`)
			check("conversation", rig.do("POST", "/conversations/get-or-create", "anna", string(bpJSON(map[string]string{"id": tc.id}))))
		})
	}
	t.Run("slash is unreachable by path", func(t *testing.T) {
		for _, path := range []string{"/conversations/a/b/messages", "/conversations/a%2Fb/messages"} {
			if a := rig.do("GET", path, "anna", ""); a.status == 200 {
				t.Errorf("%s: %s", path, a.body)
			}
		}
	})
}

func TestBotpressIDsResolve(t *testing.T) {
	rig := bpStart(t, BotpressConfig{})
	rig.join("same") // one string for a user and a conversation: separate name spaces
	a := rig.send("same", "silent")
	for path, want := range map[string]string{"message.userId": "same", "message.conversationId": "same"} {
		if got := a.text(path); got != want {
			t.Errorf("%s %q", path, got)
		}
	}
	ulid := regexp.MustCompile(`^msg_[0-9A-HJKMNP-TV-Z]{26}$`)
	if !ulid.MatchString(a.text("message.id")) {
		t.Errorf("message id %q", a.text("message.id"))
	}
	if _, err := time.Parse("2006-01-02T15:04:05.000Z", a.text("message.createdAt")); err != nil {
		t.Error(err)
	}
	user, _ := rig.User("same")
	if got := rig.ok("GET", "/users/me", bpKeyFor(user.InternalID), "").text("user.id"); got != "same" {
		t.Errorf("internal user id resolves to %q", got)
	}
	rig.mu.Lock()
	internal := rig.store.convFids["same"].id
	rig.mu.Unlock()
	if got := rig.ok("GET", "/conversations/"+internal, "same", "").text("conversation.id"); got != "same" {
		t.Errorf("internal conversation id resolves to %q", got)
	}
	before := len(rig.Conversations())
	rig.ok("POST", "/conversations/get-or-create", "same", `{"id":"`+internal+`"}`)
	if got := len(rig.Conversations()); got != before+1 {
		t.Errorf("get-or-create of an internal id: %d conversations, had %d", got, before)
	}
	rig.ok("POST", "/users/get-or-create", bpKeyFor(user.InternalID), `{"name":"S"}`)
	if got, _ := rig.User("same"); got.Name != "S" {
		t.Errorf("get-or-create of an internal user id made another user: %+v", got)
	}
}

func TestBotpressULIDs(t *testing.T) {
	var u bpULIDs
	now := time.UnixMilli(1_700_000_000_000)
	u.next("", now)
	u.lo = 1<<64 - 3 // so that it carries
	last := ""
	for i := range 10 {
		id := u.next("x_", now.Add(time.Duration(i/5)*time.Millisecond))
		if len(id) != 28 || id <= last {
			t.Fatalf("%q after %q", id, last)
		}
		last = id
	}
}

func TestBotpressUserFields(t *testing.T) {
	rig := bpStart(t, BotpressConfig{})
	rig.ok("POST", "/users/get-or-create", "anna", `{"name":"Anna","profile":"{\"a\":1}"}`)
	a := rig.ok("POST", "/users/get-or-create", "anna", `{"pictureUrl":"http://p"}`)
	if a.text("user.name") != "Anna" || a.text("user.pictureUrl") != "http://p" {
		t.Errorf("omitted fields must stay: %s", a.body)
	}
	if u, _ := rig.User("anna"); u.Profile != `{"a":1}` {
		t.Errorf("profile %q", u.Profile)
	}
	if a = rig.ok("POST", "/users/get-or-create", "bert", `{}`); strings.Contains(a.body, "name") {
		t.Errorf("absent fields are shown: %s", a.body)
	}
	rig.join("anna")
	rig.ok("DELETE", "/users/me", "anna", "")
	for _, tc := range []struct {
		method, path, body string
		status             int
	}{
		{"GET", "/users/me", "", 404},
		{"POST", "/messages", bpTextBody("anna", "x"), 403},
		{"POST", "/conversations/get-or-create", `{"id":"new"}`, 404},
	} {
		if a := rig.do(tc.method, tc.path, "anna", tc.body); a.status != tc.status {
			t.Errorf("deleted user, %s %s: %d %s", tc.method, tc.path, a.status, a.body)
		}
	}
	old, _ := rig.User("bert")
	rig.ok("DELETE", "/users/me", "bert", "")
	rig.ok("POST", "/users/get-or-create", "bert", `{}`)
	if now, _ := rig.User("bert"); now.InternalID == old.InternalID {
		t.Error("a freed id came back as the same user")
	}
}

func TestBotpressQuirkyReads(t *testing.T) {
	rig := bpStart(t, BotpressConfig{})
	rig.join("anna")
	rig.send("anna", "hello")
	rig.idle()
	bot := rig.Messages("anna")[1]
	if !bot.Bot || !strings.HasPrefix(bot.User, "user_") {
		t.Fatalf("second message %+v", bot)
	}
	if got := rig.ok("GET", "/messages/"+bot.ID, "anna", "").text("message.userId"); got != "anna" {
		t.Errorf("getMessage names %q", got)
	}
	list := rig.ok("GET", "/conversations/anna/messages", "anna", "")
	newest := list.at("messages").([]any)[0].(map[string]any)
	if newest["userId"] != bot.User || newest["id"] != bot.ID {
		t.Errorf("listMessages: %v", newest)
	}
	if _, there := newest["isBot"]; there {
		t.Error("listMessages shows isBot")
	}
	once := rig.ok("POST", "/conversations", "anna", `{}`).text("conversation.id")
	if rig.ok("POST", "/conversations", "anna", `{}`).text("conversation.id") == once {
		t.Error("createConversation without id is idempotent")
	}
}

func TestBotpressMetadata(t *testing.T) {
	rig := bpStart(t, BotpressConfig{})
	rig.join("anna")
	a := rig.ok("POST", "/messages", "anna",
		`{"conversationId":"anna","payload":{"type":"text","text":"silent","metadata":{"no":1}},"metadata":{"wechatMsgId":"23","<":"&"}}`)
	if !strings.Contains(a.body, `"metadata":{"wechatMsgId":"23","<":"&"}`) || strings.Contains(a.body, `"no"`) {
		t.Errorf("answer: %s", a.body)
	}
	a = rig.ok("GET", "/conversations/anna/messages", "anna", "")
	if !strings.Contains(a.body, `"payload":{"text":"silent","type":"text"},"metadata":{"wechatMsgId":"23","<":"&"}`) {
		t.Errorf("listing: %s", a.body)
	}
	turn := rig.Turns("anna")[0]
	if diff := cmp.Diff(map[string]any{"wechatMsgId": "23", "<": "&"}, turn.Metadata); diff != "" || turn.Event {
		t.Errorf("turn: %s", diff)
	}
}

func TestBotpressPaging(t *testing.T) {
	rig := bpStart(t, BotpressConfig{PageSize: 3})
	rig.join("anna")
	for i := range 7 {
		rig.send("anna", "silent")
		if i == 0 {
			rig.Say("anna", "old", SayAt(time.Now().Add(-time.Hour)))
		}
	}
	var got, times []string
	query := ""
	for page := 0; ; page++ {
		a := rig.ok("GET", "/conversations/anna/messages"+query, "anna", "")
		for _, m := range a.at("messages").([]any) {
			m := m.(map[string]any)
			got = append(got, m["id"].(string))
			times = append(times, m["createdAt"].(string))
		}
		if page == 0 {
			rig.send("anna", "silent") // neither shifts nor repeats anything
		}
		token := a.text("meta.nextToken")
		if token == "" {
			if page != 2 {
				t.Errorf("%d pages", page+1)
			}
			break
		}
		if rig.do("GET", "/conversations/anna/messages?nextToken="+token, "anna", "").status == 200 {
			t.Error("an unescaped token was understood")
		}
		query = "?nextToken=" + strings.ReplaceAll(strings.ReplaceAll(token, "+", "%2B"), "=", "%3D")
	}
	if !slices.IsSortedFunc(times, func(a, b string) int { return strings.Compare(b, a) }) || len(slices.Compact(slices.Clone(times))) != 8 {
		t.Errorf("times %v", times)
	}
	if rig.Messages("anna")[1].ID != got[len(got)-1] {
		t.Error("the message with the oldest createdAt is not the last")
	}

	for i := range 4 {
		rig.ok("POST", "/conversations", "anna", fmt.Sprintf(`{"id":"c%d"}`, i))
	}
	a := rig.ok("GET", "/conversations", "anna", "")
	first := a.at("conversations").([]any)
	a = rig.ok("GET", "/conversations?nextToken="+strings.ReplaceAll(a.text("meta.nextToken"), "+", "%2B"), "anna", "")
	second := a.at("conversations").([]any)
	ids := make([]string, 0, 5)
	for _, c := range append(first, second...) {
		ids = append(ids, c.(map[string]any)["id"].(string))
	}
	if diff := cmp.Diff([]string{"c3", "c2", "c1", "c0", "anna"}, ids); diff != "" {
		t.Error(diff)
	}
}

func TestBotpressGetOrCreateRace(t *testing.T) {
	rig := bpStart(t, BotpressConfig{Race: 200 * time.Millisecond})
	var wg sync.WaitGroup
	answers := make([]bpAnswer, 2)
	for i := range answers {
		wg.Go(func() { answers[i] = rig.do("POST", "/users/get-or-create", "anna", `{}`) })
	}
	wg.Wait()
	slices.SortFunc(answers, func(a, b bpAnswer) int { return a.status - b.status })
	if answers[0].status != 200 || answers[1].status != 500 ||
		answers[1].text("type") != "Internal" || answers[1].text("message") != `The id "anna" is already assigned to another value` {
		t.Errorf("%+v", answers)
	}
	if got := rig.State().Users; got != 2 {
		t.Errorf("%d users: the loser's orphan should stay", got)
	}
	if a := rig.do("POST", "/users/get-or-create", "anna", `{}`); a.status != 200 {
		t.Errorf("the retry: %d", a.status)
	}
}

func TestBotpressRaceFault(t *testing.T) {
	rig := bpStart(t, BotpressConfig{})
	rig.Fail(BotpressFault{Race: true, Times: 2})
	status := func(path, body string) int { return rig.do("POST", path, "anna", body).status }
	got := []int{
		status("/users/get-or-create", `{}`),
		status("/users/get-or-create", `{}`),
		status("/conversations/get-or-create", `{"id":"anna"}`),
		status("/conversations/get-or-create", `{"id":"anna"}`),
		status("/conversations/get-or-create", `{"id":"other"}`),
	}
	if diff := cmp.Diff([]int{500, 200, 500, 200, 200}, got); diff != "" {
		t.Error(diff)
	}
}

func TestBotpressParticipants(t *testing.T) {
	rig := bpStart(t, BotpressConfig{PageSize: 2})
	rig.join("anna")
	for _, id := range []string{"bert", "cora"} {
		rig.ok("POST", "/users/get-or-create", id, `{}`)
		for range 2 { // the second time changes nothing
			rig.ok("POST", "/conversations/anna/participants", "anna", `{"userId":"`+id+`"}`)
		}
	}
	if a := rig.ok("GET", "/conversations/anna/participants/bert", "anna", ""); a.text("participant.id") != "bert" {
		t.Errorf("participant: %s", a.body)
	}
	var got []string
	for query := ""; ; {
		a := rig.ok("GET", "/conversations/anna/participants"+query, "bert", "")
		for _, p := range a.at("participants").([]any) {
			got = append(got, p.(map[string]any)["id"].(string))
		}
		token := a.text("meta.nextToken")
		if token == "" {
			break
		}
		query = "?nextToken=" + url.QueryEscape(token)
	}
	if diff := cmp.Diff([]string{"anna", "bert", "cora"}, got); diff != "" {
		t.Error(diff)
	}
	rig.ok("DELETE", "/conversations/anna/participants/bert", "anna", "")
	if a := rig.do("POST", "/messages", "bert", bpTextBody("anna", "x")); a.status != 403 {
		t.Errorf("removed, but sends: %d", a.status)
	}
}
