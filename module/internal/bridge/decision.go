package bridge

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"
)

// Decision is one step that something took, or did not take, on its way between
// WeChat and the bot, for whoever operates the bridge. It holds no secret and
// nothing that anybody wrote. Fields that do not apply are empty.
type Decision struct {
	Seq     uint64    `json:"seq"` // grows by one with each decision of the process
	Time    time.Time `json:"time"`
	AppID   string    `json:"app_id,omitempty"`
	OpenID  string    `json:"openid,omitempty"`
	Stage   string    `json:"stage"`
	Outcome string    `json:"outcome"`

	// Push names the push: WeChat's MsgId of a message, for an event the id that the
	// bot gets as eventId.
	Push string `json:"push,omitempty"`

	// MessageID is the bot's id of the reply.
	MessageID string `json:"message_id,omitempty"`

	// Kind is what it is: text, image, event:CLICK.
	Kind string `json:"kind,omitempty"`

	// Attempt is how often WeChat has sent the push, where that is counted.
	Attempt int `json:"attempt,omitempty"`

	// Road is how a reply goes: passive, pushed, merged (into the one before it),
	// parked, dropped; ignored is a push of which the bot is not told.
	Road   string `json:"road,omitempty"`
	Reason string `json:"reason,omitempty"`

	// Code is WeChat's errcode.
	Code int `json:"code,omitempty"`

	// Took is how long it took, in seconds.
	Took float64 `json:"took,omitempty"`

	// AllowanceLeft is how many messages may still be pushed to the user.
	AllowanceLeft *int `json:"allowance_left,omitempty"`

	// Side is where the trouble is: bot, wechat, journal.
	Side   string `json:"side,omitempty"`
	Error  string `json:"error,omitempty"`
	Remedy string `json:"remedy,omitempty"`
}

// step is a stage and its outcome.
type step uint8

const (
	pushTaken step = iota
	pushDuplicate
	pushIgnored
	pushRefused
	pushDead
	appendOK
	appendFailed
	windowOpened
	windowAnswered
	windowSuccess
	windowThinking
	windowSilent
	windowSameAgain
	windowClosed
	botDelivered
	botFound
	botRetry
	botHeld
	botDead
	replyReceived
	replyFound
	replyDuplicate
	replyDead
	planPassive
	planPushed
	planMerged
	planParked
	planDropped
	planWaits
	sendOK
	sendRetry
	sendRefused
	sendDoubtful
	typingOn
	typingOff
	typingFailed
	mediaFetched
	mediaUploaded
	mediaReused
	mediaFailed
	mediaDownloaded
	holdHeld
	holdReleased
	accountPassiveOnly
	accountMayPush
	stepCount
)

// steps are the names of stage and outcome.
var steps = [stepCount][2]string{
	pushTaken:          {"push", "taken"},
	pushDuplicate:      {"push", "duplicate"},
	pushIgnored:        {"push", "ignored"},
	pushRefused:        {"push", "refused"},
	pushDead:           {"push", "dead"},
	appendOK:           {"append", "ok"},
	appendFailed:       {"append", "failed"},
	windowOpened:       {"window", "opened"},
	windowAnswered:     {"window", "answered"},
	windowSuccess:      {"window", "success"},
	windowThinking:     {"window", "thinking"},
	windowSilent:       {"window", "silent"},
	windowSameAgain:    {"window", "same_again"},
	windowClosed:       {"window", "closed"},
	botDelivered:       {"bot", "delivered"},
	botFound:           {"bot", "found"},
	botRetry:           {"bot", "retry"},
	botHeld:            {"bot", "held"},
	botDead:            {"bot", "dead"},
	replyReceived:      {"reply", "received"},
	replyFound:         {"reply", "found"},
	replyDuplicate:     {"reply", "duplicate"},
	replyDead:          {"reply", "dead"},
	planPassive:        {"plan", "passive"},
	planPushed:         {"plan", "pushed"},
	planMerged:         {"plan", "merged"},
	planParked:         {"plan", "parked"},
	planDropped:        {"plan", "dropped"},
	planWaits:          {"plan", "waits"},
	sendOK:             {"send", "ok"},
	sendRetry:          {"send", "retry"},
	sendRefused:        {"send", "refused"},
	sendDoubtful:       {"send", "doubtful"},
	typingOn:           {"typing", "on"},
	typingOff:          {"typing", "off"},
	typingFailed:       {"typing", "failed"},
	mediaFetched:       {"media", "fetched"},
	mediaUploaded:      {"media", "uploaded"},
	mediaReused:        {"media", "reused"},
	mediaFailed:        {"media", "failed"},
	mediaDownloaded:    {"media", "downloaded"},
	holdHeld:           {"hold", "held"},
	holdReleased:       {"hold", "released"},
	accountPassiveOnly: {"account", "passive_only"},
	accountMayPush:     {"account", "may_push"},
}

// decision is a note as others see it.
func (n *note) decision(seq uint64) Decision {
	d := Decision{
		Seq: seq, Time: n.at, AppID: n.appid, OpenID: n.openid,
		Stage: steps[n.step][0], Outcome: steps[n.step][1],
		Push: PushName(n.key), MessageID: n.reply, Kind: n.kind,
		Attempt: int(n.attempt), Reason: n.reason, Code: int(n.code), Took: n.took.Seconds(),
		Side: n.side, Error: n.err, Remedy: n.remedy,
	}
	switch n.step {
	case pushIgnored:
		d.Road = "ignored"
	case planMerged:
		d.Road = "merged"
	default:
		d.Road = roadNames[n.road]
	}
	if n.left > 0 {
		left := int(n.left) - 1
		d.AllowanceLeft = &left
	}
	return d
}

// roadNames are the roads as others see them.
var roadNames = map[road]string{roadPassive: "passive", roadPush: "pushed", roadPark: "parked", roadDrop: "dropped"}

// PushName is what a push is called: WeChat's MsgId of a message, for an event the
// id that stands in for it. It is made of the key under which the journal has it.
func PushName(key string) string {
	kind, rest, _ := strings.Cut(key, "/")
	first, _, _ := strings.Cut(rest, "/")
	switch kind {
	case "m":
		return first // the MsgId
	case "e":
		return eventName(first, key) // when it happened
	case "x": // a hash comes last
		return key[strings.LastIndexByte(key, '/')+1:]
	}
	return key
}

// eventName is the id of an event: made of what tells it apart, so that it is the
// same in every attempt and never one that an earlier event had.
func eventName(at, key string) string {
	sum := sha256.Sum256([]byte(key))
	return "event-" + at + "-" + hex.EncodeToString(sum[:8])
}
