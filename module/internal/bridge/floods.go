package bridge

import (
	"errors"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/time/rate"
)

// errSlowed is that a user's next message has to wait for its turn.
var errSlowed = errors.New("user is slowed")

// floods slow down users who send more than `limits user` lets through. Their
// messages are taken and answered like all others; only their turns with the bot
// come at that rate. Nothing waits in here but a timer for each slowed user: the
// user's lane is free for others meanwhile.
//
// A user may have all of a grant's messages at once, and gets them back one by one
// (GCRA): what is kept of a user is one time, up to which the grant is used.
type floods struct {
	wake   func(openid string)
	logger func() *zap.Logger

	mu      sync.Mutex
	grant   Grant // a count of 0: nobody is slowed
	by      map[string]*flow
	swept   time.Time
	closed  bool
	slowed  int64 // messages, since the start
	telling rate.Sometimes
}

// flow is how much of the grant a user has used.
type flow struct {
	turns    time.Time   // by messages that the bot has got
	arrivals time.Time   // by messages that came
	timer    *time.Timer // for the next turn, nil if nothing is known to wait for it
	push     int64       // that waits for it
}

func newFloods(wake func(string), logger func() *zap.Logger) *floods {
	return &floods{wake: wake, logger: logger, by: make(map[string]*flow), telling: rate.Sometimes{Interval: time.Minute}}
}

// every is how long it takes until one message more is let through.
func (g Grant) every() time.Duration { return max(g.For/time.Duration(g.Count), 1) }

// wait is how long a message of now has to wait if the grant is used up to then.
func (g Grant) wait(used, now time.Time) time.Duration {
	return max(used.Sub(now), 0) - time.Duration(g.Count-1)*g.every() // of a zero time, Sub gives the least there is
}

// use is up to when the grant is used with one message more.
func (g Grant) use(used, now time.Time) time.Time { return later(used, now).Add(g.every()) }

// set puts a rate into force. With another rate everybody begins anew.
func (f *floods) set(g Grant) {
	f.mu.Lock()
	var freed []string
	if g != f.grant {
		f.grant = g
		for openid, fl := range f.by {
			if fl.timer != nil && fl.timer.Stop() {
				freed = append(freed, openid)
			}
		}
		clear(f.by)
	}
	f.mu.Unlock()
	for _, openid := range freed {
		f.wake(openid)
	}
}

// arrived notes a new message and tells how long its turn will have to wait. One
// that is sent again is not counted again.
func (f *floods) arrived(openid string, fresh bool) time.Duration {
	now := time.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.grant.Count == 0 {
		return 0
	}
	fl := f.flowLocked(openid, now)
	wait := f.grant.wait(fl.arrivals, now)
	if fl.timer != nil { // others wait already
		wait = max(wait, f.grant.wait(fl.turns, now))
	}
	if fresh {
		fl.arrivals = f.grant.use(fl.arrivals, now)
	}
	return wait
}

// waits tells whether a user's next message is not to have its turn yet.
func (f *floods) waits(openid string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	fl := f.by[openid]
	return fl != nil && fl.timer != nil
}

// turn lets a message have its turn with the bot, or has the user's lane woken when
// it is due.
func (f *floods) turn(openid string, push int64) error {
	now := time.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.grant.Count == 0 {
		return nil
	}
	fl := f.flowLocked(openid, now)
	wait := f.grant.wait(fl.turns, now)
	if wait <= 0 {
		fl.turns = f.grant.use(fl.turns, now)
		return nil
	}
	if f.closed {
		return errSlowed
	}
	if fl.push != push {
		fl.push = push
		f.slowed++
		f.telling.Do(func() {
			f.logger().Info("a user sends more than limits user lets through; what is too much waits", zap.Int64("push", push),
				zap.Duration("turn_in", wait.Round(time.Millisecond)), zap.Int64("slowed_since_start", f.slowed))
		})
	}
	if fl.timer == nil {
		fl.timer = time.AfterFunc(wait, func() { f.due(openid, fl) })
	}
	return errSlowed
}

// due lets a slowed user's lane look again.
func (f *floods) due(openid string, fl *flow) {
	f.mu.Lock()
	fl.timer = nil
	f.mu.Unlock()
	f.wake(openid)
}

// flowLocked is a user's flow. Those of users who have their whole grant again are
// forgotten from time to time.
func (f *floods) flowLocked(openid string, now time.Time) *flow {
	if now.Sub(f.swept) >= max(f.grant.For, time.Second) {
		f.swept = now
		for user, fl := range f.by {
			if fl.timer == nil && !fl.turns.After(now) && !fl.arrivals.After(now) {
				delete(f.by, user)
			}
		}
	}
	fl := f.by[openid]
	if fl == nil {
		fl = new(flow)
		f.by[openid] = fl
	}
	return fl
}

// close ends what waits: the account stops.
func (f *floods) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	for _, fl := range f.by {
		if fl.timer != nil {
			fl.timer.Stop()
		}
	}
}

// count is how many messages were slowed since the start.
func (f *floods) count() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.slowed
}
