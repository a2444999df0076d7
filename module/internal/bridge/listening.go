package bridge

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-wechat/caddy-wechat/module/bots"
)

const (
	// listenFor is how long after anything was said in it a conversation is listened
	// to.
	listenFor = 5 * time.Minute

	// streamsMost is how many conversations are listened to at once. A server or a
	// proxy of HTTP/2 often allows a few more on one connection.
	streamsMost = 100

	// connects is how many streams are opened at once, each with a listing.
	connects = 16

	// idleEvery is how often idle streams are looked for.
	idleEvery = 15 * time.Second

	// listFirst is how long a stream that was opened waits for the listing of what was
	// said before.
	listFirst = 5 * time.Second

	// lastingStream is how long a stream has to last for its end to be an ordinary one.
	lastingStream = 30 * time.Second
)

var errPanicked = errors.New("listening panicked")

// errUnheard is that there is nothing to listen to.
var errUnheard = &bots.Fault{Kind: bots.Unknown, Err: errors.New("the bot does not know the user yet")}

// listening hears the bot in the conversations that are going on, if the bot can be
// listened to. What it misses is found by listings: one follows every connect.
type listening struct {
	rt    *Runtime
	most  int
	slots chan struct{} // one for each stream that is being opened
	wg    sync.WaitGroup

	mu      sync.Mutex
	streams map[string]*stream // by openid

	// Since when conversations have to be listed before what is heard in them goes
	// out, by openid: a stream was opened then, and may be closed again.
	unsure map[string]time.Time
}

// stream listens to one conversation, again and again.
type stream struct {
	openid string
	bot    bots.Bot // that it listens to
	cancel context.CancelFunc

	// Under the lock of listening.
	active time.Time // when something was last said
}

func newListening(rt *Runtime) *listening {
	return &listening{rt: rt, most: streamsMost, slots: make(chan struct{}, connects), streams: make(map[string]*stream), unsure: make(map[string]time.Time)}
}

// listenerOf is the bot if it can be listened to, or nil.
func listenerOf(bot bots.Bot) bots.Listener {
	if b, ok := bot.(bots.Listener); ok && b.Listens() {
		return b
	}
	return nil
}

// active notes that something is said in a conversation, and sees to it that it is
// listened to.
func (l *listening) active(openid string) {
	bot := l.rt.current.Load().Bot
	if listenerOf(bot) == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.beginLocked(bot, openid, time.Now())
}

// beginLocked listens to a conversation in which something was said at a time. If
// there are too many already, the one that was silent for longest is given up.
func (l *listening) beginLocked(bot bots.Bot, openid string, at time.Time) {
	if s := l.streams[openid]; s != nil {
		s.active = later(s.active, at)
		return
	}
	if l.rt.stop.Err() != nil || time.Since(at) > listenFor {
		return
	}
	if len(l.streams) >= l.most {
		oldest := l.oldestLocked()
		if !oldest.active.Before(at) {
			return
		}
		l.dropLocked(oldest)
	}
	ctx, cancel := context.WithCancel(l.rt.stop)
	s := &stream{openid: openid, bot: bot, cancel: cancel, active: at}
	l.streams[openid] = s
	l.wg.Go(func() { l.keep(ctx, s) })
}

func (l *listening) oldestLocked() *stream {
	var oldest *stream
	for _, s := range l.streams {
		if oldest == nil || s.active.Before(oldest.active) {
			oldest = s
		}
	}
	return oldest
}

// dropLocked ends a stream.
func (l *listening) dropLocked(s *stream) {
	s.cancel()
	if l.streams[s.openid] == s {
		delete(l.streams, s.openid)
	}
}

// drop ends the stream of a user, whose conversation is another one now.
func (l *listening) drop(openid string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s := l.streams[openid]; s != nil {
		l.dropLocked(s)
	}
}

// unlisted tells whether a user's conversation was not listed since its stream was
// opened: what was said before that may be missing. For a conversation that has only
// begun there is nothing to list at the time.
func (l *listening) unlisted(openid string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, yes := l.unsure[openid]
	return yes
}

// listed notes that a user's conversation was listed.
func (l *listening) listed(openid string, began time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if since, yes := l.unsure[openid]; yes && !began.Before(since) {
		delete(l.unsure, openid)
	}
}

// close waits until nothing is listened to. The runtime has to be stopping.
func (l *listening) close() {
	l.mu.Lock()   // whoever had it has seen the stop, or has begun before
	l.mu.Unlock() //nolint:staticcheck // empty on purpose
	l.wg.Wait()
}

// run sees to the streams until the runtime stops.
func (l *listening) run() {
	sweep := time.NewTicker(idleEvery)
	defer sweep.Stop()
	for {
		change := l.rt.change()
		if err := l.adopt(); err != nil {
			return // told to stop
		}
		for changed := false; !changed; {
			select {
			case <-change:
				changed = true
			case <-sweep.C:
				l.sweep()
			case <-l.rt.stop.Done():
				return
			}
		}
	}
}

// sweep ends the streams of conversations in which nothing is said any more.
func (l *listening) sweep() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.streams {
		if time.Since(s.active) > listenFor {
			l.dropLocked(s)
		}
	}
	for openid, since := range l.unsure { // nothing of ours is in them
		if time.Since(since) > listenFor {
			delete(l.unsure, openid)
		}
	}
}

// adopt ends the streams of another configuration, and begins those of
// conversations that were going on, before this process even. Its error is that it
// was told to stop.
func (l *listening) adopt() error {
	bot := l.rt.current.Load().Bot
	l.mu.Lock()
	var had []*stream
	for _, s := range l.streams {
		if s.bot != bot {
			l.dropLocked(s)
			had = append(had, s)
		}
	}
	if listenerOf(bot) != nil {
		for _, s := range had {
			l.beginLocked(bot, s.openid, s.active)
		}
	}
	l.mu.Unlock()
	if listenerOf(bot) == nil {
		return nil
	}
	var wait backoff
	for {
		err := l.recall(bot)
		if err == nil {
			return nil
		}
		l.rt.logger().Error("reading conversations to listen to; trying again", zap.Error(err))
		if err := sleep(l.rt.stop, wait.next(), l.rt.change()); err != nil {
			return err
		}
	}
}

// recall begins the streams of conversations that the journal says were active.
func (l *listening) recall(bot bots.Bot) error {
	const grain = time.Minute // by so much the journal's times may lag behind
	after := ""
	for {
		users, err := l.rt.journal.ActiveUsers(l.rt.stop, l.rt.appid, time.Now().Add(-listenFor), after, passBatch)
		if err != nil {
			return err
		}
		l.mu.Lock()
		for _, u := range users {
			if u.Bot == bot.Identity() {
				l.beginLocked(bot, u.OpenID, earlier(u.ActiveAt.Add(grain), time.Now()))
			}
		}
		l.mu.Unlock()
		if len(users) < passBatch {
			return nil
		}
		after = users[len(users)-1].OpenID
	}
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
