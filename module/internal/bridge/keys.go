package bridge

import (
	"context"
	"errors"
	"math/rand/v2"

	"go.uber.org/zap"

	"github.com/caddy-wechat/caddy-wechat/module/bots"
	"github.com/caddy-wechat/caddy-wechat/module/internal/journal"
)

const (
	// mostLosses is how many keys in a row a turn may find lost, before it is
	// somebody's to mend.
	mostLosses = 3

	// generationStride is how far apart generations may be once the next one was
	// found taken: the journal may have been lost, and nobody knows how many there
	// were.
	generationStride = 1_000_000
)

const refusedRemedy = "Botpress refuses the keys of users that it has issued itself: see whether the bot's Chat integration now has an Encryption Key, and set encryption_key to it"

// issuerOf is the bot if it gives its users keys, or nil.
func issuerOf(bot bots.Bot) bots.Issuer {
	if b, ok := bot.(bots.Issuer); ok && b.Issues() {
		return b
	}
	return nil
}

// keyless tells whether nothing can be done for a peer because it has no key.
func keyless(bot bots.Bot, p bots.Peer) bool { return p.Key == "" && issuerOf(bot) != nil }

// keyed is a user as the bot knows it, with its key if the bot has issued one.
func (rt *Runtime) keyed(bot bots.Bot, u journal.User) (bots.Peer, error) {
	p := rt.peer(u)
	if issuerOf(bot) == nil || u.Bot != bot.Identity() {
		return p, nil
	}
	generation, key, err := rt.issuedKey(bot, u.OpenID)
	if generation == u.Generation {
		p.Key = key
	}
	return p, err
}

func (rt *Runtime) issuedKey(bot bots.Bot, openid string) (generation int, key string, err error) {
	err = rt.persist(rt.calls, "reading key", func(ctx context.Context, j *journal.Journal) (err error) {
		generation, key, err = j.Key(ctx, rt.appid, openid, bot.Identity())
		return err
	})
	return generation, key, err
}

// enroll sees to it that a user who is to be introduced has a key, if the bot gives
// keys: the one that is kept, or, where there is none or it is of no use, one for
// another generation of the user. A key is kept before it is used.
func (rt *Runtime) enroll(bot bots.Bot, u journal.User, d *delivery) (bots.Peer, error) {
	issuer := issuerOf(bot)
	if issuer == nil {
		return rt.peer(u), nil
	}
	generation, key, err := rt.issuedKey(bot, u.OpenID)
	if err != nil {
		return bots.Peer{}, err
	}
	another := d.lost || d.moved > d.enrolled
	if key != "" && !another {
		u.Generation = generation
		p := rt.peer(u)
		p.Key = key
		return p, nil
	}
	if another {
		u.Generation = max(u.Generation, generation, d.tried) + 1
		if d.losses > 1 {
			u.Generation += rand.N(generationStride)
		}
	}
	d.tried = u.Generation
	p := rt.peer(u)
	if p.Key, err = issuer.Issue(rt.calls, p); err != nil {
		return p, err
	}
	err = rt.persist(rt.calls, "keeping key", func(ctx context.Context, j *journal.Journal) error {
		return j.PutKey(ctx, rt.appid, u.OpenID, bot.Identity(), p.Generation, p.Key)
	})
	if err == nil {
		d.lost, d.enrolled = false, max(d.moved, 1)
	}
	return p, err
}

// keyLost has a turn go to another generation of its user, because nobody has a
// key for this one.
func (rt *Runtime) keyLost(d *delivery, tk *ticket, f *bots.Fault) error {
	d.lost, d.known = true, false
	if d.losses++; d.losses > mostLosses {
		tk.fault(errors.New("keys of users are refused"), refusedRemedy)
		d.faults++
		rt.outage.begin()
		return nil
	}
	tk.ok()
	rt.logger().Warn("key of a user is lost; the user gets another conversation with the bot",
		zap.Int64("push", d.row.ID), zap.Error(f))
	return nil
}
