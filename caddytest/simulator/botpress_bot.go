package simulator

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Bot answers one turn. Turns of a conversation come one at a time, in the order in which they
// arrived; conversations are independent. ctx ends with the simulator.
type Bot func(ctx context.Context, t *BotTurn)

// BotTurn is a turn in the hands of the bot.
type BotTurn struct {
	Turn
	b       *Botpress
	conv    *bpConversation
	held    []*bpDelivery // until the turn ends, if ReorderWebhooks
	answers bool          // BotpressConfig.AnswerEvents
}

// bpLanes is the bot's side: a queue per conversation, and a bounded number of workers that each
// serve one conversation at a time. Botpress.mu protects it.
type bpLanes struct {
	running int
	ready   []*bpConversation // in line for a worker
	pending int               // turns not yet finished
}

// enqueue hands a turn to the bot. b.mu is held.
func (b *Botpress) enqueue(t *bpTurn) {
	b.store.addTurn(t)
	if b.feed != nil {
		b.feed.add("turn", t.conv.ext(), t.public())
	}
	b.lanes.pending++
	t.conv.queue = append(t.conv.queue, t)
	b.wake()
	if t.conv.active || b.closed {
		return
	}
	t.conv.active = true
	if b.lanes.running == b.cfg.BotWorkers {
		b.lanes.ready = append(b.lanes.ready, t.conv)
		return
	}
	b.lanes.running++
	b.wg.Go(func() { b.work(t.conv) })
}

// work serves conversations until none is in line.
func (b *Botpress) work(conv *bpConversation) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for {
		if b.closed {
			b.lanes.running--
			return
		}
		if len(conv.queue) > 0 {
			t := conv.queue[0]
			conv.queue = conv.queue[1:]
			bot := b.bot
			b.mu.Unlock()
			b.runTurn(bot, t)
			b.mu.Lock()
			b.lanes.pending--
			b.wake()
			if len(conv.queue) > 0 && len(b.lanes.ready) == 0 {
				continue
			}
		}
		// To the end of the line, or out of it.
		if conv.active = len(conv.queue) > 0; conv.active {
			b.lanes.ready = append(b.lanes.ready, conv)
		} else {
			conv.queue = nil
		}
		if len(b.lanes.ready) == 0 {
			b.lanes.running--
			return
		}
		conv, b.lanes.ready = b.lanes.ready[0], b.lanes.ready[1:]
	}
}

func (b *Botpress) runTurn(bot Bot, t *bpTurn) {
	b.mu.Lock()
	think := b.think
	b.mu.Unlock()
	if !b.pause(think, nil) {
		return
	}
	turn := &BotTurn{Turn: t.public(), b: b, conv: t.conv, answers: b.cfg.AnswerEvents}
	defer func() {
		if p := recover(); p != nil {
			b.mu.Lock()
			b.panics++
			b.mu.Unlock()
		}
		turn.flush()
	}()
	bot(b.ctx, turn)
}

// flush delivers what was held back, last things first.
func (t *BotTurn) flush() {
	slices.Reverse(t.held)
	for _, d := range t.held {
		t.b.mu.Lock()
		d.link()
		t.b.mu.Unlock()
		_ = t.b.deliver(d)
	}
	t.held = nil
}

// Reply sends a message of the bot and returns its id, once listeners and webhook have it. A string
// is a text payload; json.RawMessage is taken as it is; anything else is encoded.
func (t *BotTurn) Reply(payload any, opts ...SayOption) string {
	o := bpSayOptions(opts)
	t.b.mu.Lock()
	m, d := t.b.addBotMessage(t.conv, bpPayload(payload), o.metadata, o.at)
	t.b.wake()
	hold := t.b.cfg.ReorderWebhooks
	if !o.silent && !hold {
		d.link()
	}
	t.b.mu.Unlock()
	switch {
	case o.silent:
	case hold:
		t.held = append(t.held, d)
	default:
		_ = t.b.deliver(d)
	}
	return m.id
}

// SendEvent sends a custom event of the bot. It is not stored.
func (t *BotTurn) SendEvent(payload any) error {
	return t.signal(func(now time.Time) bpSignal {
		e := &bpEvent{conv: t.conv, createdAt: now, payload: bpJSON(payload)}
		return bpEventSignal(e, t.b.store.botUser, true)
	})
}

// Delta streams a piece of a message; Reply with SayMetadata{"streamId": streamID} ends the stream.
// It fails if the webhook does.
func (t *BotTurn) Delta(streamID string, sequence int, delta string) error {
	return t.signal(func(now time.Time) bpSignal {
		return bpDeltaSignal(t.conv, t.b.store.botUser, streamID, sequence, delta, now)
	})
}

// Abort ends a stream without a message. It fails if the webhook does.
func (t *BotTurn) Abort(streamID string) error {
	return t.signal(func(time.Time) bpSignal { return bpAbortSignal(t.conv, streamID) })
}

func (t *BotTurn) signal(make func(now time.Time) bpSignal) error {
	d := &bpDelivery{conv: t.conv}
	t.b.mu.Lock()
	d.signals = []bpSignal{make(t.b.cfg.Now())}
	d.link()
	t.b.mu.Unlock()
	return t.b.deliver(d)
}

// Sleep waits; false means that the simulator was closed meanwhile.
func (t *BotTurn) Sleep(d time.Duration) bool { return t.b.pause(d, nil) }

// MediaURL is the address of one of the files below /media, such as "picture.png".
func (t *BotTurn) MediaURL(name string) string { return t.b.PublicURL() + "/media/" + name }

// SayOption changes how a message of the bot is sent.
type SayOption func(*bpSay)

type bpSay struct {
	at       time.Time
	silent   bool
	metadata json.RawMessage
}

// SayAt sets createdAt, to the millisecond, in place of the next in order.
func SayAt(t time.Time) SayOption { return func(s *bpSay) { s.at = t } }

// SaySilently stores the message only: neither streams nor the webhook hear of it.
func SaySilently() SayOption { return func(s *bpSay) { s.silent = true } }

// SayMetadata attaches message metadata.
func SayMetadata(m map[string]any) SayOption { return func(s *bpSay) { s.metadata = bpJSON(m) } }

func bpSayOptions(opts []SayOption) (s bpSay) {
	for _, o := range opts {
		o(&s)
	}
	return s
}

// Say sends a message of the bot's own accord into a conversation, named by the client's id or the
// internal one, and returns the message id once listeners and webhook have it; "" if there is no such
// conversation. Payloads as for BotTurn.Reply.
func (b *Botpress) Say(conversation string, payload any, opts ...SayOption) string {
	o := bpSayOptions(opts)
	b.mu.Lock()
	conv := b.store.conversation(conversation)
	if conv == nil {
		b.mu.Unlock()
		return ""
	}
	m, d := b.addBotMessage(conv, bpPayload(payload), o.metadata, o.at)
	b.wake()
	if !o.silent {
		d.link()
	}
	b.mu.Unlock()
	if !o.silent {
		_ = b.deliver(d)
	}
	return m.id
}

// bpPayload makes a message payload. Items of a bloc in the form they have inside Botpress,
// {"type","payload"}, are flattened as they are on the way to a client.
func bpPayload(p any) json.RawMessage {
	var raw json.RawMessage
	switch p := p.(type) {
	case string:
		return bpJSON(struct {
			Type string `json:"type"`
			Text string `json:"text"`
		}{"text", p})
	case json.RawMessage:
		raw = bpCompact(p)
	default:
		raw = bpJSON(p)
	}
	var bloc struct {
		Type  string           `json:"type"`
		Items []map[string]any `json:"items"`
	}
	if json.Unmarshal(raw, &bloc) != nil || bloc.Type != "bloc" {
		return raw
	}
	for _, item := range bloc.Items {
		if inner, ok := item["payload"].(map[string]any); ok {
			delete(item, "payload")
			maps.Copy(item, inner)
		}
	}
	return bpJSON(bloc)
}

// Text is the text of a text payload, "" of any other.
func (t Turn) Text() string {
	var p struct {
		Text string `json:"text"`
	}
	_ = json.Unmarshal(t.Payload, &p)
	return p.Text
}

// String names the turn in test failures.
func (t Turn) String() string { return fmt.Sprintf("%s %s %s", t.Conversation, t.MessageID, t.Payload) }
