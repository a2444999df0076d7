package bridge

import (
	"context"
	"time"

	"github.com/caddy-wechat/caddy-wechat/module/bots"
	"github.com/caddy-wechat/caddy-wechat/module/internal/journal"
	"github.com/caddy-wechat/caddy-wechat/module/wechat"
)

// Accept claims and appends a push. When it returns nil, the push is on disk
// and will reach the bot; fresh is false if it had been appended before. While
// the journal cannot take it, Accept tries again until the context ends.
func (rt *Runtime) Accept(ctx context.Context, p *wechat.Push, xml []byte) (fresh bool, err error) {
	row := journal.Push{
		Account:    rt.appid,
		OpenID:     p.FromUserName,
		Key:        p.Key(),
		Kind:       kindOf(p),
		ReceivedAt: time.Now(),
		Body:       xml,
	}
	tries := 0
	err = rt.persist(ctx, "appending push", func(ctx context.Context, j *journal.Journal) error {
		tries++
		_, fresh, err = j.AppendPush(ctx, row)
		return err
	})
	// After an append that seemed to fail the row may be there, with nobody told.
	if err != nil || !fresh && tries == 1 {
		return fresh, err
	}
	rt.pushes.wake(p.FromUserName)
	if p.Unlocks() != wechat.GrantNone {
		// Now, and not only when the push has its turn: the bot may be out of reach.
		rt.acts.note(p.FromUserName, actsKept)
		if rt.anyParked.Load() {
			err = rt.unpark(p.FromUserName)
		}
	}
	return fresh, err
}

// Bury keeps a body that had a good signature and is no push all the same.
func (rt *Runtime) Bury(ctx context.Context, body []byte, cause error) error {
	return rt.persist(ctx, "burying malformed push", func(ctx context.Context, j *journal.Journal) error {
		return j.Bury(ctx, journal.Dead{
			Account: rt.appid,
			Kind:    "body",
			Reason:  cause.Error(),
			At:      time.Now(),
			Body:    body,
		})
	})
}

// Hear appends the replies that a bot posted. Replies for conversations that
// are not ours are ignored; known is how many were for ours.
func (rt *Runtime) Hear(ctx context.Context, replies []bots.Reply) (known int, err error) {
	for _, r := range replies {
		var u journal.User
		var ok bool
		err := rt.persist(ctx, "appending reply", func(ctx context.Context, j *journal.Journal) error {
			var err error
			if u, ok, err = j.UserByConversation(ctx, rt.appid, r.Conversation); err != nil || !ok {
				return err
			}
			_, err = j.AppendReplies(ctx, rt.appid, u.OpenID, []journal.Reply{journalReply(rt.appid, u.OpenID, r)})
			return err
		})
		if err != nil {
			return known, err
		}
		if !ok {
			continue
		}
		known++
		rt.replies.wake(u.OpenID)
		rt.catch.heard(u.OpenID)
	}
	return known, nil
}

func journalReply(appid, openid string, r bots.Reply) journal.Reply {
	return journal.Reply{
		Account:    appid,
		OpenID:     openid,
		MessageID:  r.ID,
		CreatedAt:  r.CreatedAt,
		ReceivedAt: time.Now(),
		Payload:    r.Payload,
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
