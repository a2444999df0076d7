package bridge

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-wechat/caddy-wechat/module/internal/journal"
	"github.com/caddy-wechat/caddy-wechat/module/wechat"
)

const (
	// lastWord is how long before a callback's end whoever has something for it is
	// asked for it.
	lastWord = 200 * time.Millisecond

	// leastWait is how long a callback is held at least if the account may not push.
	leastWait = 500 * time.Millisecond

	// retryAge is how old a push may be to be asked for again: WeChat gives up long
	// before.
	retryAge = 20 * time.Second

	// lapsesPerMinute bounds how often an account lets WeChat wait in vain. WeChat
	// does not say how many failures make it stop sending for a minute ("MarkFail").
	lapsesPerMinute = 30
)

var (
	errHungUp = errors.New("wechat has hung up")

	// ErrBusy is that the journal takes nothing, and so many pushes wait for it that
	// no more can be held.
	ErrBusy = errors.New("journal takes nothing, and too many pushes wait for it")
)

// Answer is what a push is to be answered.
type Answer struct {
	// Silent asks to answer nothing and to hold the request until WeChat gives it
	// up, so that it sends the push again.
	Silent bool

	// Abort asks to hang up at once: WeChat sends the push again, or has hung up
	// itself.
	Abort bool

	// XML is a passive reply, not encrypted. Nil is success.
	XML []byte

	written func(error)

	how step   // for the trace
	why string // likewise
}

// Written tells how the answering ended. It must be called once; an error sends
// the reply another way.
func (a *Answer) Written(err error) {
	if a.written != nil {
		a.written(err)
		a.written = nil
	}
}

// lapsing are the last times at which WeChat was made to wait in vain.
type lapsing struct {
	mu   sync.Mutex
	at   [lapsesPerMinute]time.Time
	next int // the oldest of them
}

// allow tells whether it may be once more.
func (l *lapsing) allow(now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Sub(l.at[l.next]) < time.Minute {
		return false
	}
	l.at[l.next] = now
	l.next = (l.next + 1) % len(l.at)
	return true
}

// Receive takes a push and returns what to answer, once that is known: the push
// is on disk then. Its error is that it is not, and that nothing may be answered.
func (rt *Runtime) Receive(ctx context.Context, p *wechat.Push, xml []byte) (Answer, error) {
	return rt.ReceiveAt(ctx, time.Now(), "", p, xml)
}

// ReceiveAt is Receive for a push that came a while ago, since when WeChat waits, and
// to an address that is worth knowing, see Reached. One that was taken before tells
// nothing of that: whoever has seen it can send it again, to another name, and would
// have the bot ask there for users' files.
func (rt *Runtime) ReceiveAt(ctx context.Context, came time.Time, base string, p *wechat.Push, xml []byte) (Answer, error) {
	if err := rt.begun(ctx); err != nil {
		return Answer{}, err
	}
	// A parsed push shares one text; what outlives it must not keep all of that.
	p.FromUserName, p.ToUserName, p.MsgType = strings.Clone(p.FromUserName), strings.Clone(p.ToUserName), strings.Clone(p.MsgType)
	ctx, span := rt.spans.received(ctx)
	defer span.End()
	c := rt.current.Load()
	if err := rt.join(c); err != nil {
		return Answer{}, err
	}
	action := actionOf(c.Settings, p)
	opens := p.Opens() && c.Reply != ReplyPush && rt.waits(c) > 0 && action != EventReply && action != EventIgnore
	claim, at, err := rt.accept(ctx, p, xml, opens && rt.passive(c))
	rt.taking.Add(-1)
	if err != nil {
		return Answer{}, err
	}
	if base != "" && claim.Fresh {
		rt.Reached(base)
	}
	a, err := rt.say(ctx, c, p, claim, came, at, action, opens)
	rt.noteWindow(p, claim, at, &a)
	return a, err
}

// begun waits until settings are in force. A context is watched only if that is
// still to come.
func (rt *Runtime) begun(ctx context.Context) error {
	select {
	case <-rt.started:
		return nil
	default:
	}
	select {
	case <-rt.started:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// say finds out what to answer to a push that is on disk.
func (rt *Runtime) say(ctx context.Context, c *inForce, p *wechat.Push, claim claimed, came, at time.Time, action EventAction, opens bool) (Answer, error) {
	switch {
	case action == EventReply:
		rt.answered.note(p.FromUserName, max(c.Pace, headStart)) // nothing is to be pushed before it
		rt.accepted(p, claim, at, false)
		return rt.told(claim, "fixed answer", Answer{XML: rt.fixed(c, p), how: windowAnswered}), nil
	case claim.Answer != nil:
		rt.accepted(p, claim, at, false)
		return rt.told(claim, "same answer again", Answer{XML: claim.Answer, how: windowSameAgain}), nil
	case !opens:
		rt.accepted(p, claim, at, false)
		var said []byte
		if !claim.Fresh && p.Opens() { // it may have been answered before a reload
			said, _ = rt.windows.said(p.Key())
		}
		return rt.told(claim, whyNoWindow, Answer{XML: said, how: windowSuccess}), nil
	}
	ar := rt.arrival(c, p, claim, at, action)
	// A flood of messages would only hold callbacks open that get no reply: one of
	// them takes what the bot says, as it comes.
	ar.slowed = rt.floods.arrived(p.FromUserName, claim.Fresh) >= rt.waits(c)
	cb, said := rt.windows.enter(time.Now(), ar)
	rt.accepted(p, claim, at, cb != nil)
	switch {
	case cb != nil:
		rt.noteOpened(cb, claim)
		return rt.await(ctx, c, cb, came)
	case said.full != "" && rt.passive(c) && action != EventEvent:
		return rt.told(claim, said.full, Answer{XML: rt.encoded(p, c.Notices.Thinking), how: windowThinking}), nil
	case said.full != "":
		return rt.told(claim, said.full, Answer{how: windowSuccess}), nil
	}
	return rt.told(claim, "same answer again", Answer{XML: said.xml, how: windowSameAgain}), nil
}

// told writes to the log what a push is answered.
func (rt *Runtime) told(c claimed, why string, a Answer) Answer {
	return rt.tellAnswer(c.ID, why, a)
}

func (rt *Runtime) tellAnswer(push int64, why string, a Answer) Answer {
	a.why = why
	ce := rt.logger().Check(zap.DebugLevel, "callback decided")
	if ce == nil {
		return a
	}
	what := "success"
	switch {
	case a.Abort, a.Silent:
		what = "nothing"
	case a.XML != nil:
		what = "reply"
	}
	ce.Write(zap.Int64("push", push), zap.String("answer", what), zap.String("reason", why))
	return a
}

// arrival describes an attempt of a push. Which one it is comes from the journal
// and from the push's age, so that neither a restart nor a lost attempt makes
// WeChat wait in vain for the last time.
func (rt *Runtime) arrival(c *inForce, p *wechat.Push, claim claimed, at time.Time, action EventAction) arrival {
	age := time.Since(time.Unix(p.CreateTime, 0))
	attempt := claim.Attempts
	switch {
	case p.CreateTime == 0 || age > retryAge: // it says nothing of attempts
	case age >= 2*attemptEvery-1500*time.Millisecond:
		attempt = max(attempt, 3)
	case age >= attemptEvery-1500*time.Millisecond:
		attempt = max(attempt, 2)
	}
	opened := at
	if !claim.Fresh && age > 0 && age <= retryAge {
		opened = time.Unix(p.CreateTime, 0) // what was received since is for this push
	}
	return arrival{
		opened: time.UnixMilli(opened.UnixMilli()), // as the journal tells times
		key:    p.Key(), openid: p.FromUserName, push: claim.ID,
		// Only the names and the type: the body need not be kept.
		from:    &wechat.Push{ToUserName: p.ToUserName, FromUserName: p.FromUserName, MsgType: p.MsgType},
		attempt: attempt,
		event:   action == EventEvent,
		silent:  rt.passive(c),
		fresh:   claim.Fresh || age <= retryAge,
		limit:   c.Limits.Windows,
	}
}

// await waits until it is known what a callback is to be answered, and no longer
// than it may be held from the time when it came.
func (rt *Runtime) await(ctx context.Context, c *inForce, cb *callback, came time.Time) (Answer, error) {
	gone := false // the callback is left later, once the answer is written
	defer func() {
		if !gone {
			rt.left(cb)
		}
	}()
	wait := rt.waits(c)
	margin := max(min(lastWord, wait/4), time.Millisecond)
	end := came.Add(wait)
	timer := time.NewTimer(max(time.Until(end)-margin, 0))
	defer timer.Stop()
	for last, lapse := false, false; ; {
		select {
		case said := <-cb.say:
			if said.w == nil {
				a := Answer{Silent: said.silent, XML: said.xml, how: said.how()}
				return rt.tellAnswer(cb.w.push, "another attempt or message has come", a), nil
			}
			gone = true
			return Answer{how: windowAnswered, XML: said.xml, written: func(err error) {
				rt.windows.written(time.Now(), cb, err)
				rt.left(cb)
			}}, nil
		case <-timer.C:
			c = rt.current.Load()
			if !last {
				last, lapse = true, rt.lapses(c, cb)
				if !lapse {
					rt.windows.last(cb)
					rt.poke(cb.w.openid)
				}
				timer.Reset(max(min(time.Until(end), margin), time.Millisecond))
				continue
			}
			if lapse && rt.windows.lapse(cb) {
				return rt.tellAnswer(cb.w.push, "lapses, wechat will ask again", Answer{Silent: true, how: windowSilent}), nil
			}
			xml := rt.thinking(c, cb)
			if rt.windows.end(time.Now(), cb, xml) {
				return rt.tellAnswer(cb.w.push, "no reply in time", Answer{XML: xml, how: lastWordOf(xml)}), nil
			}
			timer.Reset(margin) // an earlier attempt is being answered
		case <-ctx.Done():
			return Answer{Abort: true, how: windowClosed, why: "wechat has hung up"}, nil
		case <-rt.ending:
			return Answer{Abort: rt.passive(rt.current.Load()) && !cb.w.event, how: windowClosed, why: "the process ends"}, nil
		}
	}
}

// waits is how long a callback is held. Where a reply can only be an answer, there
// has to be time for one.
func (rt *Runtime) waits(c *inForce) time.Duration {
	if rt.passive(c) {
		return max(c.Wait, leastWait)
	}
	return c.Wait
}

// left gives a callback back. Whoever waits for its user's window looks again.
func (rt *Runtime) left(cb *callback) {
	rt.windows.leave(time.Now(), cb)
	rt.poke(cb.w.openid)
}

// lapses tells whether WeChat is to be made to send a callback's push again.
func (rt *Runtime) lapses(c *inForce, cb *callback) bool {
	return rt.passive(c) && !cb.w.event && cb.attempt < lastAttempt && rt.lapsing.allow(time.Now())
}

// thinking is the last word to a callback for which there is no reply; nil for
// success.
func (rt *Runtime) thinking(c *inForce, cb *callback) []byte {
	if !rt.passive(c) || cb.w.event {
		return nil
	}
	return rt.encoded(cb.w.from, c.Notices.Thinking)
}

// fixed is the answer that the configuration gives to an event, nil where WeChat
// takes none.
func (rt *Runtime) fixed(c *inForce, p *wechat.Push) []byte {
	rule, _ := eventRule(c.Events, p)
	if !answerable(p) {
		rt.logger().Debug("event cannot be answered", zap.String("event", p.Event))
		return nil
	}
	return rt.encoded(p, rule.Text)
}

func (rt *Runtime) encoded(p *wechat.Push, text string) []byte {
	xml, err := wechat.EncodeReply(p, wechat.TextReply{Content: text}, time.Now())
	if err != nil { // the configuration was checked, the push names whom it is from
		rt.logger().Error("encoding passive reply", zap.Error(err))
		return nil
	}
	return xml
}

// answerable tells whether there is somebody who would read an answer to an
// event: what comes of a tap, a scan, a follow, and not a notice about a job.
func answerable(p *wechat.Push) bool {
	if p.Opens() {
		return true
	}
	switch p.Event {
	case "VIEW", "view_miniprogram", "scancode_push", "pic_sysphoto", "pic_photo_or_album", "pic_weixin", "location_select", "LOCATION":
		return true
	}
	return false
}

// poke has a user's waiting replies looked at again.
func (rt *Runtime) poke(openid string) (waiting bool) {
	if rt.outboxes.get(openid) == nil {
		return false
	}
	rt.replies.wake(openid)
	return true
}

// claimed is a claim on a push, and whether it was made by a call whose first
// tries seemed to fail: then nobody was told of the row.
type claimed struct {
	journal.Claim
	unsure bool

	key, kind string // of the push
}

// whyNoWindow is that a push is answered at once.
const whyNoWindow = "opens no window"

// how is what the trace calls what a callback is told because of another one.
func (w word) how() step {
	switch {
	case w.silent:
		return windowSilent
	case w.xml != nil:
		return windowSameAgain
	}
	return windowSuccess
}

// lastWordOf is what the trace calls it when there was no reply in time.
func lastWordOf(xml []byte) step {
	if xml != nil {
		return windowThinking
	}
	return windowSuccess
}
