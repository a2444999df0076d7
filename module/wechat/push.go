package wechat

import (
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"strconv"
	"strings"
)

// maxOpenID is the longest sender that is accepted. WeChat promises no length;
// today's OpenIDs have 28 characters.
const maxOpenID = 128

// maxKeyPart is the longest part that stands in a de-duplication key as it is. A
// longer one is hashed: databases bound the size of an indexed value.
const maxKeyPart = 256

// keyRoom is what a key takes in bytes, as a rule.
const keyRoom = 192

// unsupportedPlaceholder is what WeChat sends as text in place of stickers and
// other content it does not pass on.
const unsupportedPlaceholder = "【收到不支持的消息类型，暂无法显示】"

// Push is one message or event that WeChat delivered to the callback.
type Push struct {
	// ToUserName is the account's original id (gh_...).
	ToUserName string
	// FromUserName is the user's OpenID; case-sensitive, per account.
	FromUserName string
	// CreateTime is in Unix seconds; 0 if it was absent or no number.
	CreateTime int64
	// MsgType is as received: "text", ..., "event".
	MsgType string
	// MsgID is the MsgId of a message, digits as text; empty for events.
	MsgID string
	// MsgDataID and Idx (from 1) tell the published article from which the
	// user opened the chat; normally empty.
	MsgDataID, Idx string
	// Event and EventKey are set for events only, as received: the case of
	// Event matters.
	Event, EventKey string
	// Body is what the message or event says, typed; never nil. What is not
	// known, or does not hold what its type promises, is *Unknown.
	Body Body
	// Elements are all elements below the root, in order, the ones above
	// included.
	Elements []Element
}

// Grant is the allowance of customer-service messages that a push opens (WeChat:
// customer service messages).
type Grant int

const (
	// GrantNone opens nothing.
	GrantNone Grant = iota
	// GrantAction is the small one, for a tap on a menu, a follow, a scan:
	// 3 messages within 1 minute by today's rules.
	GrantAction
	// GrantMessage is the one for a message: 5 within 48 hours.
	GrantMessage
)

// ParsePush reads a plaintext push. Unknown types, events and elements are no
// errors. What is: malformed XML, a root other than <xml>, a DOCTYPE, too deep or
// too many elements, absurd attributes, no FromUserName or MsgType, or a repeated
// one. The error is always a *ParseError.
//
// The strings of a Push share one copy of its names and texts: keeping one of them
// keeps all, but not the body, which may be used for something else afterwards.
func ParsePush(xml []byte) (*Push, error) {
	root, err := parseXML(xml)
	if err != nil {
		return nil, err
	}
	es := elements(root)
	p := &Push{
		ToUserName:   es.value("ToUserName"),
		FromUserName: es.value("FromUserName"),
		MsgType:      es.value("MsgType"),
		MsgDataID:    es.value("MsgDataId"),
		Idx:          es.value("Idx"),
		Elements:     root,
	}
	for _, name := range [...]string{"FromUserName", "MsgType"} {
		switch {
		case es.value(name) == "":
			return nil, &ParseError{Reason: "no " + name}
		case es.count(name) > 1:
			// Which of them WeChat meant is not ours to guess.
			return nil, &ParseError{Reason: name + " is repeated"}
		}
	}
	if len(p.FromUserName) > maxOpenID {
		return nil, &ParseError{Reason: "FromUserName is too long"}
	}
	if n, err := strconv.ParseInt(es.value("CreateTime"), 10, 64); err == nil {
		p.CreateTime = n
	}
	if p.IsEvent() {
		p.Event, p.EventKey = es.value("Event"), es.value("EventKey")
		p.Body = decodeEvent(p, es)
	} else {
		p.MsgID = es.value("MsgId")
		p.Body = decodeMessage(p.MsgType, es)
	}
	return p, nil
}

// IsEvent says whether the push is an event rather than a message.
func (p *Push) IsEvent() bool { return p.MsgType == "event" }

// Key tells one push of an account from another, and is the same for each of
// WeChat's attempts to deliver it. For a message it is made of MsgId and OpenID
// (MsgIds can repeat between users), for an event of CreateTime, OpenID, Event,
// EventKey and MsgID. The parts are escaped, so that no two lists of parts give
// one key. The account is not in it. What grows with time comes first (MsgIds do,
// as far as has been seen), so that new keys lie together in an index.
func (p *Push) Key() string {
	var room [keyRoom]byte
	switch {
	case p.IsEvent():
		b := p.timedKey(room[:0], 'e')
		b = appendKey(append(b, '/'), p.Event)
		b = appendKey(append(b, '/'), p.EventKey)
		return string(appendKey(append(b, '/'), p.eventMsgID()))
	case p.MsgID != "":
		b := appendKey(append(room[:0], 'm', '/'), p.MsgID)
		return string(appendKey(append(b, '/'), p.FromUserName))
	}
	// WeChat gives every message a MsgId. Should a new kind come without,
	// two of them in one second are still two.
	h := sha256.New()
	for i := range p.Elements {
		h.Write(p.Elements[i].appendKey(nil))
	}
	b := appendKey(append(p.timedKey(room[:0], 'x'), '/'), p.MsgType)
	return string(hex.AppendEncode(append(b, '/'), h.Sum(nil)))
}

// timedKey begins the key of what has no MsgId.
func (p *Push) timedKey(b []byte, kind byte) []byte {
	b = strconv.AppendInt(append(b, kind, '/'), p.CreateTime, 10)
	return appendKey(append(b, '/'), p.FromUserName)
}

// eventMsgID is the id of the job that an event reports on. Reports on several
// jobs to one user can fall into one second.
func (p *Push) eventMsgID() string {
	b, ok := p.Body.(*SubscribeMsgSent)
	switch {
	case !ok:
		return elements(p.Elements).value("MsgID")
	case len(b.Results) == 1:
		return b.Results[0].MsgID
	}
	ids := make([]string, len(b.Results))
	for i, r := range b.Results {
		ids[i] = r.MsgID
	}
	return strings.Join(ids, ",")
}

// appendKey adds everything in an element: its parts in brackets, of which those
// of its children are brackets again.
func (e *Element) appendKey(b []byte) []byte {
	b = appendKey(append(b, '('), e.Name)
	b = appendKey(append(b, '/'), e.Text)
	for i := range e.Children {
		from := len(b) + 1
		b = e.Children[i].appendKey(append(b, '/'))
		inner := string(b[from:])
		b = appendKey(b[:from], inner)
	}
	return append(b, ')')
}

// appendKey adds a part of a key, escaped as one segment of a path.
func appendKey(b []byte, part string) []byte {
	if len(part) > maxKeyPart {
		sum := sha256.Sum256([]byte(part))
		// An escaped part never holds a bare '#'.
		return hex.AppendEncode(append(b, '#'), sum[:])
	}
	for i := range len(part) {
		if !keyBytes[part[i]] {
			return append(b, url.PathEscape(part)...)
		}
	}
	return append(b, part...)
}

// keyBytes are the bytes that stand in a segment of a path as they are.
var keyBytes = func() (t [256]bool) {
	for b := range 256 {
		s := string([]byte{byte(b)})
		t[b] = url.PathEscape(s) == s
	}
	return t
}()

// Opens says whether the push by itself opens a window for a passive reply: any
// message, a CLICK, a follow, a scan of a QR code, and the scan whose sender is
// shown that an answer is awaited.
func (p *Push) Opens() bool {
	if !p.IsEvent() {
		return true
	}
	switch p.Event {
	case "CLICK", "subscribe", "SCAN", "scancode_waitmsg":
		return true
	}
	return false
}

// Unlocks tells which allowance of customer-service messages the push opens. Of
// the taps on a menu only three kinds do.
func (p *Push) Unlocks() Grant {
	if !p.IsEvent() {
		return GrantMessage
	}
	switch p.Event {
	case "CLICK", "scancode_push", "scancode_waitmsg", "subscribe", "SCAN":
		return GrantAction
	}
	return GrantNone
}

// IsUnsupportedPlaceholder says whether the push is the text that WeChat sends in
// place of a sticker or other content it does not pass on.
func (p *Push) IsUnsupportedPlaceholder() bool {
	t, ok := p.Body.(*Text)
	return ok && strings.TrimSpace(t.Content) == unsupportedPlaceholder
}

// Fields returns what the push says beyond its common elements (ToUserName,
// FromUserName, CreateTime, MsgType and, for events, Event and EventKey) as JSON
// would hold it: element name to string, to an object if it has children, to a
// list if the name is repeated. Elements that WeChat uses as lists, List and item,
// are lists also if there is but one.
func (p *Push) Fields() map[string]any {
	rest := make([]Element, 0, len(p.Elements))
	for _, e := range p.Elements {
		switch e.Name {
		case "ToUserName", "FromUserName", "CreateTime", "MsgType":
			continue
		case "Event", "EventKey":
			if p.IsEvent() {
				continue
			}
		}
		rest = append(rest, e)
	}
	return object(rest)
}

func object(es []Element) map[string]any {
	m := make(map[string]any, len(es))
	for _, e := range es {
		var v any = e.Text
		if len(e.Children) > 0 {
			v = object(e.Children)
		}
		old, had := m[e.Name]
		list, isList := old.([]any)
		switch {
		case isList:
			m[e.Name] = append(list, v)
		case had:
			m[e.Name] = []any{old, v}
		case e.Name == "List" || e.Name == "item":
			m[e.Name] = []any{v}
		default:
			m[e.Name] = v
		}
	}
	return m
}
