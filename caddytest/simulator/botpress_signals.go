package simulator

import (
	"encoding/json"
	"time"
)

// bpSignal is one {"type","data"} object, encoded once for all who hear it.
type bpSignal struct {
	kind    string
	conv    string // as clients see it
	message string // message id, if it is about one
	bot     bool   // the bot caused it
	body    []byte
}

func bpNewSignal(kind, conv, message string, bot bool, data any) bpSignal {
	return bpSignal{kind: kind, conv: conv, message: message, bot: bot, body: bpJSON(struct {
		Type string `json:"type"`
		Data any    `json:"data"`
	}{kind, data})}
}

func bpMessageSignal(m *bpMessage) bpSignal {
	return bpNewSignal("message_created", m.conv.ext(), m.id, m.bot, struct {
		bpMessageJSON
		IsBot bool `json:"isBot"`
	}{m.json(), m.bot})
}

func bpEventSignal(e *bpEvent, user string, bot bool) bpSignal {
	return bpNewSignal("event_created", e.conv.ext(), "", bot, struct {
		bpEventJSON
		IsBot bool `json:"isBot"`
	}{e.json(user), bot})
}

// bpDeletedSignal carries internal ids, unlike all others.
func bpDeletedSignal(m *bpMessage) bpSignal {
	return bpNewSignal("message_deleted", m.conv.ext(), m.id, false, map[string]string{
		"id": m.id, "conversationId": m.conv.id, "userId": m.internal,
	})
}

// bpParticipantSignal echoes the ids as the request gave them.
func bpParticipantSignal(kind, conv, user string) bpSignal {
	return bpNewSignal(kind, conv, "", false, map[string]string{"conversationId": conv, "participantId": user})
}

func bpCompleteSignal(m *bpMessage, streamID string) bpSignal {
	return bpNewSignal("message_stream_complete", m.conv.ext(), m.id, true, map[string]any{
		"streamId": streamID, "message": m.json(),
	})
}

func bpDeltaSignal(conv *bpConversation, user, streamID string, sequence int, delta string, at time.Time) bpSignal {
	return bpNewSignal("message_stream_delta", conv.ext(), "", true, map[string]any{
		"streamId": streamID, "conversationId": conv.ext(), "userId": user, "createdAt": bpTime(at),
		"sequence": sequence, "delta": delta,
	})
}

func bpAbortSignal(conv *bpConversation, streamID string) bpSignal {
	return bpNewSignal("message_stream_abort", conv.ext(), "", true, map[string]string{
		"streamId": streamID, "conversationId": conv.ext(),
	})
}

// publish tells the open streams. b.mu is held.
func (b *Botpress) publish(conv *bpConversation, s bpSignal) {
	if b.silent {
		return
	}
	for stream := range conv.streams {
		stream.send(s.body)
	}
}

// emit tells streams, then the webhook, and waits for it.
func (b *Botpress) emit(conv *bpConversation, s bpSignal) error {
	b.mu.Lock()
	b.publish(conv, s)
	b.mu.Unlock()
	return b.hooks.post(b.ctx, s)
}

// bpDelivery is what follows from one bot message or event. Deliveries of a conversation go out one
// after another: each waits for the one before it.
type bpDelivery struct {
	conv    *bpConversation
	signals []bpSignal
	prev    <-chan struct{} // nil for the first
	done    chan struct{}
}

// link puts a delivery behind the last one of its conversation. b.mu is held. It must be delivered.
func (d *bpDelivery) link() {
	d.prev, d.done = d.conv.tail, make(chan struct{})
	d.conv.tail = d.done
}

// deliver emits the signals in order, each after the webhook has answered the one before.
func (b *Botpress) deliver(d *bpDelivery) error {
	defer close(d.done)
	if d.prev != nil {
		select {
		case <-d.prev:
		case <-b.ctx.Done():
			return b.ctx.Err()
		}
	}
	var failed error
	for _, s := range d.signals {
		if err := b.emit(d.conv, s); err != nil {
			failed = err
		}
	}
	return failed
}

// addBotMessage stores a message of the bot and prepares its signals: one that ends a stream is
// announced as complete, then as created. b.mu is held.
func (b *Botpress) addBotMessage(conv *bpConversation, payload, metadata json.RawMessage, at time.Time) (*bpMessage, *bpDelivery) {
	m := &bpMessage{
		conv: conv, user: b.store.botUser, internal: b.store.botUser, bot: true,
		createdAt: at, payload: payload, metadata: metadata,
	}
	b.store.addMessage(m)
	if b.feed != nil {
		b.feed.add("message", conv.ext(), m.public())
	}
	d := &bpDelivery{conv: conv}
	var meta struct {
		StreamID string `json:"streamId"`
	}
	if len(metadata) > 0 && json.Unmarshal(metadata, &meta) == nil && meta.StreamID != "" {
		d.signals = append(d.signals, bpCompleteSignal(m, meta.StreamID))
	}
	d.signals = append(d.signals, bpMessageSignal(m))
	return m, d
}
