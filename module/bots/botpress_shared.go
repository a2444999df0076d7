package bots

import (
	"context"

	"github.com/caddy-wechat/caddy-wechat/module/botpress"
)

// as is the client that speaks for a peer.
func (b *Botpress) as(p Peer) *botpress.Client {
	if b.issues {
		return b.client.As(p.Key)
	}
	return b.client
}

// Issues implements Issuer. Botpress issues the keys where the Chat integration has
// no encryption key.
func (b *Botpress) Issues() bool { return b.issues }

// Issue implements Issuer.
func (b *Botpress) Issue(ctx context.Context, p Peer) (string, error) {
	_, key, err := b.client.CreateUser(ctx, b.Conversation(p), botpress.UserFields{Profile: p.Profile})
	return key, fault(err)
}

// Listens implements Listener. A conversation is listened to where no webhook brings
// what is said in it.
func (b *Botpress) Listens() bool { return !b.receives }

// Listen implements Listener.
func (b *Botpress) Listen(ctx context.Context, p Peer, opened func(), hear func([]Reply) error) error {
	id := b.Conversation(p)
	var stopped error
	err := b.as(p).Listen(ctx, id, id, opened, func(s botpress.Signal) error {
		if said := replies(s); len(said) > 0 && s.ConversationID == id {
			stopped = hear(said)
		}
		return stopped
	})
	if stopped != nil {
		return stopped
	}
	return fault(err)
}

// Interface guards
var (
	_ Issuer   = (*Botpress)(nil)
	_ Listener = (*Botpress)(nil)
)
