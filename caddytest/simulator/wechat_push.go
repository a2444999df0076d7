package simulator

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// What became of an attempt or of a whole delivery.
const (
	OutcomeSuccess   = "success"   // the body "success"
	OutcomeEmpty     = "empty"     // status 200 and no body at all
	OutcomeReply     = "reply"     // a valid passive reply, now in the user's chat
	OutcomeIllegal   = "illegal"   // any other answer
	OutcomeTimeout   = "timeout"   // no complete answer in time
	OutcomeRefused   = "refused"   // no connection, or one that broke before the answer was complete
	OutcomeCancelled = "cancelled" // the caller's context ended, or the simulator closed
	OutcomePaused    = "paused"    // not sent: MarkFail
)

// Attempt is one HTTP request of a delivery or a verification.
type Attempt struct {
	Status  int           // 0 without an answer
	Body    []byte        // as received
	Kind    string        // an Outcome
	Err     string        // why, if Kind is none of the good ones
	Took    time.Duration // from the start of the request to the end of the answer
	Started time.Time
}

// wcAttemptJSON is an Attempt as the control API shows it.
type wcAttemptJSON struct {
	Kind    string    `json:"kind"`
	Status  int       `json:"status,omitempty"`
	Body    string    `json:"body,omitempty"`
	Err     string    `json:"error,omitempty"`
	TookMS  float64   `json:"took_ms"`
	Started time.Time `json:"started"`
}

// MarshalJSON writes the body as text and the time taken in milliseconds.
func (a Attempt) MarshalJSON() ([]byte, error) {
	return wcJSON(wcAttemptJSON{a.Kind, a.Status, string(a.Body), a.Err, float64(a.Took.Microseconds()) / 1000, a.Started}, ""), nil
}

// UnmarshalJSON reads what MarshalJSON writes.
func (a *Attempt) UnmarshalJSON(b []byte) error {
	var in wcAttemptJSON
	if err := json.Unmarshal(b, &in); err != nil {
		return err
	}
	took := time.Duration(in.TookMS * float64(time.Millisecond))
	*a = Attempt{in.Status, []byte(in.Body), in.Kind, in.Err, took, in.Started}
	return nil
}

// Delivery is what became of a push.
type Delivery struct {
	OpenID   string    `json:"openid"`
	MsgType  string    `json:"type"`
	Event    string    `json:"event,omitempty"`
	MsgID    string    `json:"msgid,omitempty"`
	Outcome  string    `json:"outcome"`          // the last attempt's Kind
	Notice   bool      `json:"notice,omitempty"` // the user saw the failure notice
	Reply    *Seen     `json:"reply,omitempty"`  // the passive reply
	Attempts []Attempt `json:"attempts"`
}

// Accepted tells whether WeChat is satisfied: with success, an empty body or a reply.
func (d Delivery) Accepted() bool {
	return d.Outcome == OutcomeSuccess || d.Outcome == OutcomeEmpty || d.Outcome == OutcomeReply
}

// Push sends p as WeChat does: signed afresh for every attempt, up to Attempts times, an
// attempt being given up after Timeout and followed by the next one at once. It judges the
// answers, shows the user the reply or the failure notice, and records the delivery.
func (w *WeChat) Push(ctx context.Context, p SimPush) Delivery {
	d := Delivery{OpenID: p.OpenID, MsgType: p.MsgType, Event: p.Event, MsgID: p.MsgID}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(w.ctx, cancel)()
	w.acted(&p)
	push := w.tellPush(&p)
	attempts := cmp.Or(p.Attempts, w.cfg.Attempts)
	for n := range attempts {
		if w.marks.paused(w.now()) {
			d.Outcome = OutcomePaused
			break
		}
		a := w.attempt(ctx, &p, &d, push, n)
		d.Attempts = append(d.Attempts, a)
		d.Outcome = a.Kind
		if d.Accepted() || a.Kind == OutcomeCancelled {
			break
		}
		w.marks.fail(w.now(), w.cfg.MarkFail)
		if a.Kind == OutcomeIllegal && !w.cfg.RetryIllegal {
			break
		}
		if a.Kind == OutcomeRefused && n+1 < attempts && !wcSleep(ctx, w.cfg.RetryPause) {
			d.Outcome = OutcomeCancelled
			break
		}
	}
	if !d.Accepted() && d.Outcome != OutcomeCancelled && d.Outcome != OutcomePaused {
		d.Notice = w.notice(p.OpenID)
	}
	w.tellEnd(&p, push, d)
	w.ledger.addDelivery(d)
	return d
}

// PushConcurrent sends p n times at the same moment, as WeChat does when a retry overtakes
// the request it repeats. Each is a delivery of its own.
func (w *WeChat) PushConcurrent(ctx context.Context, p SimPush, n int) []Delivery {
	out := make([]Delivery, n)
	var wg sync.WaitGroup
	for i := range out {
		wg.Go(func() { out[i] = w.Push(ctx, p) })
	}
	wg.Wait()
	return out
}

// notice shows the failure notice to a user who can see it.
func (w *WeChat) notice(openid string) bool {
	u := w.user(openid, true)
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.following {
		return false
	}
	w.show(openid, u, Seen{Type: "notice", Text: NoticeFailure, Road: RoadSystem})
	return true
}

func (w *WeChat) attempt(ctx context.Context, p *SimPush, d *Delivery, push int64, n int) (a Attempt) {
	s := w.settings.Load()
	method, url, body := w.request(s, p)
	w.tellRequest(p, push, n, method, url, body)
	var reply *Seen
	defer func() { w.tellAnswer(p, push, n, a, reply) }()
	a = w.roundTrip(ctx, method, url, body, cmp.Or(p.Timeout, w.cfg.Timeout))
	if a.Kind != "" {
		return a
	}
	if n < p.LoseAnswers {
		a.Kind, a.Err = OutcomeTimeout, "answer lost on purpose"
		return a
	}
	var err error
	a.Kind, reply, err = w.judge(s, p, a.Status, a.Body)
	if err != nil {
		a.Err = err.Error()
	}
	if reply != nil {
		u := w.user(p.OpenID, true)
		u.mu.Lock()
		shown := w.show(p.OpenID, u, *reply)
		u.mu.Unlock()
		d.Reply = &shown
	}
	return a
}

const wcMaxAnswer = 1 << 20

// roundTrip makes one request. Kind is left empty if there is a complete answer.
func (w *WeChat) roundTrip(ctx context.Context, method, url, body string, timeout time.Duration) (a Attempt) {
	a.Started = time.Now()
	defer func() { a.Took = time.Since(a.Started) }()
	timed, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	fail := func(err error) {
		a.Err = err.Error()
		switch {
		case ctx.Err() != nil:
			a.Kind = OutcomeCancelled
		case timed.Err() != nil:
			a.Kind = OutcomeTimeout
		default:
			a.Kind = OutcomeRefused
		}
	}
	req, err := http.NewRequestWithContext(timed, method, url, strings.NewReader(body))
	if err != nil {
		fail(err)
		return a
	}
	req.Header.Set("User-Agent", "Mozilla/4.0")
	req.Header.Set("Accept", "*/*")
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "text/xml")
	}
	resp, err := w.client.Do(req)
	if err != nil {
		fail(err)
		return a
	}
	defer resp.Body.Close()
	a.Status = resp.StatusCode
	a.Body, err = io.ReadAll(io.LimitReader(resp.Body, wcMaxAnswer+1))
	switch {
	case err != nil:
		fail(err)
	case len(a.Body) > wcMaxAnswer:
		a.Body, a.Kind, a.Err = nil, OutcomeIllegal, "answer over 1 MiB"
	}
	return a
}

// wcSleep waits, and tells whether ctx lasted.
func wcSleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// Verify does what the button in WeChat's console does: it asks the callback URL to echo a
// random text, and tells whether it did.
func (w *WeChat) Verify(ctx context.Context) (bool, Attempt) { return w.verify(ctx, Forgery{}) }

// VerifyForged asks as someone would who does not know the token. ok is whether the
// callback URL refused, with 403 and without the echo.
func (w *WeChat) VerifyForged(ctx context.Context, f Forgery) (ok bool, a Attempt) {
	echoed, a := w.verify(ctx, f)
	return !echoed && a.Status == http.StatusForbidden, a
}

func (w *WeChat) verify(ctx context.Context, f Forgery) (bool, Attempt) {
	s := w.settings.Load()
	echo := wcDigits(19)
	q := w.signed(s, f)
	q.add("echostr", echo)
	a := w.roundTrip(ctx, http.MethodGet, wcJoinQuery(s.callback, q.String()), "", w.cfg.Timeout)
	if a.Kind != "" {
		return false, a
	}
	if a.Status != http.StatusOK || string(a.Body) != echo {
		a.Kind, a.Err = OutcomeIllegal, errWcEcho.Error()
		return false, a
	}
	a.Kind = OutcomeSuccess
	return true, a
}

var errWcEcho = errors.New("the answer is not status 200 with the echostr alone")
