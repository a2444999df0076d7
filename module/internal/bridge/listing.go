package bridge

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-wechat/caddy-wechat/module/bots"
	"github.com/caddy-wechat/caddy-wechat/module/internal/journal"
)

// errUnsettled is that a listing has no place to start at yet: whether the bot
// has the user's first message is being looked up.
var errUnsettled = errors.New("first message is in doubt")

// list reads what the bot has said to a user since the user's watermark and
// appends what is not known yet. It returns how many replies were new.
func (rt *Runtime) list(openid string) (int, error) {
	u, ok, err := rt.user(openid)
	if err != nil || !ok {
		return 0, err
	}
	return rt.listUser(u)
}

// listUser asks again as long as the bot says that there is more, and that brings something.
func (rt *Runtime) listUser(u journal.User) (int, error) {
	for all := 0; ; {
		from := u.Watermark
		fresh, more, err := rt.listPart(u)
		all += fresh
		if err != nil || !more {
			return all, err
		}
		if u, _, err = rt.user(u.OpenID); err != nil || fresh == 0 && u.Watermark == from {
			return all, err
		}
	}
}

func (rt *Runtime) listPart(u journal.User) (fresh int, more bool, err error) {
	var found []bots.Reply
	epoch := rt.epoch.Load() // before the bot is asked
	bot := rt.current.Load().Bot
	_, can := bot.(bots.Lister)
	if can && u.Bot == bot.Identity() && u.Watermark.IsZero() && u.Epoch != epoch {
		if u, err = rt.settled(u); err != nil {
			return 0, false, err
		}
	}
	// With another bot, or before the first turn has reached this one, there is
	// nothing of ours to be found.
	began, asks := time.Now(), can && u.Bot == bot.Identity() && !u.Watermark.IsZero()
	if asks {
		if found, more, err = rt.ask(u); err != nil {
			return 0, false, err
		}
	}
	rows := make([]journal.Reply, len(found))
	for i, r := range found {
		rows[i] = rt.journalReply(u, r)
	}
	err = rt.persist(rt.calls, "appending listing", func(ctx context.Context, j *journal.Journal) (err error) {
		if u.Epoch != epoch && !more {
			fresh, err = j.AppendFirstListing(ctx, rt.appid, u.OpenID, epoch, rows)
		} else {
			fresh, err = j.AppendListing(ctx, rt.appid, u.OpenID, rows)
		}
		return err
	})
	if err != nil {
		return 0, false, err
	}
	for i := range rows {
		if rows[i].Fresh {
			rt.noteReply(u.OpenID, rows[i].MessageID, true, true)
			rt.spans.heard(rt.calls, u, rows[i].MessageID)
		}
	}
	if asks && !more {
		rt.listening.listed(u.OpenID, began)
	}
	if fresh > 0 {
		rt.logger().Info("found replies that were not delivered to us", zap.Int("replies", fresh))
		rt.typing.heard(u.OpenID)
		rt.replies.wake(u.OpenID)
		rt.catch.heard(u.OpenID)
		rt.listening.active(u.OpenID)
	}
	return fresh, more, nil
}

// settled is a user without a watermark whom an earlier process has introduced
// to the bot. That process may have been ended between handing over the first
// message and recording it; then there will be a watermark once the lane has
// looked the message up.
func (rt *Runtime) settled(u journal.User) (journal.User, error) {
	rows, err := rt.nextPushes(rt.calls, u.OpenID)
	if err != nil {
		return u, err
	}
	if len(rows) > 0 && rows[0].ID <= rt.before {
		return u, errUnsettled
	}
	now, _, err := rt.user(u.OpenID)
	return now, err
}

// ask has the bot list a conversation. It is the bot that is configured once the
// gate lets the call through: that may be another one than before.
func (rt *Runtime) ask(u journal.User) (found []bots.Reply, more bool, err error) {
	tk, err := rt.bot.pass(rt.stop, listing)
	if err != nil {
		return nil, false, err
	}
	defer tk.end()
	bot := rt.current.Load().Bot
	lister, can := bot.(bots.Lister)
	if !can || u.Bot != bot.Identity() {
		return nil, false, nil
	}
	p, err := rt.keyed(bot, u)
	if err != nil {
		return nil, false, err
	}
	found, more, err = lister.List(rt.calls, p, bots.Mark(u.Watermark))
	if err == nil {
		tk.ok()
		return found, more, nil
	}
	if rt.calls.Err() != nil {
		return nil, false, err
	}
	f := bots.AsFault(err)
	switch f.Kind {
	case bots.Operator:
		tk.fault(f.Err, f.Remedy)
	case bots.Poison, bots.Unknown:
		// Nothing will ever be found there; what the webhook brings has to do.
		tk.ok()
		rt.logger().Error("conversation cannot be listed", zap.Error(f))
		return nil, false, nil
	case bots.Transient:
		rt.logger().Warn("listing conversation; trying again", zap.Error(f))
	}
	return nil, false, err
}

// listBefore sees to it that after a start, while a reload goes on, and after its
// stream was opened, a conversation is listed before its replies go out: one that was missed meanwhile
// goes before one that comes now. It returns the user as known after that. An
// error means that the replies have to wait; whoever settles what they wait for
// wakes the lane.
func (rt *Runtime) listBefore(ctx context.Context, openid string) (journal.User, error) {
	var wait backoff
	for {
		epoch, unrest := rt.epoch.Load(), rt.unrest.lasts()
		unlisted := rt.listening.unlisted(openid)
		u, ok, err := rt.user(openid)
		if err != nil {
			return u, err
		}
		if !ok || u.Epoch == epoch && !unrest && (!unlisted || u.Watermark.IsZero()) {
			return u, nil
		}
		if _, err = rt.listUser(u); err == nil {
			u, _, err = rt.user(openid)
			return u, err
		}
		if errors.Is(err, errUnsettled) {
			return u, err
		}
		if err := sleep(ctx, max(wait.next(), bots.AsFault(err).RetryAfter), rt.change()); err != nil {
			return u, err
		}
	}
}
