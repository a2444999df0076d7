package simulator

import (
	"encoding/base64"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
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
	signed := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS512"}`)) + "." + strings.Split(bare, ".")[1]
	misnamed := signed + "." + base64.RawURLEncoding.EncodeToString(bpMAC([]byte(bpTestKey), signed))
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
		{"HS512 in name only", misnamed, 401, "Invalid user key"},
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
		if a := rig.do("GET", "/messages/"+msg, "owner", ""); a.status != 404 {
			t.Errorf("its message: %d", a.status)
		}
		if a := rig.do("POST", "/messages", "owner", bpTextBody("owner", "x")); a.status != 403 {
			t.Errorf("send: %d", a.status)
		}
		rig.join("owner")
		if a := rig.ok("GET", "/conversations/owner/messages", "owner", ""); len(a.at("messages").([]any)) != 0 {
			t.Errorf("the id came back with its history: %s", a.body)
		}
	})
}

func TestBotpressOpenAPI(t *testing.T) {
	rig := bpStart(t, BotpressConfig{})
	if a := rig.ok(http.MethodGet, "/openapi.json", "", ""); a.text("info.version") != "1.0.0" {
		t.Error(a.body)
	}
}
