package simulator

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"time"
)

// Turn is what a user sent to the bot.
type Turn struct {
	// MessageID is the message's, or the event's if Event.
	MessageID string `json:"messageId"`
	// Conversation and User are the client's own ids where it has given any.
	Conversation string `json:"conversation"`
	User         string `json:"user"`
	// Event tells a custom event from a message.
	Event bool `json:"event"`
	// At is when it was accepted.
	At time.Time `json:"at"`
	// Payload is the message's or the event's, without the metadata.
	Payload json.RawMessage `json:"payload"`
	// Metadata is the message's, nil if it had none.
	Metadata map[string]any `json:"metadata,omitempty"`

	seq int64
}

// BotpressMessage is a stored message, of a user or of the bot.
type BotpressMessage struct {
	ID           string          `json:"id"`
	Conversation string          `json:"conversation"`
	User         string          `json:"user"`
	Bot          bool            `json:"bot"`
	CreatedAt    time.Time       `json:"createdAt"`
	Payload      json.RawMessage `json:"payload"`
	Metadata     map[string]any  `json:"metadata,omitempty"`
}

// BotpressUser is a user as the bot sees it. ID is the client's own where it has given one.
type BotpressUser struct {
	ID         string `json:"id"`
	InternalID string `json:"internalId"`
	Name       string `json:"name,omitempty"`
	PictureURL string `json:"pictureUrl,omitempty"`
	Profile    string `json:"profile,omitempty"`
}

// BotpressState sums up the simulator.
type BotpressState struct {
	WebhookID     string         `json:"webhookId"`
	Personal      bool           `json:"personal"`
	Down          bool           `json:"down"`
	Think         float64        `json:"think"` // seconds before the bot sees a turn
	PublicURL     string         `json:"publicUrl"`
	WebhookURL    string         `json:"webhookUrl"`
	Users         int            `json:"users"`
	Conversations int            `json:"conversations"`
	Messages      int64          `json:"messages"` // stored since the start
	Turns         int64          `json:"turns"`    // accepted since the start
	Pending       int            `json:"pending"`  // turns the bot has not finished
	Streams       int            `json:"streams"`  // open now
	Faults        int            `json:"faults"`   // of the Chat API, not used up
	Panics        int            `json:"panics"`   // of the bot's script
	Calls         map[string]int `json:"calls"`    // authenticated calls by operation
	Webhooks      WebhookCounts  `json:"webhooks"`
}

func (t *bpTurn) public() Turn {
	return Turn{t.id, t.conv.ext(), t.user, t.event, t.at, t.payload, bpMap(t.metadata), t.seq}
}

func (m *bpMessage) public() BotpressMessage {
	return BotpressMessage{m.id, m.conv.ext(), m.user, m.bot, m.createdAt, m.payload, bpMap(m.metadata)}
}

func bpMap(raw json.RawMessage) map[string]any {
	if raw == nil {
		return nil
	}
	var m map[string]any
	_ = json.Unmarshal(raw, &m)
	return m
}

// Turns gives the turns of a conversation in the order of their arrival.
func (b *Botpress) Turns(conversation string) []Turn {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.store.conversation(conversation)
	if c == nil {
		return nil
	}
	turns := make([]Turn, len(c.turns))
	for i, t := range c.turns {
		turns[i] = t.public()
	}
	return turns
}

// AllTurns gives the turns of all conversations, deleted ones too, in the order of their arrival.
func (b *Botpress) AllTurns() []Turn {
	b.mu.Lock()
	defer b.mu.Unlock()
	var turns []Turn
	for _, c := range slices.AppendSeq(slices.Clone(b.store.deleted), maps.Values(b.store.conversations)) {
		for _, t := range c.turns {
			turns = append(turns, t.public())
		}
	}
	slices.SortFunc(turns, func(x, y Turn) int { return cmp.Compare(x.seq, y.seq) })
	return turns
}

// CountTurns is how many turns have arrived since the start.
func (b *Botpress) CountTurns() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.store.turns
}

// Conversations gives the ids of all conversations, the oldest first.
func (b *Botpress) Conversations() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := slices.SortedFunc(maps.Values(b.store.conversations), func(x, y *bpConversation) int { return cmp.Compare(x.id, y.id) })
	ids := make([]string, len(all))
	for i, c := range all {
		ids[i] = c.ext()
	}
	return ids
}

// Messages gives the messages of a conversation, of both directions, in the order they were stored.
func (b *Botpress) Messages(conversation string) []BotpressMessage {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.store.conversation(conversation)
	if c == nil {
		return nil
	}
	messages := make([]BotpressMessage, len(c.log))
	for i, m := range c.log {
		messages[i] = m.public()
	}
	return messages
}

// User gives a user by the client's id or the internal one.
func (b *Botpress) User(id string) (BotpressUser, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	u := b.store.user(id)
	if u == nil {
		return BotpressUser{}, false
	}
	text := func(s *string) string {
		if s == nil {
			return ""
		}
		return *s
	}
	return BotpressUser{u.ext(), u.id, text(u.name), text(u.pictureURL), text(u.profile)}, true
}

// Forget loses the user and the conversation of this id, as if somebody had deleted them at Botpress.
func (b *Botpress) Forget(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if c := b.store.conversation(id); c != nil {
		b.store.dropConversation(c)
	}
	if u := b.store.user(id); u != nil {
		b.store.dropUser(u)
	}
}

// State sums up.
func (b *Botpress) State() BotpressState {
	counts := b.WebhookCounts()
	b.hooks.mu.Lock()
	url := b.hooks.url
	b.hooks.mu.Unlock()
	b.faults.mu.Lock()
	faults := len(b.faults.list)
	b.faults.mu.Unlock()
	b.mu.Lock()
	defer b.mu.Unlock()
	streams := 0
	for _, c := range b.store.conversations {
		streams += len(c.streams)
	}
	return BotpressState{
		WebhookID: b.cfg.WebhookID, Personal: b.keys.Load().personal, Down: bpDone(b.down), Think: b.think.Seconds(),
		PublicURL: b.publicURL, WebhookURL: url,
		Users: len(b.store.users), Conversations: len(b.store.conversations),
		Messages: b.store.stored, Turns: b.store.turns, Pending: b.lanes.pending,
		Streams: streams, Faults: faults, Panics: b.panics, Calls: maps.Clone(b.calls), Webhooks: counts,
	}
}

// Calls is how many authenticated calls of an operation, such as "listMessages", there have been.
func (b *Botpress) Calls(op string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.calls[op]
}

// bpWaiter waits for a condition on what Botpress.mu protects.
type bpWaiter struct {
	cond func() bool
	met  chan struct{}
}

// wake looks who waits for what has just changed. b.mu is held.
func (b *Botpress) wake() {
	for w := range b.waiters {
		if w.cond() {
			delete(b.waiters, w)
			close(w.met)
		}
	}
}

func (b *Botpress) wait(ctx context.Context, cond func() bool) error {
	b.mu.Lock()
	if cond() {
		b.mu.Unlock()
		return nil
	}
	w := &bpWaiter{cond, make(chan struct{})}
	b.waiters[w] = struct{}{}
	b.mu.Unlock()
	var err error
	select {
	case <-w.met:
		return nil
	case <-ctx.Done():
		err = ctx.Err()
	case <-b.ctx.Done():
		err = b.ctx.Err()
	}
	b.mu.Lock()
	delete(b.waiters, w)
	b.mu.Unlock()
	return err
}

// WaitTurns waits until a conversation, or the whole bot if it is empty, has had at least n turns,
// and gives them. On an error it gives those that there are.
func (b *Botpress) WaitTurns(ctx context.Context, conversation string, n int) ([]Turn, error) {
	err := b.wait(ctx, func() bool {
		if conversation == "" {
			return b.store.turns >= int64(n)
		}
		c := b.store.conversation(conversation)
		return c != nil && len(c.turns) >= n || n <= 0
	})
	if conversation == "" {
		return b.AllTurns(), err
	}
	return b.Turns(conversation), err
}

// WaitMessages waits until a conversation holds at least n messages, of both directions, and gives them.
func (b *Botpress) WaitMessages(ctx context.Context, conversation string, n int) ([]BotpressMessage, error) {
	err := b.wait(ctx, func() bool {
		c := b.store.conversation(conversation)
		return c != nil && len(c.log) >= n || n <= 0
	})
	return b.Messages(conversation), err
}

// WaitIdle waits until the bot has finished every turn it was given, webhooks included.
func (b *Botpress) WaitIdle(ctx context.Context) error {
	return b.wait(ctx, func() bool { return b.lanes.pending == 0 })
}

// WaitStreams waits until a conversation has at least n listeners.
func (b *Botpress) WaitStreams(ctx context.Context, conversation string, n int) error {
	return b.wait(ctx, func() bool {
		c := b.store.conversation(conversation)
		return c != nil && len(c.streams) >= n
	})
}
