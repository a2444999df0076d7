package botpress

import (
	"context"
	"encoding/json"
	"net/http"
	"time"
)

// Event is a custom event, a user's or the bot's. Bots ignore events for which they have no trigger.
type Event struct {
	// ID is empty for the bot's events: Botpress does not keep them.
	ID string

	ConversationID string
	UserID         string
	CreatedAt      time.Time
	Payload        json.RawMessage
}

// CreateEvent sends the bot a custom event as the user. The payload must encode to a JSON object. Events cannot be
// listed, so nothing tells whether an [Error.Ambiguous] one arrived: put an id into the payload.
func (c *Client) CreateEvent(ctx context.Context, userID, conversationID string, payload any) (Event, error) {
	if err := checkIDs(opCreateEvent, userID, conversationID); err != nil {
		return Event{}, err
	}
	var out struct {
		Event wireMessage `json:"event"`
	}
	body := struct {
		ConversationID string `json:"conversationId"`
		Payload        any    `json:"payload"`
	}{conversationID, payload}
	err := c.do(ctx, call{
		op: opCreateEvent, method: http.MethodPost, path: "/events", user: userID, body: body,
		out: &out, complete: func() bool { return out.Event.ID != "" },
	})
	if err != nil {
		return Event{}, err
	}
	return out.Event.event(), nil
}

func (w *wireMessage) event() Event {
	return Event{w.ID, w.ConversationID, w.UserID, w.CreatedAt.Time, w.Payload}
}
