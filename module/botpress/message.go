package botpress

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"time"
)

const (
	// findPages bounds one look-up; a page is about 20 messages.
	findPages = 25

	// findSlack is how much our clock and Botpress's may differ.
	findSlack = 2 * time.Minute
)

// Message is a message in a conversation, a user's or the bot's.
type Message struct {
	// ID is Botpress's, time-ordered; it orders messages of the same CreatedAt.
	ID string

	ConversationID string

	// UserID is the sender: one of our user ids, or a Botpress id for the bot.
	UserID string

	// CreatedAt has millisecond precision; zero if Botpress gave none that could be read.
	CreatedAt time.Time

	// Payload is the content as it came; see [ParsePayload].
	Payload json.RawMessage

	// Metadata is what the sender attached; nil if there is none.
	Metadata map[string]any
}

// MessagePage is one page of a conversation's messages.
type MessagePage struct {
	Messages []Message

	// NextToken fetches the next page; empty on the last one.
	NextToken string
}

type wireMessage struct {
	ID             string          `json:"id"`
	ConversationID string          `json:"conversationId"`
	UserID         string          `json:"userId"`
	CreatedAt      timestamp       `json:"createdAt"`
	Payload        json.RawMessage `json:"payload"`
	Metadata       metadata        `json:"metadata"`
}

func (w *wireMessage) message() Message {
	return Message{w.ID, w.ConversationID, w.UserID, w.CreatedAt.Time, w.Payload, w.Metadata}
}

// CreateMessage says something to the bot as the user. The payload is anything that encodes to one of the API's
// message payloads ([TextPayload] and its kin); metadata may be nil. The webhook hears of the message before
// this returns, and this returns only after the webhook has answered, so hold no lock that the webhook needs.
//
// Where the error is [Error.Ambiguous], look with [Client.Find] for the metadata before saying it again.
func (c *Client) CreateMessage(ctx context.Context, userID, conversationID string, payload any, metadata map[string]any) (Message, error) {
	if err := checkIDs(opCreateMessage, userID, conversationID); err != nil {
		return Message{}, err
	}
	var out struct {
		Message wireMessage `json:"message"`
	}
	body := struct {
		ConversationID string         `json:"conversationId"`
		Payload        any            `json:"payload"`
		Metadata       map[string]any `json:"metadata,omitempty"`
	}{conversationID, payload, metadata}
	err := c.do(ctx, call{
		op: opCreateMessage, method: http.MethodPost, path: "/messages", user: userID, body: body,
		out: &out, complete: func() bool { return out.Message.ID != "" },
	})
	if err != nil {
		return Message{}, err
	}
	return out.Message.message(), nil
}

// ListMessages returns one page of a conversation's messages, by documentation the most recent first (do not
// depend on it). Start with an empty nextToken. The API allows neither a page size nor a filter, and
// a message in a list does not tell whether the bot wrote it: compare UserID.
func (c *Client) ListMessages(ctx context.Context, userID, conversationID, nextToken string) (MessagePage, error) {
	if err := checkIDs(opListMessages, userID, conversationID); err != nil {
		return MessagePage{}, err
	}
	path := "/conversations/" + conversationID + "/messages"
	if nextToken != "" {
		path += "?nextToken=" + url.QueryEscape(nextToken)
	}
	var out struct {
		Messages []wireMessage `json:"messages"`
		Meta     struct {
			NextToken string `json:"nextToken"`
		} `json:"meta"`
	}
	err := c.do(ctx, call{
		op: opListMessages, method: http.MethodGet, path: path, user: userID, other: conversationID,
		limit: maxListing,
		out:   &out, complete: func() bool { return out.Messages != nil },
	})
	if err != nil {
		return MessagePage{}, err
	}
	page := MessagePage{Messages: make([]Message, len(out.Messages)), NextToken: out.Meta.NextToken}
	for i := range out.Messages {
		page.Messages[i] = out.Messages[i].message()
	}
	return page, nil
}

// Find looks for a message whose sending had an ambiguous outcome. It reads the newest pages until match says
// yes, a whole page is older than since (two minutes are allowed for clocks that differ), the conversation
// ends, or 25 pages are read. nil means that it is not there. A zero since reads on to one of the other ends.
func (c *Client) Find(ctx context.Context, userID, conversationID string, since time.Time, match func(Message) bool) (*Message, error) {
	var order pageOrder
	if !since.IsZero() {
		since = since.Add(-findSlack)
	}
	token := ""
	for range findPages {
		page, err := c.ListMessages(ctx, userID, conversationID, token)
		if err != nil {
			return nil, err
		}
		for i := range page.Messages {
			if match(page.Messages[i]) {
				return &page.Messages[i], nil
			}
		}
		if order.newestFirst(page.Messages) && allBefore(page.Messages, since) {
			return nil, nil
		}
		if page.NextToken == "" || page.NextToken == token {
			return nil, nil
		}
		token = page.NextToken
	}
	return nil, nil
}

// pageOrder watches whether pages really come newest first, which is only documented: giving up early on pages
// in the other order would overlook the message and repeat a turn of the bot.
type pageOrder struct {
	first time.Time // the first message seen
	down  bool
	up    bool
}

func (o *pageOrder) newestFirst(ms []Message) bool {
	for i := range ms {
		at := ms[i].CreatedAt
		switch {
		case at.IsZero():
		case o.first.IsZero():
			o.first = at
		case at.Before(o.first):
			o.down = true
		case at.After(o.first.Add(findSlack)): // small inversions are normal
			o.up = true
		}
	}
	return o.down && !o.up
}

func allBefore(ms []Message, since time.Time) bool {
	for i := range ms {
		if at := ms[i].CreatedAt; at.IsZero() || !at.Before(since) {
			return false
		}
	}
	return len(ms) > 0
}
