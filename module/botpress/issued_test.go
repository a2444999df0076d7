package botpress

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddy-wechat/caddy-wechat/caddytest/simulator"
)

// simulated starts a Botpress whose Chat integration has an encryption key, or none, and a client of it.
func simulated(t *testing.T, cfg simulator.BotpressConfig, change ...func(*Config)) (*Client, *simulator.Botpress) {
	t.Helper()
	cfg.WebhookID = testWebhook
	sim := simulator.NewBotpress(cfg)
	srv := httptest.NewServer(sim)
	t.Cleanup(func() {
		sim.Close()
		srv.CloseClientConnections()
		srv.Close()
	})
	set := func(c *Config) { c.EncryptionKey = cfg.EncryptionKey }
	return newTestClient(t, srv.URL, append([]func(*Config){set}, change...)...), sim
}

func TestIssuedKeys(t *testing.T) {
	c, _ := simulated(t, simulator.BotpressConfig{})
	u, key, err := c.CreateUser(t.Context(), testUser, UserFields{Profile: "{}"})
	if err != nil || u.ID != testUser || u.Profile != "{}" || key == "" {
		t.Fatalf("created %+v, a key of %d bytes, %v", u, len(key), err)
	}
	me := c.As(key)
	if err := me.Ensure(t.Context(), testUser, UserFields{Name: "new"}); err != nil {
		t.Fatal(err)
	}
	if _, err := me.CreateMessage(t.Context(), testUser, testUser, TextPayload("hi"), nil); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		call func() error
		want int
	}{
		"no key": {func() error { return c.Ensure(t.Context(), testUser, UserFields{}) }, http.StatusUnauthorized},
		"refused key": {func() error {
			_, err := c.As(key+"x").ListMessages(t.Context(), testUser, testUser, "")
			return err
		}, http.StatusUnauthorized},
		"id is taken": {func() error {
			_, _, err := c.CreateUser(t.Context(), testUser, UserFields{})
			return err
		}, http.StatusConflict},
	} {
		e := asError(t, tc.call())
		if e.Status != tc.want || !e.KeyLost() || e.Operator() || e.Gone() || e.Temporary() {
			t.Errorf("%s: %v (status %d, key lost %v)", name, e, e.Status, e.KeyLost())
		}
		if strings.Contains(e.Error(), key) || strings.Contains(e.Error(), testUser) {
			t.Errorf("%s: %v shows too much", name, e)
		}
	}
}

// TestIssuedKeysWhereTheyAreSigned: the integration has an encryption key that we do not know.
func TestIssuedKeysWhereTheyAreSigned(t *testing.T) {
	c, _ := simulated(t, simulator.BotpressConfig{EncryptionKey: testKey}, func(c *Config) { c.EncryptionKey = "" })
	_, _, err := c.CreateUser(t.Context(), testUser, UserFields{})
	if e := asError(t, err); e.KeyLost() || !strings.Contains(e.Remedy(), "Encryption Key") {
		t.Errorf("%v: remedy %q", e, e.Remedy())
	}
}

// TestSignedKeysAreNotLost: a key of our own that is refused is the operator's to mend, whatever As was given.
func TestSignedKeysAreNotLost(t *testing.T) {
	c, _ := simulated(t, simulator.BotpressConfig{}, func(c *Config) { c.EncryptionKey = "another" })
	e := asError(t, c.As("x").Ensure(t.Context(), testUser, UserFields{}))
	if e.KeyLost() || !e.Operator() {
		t.Errorf("%v: key lost %v, operator %v", e, e.KeyLost(), e.Operator())
	}
}

func TestCreateUserChecks(t *testing.T) {
	c, s := serve(t, reply(http.StatusOK, `{"user":{"id":"u"}}`))
	for name, tc := range map[string]struct{ id, profile, want string }{
		"id":        {"a/b", "", "user id"},
		"profile":   {"u", strings.Repeat("x", MaxProfileLength+1), "profile"},
		"no key in": {"u", "", "lacks"},
	} {
		_, _, err := c.CreateUser(t.Context(), tc.id, UserFields{Profile: tc.profile})
		if e := asError(t, err); !strings.Contains(e.Error(), tc.want) {
			t.Errorf("%s: %v", name, e)
		}
	}
	if n := len(s.all()); n != 1 {
		t.Errorf("%d requests", n)
	}
}
