package module

// Allowance is how many messages WeChat lets an account send to a user by the
// customer-service API after something the user did. (WeChat: Customer service
// messages.) What does not fit is kept, announced with `notice more`, and sent
// when the user acts again.
type Allowance struct {
	// After a message of the user. Default: `5` for `48h`.
	Message Grant `json:"message,omitzero"`

	// After a tap on a menu, a follow, a scan. Default: `3` for `1m`.
	Action Grant `json:"action,omitzero"`
}

// Grant is a number of messages within a time. Either both values are given or
// none.
type Grant struct {
	// The number of messages, at least 1.
	Count string `json:"count,omitempty"`

	// The time, more than 0.
	For string `json:"for,omitempty"`
}

// EventRule says what becomes of some events.
type EventRule struct {
	// The events it is for, each `<name>`, or `<name>:<key>` for those with that
	// EventKey only, which goes before a rule for all keys. The name is written as
	// WeChat writes it, such as `subscribe` or `CLICK`; a key may hold colons. No
	// event may stand in two rules. Required.
	On []string `json:"on,omitempty"`

	// What becomes of them; the one value that takes no placeholder. `text`: a text for the bot. `event`: a custom event
	// for the bot. `reply`: a fixed answer to the user; the bot does not hear of
	// it. `ignore`: nothing. Required.
	Action string `json:"action,omitempty"`

	// The text, at most 2000 bytes. For `reply` it is required; for `text` the
	// default is the event's key, or its name if it has no key; the other actions
	// have none.
	Text string `json:"text,omitempty"`
}

// Notices are what the user reads when there is no reply to show, each at most
// 2000 bytes.
type Notices struct {
	// There is no reply yet; it will lead the answer to the next thing the user
	// sends. Default: `还在思考，稍后发送任意内容即可查看回复。`
	Thinking string `json:"thinking,omitempty"`

	// More replies wait than may be sent now. Default:
	// `还有更多内容，发送任意内容继续查看。`
	More string `json:"more,omitempty"`

	// A reply cannot be shown in WeChat. Default: `抱歉，这条回复暂时无法显示。`
	Failed string `json:"failed,omitempty"`
}

// Limits bound what an account may take up.
type Limits struct {
	// The largest number of open windows, that is, of callbacks held for a passive
	// reply. Beyond it a push is answered `success`, or `notice thinking` where the
	// account may not push; while the journal takes nothing, 503. Default: `20000`.
	Windows string `json:"windows,omitempty"`

	// The largest number of lanes at work at once. A lane is one user's queue.
	// Default: `1000`.
	Lanes string `json:"lanes,omitempty"`

	// How many messages of one user the bot gets within what time before they are
	// slowed: `<count>/<duration>`. What comes on top of that is taken like all
	// others, waits, and reaches the bot one by one, in order. Meanwhile one of the
	// user's callbacks is held for a passive reply; further ones are answered at once,
	// with success, or with `notice thinking` where the account may not push.
	// Default: `20/1m`.
	User string `json:"user,omitempty"`
}

// Media says what is fetched for users, and what is kept of what they send.
type Media struct {
	// The private addresses that media of the bot may be fetched from: `none`, or
	// CIDRs and addresses. Public addresses are always allowed. Default: `none`.
	Allow []string `json:"allow,omitempty"`

	// The largest file that is fetched for a user, at most 64MiB; larger ones become
	// links. Default: `20MiB`.
	MaxSize string `json:"max_size,omitempty"`

	// How long media that users sent is kept for the bot. More than 0. Default:
	// `72h`, which is how long WeChat keeps it.
	Keep string `json:"keep,omitempty"`

	// How much media that users sent is kept at most. Default: `1GiB`.
	Store string `json:"store,omitempty"`
}
