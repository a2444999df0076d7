package bridge

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"github.com/caddy-wechat/caddy-wechat/module/bots"
	"github.com/caddy-wechat/caddy-wechat/module/internal/journal"
	"github.com/caddy-wechat/caddy-wechat/module/internal/mediafile"
	"github.com/caddy-wechat/caddy-wechat/module/wechat"
)

// note puts a decision of the account into the trace.
func (rt *Runtime) note(n note) {
	n.at, n.appid = time.Now(), rt.appid
	rt.count.note(&n)
	decisions.add(&n)
}

// seen is what an account has seen.
type seen struct {
	push, reply atomic.Int64 // when the last came, also before a restart; Unix nanoseconds
	pushed      atomic.Bool  // WeChat has taken a pushed message
}

// recallSeen reads when messages came to an earlier process. What has come since the
// start is newer. It is for whoever looks only: that it cannot be read stops nothing.
func (rt *Runtime) recallSeen(j *journal.Journal) {
	ctx, cancel := context.WithTimeout(rt.stop, backlogTime)
	defer cancel()
	push, reply, err := j.Newest(ctx, rt.appid)
	if err != nil {
		if rt.stop.Err() == nil {
			rt.logger().Warn("reading when the last message came", zap.Error(err))
		}
		return
	}
	if !push.IsZero() {
		rt.seen.push.CompareAndSwap(0, push.UnixNano())
	}
	if !reply.IsZero() {
		rt.seen.reply.CompareAndSwap(0, reply.UnixNano())
	}
}

// refusals keeps whoever knocks without a signature from flushing the trace.
var refusals = rate.NewLimiter(10, 100)

// NoteRefused notes that something came to an account's address that is not taken
// for a push. Only some are noted if many come.
func NoteRefused(appid string, reason error) {
	n := note{at: time.Now(), step: pushRefused, appid: appid, reason: reason.Error()}
	countersOf(appid).note(&n)
	if refusals.AllowN(n.at, 1) {
		decisions.add(&n)
	}
}

// noteAppend notes what became of a push that was to be put on disk.
func (rt *Runtime) noteAppend(row *journal.Push, c claimed, err error) {
	n := note{openid: row.OpenID, key: row.Key, kind: row.Kind, took: time.Since(row.ReceivedAt)}
	if err != nil {
		n.step, n.err = appendFailed, err.Error()
		rt.note(n)
		return
	}
	rt.seen.push.Store(time.Now().UnixNano())
	n.step = appendOK
	rt.note(n)
	n.step, n.took, n.attempt = pushTaken, 0, int32(c.Attempts)
	if !c.Fresh && !c.unsure {
		n.step = pushDuplicate
	}
	rt.note(n)
}

// noteWindow notes how a push was answered that opened a window, or was answered in
// one before.
func (rt *Runtime) noteWindow(p *wechat.Push, c claimed, at time.Time, a *Answer) {
	if rt.count != nil {
		rt.count.answers.observe(time.Since(at))
	}
	switch {
	case a.why != whyNoWindow:
	case a.XML == nil:
		return
	default:
		a.how, a.why = windowSameAgain, "same answer again"
	}
	rt.note(note{
		step: a.how, reason: a.why, openid: p.FromUserName, key: c.key, kind: c.kind,
		attempt: int32(c.Attempts), took: time.Since(at),
	})
}

// noteOpened notes that a push is held.
func (rt *Runtime) noteOpened(cb *callback, c claimed) {
	rt.note(note{step: windowOpened, openid: cb.w.openid, key: cb.w.key, kind: c.kind, attempt: int32(cb.attempt)})
}

// notePush notes what became of a push that is not taken to the bot.
func (rt *Runtime) notePush(s step, row *journal.Push, reason string) {
	rt.note(note{step: s, openid: row.OpenID, key: row.Key, kind: row.Kind, reason: reason})
}

// noteBot notes how an attempt to hand a push to the bot ended.
func (rt *Runtime) noteBot(d *delivery, r bots.Receipt, began time.Time, err error) {
	n := note{step: botDelivered, openid: d.row.OpenID, key: d.row.Key, kind: d.row.Kind, took: time.Since(began)}
	if r.Found {
		n.step = botFound
	}
	if err != nil {
		f := bots.AsFault(err)
		n.err, n.remedy = f.Error(), f.Remedy
		switch f.Kind {
		case bots.Operator:
			n.step, n.side = botHeld, rt.bot.side
		case bots.Poison:
			n.step = botDead
		case bots.Transient, bots.Unknown:
			n.step = botRetry
		}
	}
	rt.note(n)
}

// noteReply notes that a reply came.
func (rt *Runtime) noteReply(openid, id string, fresh, listed bool) {
	rt.seen.reply.Store(time.Now().UnixNano())
	n := note{step: replyReceived, openid: openid, reply: id}
	switch {
	case !fresh:
		n.step = replyDuplicate
	case listed:
		n.step = replyFound
	}
	rt.note(n)
}

// noteDead notes that a reply, or a part of one, is a dead letter.
func (rt *Runtime) noteDead(openid, id, reason string) {
	rt.note(note{step: replyDead, openid: openid, reply: id, reason: reason})
}

// notePlan notes where the replies go that a decision is about.
func (rt *Runtime) notePlan(t *table, m move) {
	t.move = m
	n := note{openid: t.ob.openid, road: m.road, reason: m.why, left: int32(t.left) + 1}
	all := len(t.q)
	switch m.road {
	case roadPassive:
		n.step, all = planPassive, t.from[m.n-1].reply+1
	case roadPush:
		n.step, all = planPushed, t.from[m.n-1].reply+1
	case roadPark:
		n.step = planParked
	case roadDrop:
		n.step = planDropped
	case roadWait:
		n.step, n.took, all = planWaits, max(time.Until(m.until), 0), 1
	case roadPrepare:
		return
	}
	for i := range all {
		n.reply, n.kind = t.q[i].MessageID, ""
		if first := slices.IndexFunc(t.from, func(at place) bool { return at.reply == i }); first >= 0 {
			n.kind = kindNames[t.from[first].part.kind]
		}
		if i == 1 && m.merged {
			n.step, n.reason = planMerged, "goes along with the one before it"
		}
		rt.note(n)
	}
}

// kindNames are what WeChat calls the kinds of messages.
var kindNames = map[partKind]string{
	partText: "text", partImage: "image", partVoice: "voice", partVideo: "video", partNews: "news", partMenu: "msgmenu",
}

// noteSend notes how the sending of a message ended.
func (rt *Runtime) noteSend(t *table, on road, began time.Time, err error) {
	n := note{
		step: sendOK, openid: t.ob.openid, reply: t.q[t.from[0].reply].MessageID, kind: kindNames[t.from[0].part.kind],
		road: on, took: time.Since(began), left: int32(t.left) + 1,
	}
	rt.spans.sent(t.q[t.from[0].reply].Trace, n.kind, on, began, err)
	if err == nil {
		rt.count.sent(t, on)
	}
	if err == nil && on == roadPush {
		n.left--
		rt.seen.pushed.Store(true)
	}
	if err != nil {
		n.step, n.code = sendOutcome(err)
		n.err = err.Error()
	}
	rt.note(n)
}

// sendOutcome sorts an error of WeChat's.
func sendOutcome(err error) (step, int32) {
	if e, ok := errors.AsType[*wechat.Error](err); ok {
		switch e.Action() {
		case wechat.ActionRetry, wechat.ActionWait, wechat.ActionRefresh:
			return sendRetry, int32(e.Code)
		default:
			return sendRefused, int32(e.Code)
		}
	}
	if e, ok := errors.AsType[*wechat.TransportError](err); ok && e.Ambiguous() || errors.Is(err, errHungUp) {
		return sendDoubtful, 0
	}
	if errors.Is(err, wechat.ErrMessage) {
		return sendRefused, 0
	}
	return sendRetry, 0
}

// noteTyping notes that a user is shown that the bot works, or no longer.
func (rt *Runtime) noteTyping(openid string, on bool, err error) {
	n := note{step: typingOff, openid: openid}
	if on {
		n.step = typingOn
	}
	if err != nil {
		n.step, n.err = typingFailed, err.Error()
		_, n.code = sendOutcome(err)
	}
	rt.note(n)
}

// noteMedia notes how a file was made ready for WeChat.
func (rt *Runtime) noteMedia(openid string, kind wechat.MediaKind, u journal.Upload, began time.Time, err error) {
	n := note{step: mediaReused, openid: openid, kind: string(kind), took: time.Since(began)}
	switch {
	case err != nil:
		n.step, n.err = mediaFailed, err.Error()
		_, n.code = sendOutcome(err)
	case !u.CheckedAt.Before(began) && u.Until.Equal(u.CheckedAt.Add(wechat.MediaLife-lifeMargin)):
		n.step = mediaUploaded
	}
	rt.note(n)
}

// noteFetched notes how the fetching of a bot's file ended.
func (rt *Runtime) noteFetched(kind wechat.MediaKind, began time.Time, err error) {
	n := note{step: mediaFetched, kind: string(kind), took: time.Since(began)}
	if err != nil {
		n.step, n.err = mediaFailed, err.Error()
		if errors.Is(err, mediafile.ErrForbidden) {
			n.remedy = "If the address is meant, name it in media allow."
		}
	}
	rt.note(n)
}

// noteTaken notes how the download of a user's file ended.
func (rt *Runtime) noteTaken(p *wechat.Push, began time.Time, err error) {
	n := note{step: mediaDownloaded, openid: p.FromUserName, kind: p.MsgType, took: time.Since(began)}
	if err != nil {
		n.step, n.err = mediaFailed, err.Error()
		_, n.code = sendOutcome(err)
	}
	rt.note(n)
}

// noteHold notes that a hold began or, if h is nil, ended.
func (rt *Runtime) noteHold(side string, h *Hold, lasted time.Duration) {
	n := note{step: holdReleased, side: side, took: lasted}
	if h != nil {
		n.step, n.err, n.remedy = holdHeld, h.Cause, h.Remedy
	}
	rt.note(n)
}

// noteLocked notes that the journal fails, or works again. All accounts that keep
// their messages in it are concerned.
func (s *Store) noteLocked(err error) {
	n := note{at: time.Now(), step: holdReleased, side: "journal"}
	if err != nil {
		n.step, n.err, n.remedy = holdHeld, err.Error(), s.remedy(err)
	}
	for c := range s.keeps {
		c.note(&n)
	}
	decisions.add(&n)
}

// keep has an account counted among those that keep their messages here.
func (s *Store) keep(c *counters) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.keeps == nil {
		s.keeps = make(map[*counters]bool)
	}
	s.keeps[c] = true
}
