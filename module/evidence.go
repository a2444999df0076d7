package module

import (
	"errors"
	"sync"
	"time"

	"github.com/caddy-wechat/caddy-wechat/module/wechat"
)

// evidences are what has come in, by appid, since the process started: whoever
// looks for a fault needs to know whether anything comes in at all, and why it is
// refused. There are as many as accounts were ever configured.
var evidences sync.Map // *evidence

// evidence is what has come in for one account.
type evidence struct {
	mu        sync.Mutex
	callbacks arrivals
	webhooks  arrivals
}

// arrivals count requests of one kind.
type arrivals struct {
	Taken       int64     `json:"taken"`
	LastTaken   time.Time `json:"last_taken,omitzero"`
	Refused     int64     `json:"refused"` // though it came from WeChat, or from the bot
	LastRefused time.Time `json:"last_refused,omitzero"`
	Reason      string    `json:"reason,omitempty"` // of the last refusal
	Strangers   int64     `json:"strangers"`        // refused, and nobody knows who it was
}

// evidenceOf gives what has come in for an account.
func evidenceOf(appid string) *evidence {
	if e, ok := evidences.Load(appid); ok {
		return e.(*evidence)
	}
	e, _ := evidences.LoadOrStore(appid, new(evidence))
	return e.(*evidence)
}

func (e *evidence) callback(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.callbacks.note(reasonOf(err), err == nil)
}

// webhook notes a request of the bot. Without the secret it may be anyone's, but
// few know the address.
func (e *evidence) webhook(authorized bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.webhooks.note("secret", authorized)
}

// read gives a copy.
func (e *evidence) read() (callbacks, webhooks arrivals) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.callbacks, e.webhooks
}

func (a *arrivals) note(reason string, taken bool) {
	switch {
	case taken:
		a.Taken++
		a.LastTaken = time.Now()
	case reason == "":
		a.Strangers++
	default:
		a.Refused++
		a.LastRefused, a.Reason = time.Now(), reason
	}
}

// reasonOf names why a callback with a good signature was refused. Other refusals
// tell nothing: anyone can send such requests.
func reasonOf(err error) string {
	switch {
	case errors.Is(err, wechat.ErrMode):
		return "mode"
	case errors.Is(err, wechat.ErrDecrypt):
		return "decrypt"
	case errors.Is(err, wechat.ErrStale):
		return "stale"
	}
	return ""
}
