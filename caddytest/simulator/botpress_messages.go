package simulator

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sort"
	"strings"
	"time"
)

func bpMessageOps() []*bpOp {
	return []*bpOp{
		{name: "createMessage", method: http.MethodPost, path: "messages", key: true, body: true, creates: true, limited: true, check: bpCheckMessage, run: (*Botpress).createMessage},
		{name: "getMessage", method: http.MethodGet, path: "messages/*", key: true, run: (*Botpress).getMessage},
		{name: "deleteMessage", method: http.MethodDelete, path: "messages/*", key: true, run: (*Botpress).deleteMessage},
		{name: "createEvent", method: http.MethodPost, path: "events", key: true, body: true, creates: true, limited: true, check: bpCheckEvent, run: (*Botpress).createEvent},
		{name: "getEvent", method: http.MethodGet, path: "events/*", key: true, run: (*Botpress).getEvent},
	}
}

type bpMessageJSON struct {
	ID             string          `json:"id"`
	CreatedAt      string          `json:"createdAt"`
	ConversationID string          `json:"conversationId"`
	UserID         string          `json:"userId"`
	Payload        json.RawMessage `json:"payload"`
	Metadata       json.RawMessage `json:"metadata,omitempty"`
}

type bpEventJSON struct {
	ID             *string         `json:"id"` // null when the bot sent it
	CreatedAt      string          `json:"createdAt"`
	ConversationID string          `json:"conversationId"`
	UserID         string          `json:"userId"`
	Payload        json.RawMessage `json:"payload"`
}

func (m *bpMessage) json() bpMessageJSON {
	return bpMessageJSON{m.id, bpTime(m.createdAt), m.conv.ext(), m.user, m.payload, m.metadata}
}

func (e *bpEvent) json(user string) bpEventJSON {
	out := bpEventJSON{nil, bpTime(e.createdAt), e.conv.ext(), user, e.payload}
	if e.id != "" {
		out.ID = &e.id
	}
	return out
}

func bpCheckMessage(c *bpCall) (fail *bpFailure) {
	if c.in.target, fail = c.body.required("conversationId"); fail != nil {
		return fail
	}
	if c.in.payload, fail = c.body.payload(); fail != nil {
		return fail
	}
	c.in.metadata, fail = c.body.object("metadata", false)
	return fail
}

func bpCheckEvent(c *bpCall) (fail *bpFailure) {
	if c.in.target, fail = c.body.required("conversationId"); fail != nil {
		return fail
	}
	c.in.payload, fail = c.body.object("payload", true)
	return fail
}

// createMessage stores the message, hands it to the bot and tells listeners and webhook. It returns
// only when the webhook has answered: the echo precedes the response.
func (b *Botpress) createMessage(c *bpCall) (any, *bpFailure) {
	if len(c.in.payload)+len(c.in.metadata) > bpMaxStored {
		return nil, bpAPIError(http.StatusRequestEntityTooLarge, "PayloadTooLarge", "Message payload is too large")
	}
	b.mu.Lock()
	conv, fail := b.join(c, c.in.target, bpNotInMessages)
	if fail != nil {
		b.mu.Unlock()
		return nil, fail
	}
	m := &bpMessage{conv: conv, user: c.me.ext(), internal: c.me.id, payload: c.in.payload, metadata: c.in.metadata}
	b.store.addMessage(m)
	b.enqueue(&bpTurn{id: m.id, conv: conv, user: m.user, payload: m.payload, metadata: m.metadata})
	signal := bpMessageSignal(m)
	b.publish(conv, signal)
	b.mu.Unlock()
	_ = b.hooks.post(b.ctx, signal)
	return map[string]any{"message": m.json()}, nil
}

// getMessage names the caller as the sender, whoever it was.
func (b *Botpress) getMessage(c *bpCall) (any, *bpFailure) {
	b.mu.Lock()
	defer b.mu.Unlock()
	m := b.store.messages[c.params[0]]
	if m == nil {
		return nil, bpNotFound("Message", c.params[0])
	}
	if !m.conv.has(c.me) {
		return nil, bpForbidden(bpNotInMessages)
	}
	out := m.json()
	out.UserID = c.me.ext()
	return map[string]any{"message": out}, nil
}

func (b *Botpress) deleteMessage(c *bpCall) (any, *bpFailure) {
	b.mu.Lock()
	m := b.store.messages[c.params[0]]
	if m == nil {
		b.mu.Unlock()
		return nil, bpNotFound("Message", c.params[0])
	}
	if c.me == nil || m.internal != c.me.id {
		b.mu.Unlock()
		return nil, bpForbidden("You are not the sender of this message")
	}
	b.store.dropMessage(m)
	b.mu.Unlock()
	_ = b.emit(m.conv, bpDeletedSignal(m))
	return struct{}{}, nil
}

// listMessages pages from the newest to the oldest, and does not say which are the bot's.
func (b *Botpress) listMessages(c *bpCall) (any, *bpFailure) {
	b.mu.Lock()
	defer b.mu.Unlock()
	conv, fail := b.join(c, c.params[0], bpNotIn)
	if fail != nil {
		return nil, fail
	}
	before, fail := bpMessageCursor(c.token)
	if fail != nil {
		return nil, fail
	}
	end := len(conv.listed)
	if before != nil {
		end = sort.Search(end, func(i int) bool { return bpByTime(conv.listed[i], before) >= 0 })
	}
	list := []bpMessageJSON{}
	var meta bpMeta
	for i := end - 1; i >= 0; i-- {
		if len(list) == b.cfg.PageSize {
			last := conv.listed[i+1]
			meta.NextToken = bpToken(fmt.Sprintf("%d %s", last.createdAt.UnixMilli(), last.id))
			break
		}
		list = append(list, conv.listed[i].json())
	}
	return map[string]any{"messages": list, "meta": meta}, nil
}

// bpMessageCursor gives the place in a listing that a token names, so that messages which arrive
// between two pages neither shift nor repeat anything.
func bpMessageCursor(token string) (*bpMessage, *bpFailure) {
	cursor, fail := bpCursor(token)
	if fail != nil || cursor == "" {
		return nil, fail
	}
	at, id, _ := strings.Cut(cursor, " ")
	var ms int64
	if _, err := fmt.Sscan(at, &ms); err != nil {
		return nil, bpAPIError(http.StatusBadRequest, "InvalidQuery", "Invalid nextToken")
	}
	return &bpMessage{id: id, createdAt: time.UnixMilli(ms)}, nil
}

func (b *Botpress) createEvent(c *bpCall) (any, *bpFailure) {
	b.mu.Lock()
	conv, fail := b.join(c, c.in.target, bpNotInEvents)
	if fail != nil {
		b.mu.Unlock()
		return nil, fail
	}
	e := b.store.addEvent(conv, c.in.payload)
	user := c.me.ext()
	b.enqueue(&bpTurn{id: e.id, conv: conv, user: user, event: true, payload: e.payload})
	signal := bpEventSignal(e, user, false)
	b.publish(conv, signal)
	b.mu.Unlock()
	_ = b.hooks.post(b.ctx, signal)
	return map[string]any{"event": e.json(user)}, nil
}

// getEvent names the caller as the sender. Bot events are not stored.
func (b *Botpress) getEvent(c *bpCall) (any, *bpFailure) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.store.events[c.params[0]]
	if e == nil {
		return nil, bpNotFound("Event", c.params[0])
	}
	if !e.conv.has(c.me) {
		return nil, bpForbidden(bpNotInEvents)
	}
	return map[string]any{"event": e.json(c.me.ext())}, nil
}
