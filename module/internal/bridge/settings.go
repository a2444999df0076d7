// Package bridge carries messages between a WeChat Official Account and a bot:
// pushes from the journal to the bot in the lane of their user, replies from
// the journal to WeChat in the lane of theirs.
package bridge

import (
	"net/netip"
	"net/url"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-wechat/caddy-wechat/module/bots"
	"github.com/caddy-wechat/caddy-wechat/module/wechat"
)

// Settings are what one account's configuration comes to once placeholders and
// defaults are filled in. They are read-only after they were handed over.
type Settings struct {
	AppID     string
	AppSecret string
	API       string   // base URL of WeChat's API
	APIProxy  *url.URL // nil for none
	PublicURL string   // empty: learned
	Path      string   // where callbacks arrive below it
	Published bool     // the addresses that WeChat sends callbacks from are to be known

	Reply     ReplyMode
	Wait      time.Duration // how long a callback is held for a passive reply
	Settle    time.Duration // how long replies are gathered; 0 = off
	Pace      time.Duration // between two pushed messages of one user; 0 = off
	Allowance Allowance
	Choices   ChoiceStyle
	Typing    bool
	AILabel   bool
	Profile   bool
	Events    []EventRule
	Notices   Notices
	Limits    Limits
	Media     MediaSettings

	Bot       bots.Bot
	UserAgent string
	Logger    *zap.Logger
}

// ReplyMode says on which road replies travel.
type ReplyMode string

// The reply modes.
const (
	ReplyAuto    ReplyMode = "auto"
	ReplyPassive ReplyMode = "passive"
	ReplyPush    ReplyMode = "push"
)

// ChoiceStyle says how the options of a choice are shown.
type ChoiceStyle string

// The choice styles.
const (
	ChoiceLinks   ChoiceStyle = "links"
	ChoiceNumbers ChoiceStyle = "numbers"
	ChoiceMenu    ChoiceStyle = "menu"
)

// Allowance is how many messages may be sent after something the user did.
type Allowance struct {
	Message Grant // after a message
	Action  Grant // after a tap, a follow, a scan
}

// Grant is a number of messages within a time.
type Grant struct {
	Count int
	For   time.Duration
}

// EventAction is what becomes of an event.
type EventAction string

// The event actions.
const (
	EventText   EventAction = "text"   // a text for the bot
	EventEvent  EventAction = "event"  // a custom event for the bot
	EventReply  EventAction = "reply"  // a fixed answer to the user
	EventIgnore EventAction = "ignore" // nothing
)

// EventRule says what becomes of events of a name, and of a key if one is given.
type EventRule struct {
	Name   string
	Key    string // empty: every key
	Action EventAction
	Text   string
}

// Notices are what the user reads when there is no reply to show.
type Notices struct {
	Thinking string
	More     string
	Failed   string
}

// Limits bound what the account may take up.
type Limits struct {
	Windows int // open windows
	Lanes   int // lanes at work
	User    Grant
}

// MediaSettings bound what is fetched and kept.
type MediaSettings struct {
	Allow   []netip.Prefix // private addresses that bot media may be fetched from
	MaxSize int64          // bytes of a file fetched for the user
	Keep    time.Duration  // how long media that users sent is kept
	Store   int64          // bytes of media that users sent
}

// Callback is what the HTTP side needs to answer WeChat.
type Callback struct {
	*wechat.Callback
	Path    string
	MaxBody int64
}
