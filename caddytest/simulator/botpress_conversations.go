package simulator

import (
	"encoding/base64"
	"net/http"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"
)

func bpConversationOps() []*bpOp {
	return []*bpOp{
		{name: "createConversation", method: http.MethodPost, path: "conversations", key: true, body: true, creates: true, check: bpCheckNewConversation, run: (*Botpress).createConversation},
		{name: "getOrCreateConversation", method: http.MethodPost, path: "conversations/get-or-create", key: true, body: true, creates: true, check: bpCheckConversationID, run: (*Botpress).getOrCreateConversation},
		{name: "listConversations", method: http.MethodGet, path: "conversations", key: true, run: (*Botpress).listConversations},
		{name: "getConversation", method: http.MethodGet, path: "conversations/*", key: true, run: (*Botpress).getConversation},
		{name: "deleteConversation", method: http.MethodDelete, path: "conversations/*", key: true, run: (*Botpress).deleteConversation},
		{name: "listMessages", method: http.MethodGet, path: "conversations/*/messages", key: true, run: (*Botpress).listMessages},
		{name: "listenConversation", method: http.MethodGet, path: "conversations/*/listen", key: true},
		{name: "addParticipant", method: http.MethodPost, path: "conversations/*/participants", key: true, body: true, check: bpCheckUserID, run: (*Botpress).addParticipant},
		{name: "listParticipants", method: http.MethodGet, path: "conversations/*/participants", key: true, run: (*Botpress).listParticipants},
		{name: "getParticipant", method: http.MethodGet, path: "conversations/*/participants/*", key: true, run: (*Botpress).getParticipant},
		{name: "removeParticipant", method: http.MethodDelete, path: "conversations/*/participants/*", key: true, run: (*Botpress).removeParticipant},
	}
}

type bpConversationJSON struct {
	ID        string `json:"id"`
	CreatedAt string `json:"createdAt"`
	UpdatedAt string `json:"updatedAt"`
}

// bpMeta carries the token of the next page, absent on the last one.
type bpMeta struct {
	NextToken string `json:"nextToken,omitempty"`
}

func (c *bpConversation) json() bpConversationJSON {
	updated := c.createdAt
	if c.last != 0 {
		updated = time.UnixMilli(c.last)
	}
	return bpConversationJSON{c.ext(), bpTime(c.createdAt), bpTime(updated)}
}

func bpCheckNewConversation(c *bpCall) (fail *bpFailure) {
	c.in.id, fail = c.body.text("id", 0)
	return fail
}

func bpCheckConversationID(c *bpCall) (fail *bpFailure) {
	c.in.target, fail = c.body.required("id")
	return fail
}

func bpCheckUserID(c *bpCall) (fail *bpFailure) {
	c.in.target, fail = c.body.required("userId")
	return fail
}

func bpForbidden(message string) *bpFailure {
	return bpAPIError(http.StatusForbidden, "Forbidden", message)
}

const (
	bpNotOwner      = "You are not the owner of this conversation"
	bpNotIn         = "You are not a participant in this conversation"
	bpNotInMessages = "You are not a participant in this message's conversation"
	bpNotInEvents   = "You are not a participant in this event's conversation"
)

// join gives the conversation if the caller takes part in it. One that does not exist counts as one
// it does not take part in. b.mu is held.
func (b *Botpress) join(c *bpCall, id, complaint string) (*bpConversation, *bpFailure) {
	conv := b.store.conversation(id)
	if conv == nil || !conv.has(c.me) {
		return nil, bpForbidden(complaint)
	}
	return conv, nil
}

// found is join for the operations that tell an unknown conversation from a foreign one. b.mu is held.
func (b *Botpress) found(c *bpCall, id, complaint string) (*bpConversation, *bpFailure) {
	if b.store.conversation(id) == nil {
		return nil, bpNotFound("Conversation", id)
	}
	return b.join(c, id, complaint)
}

// owned is found for the owner's operations. b.mu is held.
func (b *Botpress) owned(c *bpCall, id string) (*bpConversation, *bpFailure) {
	conv := b.store.conversation(id)
	switch {
	case conv == nil:
		return nil, bpNotFound("Conversation", id)
	case c.me == nil || conv.owner != c.me:
		return nil, bpForbidden(bpNotOwner)
	}
	return conv, nil
}

func (b *Botpress) createConversation(c *bpCall) (any, *bpFailure) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if c.me == nil {
		return nil, bpNotFound("User", c.caller)
	}
	fid := ""
	if c.in.id != nil {
		fid = *c.in.id
		if b.store.conversation(fid) != nil {
			return nil, bpAPIError(http.StatusConflict, "AlreadyExists", "Conversation with id "+fid+" already exists")
		}
		if fail := bpCheckFid(fid); fail != nil {
			return nil, fail
		}
	}
	return map[string]any{"conversation": b.store.addConversation(fid, c.me).json()}, nil
}

// getOrCreateConversation knows the client's own ids only: given an internal id it makes a new
// conversation under that name.
func (b *Botpress) getOrCreateConversation(c *bpCall) (any, *bpFailure) {
	id := c.in.target
	conv, fail := bpGetOrCreate(b, c, id,
		func() *bpConversation { return b.store.convFids[id] },
		func() (*bpConversation, *bpFailure) {
			if c.me == nil {
				return nil, bpNotFound("User", c.caller)
			}
			return b.store.addConversation(id, c.me), nil
		})
	if fail != nil {
		return nil, fail
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if c.me == nil || conv.owner != c.me {
		return nil, bpForbidden(bpNotOwner)
	}
	return map[string]any{"conversation": conv.json()}, nil
}

// listConversations lists what the caller owns, newest first.
func (b *Botpress) listConversations(c *bpCall) (any, *bpFailure) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if c.me == nil {
		return nil, bpNotFound("User", c.caller)
	}
	before, fail := bpCursor(c.token)
	if fail != nil {
		return nil, fail
	}
	end := len(c.me.owned)
	if before != "" {
		end = sort.Search(end, func(i int) bool { return c.me.owned[i].id >= before })
	}
	list := []bpConversationJSON{}
	var meta bpMeta
	for i := end - 1; i >= 0; i-- {
		if len(list) == b.cfg.PageSize {
			meta.NextToken = bpToken(c.me.owned[i+1].id)
			break
		}
		list = append(list, c.me.owned[i].json())
	}
	return map[string]any{"conversations": list, "meta": meta}, nil
}

func (b *Botpress) getConversation(c *bpCall) (any, *bpFailure) {
	b.mu.Lock()
	defer b.mu.Unlock()
	conv, fail := b.found(c, c.params[0], bpNotInMessages)
	if fail != nil {
		return nil, fail
	}
	return map[string]any{"conversation": conv.json()}, nil
}

// deleteConversation frees the id. It emits no signal and closes no stream.
func (b *Botpress) deleteConversation(c *bpCall) (any, *bpFailure) {
	b.mu.Lock()
	defer b.mu.Unlock()
	conv, fail := b.owned(c, c.params[0])
	if fail != nil {
		return nil, fail
	}
	b.store.dropConversation(conv)
	return struct{}{}, nil
}

func (b *Botpress) addParticipant(c *bpCall) (any, *bpFailure) {
	b.mu.Lock()
	conv, fail := b.owned(c, c.params[0])
	if fail != nil {
		b.mu.Unlock()
		return nil, fail
	}
	u := b.store.user(c.in.target)
	if u == nil {
		b.mu.Unlock()
		return nil, bpNotFound("User", c.in.target)
	}
	if !conv.has(u) {
		conv.participants = append(conv.participants, u)
	}
	out := map[string]any{"participant": u.json()}
	b.mu.Unlock()
	_ = b.emit(conv, bpParticipantSignal("participant_added", c.params[0], c.in.target))
	return out, nil
}

func (b *Botpress) listParticipants(c *bpCall) (any, *bpFailure) {
	b.mu.Lock()
	defer b.mu.Unlock()
	conv, fail := b.found(c, c.params[0], bpNotInMessages)
	if fail != nil {
		return nil, fail
	}
	cursor, fail := bpCursor(c.token)
	if fail != nil {
		return nil, fail
	}
	from, _ := strconv.Atoi(cursor)
	list := []bpUserJSON{}
	var meta bpMeta
	for i := max(from, 0); i < len(conv.participants); i++ {
		if len(list) == b.cfg.PageSize {
			meta.NextToken = bpToken(strconv.Itoa(i))
			break
		}
		list = append(list, conv.participants[i].json())
	}
	return map[string]any{"participants": list, "meta": meta}, nil
}

func (b *Botpress) getParticipant(c *bpCall) (any, *bpFailure) {
	b.mu.Lock()
	defer b.mu.Unlock()
	conv, fail := b.owned(c, c.params[0])
	if fail != nil {
		return nil, fail
	}
	u := b.store.user(c.params[1])
	if !conv.has(u) {
		return nil, bpNotFound("Participant", c.params[1])
	}
	return map[string]any{"participant": u.json()}, nil
}

// removeParticipant closes every stream of that user, in every conversation.
func (b *Botpress) removeParticipant(c *bpCall) (any, *bpFailure) {
	b.mu.Lock()
	conv, fail := b.owned(c, c.params[0])
	if fail != nil {
		b.mu.Unlock()
		return nil, fail
	}
	u := b.store.user(c.params[1])
	if !conv.has(u) {
		b.mu.Unlock()
		return nil, bpNotFound("Participant", c.params[1])
	}
	if u == conv.owner {
		b.mu.Unlock()
		return nil, bpAPIError(http.StatusBadRequest, "InvalidPayload",
			"You cannot remove yourself from the conversation because you are its owner")
	}
	conv.participants = slices.DeleteFunc(conv.participants, func(p *bpUser) bool { return p == u })
	b.mu.Unlock()
	_ = b.emit(conv, bpParticipantSignal("participant_removed", c.params[0], c.params[1]))
	b.mu.Lock()
	defer b.mu.Unlock()
	for s := range u.streams {
		s.end(false)
	}
	return struct{}{}, nil
}

// bpToken makes a nextToken, opaque to clients. The plus sign finds out who does not URL-encode it.
func bpToken(cursor string) string {
	return bpTokenPrefix + base64.StdEncoding.EncodeToString([]byte(cursor))
}

const bpTokenPrefix = "next+"

func bpCursor(token string) (string, *bpFailure) {
	if token == "" {
		return "", nil
	}
	encoded, ok := strings.CutPrefix(token, bpTokenPrefix)
	cursor, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || !ok {
		return "", bpAPIError(http.StatusBadRequest, "InvalidQuery", "Invalid nextToken")
	}
	return string(cursor), nil
}
