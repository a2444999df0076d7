package bots

import "github.com/caddyserver/caddy/v2"

// BotpressAccess is how a bot is reached, with placeholders resolved. It holds
// secrets.
type BotpressAccess struct {
	API           string
	WebhookID     string
	EncryptionKey string // empty: Botpress issues the users' keys
	WebhookSecret string // empty: there is no webhook
}

// String hides the secrets.
func (BotpressAccess) String() string { return "bots.BotpressAccess" }

// GoString is String, for %#v.
func (a BotpressAccess) GoString() string { return a.String() }

// Access tells how the bot is reached, for a diagnosis. Nothing is opened.
func (b *Botpress) Access() (BotpressAccess, error) {
	s, err := b.resolve(caddy.NewReplacer())
	return BotpressAccess{s.api, s.webhookID, s.encryptionKey, s.webhookSecret}, err
}
