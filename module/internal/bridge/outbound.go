package bridge

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"go.uber.org/zap"

	"github.com/caddy-wechat/caddy-wechat/module/internal/journal"
)

const (
	// replyBatch is how many replies of a user are looked at together.
	replyBatch = 20

	// headStart is how long after a passive answer was written the first message
	// is pushed behind it: the answer still has to reach WeChat and the user.
	headStart = 300 * time.Millisecond
)

// errStopped is how a lane hears that no new work is to be begun.
var errStopped = errors.New("stopping")

// workReplies brings a user's replies to WeChat, in the bot's order. What cannot
// go out yet does not keep the lane: its outbox wakes it.
func (rt *Runtime) workReplies(ctx context.Context, openid string) bool {
	ob := rt.outboxes.open(openid)
	for range laneTurns {
		if ctx.Err() != nil {
			return false
		}
		rt.replies.reading(openid)
		// Before the replies are read: whatever a listing has found is among them.
		u, err := rt.listBefore(ctx, openid)
		if err != nil {
			return false
		}
		q, more, err := rt.waiting(openid)
		if err == nil && len(q) == 0 {
			rt.outboxes.close(openid)
		}
		if err != nil || len(q) == 0 {
			return false
		}
		ob.q, ob.unfinished = q, len(q)
		wait, err := rt.work(ob, u, more)
		if err != nil || wait {
			return false
		}
		if ob.unfinished == 0 && !more && rt.replies.quiet(openid) {
			rt.outboxes.close(openid)
			return false
		}
	}
	return true
}

// waiting are the first of a user's waiting replies, and whether there are more.
// While older ones are parked, they are parked behind them: those go first, once
// the user acts.
func (rt *Runtime) waiting(openid string) (q []journal.Reply, more bool, err error) {
	err = rt.persist(rt.calls, "reading replies", func(ctx context.Context, j *journal.Journal) error {
		for {
			var parked bool
			var err error
			q, parked, err = j.NextReplies(ctx, rt.appid, openid, replyBatch+1)
			if err != nil || len(q) == 0 || !parked {
				return err
			}
			n, err := j.ParkBehind(ctx, rt.appid, openid)
			if err != nil || n > 0 {
				q = nil
				return err
			}
			// The user has acted meanwhile, and nothing is parked any more.
		}
	})
	if more = len(q) > replyBatch; more {
		q = q[:replyBatch]
	}
	// What was begun is not torn by something that the bot said before it.
	if i := slices.IndexFunc(q, func(r journal.Reply) bool { return r.Step > 0 || r.Cut > 0 }); i > 0 {
		begun := q[i]
		copy(q[1:i+1], q[:i])
		q[0] = begun
	}
	return q, more, err
}

// work makes one move with what waits for a user. It returns true if nothing is
// to be done for now; the error is that it was told to stop.
func (rt *Runtime) work(ob *outbox, u journal.User, more bool) (wait bool, err error) {
	q := ob.q
	defer func() {
		if p := recover(); p != nil {
			rt.logger().Error("handling reply panicked", zap.Int64("reply", q[0].ID), zap.String("panic", panicked(p)), zap.Stack("stack"))
			err = rt.buryReply(&q[0], "panic: "+panicked(p))
		}
	}()
	t := rt.look(ob, u, more)
	if len(t.pieces) == 0 || t.from[0].reply > 0 { // the first has nothing (more) to show
		return false, rt.record(t.finish(&q[0]), nil)
	}
	m := t.decide()
	t.settledBy(m)
	rt.tell(t, m)
	switch m.road {
	case roadWait:
		if !m.until.IsZero() {
			ob.later(time.Until(m.until), func() { rt.replies.wake(ob.openid) })
		}
		return true, nil
	case roadPrepare:
		return rt.prepare(t)
	case roadPassive:
		return false, rt.answer(t, m)
	case roadPush:
		return rt.push(t, m)
	case roadPark:
		rt.typing.over(ob.openid, false)
		return false, rt.park(t)
	case roadDrop:
		return false, rt.drop(t)
	}
	return false, nil
}

// tell writes a decision to the log.
func (rt *Runtime) tell(t *table, m move) {
	rt.notePlan(t, m)
	ce := rt.logger().Check(zap.DebugLevel, "reply decided")
	if ce == nil || m.road == roadPrepare {
		return
	}
	fields := []zap.Field{
		zap.String("road", string(m.road)), zap.String("reason", m.why),
		traceID(t.q[0].Trace), zap.Int64("reply", t.q[0].ID), zap.Int("waiting", len(t.pieces)), zap.Int("allowance", t.left), zap.Int("windows", t.windows),
	}
	if m.road == roadPassive || m.road == roadPush {
		fields = append(fields, zap.Int("taken", m.n), zap.Bool("merged", m.merged), zap.Bool("cut", m.cut > 0), zap.Bool("announces_more", m.notice))
	}
	if !m.until.IsZero() {
		fields = append(fields, zap.Duration("in", time.Until(m.until)))
	}
	ce.Write(fields...)
}

// record writes down what follows from a message that WeChat has taken.
func (rt *Runtime) record(s journal.Sent, ob *outbox) error {
	for _, p := range s.Progress {
		if p.Dead != "" {
			rt.logger().Error("reply put aside as dead letter", zap.Int64("reply", p.ID), zap.String("reason", p.Dead))
			rt.noteDead(s.OpenID, rt.outboxes.messageID(s.OpenID, p.ID), p.Dead)
		}
		if ob != nil && (p.Done || p.Dead != "") {
			ob.unfinished--
			delete(ob.rendered, p.ID)
			delete(ob.failed, p.ID)
		}
	}
	return rt.persist(rt.calls, "recording reply", func(ctx context.Context, j *journal.Journal) error {
		return j.Sent(ctx, s)
	})
}

func (rt *Runtime) buryReply(r *journal.Reply, reason string) error {
	rt.logger().Error("reply put aside as dead letter", zap.Int64("reply", r.ID), zap.String("reason", reason), traceID(r.Trace))
	rt.noteDead(r.OpenID, r.MessageID, reason)
	return rt.persist(rt.calls, "burying reply", func(ctx context.Context, j *journal.Journal) error {
		return j.ReplyDead(ctx, r.ID, reason)
	})
}

// park puts all that waits for a user aside until the user acts again. If that
// has happened since it was decided, or WeChat has asked again, nobody else will
// notice: it waits on.
func (rt *Runtime) park(t *table) error {
	openid := t.ob.openid
	rt.anyParked.Store(true) // before they are, or acted might not look
	err := rt.persist(rt.calls, "parking replies", func(ctx context.Context, j *journal.Journal) error {
		_, err := j.Park(ctx, rt.appid, openid)
		return err
	})
	if err != nil || !rt.acts.last(openid).noted.After(t.now) && !rt.askedAgain(t) {
		return err
	}
	return rt.unpark(openid)
}

// askedAgain tells whether there is a window now that there was not before.
func (rt *Runtime) askedAgain(t *table) bool {
	if t.unfit {
		return false
	}
	first, _ := rt.windows.oldest(time.Now(), t.ob.openid, !t.pushes)
	return first != nil
}

// drop lets go of what waits for a user who is not there any more.
func (rt *Runtime) drop(t *table) error {
	sent := journal.Sent{Account: rt.appid, OpenID: t.ob.openid}
	for i := range t.q {
		sent.Progress = append(sent.Progress, journal.Progress{ID: t.q[i].ID, Done: true})
	}
	return rt.record(sent, t.ob)
}

// acted notes that a user did something that lets us send again, and makes the
// user's parked replies wait again, ahead of newer ones.
func (rt *Runtime) acted(openid string, g journal.Grant, at time.Time) error {
	rt.acts.note(openid, g, at)
	if !rt.anyParked.Load() {
		return nil
	}
	return rt.unpark(openid)
}

func (rt *Runtime) unpark(openid string) error {
	var n, dead int64
	err := rt.persist(rt.calls, "freeing parked replies", func(ctx context.Context, j *journal.Journal) error {
		parked, err := j.HasParked(ctx, rt.appid, openid)
		if err != nil || !parked {
			return err
		}
		n, dead, err = j.Unpark(ctx, rt.appid, openid, time.Now().Add(-parkedFor), staleReason)
		return err
	})
	if dead > 0 {
		rt.logger().Warn("parked replies became dead letters: their user did not come back in time", zap.Int64("replies", dead))
	}
	if n > 0 {
		rt.replies.wake(openid)
	}
	return err
}

// table is a situation, and where its pieces come from.
type table struct {
	situation

	ob   *outbox
	c    *inForce
	q    []journal.Reply
	from []place // of each piece
	bal  balance

	menus bool // WeChat may take menus from the account
	unfit bool // what comes first cannot be the answer to a callback
	move  move // what was decided
}

// place is where a piece is found again.
type place struct {
	reply int // in q
	step  int // which of its parts
	cut   int // of the part's text, how many bytes went out before
	part  *part
	last  bool // nothing of the reply comes after it
}

// look gathers all that a decision depends on.
func (rt *Runtime) look(ob *outbox, u journal.User, more bool) *table {
	q, c := ob.q, rt.current.Load()
	now := time.Now()
	act := rt.acts.last(ob.openid).since(u.LastLeft)
	t := &table{ob: ob, c: c, q: q, bal: balance{u.Message, u.Action}.acted(act.message, act.action)}
	passive := rt.passive(c)
	t.situation = situation{
		now: now, more: more,
		pushes: !passive, held: !rt.api.free(), left: t.bal.left(c.Allowance, now),
		gone:   !u.LeftAt.IsZero() && !act.message.After(u.LeftAt) && !act.action.After(u.LeftAt),
		settle: c.Settle, settled: ob.settled,
		limit: textLimit, notice: c.Notices.More,
	}
	t.window, t.windows = rt.windows.oldest(now, ob.openid, passive)
	pushed, answered := rt.pushed.last(ob.openid), rt.answered.last(ob.openid)
	t.behind = answered.Add(headStart)
	t.passiveAt = later(later(pushed, answered).Add(c.Pace), t.behind)
	t.pushAt = later(pushed.Add(c.Pace), t.behind)
	if ob.faults == 0 && ob.under == c { // a fault is waited for at the gate
		t.pushAt = later(t.pushAt, ob.retryAt)
	}
	if ob.limit > 0 {
		t.limit = ob.limit
	}
	if c.AILabel {
		t.label = aiLabel
	}
	t.menus = !rt.noMenus.Load()
	for i := range q {
		rt.lay(t, i)
	}
	if len(t.pieces) > 0 && t.pieces[0].media && t.from[0].part.kind == partMenu {
		t.window, t.windows, t.unfit = nil, 0, true // a menu can only be pushed
	}
	return t
}

// aiLabel is the last line of a passive text that a machine has written. A
// pushed message carries WeChat's own mark.
const aiLabel = "内容由AI生成"

// lay adds the pieces of a reply. One that cannot be handled has none, and leaves
// the others alone.
func (rt *Runtime) lay(t *table, i int) {
	n := len(t.pieces)
	defer func() {
		if p := recover(); p != nil {
			rt.logger().Error("handling reply panicked", zap.Int64("reply", t.q[i].ID), zap.String("panic", panicked(p)), zap.Stack("stack"))
			t.ob.rendered[t.q[i].ID] = &rendered{dead: "panic: " + panicked(p)}
			t.pieces, t.from = t.pieces[:n], t.from[:n]
		}
	}()
	t.lay(i)
}

func (t *table) lay(i int) {
	r := &t.q[i]
	rd := t.ob.parts(t.c.Settings, r)
	received := r.ReceivedAt
	if received.After(t.now) { // the clock was set back
		received = t.now.Add(-t.settle)
	}
	for step := r.Step; step < len(rd.parts); step++ {
		p := &rd.parts[step]
		at := place{reply: i, step: step, part: p, last: step == len(rd.parts)-1}
		text, spoken := p.text, t.spoken(r, step, p)
		if step == r.Step && spoken && r.Cut <= len(text) && utf8.ValidString(text[r.Cut:]) {
			at.cut = r.Cut
			text = text[r.Cut:]
		}
		if spoken && strings.TrimSpace(text) == "" {
			continue // it ended where the last message did
		}
		t.pieces = append(t.pieces, piece{
			text: text, media: !spoken, ready: p.ready(t.now),
			joins: p.joins && len(t.from) > 0 && t.from[len(t.from)-1].reply == i, received: received,
		})
		t.from = append(t.from, at)
	}
}

// settledBy notes what a decision has settled.
func (t *table) settledBy(m move) {
	if m.road != roadWait || m.why != whySettling {
		t.ob.settled = t.settles()
	}
}

// finish is the progress of a reply that has nothing left to show.
func (t *table) finish(r *journal.Reply) journal.Sent {
	p := journal.Progress{ID: r.ID, Done: true}
	if why := t.fate(r); why != "" {
		p = journal.Progress{ID: r.ID, Dead: why}
	}
	return journal.Sent{Account: r.Account, OpenID: r.OpenID, Progress: []journal.Progress{p}}
}

// fate is why a reply becomes a dead letter once all of it is out, empty if it
// does not.
func (t *table) fate(r *journal.Reply) string { return t.ob.parts(t.c.Settings, r).dead }

// progress is what a message that was taken means for the replies in it.
func (t *table) progress(m move) []journal.Progress {
	var all []journal.Progress
	for i := range m.n {
		at := t.from[i]
		r := &t.q[at.reply]
		p := journal.Progress{ID: r.ID, Step: at.step + 1}
		switch {
		case i == m.n-1 && m.cut > 0:
			p.Step, p.Cut = at.step, at.cut+m.cut
		case at.last:
			if p.Dead = t.fate(r); p.Dead == "" {
				p.Done = true
			}
		}
		all = slices.DeleteFunc(all, func(o journal.Progress) bool { return o.ID == p.ID })
		all = append(all, p)
	}
	return all
}
