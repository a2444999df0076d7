package bots

import (
	"errors"
	"regexp"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-wechat/caddy-wechat/module/internal/option"
)

func init() {
	caddy.RegisterModule(new(Botpress))
}

// defaultBotpressAPI is where Botpress serves the Chat API.
const defaultBotpressAPI = "https://chat.botpress.cloud"

// Botpress is a bot of Botpress Cloud, reached through its Chat integration.
//
// All values are text and take the placeholders `{env.*}` and `{file.*}`, which
// are resolved when the configuration is loaded.
type Botpress struct {
	// The webhook id of the bot's Chat integration: the last part of the webhook
	// URL that Botpress shows there. Required.
	WebhookID string `json:"webhook_id,omitempty"`

	// Base URL of Botpress's Chat API: http or https, without query. Default:
	// `https://chat.botpress.cloud`.
	API string `json:"api,omitempty"`

	// The encryption key set in the Chat integration, with which the keys of users
	// are made here. It may resolve to nothing. Default: none, for an integration
	// that has none; then Botpress issues a key for each user, which is kept in the
	// journal. A user whose key is lost or refused gets another conversation. A bot
	// without an encryption key lets whoever knows its webhook id make users.
	EncryptionKey string `json:"encryption_key,omitempty"`

	// The webhook secret set in the Chat integration, by which its requests to
	// `<path>/botpress` are known. It may resolve to nothing. Default: none; then
	// there is no webhook endpoint, and replies are listened for: for 5 minutes after
	// anything was said in a conversation, in up to 100 of them at once. What is said
	// in others is found by listing them, 5 s after the user's message or later, and
	// every hour.
	WebhookSecret string `json:"webhook_secret,omitempty"`

	botpressState
}

// CaddyModule returns the Caddy module information.
func (*Botpress) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  Namespace + ".botpress",
		New: func() caddy.Module { return new(Botpress) },
	}
}

// UnmarshalCaddyfile sets up the bot from Caddyfile tokens. Syntax:
//
//	bot botpress <webhook id> {
//		api            <url>
//		encryption_key <key>
//		webhook_secret <secret>
//	}
//
// The block may be left out.
func (b *Botpress) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume the module's name
	args, err := option.Args(d, "bot botpress <webhook id>", 1, 1)
	if err != nil {
		return err
	}
	b.WebhookID = args[0]
	if err := option.Check(b.WebhookID, parseWebhookID); err != nil {
		return d.Errf("webhook id: %v", err)
	}
	err = option.WalkBlock(d, nil, func(name string) error {
		switch name {
		case "api":
			return option.Arg(d, &b.API, option.BaseURL)
		case "encryption_key":
			return option.SecretArg(d, &b.EncryptionKey, option.Secret)
		case "webhook_secret":
			return option.SecretArg(d, &b.WebhookSecret, option.Secret)
		default:
			return option.Unknown(d)
		}
	})
	if err != nil {
		return err
	}
	return option.End(d, "bot botpress")
}

// botpressSettings are what the options come to. They hold secrets.
type botpressSettings struct {
	webhookID     string
	api           string
	encryptionKey string // empty: keys that Botpress issues
	webhookSecret string // empty: no webhook endpoint
}

// resolve resolves the placeholders of all options, fills in the defaults, and
// checks everything. It changes nothing, and its error holds no secret.
func (b *Botpress) resolve(repl *caddy.Replacer) (botpressSettings, error) {
	r := option.NewReader(repl)
	s := botpressSettings{
		webhookID:     r.Secret("bot botpress webhook_id", b.WebhookID, true),
		api:           option.Read(r, "bot botpress api", b.API, defaultBotpressAPI, option.BaseURL),
		encryptionKey: r.Secret("bot botpress encryption_key", b.EncryptionKey, false),
		webhookSecret: r.Secret("bot botpress webhook_secret", b.WebhookSecret, false),
	}
	option.CheckSecret(r, "bot botpress webhook_id", s.webhookID, parseWebhookID)
	option.CheckSecret(r, "bot botpress encryption_key", s.encryptionKey, option.Secret)
	option.CheckSecret(r, "bot botpress webhook_secret", s.webhookSecret, option.Secret)
	if err := r.Err(); err != nil {
		return botpressSettings{}, err
	}
	return s, nil
}

var webhookIDForm = regexp.MustCompile(`^[A-Za-z0-9_-]{1,100}$`)

// parseWebhookID parses a webhook id. Whoever knows it can talk to the bot, so
// that it is treated as a secret.
func parseWebhookID(s string) (string, error) {
	switch {
	case strings.Contains(s, "/"):
		return "", errors.New("must be the id alone, the last part of the webhook URL")
	case !webhookIDForm.MatchString(s):
		return "", errors.New("not a webhook id, which is of letters, digits, '-' and '_'")
	}
	return s, nil
}

// Interface guards
var (
	_ caddy.Module          = (*Botpress)(nil)
	_ caddyfile.Unmarshaler = (*Botpress)(nil)
)
