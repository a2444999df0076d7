package botpress

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"
)

// UserFields is what Botpress keeps of a user. Empty fields are not sent and leave what is there.
type UserFields struct {
	Name       string `json:"name,omitempty"`
	PictureURL string `json:"pictureUrl,omitempty"`

	// Profile is free text, JSON by custom, which the bot reads as the user's tag "profile". At most
	// [MaxProfileLength] characters.
	Profile string `json:"profile,omitempty"`
}

// User is an end user of the bot.
type User struct {
	ID         string
	Name       string
	PictureURL string
	Profile    string
	CreatedAt  time.Time
	UpdatedAt  time.Time
}

// Conversation is a conversation of a user with the bot.
type Conversation struct {
	ID        string
	CreatedAt time.Time
	UpdatedAt time.Time
}

type wireUser struct {
	ID         string    `json:"id"`
	Name       string    `json:"name"`
	PictureURL string    `json:"pictureUrl"`
	Profile    string    `json:"profile"`
	CreatedAt  timestamp `json:"createdAt"`
	UpdatedAt  timestamp `json:"updatedAt"`
}

type wireConversation struct {
	ID        string    `json:"id"`
	CreatedAt timestamp `json:"createdAt"`
	UpdatedAt timestamp `json:"updatedAt"`
}

// GetOrCreateUser makes the user, or updates the given fields of an existing one. The id is of our choosing, at most
// [MaxIDLength] of [A-Za-z0-9_-].
//
// Two of these at once for one new id make Botpress fail one of them; that one is repeated once. The race leaves
// an orphan at Botpress, so use [Client.Ensure] where it can happen.
func (c *Client) GetOrCreateUser(ctx context.Context, id string, u UserFields) (User, error) {
	if err := checkID(opGetOrCreateUser, "user", id); err != nil {
		return User{}, err
	}
	if err := checkProfile(opGetOrCreateUser, u.Profile); err != nil {
		return User{}, err
	}
	var out struct {
		User wireUser `json:"user"`
	}
	err := c.getOrCreate(ctx, call{
		op: opGetOrCreateUser, method: http.MethodPost, path: "/users/get-or-create", user: id, body: u,
		out: &out, complete: func() bool { return out.User.ID != "" },
	})
	if err != nil {
		return User{}, err
	}
	w := out.User
	return User{w.ID, w.Name, w.PictureURL, w.Profile, w.CreatedAt.Time, w.UpdatedAt.Time}, nil
}

// GetOrCreateConversation makes a conversation that the user owns, or finds it. The user must exist. An id that
// another user owns is refused ([Error.Gone]). Pass only ids of our own making: a Botpress id would make a new
// conversation of that name. The race is as in [Client.GetOrCreateUser].
func (c *Client) GetOrCreateConversation(ctx context.Context, userID, id string) (Conversation, error) {
	if err := checkIDs(opGetOrCreateConv, userID, id); err != nil {
		return Conversation{}, err
	}
	var out struct {
		Conversation wireConversation `json:"conversation"`
	}
	err := c.getOrCreate(ctx, call{
		op: opGetOrCreateConv, method: http.MethodPost, path: "/conversations/get-or-create", user: userID,
		body: map[string]string{"id": id}, out: &out, complete: func() bool { return out.Conversation.ID != "" },
	})
	if err != nil {
		return Conversation{}, err
	}
	w := out.Conversation
	return Conversation{w.ID, w.CreatedAt.Time, w.UpdatedAt.Time}, nil
}

func (c *Client) getOrCreate(ctx context.Context, k call) error {
	err := c.do(ctx, k)
	var e *Error
	if errors.As(err, &e) && e.race {
		err = c.do(ctx, k) // finds what the winner made
	}
	return err
}

func checkIDs(op, userID, conversationID string) error {
	if err := checkID(op, "user", userID); err != nil {
		return err
	}
	return checkID(op, "conversation", conversationID)
}

// Ensure makes sure that a user and a conversation of the same id exist, the user owning the conversation.
// Calls for one id at a time share one pair of requests; a caller whose context ends does not fail the others.
// Nothing is remembered: the next Ensure asks again.
func (c *Client) Ensure(ctx context.Context, id string, u UserFields) error {
	return c.flights.do(ctx, flightKey{id, u}, func() error {
		if _, err := c.GetOrCreateUser(ctx, id, u); err != nil {
			return err
		}
		_, err := c.GetOrCreateConversation(ctx, id, id)
		return err
	})
}

type flightKey struct {
	id     string
	fields UserFields
}

type flight struct {
	key  flightKey
	done chan struct{}
	err  error // valid once done is closed
	void bool  // the leader went away: its error says nothing about the others
}

// flights runs at most one call per id. It is not x/sync/singleflight because the work runs in the first caller's
// own goroutine and context: nothing is left running for nobody, and if that caller goes away a waiting
// one takes over.
type flights struct {
	mu   sync.Mutex
	byID map[string]*flight
}

func (f *flights) do(ctx context.Context, key flightKey, work func() error) error {
	for {
		fl, leader := f.join(key)
		if leader {
			return f.lead(ctx, fl, work)
		}
		select {
		case <-fl.done:
		case <-ctx.Done():
			return unsent(opGetOrCreateUser, ctx.Err())
		}
		if !fl.void && fl.key == key { // other fields still have to be written
			return fl.err
		}
	}
}

func (f *flights) join(key flightKey) (fl *flight, leader bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if fl := f.byID[key.id]; fl != nil {
		return fl, false
	}
	if f.byID == nil {
		f.byID = make(map[string]*flight)
	}
	fl = &flight{key: key, done: make(chan struct{}), void: true}
	f.byID[key.id] = fl
	return fl, true
}

func (f *flights) lead(ctx context.Context, fl *flight, work func() error) error {
	defer func() { // also if work panics
		f.mu.Lock()
		delete(f.byID, fl.key.id)
		f.mu.Unlock()
		close(fl.done)
	}()
	fl.err = work()
	fl.void = fl.err != nil && ctx.Err() != nil
	return fl.err
}
