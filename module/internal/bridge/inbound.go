package bridge

import (
	"context"
	"time"

	otel "go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"

	"github.com/caddy-wechat/caddy-wechat/module/bots"
	"github.com/caddy-wechat/caddy-wechat/module/internal/journal"
	"github.com/caddy-wechat/caddy-wechat/module/wechat"
)

const (
	// laneBatch is how many messages of a user are in memory at once.
	laneBatch = 8

	// laneTurns is how many messages a lane handles before it lets another user
	// have its place.
	laneTurns = 64
)

// workPushes brings a user's pushes to the bot, in the order of their arrival.
func (rt *Runtime) workPushes(ctx context.Context, openid string) bool {
	if rt.floods.waits(openid) {
		return false // it is woken when the next message is due
	}
	// Of all that an earlier process left, only the first push of each user may
	// have been under way when it ended. Where a power cut took back what had been
	// recorded, there may be more: those that are found make the next doubtful.
	doubtful := true
	for handled := 0; handled < laneTurns; {
		rt.pushes.reading(openid)
		rows, err := rt.nextPushes(ctx, openid)
		if err != nil {
			return false // told to stop
		}
		if len(rows) == 0 {
			return false
		}
		for _, row := range rows {
			if ctx.Err() != nil {
				return false
			}
			found, err := rt.handlePush(row, doubtful && row.ID <= rt.before)
			if err != nil {
				return false
			}
			doubtful = doubtful && found
			handled++
		}
		if len(rows) < laneBatch && rt.pushes.quiet(openid) {
			return false
		}
	}
	return true
}

func (rt *Runtime) nextPushes(ctx context.Context, openid string) ([]journal.Push, error) {
	var rows []journal.Push
	err := rt.persist(ctx, "reading pushes", func(ctx context.Context, j *journal.Journal) (err error) {
		rows, err = j.NextPushes(ctx, rt.appid, openid, 0, laneBatch)
		return err
	})
	return rows, err
}

// handlePush does with one push what is to be done with it, however long that
// takes. It is doubtful if an earlier process may have handed it to the bot;
// found is whether it had. The error is that it was told to stop, or that the
// push has to wait for its turn.
func (rt *Runtime) handlePush(row journal.Push, doubtful bool) (found bool, err error) {
	defer func() {
		if r := recover(); r != nil {
			rt.logger().Error("handling push panicked", zap.Int64("push", row.ID), zap.String("panic", panicked(r)), zap.Stack("stack"))
			err = rt.buryPush(&row, rt.doneWith(row), "panic: "+panicked(r))
		}
		if doubtful && err == nil {
			rt.replies.wake(row.OpenID) // they may have been waiting for this to be settled
		}
	}()
	p, err := wechat.ParsePush(row.Body)
	if err != nil {
		return false, rt.buryPush(&row, rt.doneWith(row), "parsing push: "+err.Error())
	}
	t, tells := newTurn(rt.current.Load().Settings, row, p)
	if tells {
		if err := rt.floods.turn(row.OpenID, row.ID); err != nil {
			return false, err
		}
	}
	done := journal.PushDone{ID: row.ID, Account: rt.appid, OpenID: row.OpenID, Grant: grantOf(p), GrantAt: row.ReceivedAt}
	if done.Grant != journal.GrantNone {
		if err := rt.acted(row.OpenID, done.Grant, row.ReceivedAt); err != nil {
			return false, err
		}
	}
	if !tells { // of no interest to the bot
		rt.notePush(pushIgnored, &row, "")
		return doubtful, rt.pushDone(done)
	}
	if err := rt.choose(&t, row, p); err != nil {
		return false, err
	}
	if err := rt.carryFile(&t, row, p); err != nil {
		return false, err
	}
	t.Doubtful = doubtful
	_, follows := p.Body.(*wechat.Subscribe)
	return rt.deliver(&delivery{row: row, turn: t, done: done, follows: follows})
}

// delivery is one push on its way to the bot.
type delivery struct {
	row    journal.Push
	turn   bots.Turn
	done   journal.PushDone
	began  time.Time // of the first attempt
	wait   backoff
	known  bool // the bot knows the peer
	moved  int  // how often the peer had to be introduced anew
	faults int  // how often an operator's fault was met

	lost   bool // nobody has a key for the peer
	losses int  // how often that was so
	tried  int  // the generation that a key was last asked for

	enrolled int // up to which move the peer's key serves

	follows bool   // the user has come to follow the account by it
	asked   bool   // WeChat was asked about the user
	profile string // what it told

	span otel.Span // of the attempt under way
}

// deliver hands a push to the bot, however long that takes. Found is whether
// the bot turned out to have it already.
func (rt *Runtime) deliver(d *delivery) (found bool, err error) {
	d.began, d.enrolled = time.Now(), 1
	if d.turn.Event == nil { // an event may have no answer
		rt.typing.begin(d.row.OpenID)
	}
	for {
		change := rt.change()
		found, over, pause, err := rt.tryDeliver(d, change)
		if over || err != nil {
			return found, err
		}
		if err := sleep(rt.stop, pause, change); err != nil {
			return false, err
		}
	}
}

// tryDeliver makes one attempt to hand a push to the bot. If it is not over, the
// next one follows after a pause.
func (rt *Runtime) tryDeliver(d *delivery, change <-chan struct{}) (found, over bool, pause time.Duration, err error) {
	tk, err := rt.bot.pass(rt.stop, delivering)
	if err != nil {
		return false, false, 0, err
	}
	defer tk.end()
	if d.faults > 0 && !tk.probe {
		// Others got through since: the fault may be this message's own.
		if err := sleep(rt.stop, d.wait.next(), change); err != nil {
			return false, false, 0, err
		}
	}
	began := time.Now()
	rt.spans.calling(d)
	receipt, err := rt.attempt(d)
	finish(d.span, err)
	rt.noteBot(d, receipt, began, err)
	if err != nil {
		over, pause, err = rt.undelivered(d, tk, err)
		return false, over, pause, err
	}
	tk.ok()
	rt.outage.over(rt)
	// An event cannot be found; it leaves the doubt as it was.
	return receipt.Found || d.turn.Event != nil, true, 0, rt.delivered(d, receipt)
}

// undelivered says what follows from a failed attempt: it is over, or tried
// again after a pause.
func (rt *Runtime) undelivered(d *delivery, tk *ticket, err error) (over bool, pause time.Duration, _ error) {
	if rt.calls.Err() != nil {
		return false, 0, err
	}
	f := bots.AsFault(err)
	d.turn.Doubtful = d.turn.Doubtful || f.Doubtful
	switch f.Kind {
	case bots.Operator:
		tk.fault(f.Err, f.Remedy)
		d.faults++
		rt.outage.begin()
		return false, 0, nil
	case bots.Poison:
		tk.ok()
		return true, 0, rt.buryPush(&d.row, d.done, f.Error())
	case bots.Unknown:
		if f.KeyLost {
			return false, 0, rt.keyLost(d, tk, f)
		}
		tk.ok()
		if d.moved++; d.moved > 3 {
			return true, 0, rt.buryPush(&d.row, d.done, f.Error())
		}
		d.known = false
		return false, 0, nil
	case bots.Transient:
	}
	rt.outage.begin()
	pause = max(d.wait.next(), f.RetryAfter)
	rt.logger().Warn("bot does not take a message; trying again",
		zap.Int64("push", d.row.ID), zap.Duration("in", pause), zap.Error(f), traceID(d.row.Trace))
	return false, pause, nil
}

// attempt introduces the peer if need be, and delivers.
func (rt *Runtime) attempt(d *delivery) (bots.Receipt, error) {
	bot := rt.current.Load().Bot
	u, ok, err := rt.user(d.row.OpenID)
	if err != nil {
		return bots.Receipt{}, err
	}
	told, news := rt.askProfile(d, u)
	news = news && told != u.Profile
	if news {
		u.Profile = told
	}
	p, err := rt.keyed(bot, u)
	if err != nil {
		return bots.Receipt{}, err
	}
	if !ok || u.Bot != bot.Identity() || ((d.moved > 0 || d.lost) && !d.known) || keyless(bot, p) || news {
		if p, err = rt.introduce(bot, u, d); err != nil {
			return bots.Receipt{}, err
		}
	}
	if news {
		if err := rt.keepProfile(d.row, told); err != nil {
			return bots.Receipt{}, err
		}
	}
	d.known = true
	d.turn.Peer = p
	rt.listening.active(d.row.OpenID)
	return bot.Deliver(d.traced(rt.calls), d.turn)
}

// introduce makes the bot know a user. A peer that was introduced again and is
// still unknown gets a new identity.
func (rt *Runtime) introduce(bot bots.Bot, u journal.User, d *delivery) (bots.Peer, error) {
	before := u.Conversation
	if u.Bot != bot.Identity() {
		u.Generation = 0
		d.turn.Doubtful = false // nothing was ever sent to this one
	}
	if d.moved > 1 {
		u.Generation++
	}
	u.Account, u.OpenID = rt.appid, d.row.OpenID
	p, err := rt.enroll(bot, u, d)
	if err != nil {
		return p, err
	}
	u.Generation = p.Generation
	if err := bot.Introduce(rt.calls, p); err != nil {
		return p, err
	}
	u.Bot, u.Conversation, u.Epoch = bot.Identity(), bot.Conversation(p), rt.epoch.Load()
	err = rt.persist(rt.calls, "keeping user", func(ctx context.Context, j *journal.Journal) error {
		return j.PutUser(ctx, u)
	})
	if u.Conversation != before {
		rt.listening.drop(u.OpenID)
	}
	return p, err
}

// delivered records that the bot has a push, together with what follows.
func (rt *Runtime) delivered(d *delivery, r bots.Receipt) error {
	done := d.done
	done.Trace = d.row.Trace
	if !r.At.IsZero() {
		// Where the first attempt's outcome was never known, answers to it may be
		// older than the turn that was found or sent in the end.
		done.Floor = journal.Mark{At: r.At, ID: r.ID}
		if d.turn.Event != nil && d.turn.Doubtful {
			done.Floor = journal.Mark{At: r.At.Add(-time.Since(d.began))}
		}
	}
	done.Active = true
	if err := rt.pushDone(done); err != nil {
		return err
	}
	rt.catch.delivered(d.row.OpenID)
	// What it said to that may have been missed.
	if r.Found || rt.listening.unlisted(d.row.OpenID) {
		rt.catch.soon(d.row.OpenID)
	}
	if len(r.Replies) > 0 {
		if _, err := rt.Hear(rt.calls, r.Replies); err != nil {
			return err
		}
	}
	rt.logger().Debug("push delivered to bot",
		zap.Int64("push", d.row.ID), zap.String("kind", d.row.Kind), zap.Bool("found", r.Found), traceID(d.row.Trace))
	return nil
}

func (rt *Runtime) pushDone(done journal.PushDone) error {
	done.At = time.Now()
	err := rt.persist(rt.calls, "recording handled push", func(ctx context.Context, j *journal.Journal) error {
		return j.PushDone(ctx, done)
	})
	return rt.granted(done, err)
}

// granted has replies go out that were parked while a push had to wait for the bot so
// long that it was forgotten what the user may be sent for it. That is recorded now.
func (rt *Runtime) granted(done journal.PushDone, err error) error {
	if err == nil && done.Grant != journal.GrantNone && time.Since(done.GrantAt) >= actsKept {
		rt.unparkSoon(done.OpenID)
	}
	return err
}

// doneWith is what follows from a push of which nothing is known but its row.
func (rt *Runtime) doneWith(row journal.Push) journal.PushDone {
	return journal.PushDone{ID: row.ID, Account: rt.appid, OpenID: row.OpenID}
}

func (rt *Runtime) buryPush(row *journal.Push, done journal.PushDone, reason string) error {
	rt.notePush(pushDead, row, reason)
	rt.logger().Error("push put aside as dead letter", zap.Int64("push", done.ID), zap.String("reason", reason), traceID(row.Trace))
	err := rt.persist(rt.calls, "burying push", func(ctx context.Context, j *journal.Journal) error {
		return j.PushDead(ctx, done, reason)
	})
	return rt.granted(done, err)
}

// user reads a user's row, however long the journal takes.
func (rt *Runtime) user(openid string) (u journal.User, ok bool, err error) {
	err = rt.persist(rt.calls, "reading user", func(ctx context.Context, j *journal.Journal) (err error) {
		u, ok, err = j.User(ctx, rt.appid, openid)
		return err
	})
	return u, ok, err
}
