package bridge

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-wechat/caddy-wechat/module/bots"
	"github.com/caddy-wechat/caddy-wechat/module/internal/journal"
	"github.com/caddy-wechat/caddy-wechat/module/wechat"
)

// accept claims and appends a push. When it returns without an error, the push
// is on disk. While the journal cannot take it, accept tries again until the
// context ends.
func (rt *Runtime) accept(ctx context.Context, p *wechat.Push, xml []byte, count bool) (c claimed, at time.Time, err error) {
	at = time.Now()
	row := journal.Push{
		Account:    rt.appid,
		OpenID:     p.FromUserName,
		Key:        p.Key(),
		Kind:       kindOf(p),
		ReceivedAt: at,
		Body:       xml,
		Trace:      parentOf(ctx),
	}
	switch p.Body.(type) {
	case *wechat.Unsubscribe:
		row.Leaves = true
	case *wechat.Subscribe:
		row.Returns = true
	}
	if j := rt.store.opened(); j != nil { // as a rule this is all
		// Begun, it is waited for: its outcome must be known.
		c.Claim, err = j.AppendPush(context.Background(), row, count)
		rt.store.outcome("appending push", err)
		if err == nil {
			c.key, c.kind = row.Key, row.Kind
			rt.noteAppend(&row, c, nil)
			return c, at, nil
		}
	}
	return rt.insist(ctx, row, count, err != nil)
}

// insist appends a push that could not be appended at once, perhaps after a first
// try.
func (rt *Runtime) insist(ctx context.Context, row journal.Push, count, tried bool) (c claimed, at time.Time, err error) {
	tries := 0
	if tried {
		tries++
		if err := sleep(ctx, new(backoff).next(), nil); err != nil {
			rt.noteAppend(&row, c, err)
			return c, at, err
		}
	}
	err = rt.persist(ctx, "appending push", func(ctx context.Context, j *journal.Journal) (err error) {
		tries++
		c.Claim, err = j.AppendPush(ctx, row, count)
		return err
	})
	c.unsure, c.key, c.kind = tries > 1 && !c.Fresh, row.Key, row.Kind
	rt.noteAppend(&row, c, err)
	return c, row.ReceivedAt, err
}

// accepted lets a push that is on disk go its way. It comes after the push's
// window was opened, or the reply to it might find none; held says that it was.
func (rt *Runtime) accepted(p *wechat.Push, c claimed, at time.Time, held bool) {
	if ce := rt.logger().Check(zap.DebugLevel, "push taken"); ce != nil {
		ce.Write(zap.Int64("push", c.ID), zap.String("kind", kindOf(p)), zap.Bool("duplicate", !c.Fresh), zap.Int("attempt", c.Attempts))
	}
	if !c.Fresh && !c.unsure {
		if held { // a callback has come for what waits, or is parked since the last one
			rt.poke(p.FromUserName)
			rt.unparkSoon(p.FromUserName)
		}
		return
	}
	rt.pushes.wake(p.FromUserName)
	if _, leaves := p.Body.(*wechat.Unsubscribe); leaves {
		rt.acts.forget(p.FromUserName, at)
		rt.leavers.soon()
		rt.poke(p.FromUserName) // what was about to go out is for nobody
	}
	if ids, _ := fileOf(p); len(ids) > 0 {
		rt.early.soon()
	}
	grant := grantOf(p)
	if grant == journal.GrantNone {
		return
	}
	// Now, and not only when the push has its turn: the bot may be out of reach.
	rt.acts.note(p.FromUserName, grant, at)
	rt.poke(p.FromUserName)
	rt.unparkSoon(p.FromUserName)
}

// unparkSoon frees what is parked for a user, without making a callback wait for
// the journal. Should a stop end it, the push's lane does it after the next start.
func (rt *Runtime) unparkSoon(openid string) {
	if rt.anyParked.Load() && rt.stop.Err() == nil {
		rt.chores.Go(func() { _ = rt.unpark(openid) })
	}
}

// grantOf is the allowance that a push opens.
func grantOf(p *wechat.Push) journal.Grant {
	switch p.Unlocks() {
	case wechat.GrantMessage:
		return journal.GrantMessage
	case wechat.GrantAction:
		return journal.GrantAction
	case wechat.GrantNone:
	}
	return journal.GrantNone
}

// Bury keeps a body that had a good signature and is no push all the same. Whoever has
// seen it can send it again: that is not fresh, and nothing comes of it.
func (rt *Runtime) Bury(ctx context.Context, body []byte, cause error) (fresh bool, err error) {
	if err := rt.begun(ctx); err != nil {
		return false, err
	}
	if err := rt.join(rt.current.Load()); err != nil {
		return false, err
	}
	defer rt.taking.Add(-1)
	err = rt.persist(ctx, "burying malformed push", func(ctx context.Context, j *journal.Journal) (err error) {
		fresh, err = j.Bury(ctx, journal.Dead{
			Account: rt.appid,
			Kind:    journal.DeadBody,
			Ref:     hashed("", body),
			Reason:  cause.Error(),
			At:      time.Now(),
			Body:    body,
		})
		return err
	})
	if fresh {
		rt.note(note{step: pushDead, kind: "body", reason: cause.Error()})
	}
	return fresh, err
}

// join makes a push one of those that are on their way into the journal. While that
// takes nothing, only so many are.
func (rt *Runtime) join(c *inForce) error {
	if n := rt.taking.Add(1); n > int64(c.Limits.Windows) && rt.store.Err() != nil {
		rt.taking.Add(-1)
		return ErrBusy
	}
	return nil
}

// Hear appends the replies that a bot posted. Replies for conversations that
// are not ours are ignored and counted; known is how many were for ours.
func (rt *Runtime) Hear(ctx context.Context, replies []bots.Reply) (known int, err error) {
	for _, r := range replies {
		var u journal.User
		var ok bool
		var fresh int
		err := rt.persist(ctx, "appending reply", func(ctx context.Context, j *journal.Journal) error {
			var err error
			if u, ok, err = j.UserByConversation(ctx, rt.appid, r.Conversation); err != nil || !ok {
				return err
			}
			fresh, err = j.AppendReplies(ctx, rt.appid, u.OpenID, []journal.Reply{rt.journalReply(u, r)})
			return err
		})
		if err != nil {
			rt.unrest.disturb() // the bot does not repeat it; what comes next must not overtake it
			return known, err
		}
		if !ok {
			rt.foreign.Add(1)
			continue
		}
		known++
		rt.noteReply(u.OpenID, r.ID, fresh > 0, false)
		if fresh > 0 {
			rt.spans.heard(ctx, u, r.ID)
		}
		rt.typing.heard(u.OpenID)
		rt.replies.wake(u.OpenID)
		rt.catch.heard(u.OpenID)
	}
	return known, nil
}

func (rt *Runtime) journalReply(u journal.User, r bots.Reply) journal.Reply {
	return journal.Reply{
		Account:    rt.appid,
		OpenID:     u.OpenID,
		MessageID:  r.ID,
		CreatedAt:  r.CreatedAt,
		ReceivedAt: time.Now(),
		Payload:    r.Payload,
		Trace:      rt.spans.turnOf(u),
	}
}

// persist writes to the journal, again and again until it is done or the
// context ends: a full disk or a damaged file must not lose anything. A write
// that was begun is waited for, whatever becomes of the context: its outcome
// must be known.
func (rt *Runtime) persist(ctx context.Context, what string, write func(context.Context, *journal.Journal) error) error {
	j, err := rt.store.Get(ctx)
	if err != nil {
		return err
	}
	var wait backoff
	for {
		err := write(context.WithoutCancel(ctx), j)
		rt.store.outcome(what, err)
		if err == nil {
			return nil
		}
		if err := sleep(ctx, min(wait.next(), time.Second), nil); err != nil {
			return err
		}
	}
}
