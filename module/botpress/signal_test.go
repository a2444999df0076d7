package botpress

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var signalTime = time.Date(2026, 7, 23, 14, 15, 17, 123e6, time.UTC)

// signals are those of the API's description.
var signals = map[string]struct {
	body string
	want Signal
}{
	"message_created": {
		`{"type":"message_created","data":{"id":"msg_01","conversationId":"wx-a-o","userId":"user_01BOT","createdAt":"2026-07-23T14:15:17.123Z","payload":{"type":"text","text":"Hello"},"metadata":{"x":1},"isBot":true}}`,
		Signal{
			Type: SignalMessageCreated, ConversationID: "wx-a-o", UserID: "user_01BOT", IsBot: true,
			Message: &Message{"msg_01", "wx-a-o", "user_01BOT", signalTime, json.RawMessage(`{"type":"text","text":"Hello"}`), map[string]any{"x": 1.0}},
		},
	},
	"echo of a user's message": {
		`{"type":"message_created","data":{"id":"msg_02","conversationId":"wx-a-o","userId":"wx-a-o","createdAt":"2026-07-23T14:15:17.123Z","payload":{"type":"text","text":"Hi"},"isBot":false}}`,
		Signal{
			Type: SignalMessageCreated, ConversationID: "wx-a-o", UserID: "wx-a-o",
			Message: &Message{"msg_02", "wx-a-o", "wx-a-o", signalTime, json.RawMessage(`{"type":"text","text":"Hi"}`), nil},
		},
	},
	"message_stream_delta": {
		`{"type":"message_stream_delta","data":{"streamId":"s1","conversationId":"wx-a-o","userId":"user_01BOT","createdAt":"2026-07-23T14:15:16.123Z","clientMessageId":"c1","sequence":3,"delta":" world"}}`,
		Signal{Type: SignalStreamDelta, ConversationID: "wx-a-o", UserID: "user_01BOT", StreamID: "s1", Delta: &Delta{3, " world"}},
	},
	"message_stream_complete": {
		`{"type":"message_stream_complete","data":{"streamId":"s1","message":{"id":"msg_01","conversationId":"wx-a-o","userId":"user_01BOT","createdAt":"2026-07-23T14:15:17.123Z","payload":{"type":"text","text":"Hello world"},"metadata":{"streamId":"s1"}}}}`,
		Signal{
			Type: SignalStreamComplete, ConversationID: "wx-a-o", UserID: "user_01BOT", StreamID: "s1",
			Message: &Message{"msg_01", "wx-a-o", "user_01BOT", signalTime, json.RawMessage(`{"type":"text","text":"Hello world"}`), map[string]any{"streamId": "s1"}},
		},
	},
	"message_stream_abort": {
		`{"type":"message_stream_abort","data":{"streamId":"s1","conversationId":"wx-a-o"}}`,
		Signal{Type: SignalStreamAbort, ConversationID: "wx-a-o", StreamID: "s1"},
	},
	"event_created by the bot": {
		`{"type":"event_created","data":{"id":null,"conversationId":"wx-a-o","userId":"user_01BOT","createdAt":"2026-07-23T14:15:17.123Z","payload":{"any":"json"},"isBot":true}}`,
		Signal{
			Type: SignalEventCreated, ConversationID: "wx-a-o", UserID: "user_01BOT", IsBot: true,
			Event: &Event{"", "wx-a-o", "user_01BOT", signalTime, json.RawMessage(`{"any":"json"}`)},
		},
	},
	"participant_added": {
		`{"type":"participant_added","data":{"conversationId":"wx-a-o","participantId":"wx-a-p"}}`,
		Signal{Type: SignalParticipantAdded, ConversationID: "wx-a-o", ParticipantID: "wx-a-p"},
	},
	"participant_removed": {
		`{"type":"participant_removed","data":{"conversationId":"wx-a-o","participantId":"wx-a-p"}}`,
		Signal{Type: SignalParticipantRemoved, ConversationID: "wx-a-o", ParticipantID: "wx-a-p"},
	},
	"message_deleted": {
		`{"type":"message_deleted","data":{"id":"msg_01","conversationId":"conv_01X","userId":"user_01X"}}`,
		Signal{Type: SignalMessageDeleted, ConversationID: "conv_01X", UserID: "user_01X", MessageID: "msg_01"},
	},
	"unknown type": {
		`{"type":"reaction_added","data":{"conversationId":"wx-a-o","reaction":"👍","message":"odd","sequence":"odd"}}`,
		Signal{Type: "reaction_added", ConversationID: "wx-a-o"},
	},
	"unknown type, odd data": {`{"type":"tick","data":[1,2]}`, Signal{Type: "tick"}},
	"no data":                {` {"type":"tick"} `, Signal{Type: "tick"}},
	"odd members": {
		`{"type":"message_created","data":{"id":"m","conversationId":"c","userId":9,"createdAt":"yesterday","payload":[1],"metadata":"x","isBot":"yes","extra":{"a":[]}},"v":2}`,
		Signal{Type: SignalMessageCreated, ConversationID: "c", Message: &Message{ID: "m", ConversationID: "c", Payload: json.RawMessage(`[1]`)}},
	},
}

func TestParseSignal(t *testing.T) {
	for name, tc := range signals {
		t.Run(name, func(t *testing.T) {
			body := []byte(tc.body)
			got, err := ParseSignal(body)
			if err != nil {
				t.Fatal(err)
			}
			clear(body) // nothing of it may be kept
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("signal (-want +got):\n%s", diff)
			}
		})
	}
}

func nested(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }

func TestParseSignalRefuses(t *testing.T) {
	for name, body := range map[string]string{
		"nothing":                      "",
		"ping":                         "ping",
		"not an object":                `["message_created"]`,
		"null":                         "null",
		"no type":                      `{"data":{"id":"hunter2"}}`,
		"type not text":                `{"type":7,"data":{}}`,
		"cut off":                      `{"type":"message_created","data":{"id":"hunter2`,
		"two values":                   `{"type":"tick"}{"type":"tick"}`,
		"message without id":           `{"type":"message_created","data":{"conversationId":"hunter2"}}`,
		"message without conversation": `{"type":"message_created","data":{"id":"hunter2"}}`,
		"event without conversation":   `{"type":"event_created","data":{"payload":"hunter2"}}`,
		"message without data":         `{"type":"message_created"}`,
		"deep":                         `{"type":"tick","data":{"hunter2":` + nested(maxDepth) + `}}`,
		"deep, after a quote":          `{"type":"tick","a":"\"[","data":{"payload":` + nested(maxDepth) + `}}`,
		"very deep":                    strings.Repeat(`{"data":`, 1<<20),
	} {
		t.Run(name, func(t *testing.T) {
			s, err := ParseSignal([]byte(body))
			if err == nil {
				t.Fatalf("got %+v", s)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("error quotes the body: %v", err)
			}
		})
	}
}

func TestDepthIsCountedOutsideStrings(t *testing.T) {
	s, err := ParseSignal([]byte(`{"type":"tick","data":{"a":"` + strings.Repeat(`[{\"`, 500) + `","b":` + nested(maxDepth-2) + `}}`))
	if err != nil || s.Type != "tick" {
		t.Errorf("%+v, %v", s, err)
	}
}

func FuzzParseSignal(f *testing.F) {
	for _, s := range signals {
		f.Add([]byte(s.body))
	}
	f.Add([]byte("ping"))
	f.Add([]byte(`{}`))
	f.Add([]byte(`{"type":"message_created","data":{"id":"\ud800","conversationId":"c","payload":` + nested(90) + `}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		s, err := ParseSignal(body)
		if err != nil {
			if diff := cmp.Diff(Signal{}, s); diff != "" {
				t.Errorf("an error, and %s", diff)
			}
			return
		}
		if s.Type == "" || s.Type == SignalMessageCreated && (s.Message == nil || s.Message.ID == "" || s.Message.ConversationID != s.ConversationID) {
			t.Errorf("incomplete: %+v", s)
		}
		if !json.Valid(body) {
			t.Errorf("took what is not JSON: %q", body)
		}
		if s.Message != nil && s.Message.Payload != nil {
			if !json.Valid(s.Message.Payload) {
				t.Errorf("payload is not JSON: %q", s.Message.Payload)
			}
			_, _ = ParsePayload(s.Message.Payload)
		}
	})
}

func BenchmarkParseSignal(b *testing.B) {
	body := []byte(signals["message_created"].body)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseSignal(body); err != nil {
			b.Fatal(err)
		}
	}
}
