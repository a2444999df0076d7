package botpress

import "errors"

// Signal types. (Botpress Chat API, signals.)
const (
	SignalMessageCreated     = "message_created"
	SignalMessageDeleted     = "message_deleted"
	SignalStreamDelta        = "message_stream_delta"
	SignalStreamComplete     = "message_stream_complete"
	SignalStreamAbort        = "message_stream_abort"
	SignalEventCreated       = "event_created"
	SignalParticipantAdded   = "participant_added"
	SignalParticipantRemoved = "participant_removed"
)

// maxDepth is how deeply the JSON that reaches us may nest.
const maxDepth = 100

// Signal is what Botpress reports of a conversation, by webhook or by listening. What a type does not have is zero;
// of a type not known here only Type and what looks the same are set.
type Signal struct {
	// Type is one of the Signal constants, or newer.
	Type string

	// ConversationID is ours where there is one, except in message_deleted, which carries Botpress's.
	ConversationID string

	// UserID is who did it, with the same exception.
	UserID string

	// IsBot tells the bot's messages and events from those of users, which are echoed.
	IsBot bool

	// Message is set for message_created, and for message_stream_complete, which always is followed by a
	// message_created with the same message: act on that one only.
	Message *Message

	// Event is set for event_created.
	Event *Event

	// Delta is set for message_stream_delta.
	Delta *Delta

	// StreamID is set for the three message_stream_* types.
	StreamID string

	// MessageID is set for message_deleted.
	MessageID string

	// ParticipantID is set for participant_added and participant_removed.
	ParticipantID string
}

// Delta is a piece of a message while the bot is still writing it. Pieces are not kept by Botpress, may be missing
// or out of order, and the stream may end in an abort or in nothing.
type Delta struct {
	Sequence int
	Text     string
}

type wireSignal struct {
	Type string `json:"type"`
	Data struct {
		wireMessage
		IsBot         bool        `json:"isBot"`
		StreamID      string      `json:"streamId"`
		Sequence      int         `json:"sequence"`
		Delta         string      `json:"delta"`
		Message       wireMessage `json:"message"`
		ParticipantID string      `json:"participantId"`
	} `json:"data"`
}

// ParseSignal reads one signal. It keeps nothing of body. It fails on what is not JSON, nests absurdly, has no
// type, or is a message or event that names no message or conversation; its errors quote nothing. Types and members it does not
// know are no failure.
func ParseSignal(body []byte) (Signal, error) {
	if !shallow(body) {
		return Signal{}, errors.New("parsing signal: nested too deeply")
	}
	var w wireSignal
	if err := decode(body, &w); err != nil {
		return Signal{}, errors.New("parsing signal: not valid JSON")
	}
	if w.Type == "" {
		return Signal{}, errors.New("parsing signal: no type")
	}
	d := &w.Data
	s := Signal{Type: w.Type, ConversationID: d.ConversationID, UserID: d.UserID, IsBot: d.IsBot}
	switch w.Type {
	case SignalMessageCreated:
		if d.ID == "" || d.ConversationID == "" {
			return Signal{}, errors.New("parsing signal: message without id or conversation")
		}
		m := d.message()
		s.Message = &m
	case SignalStreamComplete:
		m := d.Message.message()
		s.Message, s.StreamID = &m, d.StreamID
		s.ConversationID, s.UserID = m.ConversationID, m.UserID
	case SignalStreamDelta:
		s.StreamID, s.Delta = d.StreamID, &Delta{d.Sequence, d.Delta}
	case SignalStreamAbort:
		s.StreamID = d.StreamID
	case SignalEventCreated:
		if d.ConversationID == "" {
			return Signal{}, errors.New("parsing signal: event without conversation")
		}
		e := d.event()
		s.Event = &e
	case SignalMessageDeleted:
		s.MessageID = d.ID
	case SignalParticipantAdded, SignalParticipantRemoved:
		s.ParticipantID = d.ParticipantID
	}
	return s, nil
}

// shallow reports whether JSON nests at most maxDepth deep. It need not be right about what is not valid JSON.
func shallow(b []byte) bool {
	depth, quoted := 0, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case quoted:
			switch c {
			case '\\':
				i++
			case '"':
				quoted = false
			}
		case c == '"':
			quoted = true
		case c == '{', c == '[':
			if depth++; depth > maxDepth {
				return false
			}
		case c == '}', c == ']':
			depth--
		}
	}
	return true
}
