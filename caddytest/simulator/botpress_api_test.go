package simulator

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"
)

func TestBotpressAuthentication(t *testing.T) {
	rig := bpStart(t, BotpressConfig{})
	rig.join("anna")
	hour := time.Hour
	claims := func(kv ...any) jwt.MapClaims {
		c := jwt.MapClaims{}
		for i := 0; i < len(kv); i += 2 {
			c[kv[i].(string)] = kv[i+1]
		}
		return c
	}
	hs := jwt.SigningMethodHS256
	noTyp := jwt.NewWithClaims(hs, claims("id", "anna"))
	delete(noTyp.Header, "typ")
	bare, _ := noTyp.SignedString([]byte(bpTestKey))
	none, _ := jwt.NewWithClaims(jwt.SigningMethodNone, claims("id", "anna")).SignedString(jwt.UnsafeAllowNoneSignatureType)
	for _, tc := range []struct {
		name, key string
		status    int
		message   string
	}{
		{"good", bpKeyFor("anna"), 200, ""},
		{"good without typ", bare, 200, ""},
		{"extra claims", bpSign(hs, bpTestKey, claims("id", "anna", "iat", time.Now().Unix(), "x", "y")), 200, ""},
		{"not yet expired", bpSign(hs, bpTestKey, claims("id", "anna", "exp", time.Now().Add(hour).Unix())), 200, ""},
		{"missing", "", 400, "must have required property 'x-user-key'"},
		{"another secret", bpSign(hs, "other", claims("id", "anna")), 401, "Invalid user key"},
		{"HS512", bpSign(jwt.SigningMethodHS512, bpTestKey, claims("id", "anna")), 401, "Invalid user key"},
		{"alg none", none, 401, "Invalid user key"},
		{"expired", bpSign(hs, bpTestKey, claims("id", "anna", "exp", time.Now().Add(-hour).Unix())), 401, "Invalid user key"},
		{"not yet valid", bpSign(hs, bpTestKey, claims("id", "anna", "nbf", time.Now().Add(hour).Unix())), 401, "Invalid user key"},
		{"no id", bpSign(hs, bpTestKey, claims("sub", "anna")), 401, "Invalid user key"},
		{"id not a string", bpSign(hs, bpTestKey, claims("id", 7)), 401, "Invalid user key"},
		{"not a token", "a.b", 401, "Invalid user key"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := rig.do("GET", "/users/me", tc.key, "")
			if a.status != tc.status || a.text("message") != tc.message {
				t.Errorf("got %d %s", a.status, a.body)
			}
			if tc.status == 401 && (a.at("code") != 401.0 || a.text("type") != "Unauthorized") {
				t.Errorf("not an API error: %s", a.body)
			}
			if tc.status == 400 && a.at("code") != nil {
				t.Errorf("not a router error: %s", a.body)
			}
		})
	}
}

func TestBotpressModes(t *testing.T) {
	personal := bpStart(t, BotpressConfig{})
	a := personal.do("POST", "/users", "", `{"id":"anna"}`)
	if want := `The "createUser" operation can only be called when using the shared encryption key.`; a.status != 401 || a.text("message") != want {
		t.Errorf("personal mode: %d %s", a.status, a.body)
	}

	shared := bpStart(t, BotpressConfig{EncryptionKey: "shared"})
	a = shared.ok("POST", "/users", "", `{"id":"anna","name":"Anna"}`)
	key := a.text("key")
	if a.text("user.id") != "anna" || a.text("user.name") != "Anna" || key == "" {
		t.Fatalf("createUser: %s", a.body)
	}
	if a = shared.do("POST", "/users", "", `{"id":"anna"}`); a.status != 409 || a.text("type") != "AlreadyExists" || a.text("message") != "User with id anna already exists" {
		t.Errorf("second createUser: %d %s", a.status, a.body)
	}
	if a = shared.ok("GET", "/users/me", key, ""); a.text("user.id") != "anna" {
		t.Errorf("issued key: %s", a.body)
	}
	if a = shared.do("POST", "/users/get-or-create", "anna", `{}`); a.status != 401 {
		t.Errorf("a key of our own in shared mode: %d", a.status)
	}
	if a = shared.ok("POST", "/users", "", `{}`); !strings.HasPrefix(a.text("user.id"), "user_") {
		t.Errorf("without an id: %s", a.body)
	}
}

func TestBotpressValidation(t *testing.T) {
	rig := bpStart(t, BotpressConfig{})
	rig.join("anna")
	message := func(payload string) string { return `{"conversationId":"anna","payload":` + payload + `}` }
	const audio = "must have required property 'audioUrl'"
	for _, tc := range []struct {
		name, method, path, body string
		status                   int
		message                  string // of the error
	}{
		{"unknown route", "GET", "/nothing", "", 404, "Route doesn't exist"},
		{"unknown method", "PATCH", "/messages", "{}", 404, "Method doesn't exist"},
		{"slashes do not matter", "GET", "//users///me/", "", 200, ""},
		{"no percent-decoding", "GET", "/users%2Fme", "", 404, "Route doesn't exist"},
		{"no body", "POST", "/users/get-or-create", "", 400, "must be object"},
		{"array body", "POST", "/users/get-or-create", "[]", 400, "must be object"},
		{"bad JSON", "POST", "/users/get-or-create", "{", 400, "Invalid JSON body"},
		{"body on delete", "DELETE", "/messages/none", "{}", 404, `Message "none" not found`},
		{"unknown field", "POST", "/users/get-or-create", `{"shoe":43}`, 200, ""},
		{"null for optional", "POST", "/users/get-or-create", `{"name":null}`, 400, "must be string"},
		{"number for text", "PUT", "/users/me", `{"name":1}`, 400, "must be string"},
		{"profile of 1000", "PUT", "/users/me", `{"profile":"` + strings.Repeat("微", 1000) + `"}`, 200, ""},
		{"profile of 1001", "PUT", "/users/me", `{"profile":"` + strings.Repeat("微", 1001) + `"}`, 400, "must NOT have more than 1000 characters"},
		{"no conversation", "POST", "/messages", `{"payload":{"type":"text","text":"x"}}`, 400, "must have required property 'conversationId'"},
		{"empty conversation", "POST", "/messages", `{"conversationId":"","payload":{"type":"text","text":"x"}}`, 400, "must NOT have fewer than 1 characters"},
		{"no payload", "POST", "/messages", `{"conversationId":"anna"}`, 400, "must have required property 'payload'"},
		{"metadata a text", "POST", "/messages", `{"conversationId":"anna","payload":{"type":"text","text":"x"},"metadata":"m"}`, 400, "must be object"},
		{"event without payload", "POST", "/events", `{"conversationId":"anna"}`, 400, "must have required property 'payload'"},
		{"event payload a text", "POST", "/events", `{"conversationId":"anna","payload":"x"}`, 400, "must be object"},
		{"empty text", "POST", "/messages", message(`{"type":"text","text":""}`), 400, audio},
		{"unknown type", "POST", "/messages", message(`{"type":"voice","voiceUrl":"u"}`), 400, audio},
		{"misspelt field", "POST", "/messages", message(`{"type":"image","imageURL":"u"}`), 400, audio},
		{"one space", "POST", "/messages", message(`{"type":"text","text":" "}`), 200, ""},
		{"extra payload field", "POST", "/messages", message(`{"type":"image","imageUrl":"u","title":"t"}`), 200, ""},
		{"location", "POST", "/messages", message(`{"type":"location","latitude":1,"longitude":2.5,"title":""}`), 200, ""},
		{"location as text", "POST", "/messages", message(`{"type":"location","latitude":"1","longitude":"2"}`), 400, audio},
		{"choice", "POST", "/messages", message(`{"type":"choice","text":"t","options":[{"label":"l","value":"v"}]}`), 200, ""},
		{"choice without value", "POST", "/messages", message(`{"type":"choice","text":"t","options":[{"label":"l"}]}`), 400, audio},
		{"card", "POST", "/messages", message(`{"type":"card","title":"t","actions":[]}`), 200, ""},
		{"carousel items need a type here", "POST", "/messages", message(`{"type":"carousel","items":[{"title":"t","actions":[]}]}`), 400, audio},
		{"bloc", "POST", "/messages", message(`{"type":"bloc","items":[{"type":"text","text":"x"},{"type":"image","imageUrl":"u"}]}`), 200, ""},
		{"bloc in a bloc", "POST", "/messages", message(`{"type":"bloc","items":[{"type":"bloc","items":[]}]}`), 400, audio},
		{"payload over 128 KB", "POST", "/messages", message(`{"type":"text","text":"` + strings.Repeat("x", 130<<10) + `"}`), 413, "Message payload is too large"},
		{"request over 1 MB", "POST", "/messages", message(`{"type":"text","text":"` + strings.Repeat("x", 1<<20) + `"}`), 413, "Request payload is too large"},
		{"bad token", "GET", "/conversations/anna/messages?nextToken=x", "", 400, "Invalid nextToken"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := rig.do(tc.method, tc.path, "anna", tc.body)
			if a.status != tc.status || a.text("message") != tc.message && tc.status != 200 {
				t.Errorf("got %d %.200s %v", a.status, a.body, a.err)
			}
		})
	}
	t.Run("before authentication", func(t *testing.T) {
		if a := rig.do("POST", "/messages", "bad.key", `{}`); a.status != 400 {
			t.Errorf("got %d %s", a.status, a.body)
		}
	})
}

func TestBotpressEdges(t *testing.T) {
	rig := bpStart(t, BotpressConfig{WebhookID: "hook-1"})
	if a := rig.ok("GET", "/hello", "", ""); !strings.HasPrefix(a.body, "Hello, Botpress User") {
		t.Errorf("hello: %s", a.body)
	}
	if a := rig.do("OPTIONS", "/whatever", "", ""); a.status != 200 || a.body != "" {
		t.Errorf("OPTIONS: %d %q", a.status, a.body)
	}
	if a := rig.raw("GET", rig.server.URL+"/hook-2/hello", "", ""); a.status != 404 || a.at("code") != 404.0 {
		t.Errorf("wrong webhook id: %d %s", a.status, a.body)
	}
	a := rig.ok("POST", "/users/get-or-create", "anna", `{}`)
	if got, there := a.header["Content-Type"]; there {
		t.Errorf("Content-Type %q by default", got)
	}
	if id := rig.do("GET", "/users/me", "bert", "").text("id"); !regexp.MustCompile(`^err_\d{14}x[0-9A-F]{8}$`).MatchString(id) {
		t.Errorf("error id %q", id)
	}

	other := bpStart(t, BotpressConfig{Status201: true, ContentType: true, WrongID200: true})
	a = other.do("POST", "/users/get-or-create", "anna", `{}`)
	if a.status != 201 || a.header.Get("Content-Type") != "application/json" {
		t.Errorf("as the specification says: %d %v", a.status, a.header)
	}
	if a = other.raw("GET", other.server.URL+"/wrong/hello", "", ""); a.status != 200 || a.at("code") != 404.0 {
		t.Errorf("wrong webhook id under 200: %d %s", a.status, a.body)
	}
}

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

func TestBotpressPermissions(t *testing.T) {
	rig := bpStart(t, BotpressConfig{})
	rig.join("owner")
	for _, id := range []string{"member", "stranger"} {
		rig.ok("POST", "/users/get-or-create", id, `{}`)
	}
	rig.ok("POST", "/conversations/owner/participants", "owner", `{"userId":"member"}`)
	msg := rig.send("owner", "silent").text("message.id")
	evt := rig.ok("POST", "/events", "owner", `{"conversationId":"owner","payload":{"a":1}}`).text("event.id")
	const notOwner, notIn = "You are not the owner of this conversation", "You are not a participant in this conversation"
	const inMsg, inEvt = "You are not a participant in this message's conversation", "You are not a participant in this event's conversation"
	for _, tc := range []struct {
		name, method, path, user, body string
		status                         int
		message                        string
	}{
		{"get-or-create of another's", "POST", "/conversations/get-or-create", "stranger", `{"id":"owner"}`, 403, notOwner},
		{"get-or-create by a member", "POST", "/conversations/get-or-create", "member", `{"id":"owner"}`, 403, notOwner},
		{"delete by a member", "DELETE", "/conversations/owner", "member", "", 403, notOwner},
		{"add by a member", "POST", "/conversations/owner/participants", "member", `{"userId":"stranger"}`, 403, notOwner},
		{"participant by a member", "GET", "/conversations/owner/participants/owner", "member", "", 403, notOwner},
		{"remove by a member", "DELETE", "/conversations/owner/participants/owner", "member", "", 403, notOwner},
		{"owner removes itself", "DELETE", "/conversations/owner/participants/owner", "owner", "", 400, "You cannot remove yourself from the conversation because you are its owner"},
		{"unknown participant", "GET", "/conversations/owner/participants/stranger", "owner", "", 404, `Participant "stranger" not found`},
		{"add of an unknown user", "POST", "/conversations/owner/participants", "owner", `{"userId":"nobody"}`, 404, `User "nobody" not found`},
		{"list by a member", "GET", "/conversations/owner/messages", "member", "", 200, ""},
		{"list by a stranger", "GET", "/conversations/owner/messages", "stranger", "", 403, notIn},
		{"listen by a stranger", "GET", "/conversations/owner/listen", "stranger", "", 403, notIn},
		{"conversation by a stranger", "GET", "/conversations/owner", "stranger", "", 403, inMsg},
		{"participants by a stranger", "GET", "/conversations/owner/participants", "stranger", "", 403, inMsg},
		{"send by a member", "POST", "/messages", "member", bpTextBody("owner", "silent"), 200, ""},
		{"send by a stranger", "POST", "/messages", "stranger", bpTextBody("owner", "x"), 403, inMsg},
		{"message by a stranger", "GET", "/messages/" + msg, "stranger", "", 403, inMsg},
		{"event by a stranger", "GET", "/events/" + evt, "stranger", "", 403, inEvt},
		{"event sent by a stranger", "POST", "/events", "stranger", `{"conversationId":"owner","payload":{}}`, 403, inEvt},
		{"delete of another's message", "DELETE", "/messages/" + msg, "member", "", 403, "You are not the sender of this message"},
		{"unknown conversation: send", "POST", "/messages", "owner", bpTextBody("gone", "x"), 403, inMsg},
		{"unknown conversation: event", "POST", "/events", "owner", `{"conversationId":"gone","payload":{}}`, 403, inEvt},
		{"unknown conversation: list", "GET", "/conversations/gone/messages", "owner", "", 403, notIn},
		{"unknown conversation: listen", "GET", "/conversations/gone/listen", "owner", "", 403, notIn},
		{"unknown conversation: get", "GET", "/conversations/gone", "owner", "", 404, `Conversation "gone" not found`},
		{"unknown conversation: delete", "DELETE", "/conversations/gone", "owner", "", 404, `Conversation "gone" not found`},
		{"unknown conversation: add", "POST", "/conversations/gone/participants", "owner", `{"userId":"member"}`, 404, `Conversation "gone" not found`},
		{"unknown message", "GET", "/messages/msg_0", "owner", "", 404, `Message "msg_0" not found`},
		{"conversation without its user", "POST", "/conversations/get-or-create", "nobody", `{"id":"nobody"}`, 404, `User "nobody" not found`},
		{"create of a taken id", "POST", "/conversations", "owner", `{"id":"owner"}`, 409, "Conversation with id owner already exists"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := rig.do(tc.method, tc.path, tc.user, tc.body)
			if a.status != tc.status || tc.status != 200 && (a.text("message") != tc.message || a.at("code") != float64(tc.status)) {
				t.Errorf("got %d %s", a.status, a.body)
			}
		})
	}
	t.Run("deleted conversation", func(t *testing.T) {
		rig.ok("DELETE", "/conversations/owner", "owner", "")
		if a := rig.do("POST", "/messages", "owner", bpTextBody("owner", "x")); a.status != 403 {
			t.Errorf("send: %d", a.status)
		}
		rig.join("owner")
		if a := rig.ok("GET", "/conversations/owner/messages", "owner", ""); len(a.at("messages").([]any)) != 0 {
			t.Errorf("the id came back with its history: %s", a.body)
		}
	})
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

func TestBotpressOpenAPI(t *testing.T) {
	rig := bpStart(t, BotpressConfig{})
	if a := rig.ok(http.MethodGet, "/openapi.json", "", ""); a.text("info.version") != "1.0.0" {
		t.Error(a.body)
	}
}
