package botpress

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Operations, by their names in the Chat API.
const (
	opHello           = "hello"
	opCreateUser      = "createUser"
	opGetOrCreateUser = "getOrCreateUser"
	opGetOrCreateConv = "getOrCreateConversation"
	opCreateMessage   = "createMessage"
	opCreateEvent     = "createEvent"
	opListMessages    = "listMessages"
	opListen          = "listenConversation"
)

// Error types of the API that decide something here. (Botpress Chat API, errors.)
const (
	typeAlreadyExists   = "AlreadyExists"
	typeForbidden       = "Forbidden"
	typeInvalidPayload  = "InvalidPayload"
	typeNotFound        = "ResourceNotFound"
	typePaymentRequired = "PaymentRequired"
	typeQuotaExceeded   = "QuotaExceeded"
	typeResourceLocked  = "ResourceLockedConflict"
	typeUnauthorized    = "Unauthorized"
)

// Error is every failure of a call: what Botpress answered, what the network did, and what this package refused
// to send. Its text holds no secret, no URL, no user id and no words of a user.
//
// At most one of [Error.Temporary], [Error.Operator], [Error.Gone] and [Error.KeyLost] holds. Where none does,
// repeating the call as it is cannot help.
type Error struct {
	// Op is the operation by its name in the Chat API, such as "createMessage".
	Op string

	// Status is the HTTP status, or the body's code if that says otherwise: Botpress may answer a success
	// status whose body is an error. 0 if there was no answer; a success status if the answer could not be read.
	Status int

	// Type is the API's error type, such as "Forbidden"; empty for router errors, plain text and the network.
	Type string

	// Message is the server's or the network's explanation, shortened and with secrets and sent values removed.
	Message string

	// ID is the API's error id ("err_..."), for Botpress's support.
	ID string

	// RetryAfter is how long the server wants to be left alone; 0 if it did not say. The client waits by
	// itself before its next call, so a caller need not, but may use it to plan.
	RetryAfter time.Duration

	// Unsent is true if the request certainly never left: a failed dial, a context that ended at the rate
	// gate, a value refused here.
	Unsent bool

	// Err is the cause where it is not the server's answer. A call ended by its caller's context wraps that
	// context's error; so does one ended by [Config.Timeout], so ask the context itself to tell them apart.
	Err error

	// Told by the server's words before they were redacted.
	race      bool // lost against another get-or-create of the same new id: the API checks, then writes
	wrongHost bool // asked the webhook host, which does not serve the Chat API

	issued bool // made with a key that Botpress issued, or that it should have issued
}

// Error describes the failure in one line.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("calling Botpress")
	if e.Op != "" {
		b.WriteString(" " + e.Op)
	}
	if e.Status != 0 {
		b.WriteString(": " + strconv.Itoa(e.Status))
		if e.Type != "" {
			b.WriteString(" " + e.Type)
		}
	}
	if e.Message != "" {
		b.WriteString(": " + e.Message)
	}
	if e.ID != "" {
		b.WriteString(" (" + e.ID + ")")
	}
	return b.String()
}

// Unwrap returns the cause, if it is not the server's answer.
func (e *Error) Unwrap() error { return e.Err }

// Temporary reports whether the same call may succeed later without anybody's doing: no or an unreadable answer,
// 429, a locked resource, and 5xx.
func (e *Error) Temporary() bool {
	switch s := e.Status; {
	case s == 0, s >= 200 && s < 300, s >= 500:
		return true
	case s == http.StatusRequestTimeout, s == http.StatusTooEarly, s == http.StatusTooManyRequests:
		return true
	case s == http.StatusConflict:
		return e.Type == typeResourceLocked
	default:
		return false
	}
}

// Ambiguous reports whether the call may have taken effect although it failed, so that repeating it could make a
// second message or event. For calls that can be repeated without harm it is false. A message can be looked up
// with [Client.Find] before it is sent again; an event cannot.
func (e *Error) Ambiguous() bool {
	switch e.Op {
	case opCreateMessage, opCreateEvent, "":
	default:
		return false
	}
	switch s := e.Status; {
	case e.Unsent:
		return false
	case s == 0, s >= 200 && s < 300, s == http.StatusRequestTimeout, s >= 500:
		return true
	default:
		return false
	}
}

// Operator reports whether somebody has to mend something: the key, the plan, the address. [Error.Remedy] says what.
func (e *Error) Operator() bool { return e.Remedy() != "" }

// Gone reports whether the user or conversation no longer exists or no longer is ours, so that it has to be made
// anew ([Client.Ensure]). Botpress answers 403 rather than 404 for a conversation it does not know.
func (e *Error) Gone() bool {
	if e.Operator() {
		return false
	}
	switch e.Status {
	case http.StatusForbidden:
		return e.Type == typeForbidden
	case http.StatusNotFound:
		return e.Type == typeNotFound
	case http.StatusGone:
		return true
	default:
		return false
	}
}

// KeyLost reports whether the user's id is of no use any more, because nobody has a key for it: Botpress refuses the
// one it has issued, or says that the user exists for whom we have none. A key cannot be had again.
func (e *Error) KeyLost() bool {
	return e.issued && e.Status == http.StatusUnauthorized ||
		e.Op == opCreateUser && e.Status == http.StatusConflict && e.Type == typeAlreadyExists
}

// Remedy says in one sentence what the operator should do; empty if nothing is to be done.
func (e *Error) Remedy() string {
	switch s := e.Status; {
	case s == http.StatusUnauthorized && e.Op == opCreateUser:
		return "the bot's Chat integration has an Encryption Key: set encryption_key to it, or take it away there"
	case e.KeyLost():
		return ""
	case s == http.StatusUnauthorized:
		return "check that encryption_key is the Encryption Key of the bot's Chat integration"
	case s == http.StatusPaymentRequired, s == http.StatusForbidden && e.Type == typeQuotaExceeded:
		return "the Botpress workspace is out of its plan's allowance: raise the plan or the limit in the Botpress dashboard"
	case s == http.StatusForbidden && e.Type == "", s == http.StatusProxyAuthRequired:
		return "something between this server and Botpress refuses the call: check the egress proxy, the firewall and the api address"
	case s == http.StatusNotFound && (e.Op == opHello || e.Op == opGetOrCreateUser || e.Op == opCreateUser):
		// These need nothing to exist but the bot itself.
		return "check the bot's webhook id and the api address: Botpress does not know them"
	case e.wrongHost:
		return "the api address must be the Chat API's (" + DefaultBaseURL + "), not the webhook's"
	case s >= 300 && s < 400:
		return "the api address answers with a redirect: use the address it leads to"
	default:
		return ""
	}
}

// refuse is an error for what need not be sent to know that Botpress would not take it.
func refuse(op, message string) *Error {
	return &Error{Op: op, Status: http.StatusBadRequest, Type: typeInvalidPayload, Message: message, Unsent: true}
}
