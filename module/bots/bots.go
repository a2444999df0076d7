// Package bots holds the guest modules that stand for the far side of an
// account, and the interface they share. A guest module lives in the namespace
// http.handlers.wechat.bots and implements [Bot]; a bot whose answers come
// later also implements [Receiver] (they are posted to us), [Listener] (they are
// listened for), [Lister] (they can be looked up), or several of these. One that
// gives its users keys implements [Issuer].
package bots

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"
)

// Namespace is the Caddy module namespace of the guest modules.
const Namespace = "http.handlers.wechat.bots"

// Bot is the far side of one account. Its methods are called from many
// goroutines, but never twice at once for the same peer and the same method.
type Bot interface {
	// Identity names the bot, without any secret, in a way that changes when the
	// users and conversations created at the old one are of no use at the new
	// one. The journal remembers it with each user.
	Identity() string

	// Conversation is the id under which the bot knows a peer. It must be the
	// same for the same peer at any time.
	Conversation(p Peer) string

	// Introduce makes sure that the bot knows the peer. It is called before the
	// first delivery, and again when a delivery failed with [Unknown].
	// Its errors are of type [*Fault].
	Introduce(ctx context.Context, p Peer) error

	// Deliver hands one turn to the bot and returns once the bot has it. If the
	// turn is doubtful (an earlier attempt may have arrived), Deliver looks it
	// up first where the bot allows that, and sends it only if it is not there.
	// Its errors are of type [*Fault].
	Deliver(ctx context.Context, t Turn) (Receipt, error)
}

// Receiver is a bot that posts its replies to us.
type Receiver interface {
	// Receives tells whether a webhook endpoint exists at all.
	Receives() bool

	// Authorized tells whether the request was sent by the bot. It is asked
	// before the body is read.
	Authorized(r *http.Request) bool

	// Receive decodes one request body into the replies it carries: none for
	// signals of no interest. An error means that the body is malformed.
	Receive(body []byte) ([]Reply, error)
}

// Lister is a bot whose replies can be looked up again.
type Lister interface {
	// List returns the bot's messages to the peer that are newer than the mark,
	// oldest first, from the mark on and without a gap. More tells that there are
	// newer ones yet, which a listing from the last of these on brings. Its errors
	// are of type [*Fault]; a conversation that no longer exists is an empty list.
	List(ctx context.Context, p Peer, after Mark) (found []Reply, more bool, err error)
}

// Listener is a bot whose replies can be listened for.
type Listener interface {
	// Listens tells whether replies come that way at all.
	Listens() bool

	// Listen hears what the bot says to a peer from now on, until the stream or the
	// context ends, or hear fails. Opened is called once the stream is open, and
	// nothing is heard before it returns: what was said before that is not heard.
	// It always returns an error: that of hear, or one of type [*Fault]. Several
	// calls of one peer do not disturb each other.
	Listen(ctx context.Context, p Peer, opened func(), hear func([]Reply) error) error
}

// Issuer is a bot that gives a peer a key, once, without which nothing can be done
// for it.
type Issuer interface {
	// Issues tells whether it does so at all. If it does, every call is made with
	// the peer's key set.
	Issues() bool

	// Issue makes a peer that the bot does not know yet, and returns its key. The
	// caller keeps it, and calls Introduce. Its errors are of type [*Fault]; where
	// the peer was made before, it is [Unknown] with KeyLost.
	Issue(ctx context.Context, p Peer) (key string, err error)
}

// Peer is one WeChat user of one account.
type Peer struct {
	AppID  string // of the Official Account
	OpenID string // of the user, within that account

	// Generation counts how often the peer had to be given a new identity at
	// the bot because the old one could not be used any more.
	Generation int

	// Profile is a JSON document about the user, for the bot to read.
	Profile string

	// Key is what an [Issuer] gave for the peer, in this generation. Secret.
	Key string
}

// Turn is one thing that a user did, on its way to the bot. Either Message or
// Event is set.
type Turn struct {
	Peer Peer

	// ID is WeChat's MsgId, or a synthetic id made from an event. It is unique
	// within the peer and the same in every attempt.
	ID string

	// Message is the message for the bot, a Botpress payload.
	Message json.RawMessage

	// Event is a custom event for the bot.
	Event json.RawMessage

	// Metadata travels with a message: wechatMsgId, appId, openid, type.
	Metadata map[string]any

	// Received is when WeChat pushed it.
	Received time.Time

	// Raw is the push as WeChat sent it, decrypted.
	Raw []byte

	// Doubtful says that an earlier attempt may have arrived.
	Doubtful bool
}

// Receipt says that the bot has a turn.
type Receipt struct {
	// At is the bot's own time of the turn, zero if the bot has no such thing.
	At time.Time

	// ID is the bot's id of the turn, empty if the bot has no such thing.
	ID string

	// Found says that the turn was found at the bot and not sent again.
	Found bool

	// Replies are answers that came with the receipt.
	Replies []Reply
}

// Reply is one message of the bot on its way to the user.
type Reply struct {
	// Conversation is the id under which the bot knows the peer.
	Conversation string

	// ID is the bot's message id, unique within the bot.
	ID string

	// CreatedAt is the bot's own time of the message. It defines the order.
	CreatedAt time.Time

	// Payload is a Botpress payload.
	Payload json.RawMessage
}

// Mark is a place in the history of a conversation. The zero Mark is its
// beginning.
type Mark struct {
	At time.Time
	ID string
}

// FaultKind says what kind of trouble a bot is in.
type FaultKind int

const (
	// Transient trouble passes by itself: try again, in place.
	Transient FaultKind = iota

	// Operator trouble needs someone to mend it: hold the account.
	Operator

	// Poison will never be accepted: put it aside.
	Poison

	// Unknown means that the bot does not know the peer (any more).
	Unknown
)

// Fault is an error of a bot.
type Fault struct {
	Kind FaultKind

	// Doubtful says that the call may have taken effect all the same.
	Doubtful bool

	// RetryAfter is how long the bot asks to be left alone, zero if it does not.
	RetryAfter time.Duration

	// KeyLost says that nobody has a key for the peer that the bot would take, nor
	// can have one: it needs another generation. Set with Unknown.
	KeyLost bool

	// Remedy is what the operator should do, as a sentence. Set for Operator.
	Remedy string

	// Err is the cause. It holds no secret and no words of a user.
	Err error
}

// Error implements error.
func (f *Fault) Error() string { return f.Err.Error() }

// Unwrap gives the cause.
func (f *Fault) Unwrap() error { return f.Err }

// AsFault gives the Fault in an error's chain. Any other error is taken as
// transient and doubtful trouble, the case in which nothing can be lost or
// done twice.
func AsFault(err error) *Fault {
	if f, ok := errors.AsType[*Fault](err); ok {
		return f
	}
	return &Fault{Kind: Transient, Doubtful: true, Err: err}
}

// UserAgent is what outgoing requests say they come from.
const UserAgent = "caddy-wechat"
