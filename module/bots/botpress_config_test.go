package bots

import (
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

func TestBotpressCaddyfile(t *testing.T) {
	b := new(Botpress)
	err := b.UnmarshalCaddyfile(caddyfile.NewTestDispenser(`botpress {env.ID} {
		api {env.API}
		encryption_key {env.KEY}
		webhook_secret {env.SECRET}
	}`))
	if err != nil {
		t.Fatal(err)
	}
	if b.WebhookID != "{env.ID}" || b.API != "{env.API}" || b.EncryptionKey != "{env.KEY}" || b.WebhookSecret != "{env.SECRET}" {
		t.Errorf("parsed %+v", b)
	}
	if err := new(Botpress).UnmarshalCaddyfile(caddyfile.NewTestDispenser("botpress id")); err != nil {
		t.Errorf("without a block: %v", err)
	}
	for input, want := range map[string]string{
		"botpress":                                  "wrong argument count",
		"botpress hunter2 b":                        "wrong argument count",
		"botpress https://x/hunter2":                "webhook id: must be the id alone",
		"botpress a {\napi x\n}":                    "api 'x': must be an absolute http or https URL, at Testfile:2",
		"botpress a {\napi\n}":                      "wrong argument count",
		"botpress a {\nencryption_key\n}":           "wrong argument count",
		"botpress a {\nencryption_key hunter2 x\n}": "wrong argument count",
		"botpress a {\nwebhook_secret hunter2\nwebhook_secret hunter2\n}": "webhook_secret already specified at Testfile:2, at Testfile:3",
		"botpress a {\nsecret hunter2\n}":                                 "unrecognized subdirective 'secret'",
		"botpress a {\n}\nb":                                              "unexpected token after bot botpress",
		"botpress a {\napi http://localhost":                              "EOF",
	} {
		err := new(Botpress).UnmarshalCaddyfile(caddyfile.NewTestDispenser(input))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v does not contain %q", input, err, want)
		} else if strings.Contains(err.Error(), "hunter") {
			t.Errorf("%q: error shows a secret: %s", input, err)
		}
	}
}

func TestBotpressResolve(t *testing.T) {
	t.Setenv("BOTPRESS_TEST_ID", "0f-1")
	t.Setenv("BOTPRESS_TEST_KEY", "hunter2")
	t.Setenv("BOTPRESS_TEST_API", "http://localhost:8081/")
	t.Setenv("BOTPRESS_TEST_BAD", "hunter\n2")
	for _, c := range []struct {
		name string
		bot  Botpress
		want botpressSettings
		err  string
	}{
		{
			"defaults",
			Botpress{WebhookID: "a"},
			botpressSettings{webhookID: "a", api: "https://chat.botpress.cloud"},
			"",
		},
		{
			"placeholders",
			Botpress{
				WebhookID: "{env.BOTPRESS_TEST_ID}", API: "{env.BOTPRESS_TEST_API}",
				EncryptionKey: "{env.BOTPRESS_TEST_KEY}", WebhookSecret: "{env.BOTPRESS_TEST_KEY}",
			},
			botpressSettings{webhookID: "0f-1", api: "http://localhost:8081", encryptionKey: "hunter2", webhookSecret: "hunter2"},
			"",
		},
		{
			"optional ones unset",
			Botpress{WebhookID: "a", EncryptionKey: "{env.BOTPRESS_TEST_UNSET}", WebhookSecret: "{env.BOTPRESS_TEST_UNSET}"},
			botpressSettings{webhookID: "a", api: "https://chat.botpress.cloud"},
			"",
		},
		{name: "no id", err: "bot botpress webhook_id is required"},
		{name: "unset id", bot: Botpress{WebhookID: "{env.BOTPRESS_TEST_UNSET}"}, err: "webhook_id: {env.BOTPRESS_TEST_UNSET} is not set or empty"},
		{name: "bad id", bot: Botpress{WebhookID: "{env.BOTPRESS_TEST_BAD}"}, err: "webhook_id: not a webhook id"},
		{name: "bad api", bot: Botpress{WebhookID: "a", API: "{env.BOTPRESS_TEST_BAD}"}, err: "api '{env.BOTPRESS_TEST_BAD}': must be an absolute"},
		{name: "unset api", bot: Botpress{WebhookID: "a", API: "{env.BOTPRESS_TEST_UNSET}"}, err: "api '{env.BOTPRESS_TEST_UNSET}'"},
		{name: "bad key", bot: Botpress{WebhookID: "a", EncryptionKey: "{env.BOTPRESS_TEST_BAD}"}, err: "encryption_key: has a line break"},
		{name: "bad secret", bot: Botpress{WebhookID: "a", WebhookSecret: "{env.BOTPRESS_TEST_BAD}"}, err: "webhook_secret: has a line break"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := c.bot.resolve(caddy.NewReplacer())
			if c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
				t.Errorf("error %v, want %q", err, c.err)
			}
			if err != nil && strings.Contains(err.Error(), "hunter") {
				t.Errorf("error shows a secret: %s", err)
			}
			if got != c.want {
				t.Error("resolved something else than expected")
			}
		})
	}
}
