package bridge

import (
	"context"
	"errors"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-wechat/caddy-wechat/module/botpress"
	"github.com/caddy-wechat/caddy-wechat/module/internal/journal"
	"github.com/caddy-wechat/caddy-wechat/module/wechat"
)

// ErrNotOpen is that the journal is not open.
var ErrNotOpen = errors.New("journal is not open")

// releaseWait is how long Release waits for the outcome of the try it has asked for.
const releaseWait = 3 * time.Second

// droppedByHand is why something was dropped that an operator has dropped.
const droppedByHand = "dropped by the operator"

func (rt *Runtime) open() (*journal.Journal, error) {
	if j := rt.store.opened(); j != nil {
		return j, nil
	}
	return nil, ErrNotOpen
}

// WaitingUser is what waits of one user.
type WaitingUser struct {
	AppID   string    `json:"app_id"`
	OpenID  string    `json:"openid"`
	Pushes  int64     `json:"pushes"`
	Replies int64     `json:"replies"`
	Parked  int64     `json:"parked"`
	Oldest  time.Time `json:"oldest"`

	// AllowanceLeft is how many messages may still be pushed to the user; none in
	// reply passive.
	AllowanceLeft int `json:"allowance_left"`
}

// WaitingUsers returns what waits of up to limit users, ascending by openid, beginning
// behind the openid after.
func (rt *Runtime) WaitingUsers(ctx context.Context, after string, limit int) ([]WaitingUser, error) {
	j, err := rt.open()
	if err != nil {
		return nil, err
	}
	list, err := j.UserBacklogs(ctx, rt.appid, after, limit)
	if err != nil {
		return nil, err
	}
	all := make([]WaitingUser, len(list))
	for i, u := range list {
		left, err := rt.allowanceLeft(ctx, j, u.OpenID)
		if err != nil {
			return nil, err
		}
		all[i] = WaitingUser{
			AppID: rt.appid, OpenID: u.OpenID, Pushes: u.Pushes, Replies: u.Replies, Parked: u.Parked,
			Oldest: u.Oldest, AllowanceLeft: left,
		}
	}
	return all, nil
}

// allowanceLeft is how many messages may still be pushed to a user.
func (rt *Runtime) allowanceLeft(ctx context.Context, j *journal.Journal, openid string) (int, error) {
	c := rt.current.Load()
	if c == nil || rt.passive(c) {
		return 0, nil
	}
	u, _, err := j.User(ctx, rt.appid, openid)
	if err != nil {
		return 0, err
	}
	act := rt.acts.last(openid).since(u.LastLeft)
	return balance{u.Message, u.Action}.acted(act.message, act.action).left(c.Allowance, time.Now()), nil
}

// ParkedReply is a reply that waits for its user to act.
type ParkedReply struct {
	AppID      string    `json:"app_id"`
	OpenID     string    `json:"openid"`
	ID         int64     `json:"id"`
	MessageID  string    `json:"message_id"`
	Kind       string    `json:"kind"` // of the bot's message
	PartsSent  int       `json:"parts_sent"`
	CreatedAt  time.Time `json:"created_at"`
	ReceivedAt time.Time `json:"received_at"`
	ExpiresAt  time.Time `json:"expires_at"` // then it becomes a dead letter
}

// ParkedMark is a place among parked replies, to read on from.
type ParkedMark = journal.ParkedMark

// Parked returns up to limit parked replies, of one user if openid is not empty,
// beginning behind a mark, and the mark of the last.
func (rt *Runtime) Parked(ctx context.Context, openid string, after ParkedMark, limit int) ([]ParkedReply, ParkedMark, error) {
	j, err := rt.open()
	if err != nil {
		return nil, after, err
	}
	list, err := j.Parked(ctx, rt.appid, openid, after, limit)
	if err != nil {
		return nil, after, err
	}
	all := make([]ParkedReply, len(list))
	for i := range list {
		p := &list[i]
		payload, _ := botpress.ParsePayload(p.Payload) // one that cannot be parsed has no type
		all[i] = ParkedReply{
			AppID: rt.appid, OpenID: p.OpenID, ID: p.ID, MessageID: p.MessageID, Kind: clip(payload.Type, labelLimit), PartsSent: p.Step,
			CreatedAt: p.CreatedAt, ReceivedAt: p.ReceivedAt, ExpiresAt: p.CreatedAt.Add(parkedFor),
		}
		after = p.Next
	}
	return all, after, nil
}

// DeliverParked makes a user's parked replies wait to be sent, and returns how many,
// and how much of the user's allowance is left. Where nothing is left, and no window
// opens, they are parked again.
func (rt *Runtime) DeliverParked(ctx context.Context, openid string) (n int64, left int, err error) {
	j, err := rt.open()
	if err != nil {
		return 0, 0, err
	}
	if left, err = rt.allowanceLeft(ctx, j, openid); err != nil {
		return 0, 0, err
	}
	n, dead, err := j.Unpark(ctx, rt.appid, openid, time.Now().Add(-parkedFor), staleReason)
	if err != nil {
		return 0, 0, err
	}
	rt.logger().Info("parked replies wait again: an operator has asked for it", zap.Int64("replies", n), zap.Int64("too_old", dead))
	if n > 0 {
		rt.replies.wake(openid)
	}
	return n, left, nil
}

// DropParked lets go of a user's parked replies, and returns how many.
func (rt *Runtime) DropParked(ctx context.Context, openid string) (int64, error) {
	j, err := rt.open()
	if err != nil {
		return 0, err
	}
	n, err := j.DropParked(ctx, rt.appid, openid)
	if err == nil && n > 0 {
		rt.logger().Warn("parked replies dropped by an operator", zap.Int64("replies", n))
		rt.note(note{step: planDropped, road: roadDrop, openid: openid, reason: droppedByHand})
	}
	return n, err
}

// DeadLetter is something that could not be handled.
type DeadLetter struct {
	ID     int64     `json:"id"`
	AppID  string    `json:"app_id"`
	OpenID string    `json:"openid"`
	Kind   string    `json:"kind"` // push, reply; body: never became a push
	Ref    string    `json:"ref"`  // as push and message_id in the trace
	Reason string    `json:"reason"`
	At     time.Time `json:"at"`
	Size   int64     `json:"size"` // of the body, in bytes

	// Body is what was sent, by the user or by the bot. Only DeadLetter fills it in.
	Body []byte `json:"body,omitempty"`
}

func deadLetter(d *journal.DeadHead) DeadLetter {
	ref := d.Ref
	if d.Kind == journal.DeadPush {
		ref = PushName(ref)
	}
	return DeadLetter{ID: d.ID, AppID: d.Account, OpenID: d.OpenID, Kind: d.Kind, Ref: ref, Reason: d.Reason, At: d.At, Size: d.Size, Body: d.Body}
}

// DeadLetters returns up to limit dead letters, oldest first, beginning behind the id
// after, without what they hold.
func (rt *Runtime) DeadLetters(ctx context.Context, after int64, limit int) ([]DeadLetter, error) {
	j, err := rt.open()
	if err != nil {
		return nil, err
	}
	list, err := j.DeadHeads(ctx, rt.appid, after, limit)
	if err != nil {
		return nil, err
	}
	all := make([]DeadLetter, len(list))
	for i := range list {
		all[i] = deadLetter(&list[i])
	}
	return all, nil
}

// DeadLetter returns a dead letter with what it holds, and whether there is such a one.
func (rt *Runtime) DeadLetter(ctx context.Context, id int64) (DeadLetter, bool, error) {
	j, err := rt.open()
	if err != nil {
		return DeadLetter{}, false, err
	}
	d, found, err := j.DeadLetter(ctx, rt.appid, id)
	return deadLetter(&d), found, err
}

// ReplayDead makes dead letters wait again: a push for the bot, in its old place among
// its user's pushes, a reply for the user. A body that can be parsed now is taken as a
// push. Ids of nil mean all there are by now. It returns how many were replayed, also
// with an error: those do wait.
func (rt *Runtime) ReplayDead(ctx context.Context, ids []int64) (n int64, err error) {
	wake := make(map[string]map[string]bool) // kind -> openid
	defer func() {
		for openid := range wake[journal.DeadPush] {
			rt.pushes.wake(openid)
		}
		for openid := range wake[journal.DeadReply] {
			rt.replies.wake(openid)
		}
		if n > 0 {
			rt.logger().Info("dead letters replayed by an operator", zap.Int64("letters", n))
		}
	}()
	woken := func(kind, openid string) {
		if wake[kind] == nil {
			wake[kind] = make(map[string]bool)
		}
		wake[kind][openid] = true
		n++
	}
	err = rt.eachDead(ctx, ids, func(j *journal.Journal, some []int64) error {
		done, err := j.Replay(ctx, rt.appid, some)
		for _, r := range done {
			woken(r.Kind, r.OpenID)
			some = slices.DeleteFunc(some, func(id int64) bool { return id == r.ID })
		}
		for _, id := range some {
			if err != nil {
				return err
			}
			var openid string
			if openid, err = rt.replayBody(ctx, j, id); openid != "" {
				woken(journal.DeadPush, openid)
			}
		}
		return err
	})
	return n, err
}

// replayBody makes a push of a body that was none, should that be possible now. It
// returns whose it is, empty if it is not.
func (rt *Runtime) replayBody(ctx context.Context, j *journal.Journal, id int64) (openid string, err error) {
	d, found, err := j.DeadLetter(ctx, rt.appid, id)
	if err != nil || !found || d.Kind != journal.DeadBody {
		return "", err
	}
	p, err := wechat.ParsePush(d.Body)
	if err != nil {
		return "", nil // it stays
	}
	_, err = j.AppendPush(ctx, journal.Push{
		Account: rt.appid, OpenID: p.FromUserName, Key: p.Key(), Kind: kindOf(p), ReceivedAt: d.At, Body: d.Body,
	}, false)
	if err != nil {
		return "", err
	}
	_, err = j.DropDead(ctx, rt.appid, []int64{id})
	return p.FromUserName, err
}

// DropDead deletes dead letters, and returns how many. Ids of nil mean all there are
// by now.
func (rt *Runtime) DropDead(ctx context.Context, ids []int64) (n int64, err error) {
	err = rt.eachDead(ctx, ids, func(j *journal.Journal, some []int64) error {
		gone, err := j.DropDead(ctx, rt.appid, some)
		n += gone
		return err
	})
	if n > 0 {
		rt.logger().Warn("dead letters dropped by an operator", zap.Int64("letters", n))
	}
	return n, err
}

// eachDead hands out ids of dead letters, as many as one transaction takes at a time,
// in order. Ids of nil mean all there are when it begins.
func (rt *Runtime) eachDead(ctx context.Context, ids []int64, do func(*journal.Journal, []int64) error) error {
	j, err := rt.open()
	if err != nil {
		return err
	}
	if ids != nil {
		ids = slices.Clone(ids)
		slices.Sort(ids)
		for some := range slices.Chunk(slices.Compact(ids), journal.MaxReplay) {
			if err := do(j, some); err != nil {
				return err
			}
		}
		return nil
	}
	began := time.Now()
	for after := int64(0); ; {
		heads, err := j.DeadHeads(ctx, rt.appid, after, journal.MaxReplay)
		if err != nil || len(heads) == 0 {
			return err
		}
		some := make([]int64, 0, len(heads))
		for i := range heads {
			if after = heads[i].ID; !heads[i].At.After(began) { // what has died since stays
				some = append(some, after)
			}
		}
		if len(some) == 0 {
			return nil
		}
		if err := do(j, some); err != nil {
			return err
		}
	}
}

// Release lets one call through to a side that is held, "bot" or "wechat", without
// waiting for the next try: if it succeeds, the hold is over. Held is whether the side
// was held, released whether it is not any more. The try needs something that waits.
func (rt *Runtime) Release(ctx context.Context, side string) (held, released bool) {
	for _, g := range []*gate{rt.bot, rt.api} {
		if g.side != side {
			continue
		}
		opened := g.opening()
		if opened == nil {
			return false, false
		}
		rt.logger().Info("trying again: an operator has asked for it", zap.String("side", side))
		g.retry()
		t := time.NewTimer(releaseWait)
		defer t.Stop()
		select {
		case <-opened:
			return true, true
		case <-t.C:
		case <-ctx.Done():
		}
		return true, false
	}
	return false, false
}

// opening is closed when the hold in force ends, nil if there is none.
func (g *gate) opening() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.held == nil {
		return nil
	}
	return g.open
}
