package bridge

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-wechat/caddy-wechat/module/internal/journal"
	"github.com/caddy-wechat/caddy-wechat/module/wechat"
)

// push sends the next message by the customer-service API. It returns true if
// there is to be another try, later; the error is that it was told to stop.
func (rt *Runtime) push(t *table, m move) (wait bool, err error) {
	ob := t.ob
	tk := rt.passAPI(ob.openid)
	if tk == nil {
		return true, nil
	}
	defer tk.end()
	if rt.heldBack(t, tk) {
		return true, nil
	}
	offered, err := rt.offer(t, m, 0)
	if err != nil {
		return false, err
	}
	began := time.Now()
	msg := t.pushMessage(m)
	err = t.c.client.Send(rt.calls, ob.openid, msg)
	rt.pushed.note(ob.openid, t.c.Pace)
	rt.noteSend(t, roadPush, began, err)
	if err != nil {
		if lost, ok := errors.AsType[*wechat.TransportError](err); !ok || !lost.Ambiguous() {
			if err := rt.withdraw(ob.openid, offered); err != nil {
				return false, err
			}
		}
		return rt.refused(t, m, tk, began, err)
	}
	tk.ok()
	ob.ok()
	rt.allowed()
	rt.typing.over(ob.openid, true)
	grant, since := t.bal.next(t.c.Allowance, t.now)
	return false, rt.record(journal.Sent{
		Account: rt.appid, OpenID: ob.openid,
		Progress: t.progress(m),
		Spend:    grant, Since: since,
		Shown: t.shown(m),
	}, ob)
}

// pushMessage is the next message as one to be pushed.
func (t *table) pushMessage(m move) wechat.Message {
	msg := wechat.TextMessage(m.text)
	if t.pieces[0].media {
		msg = t.from[0].part.message()
	}
	msg.AI = t.c.AILabel
	return msg
}

// passAPI gives a ticket if WeChat may be called now. If not, the user's replies
// are looked at again when it may.
func (rt *Runtime) passAPI(openid string) *ticket {
	tk := rt.api.try(delivering)
	if tk == nil {
		rt.gated.add(openid)
		tk = rt.api.try(delivering) // it may have opened meanwhile
	}
	return tk
}

// heldBack tells whether a user's call has to wait although others get through:
// the fault it met may be this user's own.
func (rt *Runtime) heldBack(t *table, tk *ticket) bool {
	ob := t.ob
	d := time.Until(ob.retryAt)
	if ob.faults == 0 || ob.under != t.c || tk.probe || d <= 0 {
		return false
	}
	ob.later(d, func() { rt.replies.wake(ob.openid) })
	return true
}

// refused says what follows from an error of WeChat's to a message.
func (rt *Runtime) refused(t *table, m move, tk *ticket, began time.Time, err error) (wait bool, _ error) {
	if rt.calls.Err() != nil {
		return false, err
	}
	if errors.Is(err, wechat.ErrMessage) { // not even sent
		return false, rt.give(t, m, err.Error())
	}
	e, ok := errors.AsType[*wechat.Error](err)
	if !ok {
		return rt.retry(t, 0, err), nil // the network, or half an answer
	}
	p := t.from[0].part
	switch action := e.Action(); action {
	case wechat.ActionNoPermission:
		if t.c.Reply == ReplyAuto {
			tk.ok()
			rt.deny(e)
			return false, nil
		}
		return rt.fault(t, tk, e), nil
	case wechat.ActionHold:
		return rt.fault(t, tk, e), nil
	case wechat.ActionRefresh:
		return rt.retry(t, 0, err), nil // a new token was tried already; the next try fetches another
	case wechat.ActionRetry:
		tk.ok()
		return rt.retry(t, 0, err), nil
	case wechat.ActionWait:
		tk.ok()
		return rt.retry(t, time.Minute, err), nil
	case wechat.ActionPark:
		tk.ok()
		return false, rt.exhausted(t, began, e)
	case wechat.ActionDrop:
		tk.ok()
		return false, rt.unreachable(t, e)
	case wechat.ActionReupload:
		if p.media != "" && p.dead == nil {
			tk.ok()
			return false, rt.renew(p)
		}
	case wechat.ActionSplit:
		if half := len(m.text) / 2; half >= 16 {
			tk.ok()
			t.ob.limit = half
			return false, nil
		}
	default:
	}
	tk.ok()
	if p.kind == partMenu && t.pieces[0].media {
		rt.noMenus.Store(true)
	}
	if p.fallBack() { // what WeChat does not take
		return false, nil
	}
	return false, rt.give(t, m, e.Error())
}

// unreachable lets go of the first reply of a user whom WeChat does not reach any
// more.
func (rt *Runtime) unreachable(t *table, e *wechat.Error) error {
	rt.note(note{step: planDropped, road: roadDrop, openid: t.ob.openid, reply: t.q[0].MessageID, reason: "user cannot be reached", code: int32(e.Code)})
	rt.logger().Info("reply dropped: user cannot be reached", zap.Int64("reply", t.q[0].ID), zap.Int("code", e.Code), zap.Error(e))
	return rt.record(journal.Sent{
		Account: rt.appid, OpenID: t.ob.openid,
		Progress: []journal.Progress{{ID: t.q[0].ID, Done: true}},
	}, t.ob)
}

// retry waits before the next try: a while, or longer the more often it was
// tried.
func (rt *Runtime) retry(t *table, least time.Duration, err error) (wait bool) {
	pause := max(least, t.ob.wait.next())
	t.ob.retryAt, t.ob.under = time.Now().Add(pause), t.c
	rt.logger().Warn("wechat does not take a message; trying again",
		zap.Int64("reply", t.q[0].ID), zap.Duration("in", pause), zap.Error(err), traceID(t.q[0].Trace))
	return false // the planner waits, or finds another way
}

// fault notes a fault that an operator has to mend.
func (rt *Runtime) fault(t *table, tk *ticket, e *wechat.Error) (wait bool) {
	tk.fault(e, e.Remedy())
	t.ob.faults++
	t.ob.retryAt, t.ob.under = time.Now().Add(t.ob.wait.next()), t.c
	return false
}

// exhausted corrects the user's allowance: WeChat takes no more until the user
// acts. If that has happened since the call was begun, it is tried again.
func (rt *Runtime) exhausted(t *table, began time.Time, e *wechat.Error) error {
	openid := t.ob.openid
	if rt.acts.last(openid).noted.After(began) {
		return nil
	}
	rt.logger().Debug("wechat takes no more until the user acts", zap.Int64("reply", t.q[0].ID), zap.Int("counted_left", t.left), zap.Int("code", e.Code))
	return rt.persist(rt.calls, "recording spent allowance", func(ctx context.Context, j *journal.Journal) error {
		return j.Exhaust(ctx, rt.appid, openid, t.bal.message.Since, t.bal.action.Since)
	})
}
