package simulator

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// WeChatFault makes API calls go wrong. Of Cut, HTTPStatus, Body and Code the first that
// is set decides the answer, and the call then has no effect; with none of them, or with
// CutAfter, it has.
type WeChatFault struct {
	Path       string        `json:"path"`        // e.g. "/cgi-bin/message/custom/send"; "" = every API call
	OpenID     string        `json:"openid"`      // only calls for this user; "" = any
	Type       string        `json:"type"`        // only messages of this msgtype, uploads of this type; "" = any
	Skip       int           `json:"skip"`        // this many calls pass first
	Times      int           `json:"times"`       // how many calls it hits; 0 = until cleared
	Delay      time.Duration `json:"delay"`       // waits first; nanoseconds in JSON
	Cut        bool          `json:"cut"`         // closes the connection unanswered, without effect
	CutAfter   bool          `json:"cut_after"`   // takes effect, then closes the connection unanswered
	HTTPStatus int           `json:"http_status"` // answers with this status and Body
	Body       string        `json:"body"`        // answers with this body
	Code       int           `json:"code"`        // answers with this errcode
	Msg        string        `json:"msg"`         // errmsg to go with Code
}

// decides tells whether the fault itself answers the call.
func (f *WeChatFault) decides() bool {
	return f.Cut || f.HTTPStatus != 0 || f.Body != "" || f.Code != 0
}

type wcFault struct {
	WeChatFault
	hits int
}

// wcFaults are the faults in force, oldest first.
type wcFaults struct {
	some atomic.Bool // saves the lock while there are none
	mu   sync.Mutex
	list []*wcFault
}

// Fail adds a fault. Of several that fit a call the oldest hits.
func (w *WeChat) Fail(f WeChatFault) {
	w.faults.mu.Lock()
	defer w.faults.mu.Unlock()
	w.faults.list = append(w.faults.list, &wcFault{WeChatFault: f})
	w.faults.some.Store(true)
}

// ClearFaults ends all faults.
func (w *WeChat) ClearFaults() {
	w.faults.mu.Lock()
	defer w.faults.mu.Unlock()
	w.faults.list = nil
	w.faults.some.Store(false)
}

// Faults returns the faults still in force.
func (w *WeChat) Faults() []WeChatFault {
	w.faults.mu.Lock()
	defer w.faults.mu.Unlock()
	out := make([]WeChatFault, 0, len(w.faults.list))
	for _, f := range w.faults.list {
		out = append(out, f.WeChatFault)
	}
	return out
}

// hit returns the fault that hits this call, or nil.
func (f *wcFaults) hit(path, openid, kind string) *WeChatFault {
	if !f.some.Load() {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, one := range f.list {
		if (one.Path != "" && one.Path != path) || (one.OpenID != "" && one.OpenID != openid) ||
			(one.Type != "" && one.Type != kind) {
			continue
		}
		if one.Skip > 0 {
			one.Skip--
			continue
		}
		one.hits++
		if one.Times > 0 && one.hits >= one.Times {
			f.list = slices.Delete(f.list, i, i+1)
			f.some.Store(len(f.list) > 0)
		}
		hit := one.WeChatFault
		return &hit
	}
	return nil
}
