package simulator

import (
	"cmp"
	"encoding/json"
	"slices"
	"time"
)

// bpStore is the bot's database. Botpress.mu protects all of it, and everything reachable from it.
type bpStore struct {
	ids           bpULIDs
	now           func() time.Time
	keep          int
	botUser       string
	users         map[string]*bpUser // by internal id
	userFids      map[string]*bpUser // by the client's own id
	conversations map[string]*bpConversation
	convFids      map[string]*bpConversation
	deleted       []*bpConversation // their turns were turns of the bot
	messages      map[string]*bpMessage
	events        map[string]*bpEvent
	stored        int64 // messages ever stored
	turns         int64 // turns ever accepted
}

type bpUser struct {
	id, fid                   string
	name, pictureURL, profile *string
	createdAt, updatedAt      time.Time
	owned                     []*bpConversation // in order of creation
	streams                   map[*bpStream]struct{}
}

type bpConversation struct {
	id, fid      string
	owner        *bpUser
	participants []*bpUser
	createdAt    time.Time
	last         int64 // createdAt of the newest message, Unix ms

	log    []*bpMessage // in the order they were stored
	listed []*bpMessage // by createdAt, then id
	turns  []*bpTurn

	queue   []*bpTurn // turns the bot has not begun
	active  bool      // a worker has this conversation, or it is in line for one
	tail    <-chan struct{}
	streams map[*bpStream]struct{}
}

type bpMessage struct {
	id        string
	conv      *bpConversation
	user      string // as clients see it
	internal  string // the sender's internal id
	bot       bool
	createdAt time.Time
	payload   json.RawMessage
	metadata  json.RawMessage // nil if none
}

type bpEvent struct {
	id        string
	conv      *bpConversation
	createdAt time.Time
	payload   json.RawMessage
}

type bpTurn struct {
	seq      int64
	id       string
	conv     *bpConversation
	user     string
	event    bool
	at       time.Time
	payload  json.RawMessage
	metadata json.RawMessage
}

func newBPStore(cfg BotpressConfig) bpStore {
	s := bpStore{
		now:           cfg.Now,
		keep:          cfg.Keep,
		users:         map[string]*bpUser{},
		userFids:      map[string]*bpUser{},
		conversations: map[string]*bpConversation{},
		convFids:      map[string]*bpConversation{},
		messages:      map[string]*bpMessage{},
		events:        map[string]*bpEvent{},
	}
	s.botUser = s.ids.next("user_", cfg.Now())
	return s
}

// ext is the id that clients see: their own where there is one.
func (u *bpUser) ext() string         { return cmp.Or(u.fid, u.id) }
func (c *bpConversation) ext() string { return cmp.Or(c.fid, c.id) }

// user resolves an id: the client's own if mapped, else Botpress's.
func (s *bpStore) user(id string) *bpUser {
	if u := s.userFids[id]; u != nil {
		return u
	}
	return s.users[id]
}

func (s *bpStore) conversation(id string) *bpConversation {
	if c := s.convFids[id]; c != nil {
		return c
	}
	return s.conversations[id]
}

// addUser makes a user; a fid that is taken stays with its first holder.
func (s *bpStore) addUser(fid string) *bpUser {
	now := s.now()
	u := &bpUser{id: s.ids.next("user_", now), fid: fid, createdAt: now, updatedAt: now, streams: map[*bpStream]struct{}{}}
	s.users[u.id] = u
	if fid != "" && s.userFids[fid] == nil {
		s.userFids[fid] = u
	}
	return u
}

func (s *bpStore) addConversation(fid string, owner *bpUser) *bpConversation {
	now := s.now()
	c := &bpConversation{
		id: s.ids.next("conv_", now), fid: fid, owner: owner, participants: []*bpUser{owner},
		createdAt: now, streams: map[*bpStream]struct{}{},
	}
	s.conversations[c.id] = c
	if fid != "" && s.convFids[fid] == nil {
		s.convFids[fid] = c
	}
	owner.owned = append(owner.owned, c)
	return c
}

func (s *bpStore) dropUser(u *bpUser) {
	delete(s.users, u.id)
	if s.userFids[u.fid] == u {
		delete(s.userFids, u.fid)
	}
}

func (s *bpStore) dropConversation(c *bpConversation) {
	delete(s.conversations, c.id)
	s.deleted = append(s.deleted, c)
	if s.convFids[c.fid] == c {
		delete(s.convFids, c.fid)
	}
	c.owner.owned = slices.DeleteFunc(c.owner.owned, func(o *bpConversation) bool { return o == c })
	for _, m := range c.log {
		delete(s.messages, m.id)
	}
}

func (c *bpConversation) has(u *bpUser) bool { return u != nil && slices.Contains(c.participants, u) }

// addMessage stores a message. Without an explicit time, createdAt ascends strictly within the
// conversation, so that its order is defined.
func (s *bpStore) addMessage(m *bpMessage) {
	now := s.now()
	m.id = s.ids.next("msg_", now)
	if m.createdAt.IsZero() {
		m.conv.last = max(now.UnixMilli(), m.conv.last+1)
		m.createdAt = time.UnixMilli(m.conv.last)
	} else {
		m.createdAt = m.createdAt.Truncate(time.Millisecond)
	}
	s.stored++
	s.messages[m.id] = m
	c := m.conv
	c.log = append(c.log, m)
	i := len(c.listed)
	if i > 0 && bpByTime(c.listed[i-1], m) > 0 {
		i, _ = slices.BinarySearchFunc(c.listed, m, bpByTime)
	}
	c.listed = slices.Insert(c.listed, i, m)
	s.trim(c)
}

func bpByTime(a, b *bpMessage) int {
	return cmp.Or(a.createdAt.Compare(b.createdAt), cmp.Compare(a.id, b.id))
}

func (s *bpStore) dropMessage(m *bpMessage) {
	delete(s.messages, m.id)
	c := m.conv
	c.log = slices.DeleteFunc(c.log, func(o *bpMessage) bool { return o == m })
	c.listed = slices.DeleteFunc(c.listed, func(o *bpMessage) bool { return o == m })
}

// trim forgets what exceeds Keep, in gulps, so that it costs little per message.
func (s *bpStore) trim(c *bpConversation) {
	if s.keep == 0 || len(c.log) < 2*s.keep {
		return
	}
	old := c.log[:len(c.log)-s.keep]
	gone := make(map[*bpMessage]bool, len(old))
	for _, m := range old {
		gone[m] = true
		delete(s.messages, m.id)
	}
	c.log = slices.Clone(c.log[len(old):])
	c.listed = slices.DeleteFunc(c.listed, func(m *bpMessage) bool { return gone[m] })
}

func (s *bpStore) addTurn(t *bpTurn) {
	s.turns++
	t.seq = s.turns
	t.at = s.now()
	c := t.conv
	c.turns = append(c.turns, t)
	if s.keep > 0 && len(c.turns) >= 2*s.keep {
		c.turns = slices.Clone(c.turns[len(c.turns)-s.keep:])
	}
}

func (s *bpStore) addEvent(c *bpConversation, payload json.RawMessage) *bpEvent {
	now := s.now()
	e := &bpEvent{id: s.ids.next("evt_", now), conv: c, createdAt: now, payload: payload}
	s.events[e.id] = e
	return e
}
