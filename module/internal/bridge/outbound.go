package bridge

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-wechat/caddy-wechat/module/internal/journal"
	"github.com/caddy-wechat/caddy-wechat/module/wechat"
)

// errStopped is how a lane hears that no new work is to be begun.
var errStopped = errors.New("stopping")

// workReplies brings a user's replies to WeChat, in the bot's order.
func (rt *Runtime) workReplies(ctx context.Context, openid string) bool {
	var settled int64 // the epoch for which the conversation was listed
	for range laneTurns {
		if ctx.Err() != nil {
			return false
		}
		r, ok, err := rt.nextReply(openid)
		if err != nil || !ok {
			return false
		}
		before := settled
		if settled, err = rt.listBefore(ctx, openid, before); err != nil {
			return false
		}
		if settled != before || rt.unrest.lasts() {
			// The listing began when this one was known already, so it has found
			// whatever goes before it.
			if r, ok, err = rt.nextReply(openid); err != nil || !ok {
				return false
			}
		}
		if rt.handleReply(r) != nil {
			return false
		}
	}
	return true
}

// nextReply is the user's oldest waiting reply. While older ones are parked, it
// is parked behind them: they go first, once the user acts.
func (rt *Runtime) nextReply(openid string) (r journal.Reply, ok bool, err error) {
	err = rt.persist(rt.calls, "reading replies", func(ctx context.Context, j *journal.Journal) error {
		for {
			var parked bool
			var err error
			r, ok, parked, err = j.NextReply(ctx, rt.appid, openid)
			if err != nil || !ok || !parked {
				return err
			}
			n, err := j.ParkBehind(ctx, rt.appid, openid)
			if err != nil || n > 0 {
				ok = false
				return err
			}
			// The user has acted meanwhile, and nothing is parked any more.
		}
	})
	return r, ok, err
}

// handleReply sends one reply, however long that takes. Its error is that it was
// told to stop.
func (rt *Runtime) handleReply(r journal.Reply) (err error) {
	defer func() {
		if p := recover(); p != nil {
			rt.logger().Error("handling reply panicked", zap.Int64("reply", r.ID), zap.String("panic", panicked(p)), zap.Stack("stack"))
			err = rt.buryReply(r, "panic: "+panicked(p))
		}
	}()
	c := rt.current.Load()
	parts, known := render(c.Settings, r.Payload)
	var failed string
	if !known {
		failed = "payload of a kind that cannot be shown"
	}
	for i := r.Step; i < len(parts); i++ {
		v, err := rt.sendPart(r, parts[i])
		if err != nil {
			return err
		}
		switch v.end {
		case endParked:
			return rt.park(r, v.began)
		case endUnreachable:
			return rt.buryReply(r, v.reason)
		case endDead: // the others may still be of use
			failed = v.reason
		case endSent:
		}
		if i+1 < len(parts) {
			if err := rt.replyStep(r, i+1); err != nil {
				return err
			}
		}
	}
	if failed != "" {
		return rt.buryReply(r, failed)
	}
	err = rt.persist(rt.calls, "recording reply", func(ctx context.Context, j *journal.Journal) error {
		return j.ReplyDone(ctx, r.ID)
	})
	if err == nil {
		rt.logger().Debug("reply delivered", zap.Int64("reply", r.ID), zap.Int("parts", len(parts)))
	}
	return err
}

// verdict says how the sending of a part ended.
type verdict struct {
	end    ending
	reason string
	began  time.Time // of the last attempt
}

type ending int

const (
	endSent        ending = iota // WeChat has it
	endParked                    // not now: WeChat waits for the user
	endDead                      // never
	endUnreachable               // never, and nothing else will reach this user
)

// sendPart sends one part until it is known what becomes of it.
func (rt *Runtime) sendPart(r journal.Reply, p part) (verdict, error) {
	st := &sending{r: r, p: &p}
	for {
		st.tries++
		st.began = time.Now()
		change := rt.change()
		tk, err := rt.api.pass(rt.stop, delivering)
		if err != nil {
			return verdict{}, err
		}
		if st.faults > 0 && !tk.probe {
			// Others got through since: the fault may be this user's own.
			if err := sleep(rt.stop, st.wait.next(), change); err != nil {
				return verdict{}, err
			}
		}
		err = rt.trySend(r.OpenID, &p)
		if err == nil {
			tk.ok()
			tk.end()
			return verdict{}, nil
		}
		if rt.calls.Err() != nil || errors.Is(err, errStopped) {
			tk.end()
			return verdict{}, err
		}
		pause, v, over := rt.judge(err, st, tk)
		tk.end()
		if over && v.end == endParked && rt.acts.last(r.OpenID).After(st.began) {
			continue // the user has acted meanwhile
		}
		if over {
			v.began = st.began
			return v, nil
		}
		if pause < 0 {
			continue
		}
		pause = max(pause, st.wait.next())
		rt.logger().Warn("wechat does not take a message; trying again",
			zap.Int64("reply", r.ID), zap.Duration("in", pause), zap.Error(err))
		if err := sleep(rt.stop, pause, change); err != nil {
			return verdict{}, err
		}
	}
}

// sending is one part on its way to WeChat.
type sending struct {
	r      journal.Reply
	p      *part
	tries  int
	began  time.Time // of the last attempt
	wait   backoff
	faults int // how often an operator's fault was met
}

// judge says what follows from an error of WeChat's: over with a verdict, or
// another try after a pause (negative: at once).
func (rt *Runtime) judge(err error, st *sending, tk *ticket) (pause time.Duration, v verdict, over bool) {
	p := st.p
	if errors.Is(err, wechat.ErrMessage) { // not even sent
		return 0, verdict{end: endDead, reason: err.Error()}, true
	}
	e, ok := errors.AsType[*wechat.Error](err)
	if !ok {
		return 0, verdict{}, false // the network, or half an answer
	}
	action := e.Action()
	if action == wechat.ActionNoPermission && p.fallBack() {
		return -1, verdict{}, false // media only: the account may be able to send texts
	}
	switch action {
	case wechat.ActionHold, wechat.ActionNoPermission:
		tk.fault(e, e.Remedy())
		st.faults++
		return -1, verdict{}, false
	case wechat.ActionRefresh:
		return 0, verdict{}, false // a new token was tried already; the next try fetches another
	default:
	}
	tk.ok()
	switch action {
	case wechat.ActionRetry:
		return 0, verdict{}, false
	case wechat.ActionWait:
		return time.Minute, verdict{}, false
	case wechat.ActionPark:
		return 0, verdict{end: endParked}, true
	case wechat.ActionDrop:
		return 0, verdict{end: endUnreachable, reason: e.Error()}, true
	case wechat.ActionReupload:
		if p.media != "" && st.tries == 1 {
			p.media = ""
			return -1, verdict{}, false
		}
	case wechat.ActionSplit:
		if p.halve() {
			return -1, verdict{}, false
		}
	default:
	}
	if p.fallBack() { // a picture that WeChat does not take
		return -1, verdict{}, false
	}
	return 0, verdict{end: endDead, reason: e.Error()}, true
}

// trySend makes one attempt at a part.
func (rt *Runtime) trySend(openid string, p *part) error {
	c := rt.current.Load()
	if p.kind == partImage && p.media == "" {
		if err := rt.upload(c, p); err != nil {
			return err
		}
	}
	for {
		if err := rt.pace.wait(rt.stop, openid, c.Pace); err != nil {
			return errStopped
		}
		m := p.message()
		m.AI = c.AILabel
		err := c.client.Send(rt.calls, openid, m)
		rt.pace.sent(openid, c.Pace)
		if err != nil {
			return err
		}
		if !p.advance() {
			return nil
		}
	}
}

// upload fetches a picture and gives it to WeChat. What cannot be had becomes a
// link.
func (rt *Runtime) upload(c *inForce, p *part) error {
	select {
	case rt.pictures <- struct{}{}:
		defer func() { <-rt.pictures }()
	case <-rt.stop.Done():
		return errStopped
	}
	file, err := c.fetch.image(rt.calls, p.url)
	if err != nil {
		if rt.calls.Err() != nil {
			return err
		}
		rt.logger().Warn("picture becomes a link", zap.Error(err))
		p.fallBack()
		return nil
	}
	m, err := c.client.Upload(rt.calls, wechat.MediaImage, file.name, file.data)
	if err != nil {
		return err
	}
	p.media = m.ID
	return nil
}

func (rt *Runtime) replyStep(r journal.Reply, step int) error {
	return rt.persist(rt.calls, "recording reply", func(ctx context.Context, j *journal.Journal) error {
		return j.ReplyStep(ctx, r.ID, step)
	})
}

func (rt *Runtime) buryReply(r journal.Reply, reason string) error {
	rt.logger().Error("reply put aside as dead letter", zap.Int64("reply", r.ID), zap.String("reason", reason))
	return rt.persist(rt.calls, "burying reply", func(ctx context.Context, j *journal.Journal) error {
		return j.ReplyDead(ctx, r.ID, reason)
	})
}

// park puts a reply aside, and with it all that waits behind it, until the user
// acts again. If that happened since the attempt was begun, nobody else will
// notice: they wait on.
func (rt *Runtime) park(r journal.Reply, began time.Time) error {
	rt.logger().Debug("replies parked until the user acts", zap.Int64("reply", r.ID))
	rt.anyParked.Store(true) // before they are, or acted might not look
	err := rt.persist(rt.calls, "parking replies", func(ctx context.Context, j *journal.Journal) error {
		_, err := j.Park(ctx, rt.appid, r.OpenID)
		return err
	})
	if err != nil || !rt.acts.last(r.OpenID).After(began) {
		return err
	}
	return rt.unpark(r.OpenID)
}

// actsKept is how long it is remembered that a user did something: longer than
// one attempt to send takes.
const actsKept = 5 * time.Minute

// acted notes that a user did something that lets us send again, and makes the
// user's parked replies wait again, ahead of newer ones.
func (rt *Runtime) acted(openid string) error {
	rt.acts.note(openid, actsKept)
	if !rt.anyParked.Load() {
		return nil
	}
	return rt.unpark(openid)
}

func (rt *Runtime) unpark(openid string) error {
	var n int64
	err := rt.persist(rt.calls, "freeing parked replies", func(ctx context.Context, j *journal.Journal) error {
		parked, err := j.HasParked(ctx, rt.appid, openid)
		if err != nil || !parked {
			return err
		}
		n, err = j.Unpark(ctx, rt.appid, openid)
		return err
	})
	if n > 0 {
		rt.replies.wake(openid)
	}
	return err
}
