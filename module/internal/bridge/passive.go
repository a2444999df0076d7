package bridge

import (
	"time"

	"go.uber.org/zap"

	"github.com/caddy-wechat/caddy-wechat/module/internal/journal"
	"github.com/caddy-wechat/caddy-wechat/module/wechat"
)

// handover is how long the writing of an answer may take. Callbacks have a
// shorter deadline of their own.
const handover = 5 * time.Second

// answer gives the next message to the user's oldest window. If that cannot be
// written, nothing has happened, and it goes another way.
func (rt *Runtime) answer(t *table, m move) error {
	w := t.window.w
	xml, err := wechat.EncodeReply(w.from, t.passiveReply(m), time.Now())
	if err != nil {
		return rt.give(t, m, err.Error())
	}
	offered, err := rt.offer(t, m, w.push)
	if err != nil {
		return err
	}
	began := time.Now()
	written := rt.windows.give(w, xml)
	if written == nil {
		return rt.withdraw(t.ob.openid, offered) // it has been closed meanwhile
	}
	timer := time.NewTimer(handover)
	defer timer.Stop()
	select {
	case err = <-written:
	case <-timer.C:
		err = errHungUp
	}
	rt.noteSend(t, roadPassive, began, err)
	if err != nil {
		rt.logger().Debug("passive answer could not be written; the reply goes another way", zap.Int64("reply", t.q[0].ID), zap.Error(err))
		return rt.withdraw(t.ob.openid, offered)
	}
	openid := t.ob.openid
	rt.answered.note(openid, max(t.c.Pace, headStart))
	rt.typing.over(openid, false)
	t.ob.ok()
	return rt.record(journal.Sent{
		Account: rt.appid, OpenID: openid,
		Progress: t.progress(m),
		Push:     w.push, Answer: xml,
		Shown: t.shown(m),
	}, t.ob)
}

// passiveReply is the next message as a passive reply.
func (t *table) passiveReply(m move) wechat.Reply {
	if t.pieces[0].media {
		return t.from[0].part.reply()
	}
	return wechat.TextReply{Content: m.text}
}

// give gives up on the pieces of a message that can never be sent. Others of the
// same replies may still be of use.
func (rt *Runtime) give(t *table, m move, why string) error {
	all := t.progress(m)
	for i := range all {
		p := &all[i]
		if !t.ob.failed[p.ID] && p.Dead == "" {
			p.Refused = why
			rt.noteDead(t.ob.openid, rt.outboxes.messageID(t.ob.openid, p.ID), why)
			t.ob.failed[p.ID] = true
			rt.logger().Error("part of a reply put aside as dead letter", zap.Int64("reply", p.ID), zap.String("reason", why))
		}
	}
	return rt.record(journal.Sent{Account: rt.appid, OpenID: t.ob.openid, Progress: all}, nil)
}
