package simulator

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"time"
)

// Roads by which something reaches a user.
const (
	RoadPassive = "passive" // the answer to the user's own push
	RoadPush    = "push"    // a customer-service message
	RoadSystem  = "system"  // WeChat's own grey line: a failure notice
)

// NoticeFailure is the grey line a user sees when the server did not answer a push in time
// or answered something illegal.
const NoticeFailure = "该公众号提供的服务出现故障，请稍后再试"

// Seen is one thing that appeared in a user's chat.
type Seen struct {
	Seq     int       `json:"seq"`  // 1, 2, ... per user, notices included
	Type    string    `json:"type"` // text, image, voice, video, music, news, msgmenu, ..., transfer, notice
	Text    string    `json:"text,omitempty"`
	MediaID string    `json:"media_id,omitempty"`
	Media   *Media    `json:"media,omitempty"` // the file behind MediaID
	At      time.Time `json:"at"`              // real time
	Road    string    `json:"road"`            // RoadPassive, RoadPush or RoadSystem
	AI      bool      `json:"ai,omitempty"`    // shown with WeChat's line "AI generated"
	ReplyTo string    `json:"reply_to,omitempty"`
	// Raw is what the server sent: the reply's XML after decryption, or the JSON body.
	Raw string `json:"raw,omitempty"`
}

// Object decodes the object of a customer-service message that carries its type's name,
// e.g. {"articles":[...]} of a news message. It is nil for everything else.
func (s Seen) Object() map[string]any {
	var body map[string]any
	if json.Unmarshal([]byte(s.Raw), &body) != nil {
		return nil
	}
	o, _ := body[s.Type].(map[string]any)
	return o
}

// wcGrant is an allowance of customer-service messages.
type wcGrant struct {
	left  int
	until time.Time
}

// wcUser is one follower's chat with the account.
type wcUser struct {
	mu        sync.Mutex
	following bool
	since     time.Time // of following
	scene     string    // of the QR code that brought the user
	message   wcGrant   // opened by messages: 5 in 48 h
	action    wcGrant   // opened by taps, follows and scans: 3 in 1 min
	granted   string    // the push that opened the newest allowance; a retry opens none
	exchange  time.Time // of the last message either way
	typing    time.Time // until when "typing" shows
	seen      wcRing[Seen]
	seq       int // messages and notices ever
	replies   int // messages ever
	atPush    int // seq when the user last acted
	changed   chan struct{}
}

// user returns the chat of openid, and makes it if create is set.
func (w *WeChat) user(openid string, create bool) *wcUser {
	if v, ok := w.users.Load(openid); ok {
		return v.(*wcUser)
	}
	if !create {
		return nil
	}
	v, _ := w.users.LoadOrStore(openid, &wcUser{seen: newWcRing[Seen](w.cfg.KeepSeen)})
	return v.(*wcUser)
}

// Follow makes openid a follower without a push, and so without an allowance.
func (w *WeChat) Follow(openid string) {
	u := w.user(openid, true)
	u.mu.Lock()
	defer u.mu.Unlock()
	u.follow(w.now())
}

// Unfollow makes openid leave without a push. The Event "unsubscribe" does both.
func (w *WeChat) Unfollow(openid string) {
	u := w.user(openid, true)
	u.mu.Lock()
	defer u.mu.Unlock()
	u.following = false
}

func (u *wcUser) follow(now time.Time) {
	if !u.following {
		u.following, u.since = true, now
	}
}

// acted records what a push does to the user's chat: following, allowances, exchange.
func (w *WeChat) acted(p *SimPush) {
	u := w.user(p.OpenID, true)
	now := w.now()
	u.mu.Lock()
	defer u.mu.Unlock()
	u.atPush = u.seq
	if p.Event == "unsubscribe" {
		u.following, u.message, u.action = false, wcGrant{}, wcGrant{}
		return
	}
	u.follow(now)
	if key := p.key(); key != u.granted {
		switch p.grant() {
		case wcGrantMessage:
			u.granted, u.message, u.exchange = key, wcGrant{5, now.Add(48 * time.Hour)}, now
		case wcGrantAction:
			u.granted, u.action, u.exchange = key, wcGrant{3, now.Add(time.Minute)}, now
		case wcGrantNone:
		}
	}
}

// spend takes one message from the user's allowance: the one that ends sooner first. It
// returns 0, 45015 (no window is open) or 45047 (the open ones are used up).
func (u *wcUser) spend(now time.Time) int {
	code := 45015
	for _, g := range []*wcGrant{&u.action, &u.message} {
		if !now.Before(g.until) {
			continue
		}
		if g.left > 0 {
			g.left--
			return 0
		}
		code = 45047
	}
	return code
}

// EndWindows ends the allowances of a user, or of all if openid is empty, as if their 48
// hours were over: a message pushed now is 45015.
func (w *WeChat) EndWindows(openid string) {
	w.users.Range(func(k, v any) bool {
		if u := v.(*wcUser); openid == "" || k == openid {
			u.mu.Lock()
			u.message, u.action = wcGrant{}, wcGrant{}
			u.mu.Unlock()
		}
		return true
	})
}

// show puts s into the user's chat. The caller holds u.mu.
func (w *WeChat) show(openid string, u *wcUser, s Seen) Seen {
	u.seq++
	s.Seq, s.At = u.seq, w.cfg.Now()
	switch s.Road {
	case RoadSystem:
		w.totals.notices.Add(1)
	case RoadPassive:
		w.totals.passive.Add(1)
	default:
		w.totals.push.Add(1)
	}
	if s.Road != RoadSystem {
		u.replies++
		u.exchange = w.now()
		u.typing = time.Time{}
	}
	u.seen.add(s)
	w.tellSeen(openid, s)
	if w.cfg.OnSeen != nil {
		w.cfg.OnSeen(openid, s)
	}
	if u.changed != nil {
		close(u.changed)
		u.changed = nil
	}
	return s
}

// wake ends every wait of this user, so that it looks again.
func (u *wcUser) wake() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.changed != nil {
		close(u.changed)
		u.changed = nil
	}
}

// Seen returns what openid has seen, oldest first, the account's messages and WeChat's
// notices; only the newest KeepSeen of them.
func (w *WeChat) Seen(openid string) []Seen {
	u := w.user(openid, false)
	if u == nil {
		return nil
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.seen.all()
}

// Replies is Seen without the notices.
func (w *WeChat) Replies(openid string) []Seen {
	return slices.DeleteFunc(w.Seen(openid), func(s Seen) bool { return s.Road == RoadSystem })
}

// Typing tells whether the user sees "typing" now.
func (w *WeChat) Typing(openid string) bool {
	u := w.user(openid, false)
	if u == nil {
		return false
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	return w.now().Before(u.typing)
}

// Wait returns the Replies of openid as soon as the account has sent that user n messages
// in all (notices do not count), or what there is and an error when ctx ends or the
// simulator closes first.
func (w *WeChat) Wait(ctx context.Context, openid string, n int) ([]Seen, error) {
	err := w.await(ctx, openid, func(u *wcUser) bool { return u.replies >= n })
	return w.Replies(openid), err
}

// WaitFor returns what openid has seen as soon as ok is true of it. ok is called once per
// message, with a copy of all that is kept.
func (w *WeChat) WaitFor(ctx context.Context, openid string, ok func([]Seen) bool) ([]Seen, error) {
	err := w.await(ctx, openid, func(u *wcUser) bool { return ok(u.seen.all()) })
	return w.Seen(openid), err
}

func (w *WeChat) await(ctx context.Context, openid string, ok func(*wcUser) bool) error {
	for {
		// Looked up anew each time: Reset replaces the user.
		u := w.user(openid, true)
		u.mu.Lock()
		if ok(u) {
			u.mu.Unlock()
			return nil
		}
		if u.changed == nil {
			u.changed = make(chan struct{})
		}
		ch := u.changed
		u.mu.Unlock()
		select {
		case <-ch:
		case <-ctx.Done():
			return ctx.Err()
		case <-w.ctx.Done():
			return context.Cause(w.ctx)
		}
	}
}
