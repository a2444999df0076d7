package bridge

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-wechat/caddy-wechat/module/internal/journal"
	"github.com/caddy-wechat/caddy-wechat/module/internal/mediafile"
	"github.com/caddy-wechat/caddy-wechat/module/wechat"
)

// closeGrace is how long calls that are under way may take to end by
// themselves when an account stops. What is cut off after that is in doubt.
const closeGrace = 10 * time.Second

// Runtime is what lives of an account, across reloads of the configuration: its
// lanes, its access token, its holds. Configurations come and go with Apply and
// Revoke; the one applied last is in force.
type Runtime struct {
	appid string
	store *Store

	stop    context.Context // ends when no new work is to be begun
	halt    context.CancelFunc
	calls   context.Context // ends when calls under way are to be given up
	abandon context.CancelFunc
	started chan struct{} // closed with the first Apply
	ending  chan struct{} // closed when no callback is to be held any more
	end     func()        // closes it
	done    chan struct{} // closed when run has ended

	pushes  *lanes
	replies *lanes
	catch   *catchup

	listening *listening
	windows   *windows
	typing    *typing
	permit    permission
	lapsing   lapsing

	outboxes outboxes
	gated    gated
	chores   sync.WaitGroup // small things that nobody waits for but a stop
	acts     acts
	pushed   recent // when a message was last pushed to a user
	answered recent // when a user was last answered passively

	bot    *gate // towards the bot
	api    *gate // towards WeChat
	outage outage
	unrest unrest
	seen   seen // for whoever asks how it is doing

	count    *counters // that outlive the account
	backlogs backlogs
	spans    spans

	taking    atomic.Int64      // pushes that wait for the journal
	foreign   atomic.Int64      // replies for conversations that are not ours
	anyParked atomic.Bool       // there may be parked replies
	via       http.RoundTripper // to WeChat; nil for the network
	uploads   uploads           // files on their way to WeChat
	noMenus   atomic.Bool       // WeChat takes no menus from the account
	files     userFiles         // that users send
	leavers   leavers           // whose files are to be deleted
	early     early             // files of messages that wait
	unasked   rest              // WeChat is not asked about users
	sources   sources           // where callbacks come from
	floods    *floods           // of users' messages

	// Set once the journal is open, before any lane runs.
	journal *journal.Journal
	before  int64        // id of the last push that an earlier process appended
	epoch   atomic.Int64 // counts the starts of this account, and its reloads

	current atomic.Pointer[inForce]

	mu      sync.Mutex
	applied []*inForce    // all that were applied and not revoked, oldest first
	changed chan struct{} // closed when another configuration comes into force
}

// inForce is a configuration with what is built from it.
type inForce struct {
	*Settings
	owner  any // whoever applied it
	client *wechat.Client
	http   *http.Client // of client
	fetch  *mediafile.Fetcher
}

// NewRuntime makes the runtime of an account. It does nothing until a
// configuration is applied.
func NewRuntime(store *Store, appid string) *Runtime {
	rt := &Runtime{
		appid:   appid,
		store:   store,
		count:   countersOf(appid),
		started: make(chan struct{}),
		ending:  make(chan struct{}),
		done:    make(chan struct{}),
		changed: make(chan struct{}),

		windows: newWindows(),
	}
	store.keep(rt.count)
	rt.files.init()
	rt.leavers.poke = make(chan struct{}, 1)
	rt.sources.init()
	rt.floods = newFloods(func(openid string) { rt.pushes.wake(openid) }, rt.logger)
	rt.early.init()
	rt.typing = newTyping(rt.showTyping, rt.typingAble)
	rt.end = sync.OnceFunc(func() { close(rt.ending) })
	rt.stop, rt.halt = context.WithCancel(context.Background())
	rt.calls, rt.abandon = context.WithCancel(context.Background())
	rt.bot = &gate{side: "bot", logger: rt.logger}
	rt.api = &gate{side: "wechat", logger: rt.logger}
	rt.bot.note, rt.api.note = rt.noteHold, rt.noteHold
	rt.gated.wake = rt.poke
	rt.api.news = rt.gated.news
	rt.unrest.poke = make(chan struct{}, 1)
	rt.catch = newCatchup(rt)
	rt.listening = newListening(rt)
	rt.pushes = newLanes(rt.stop, &lanes{
		limit:  rt.laneLimit,
		work:   rt.workPushes,
		scan:   rt.scanner(journal.Pushes),
		logger: rt.logger,
	})
	rt.replies = newLanes(rt.stop, &lanes{
		limit:  rt.laneLimit,
		work:   rt.workReplies,
		scan:   rt.scanner(journal.Replies),
		logger: rt.logger,
	})
	go rt.run()
	return rt
}

func (rt *Runtime) laneLimit() int { return rt.current.Load().Limits.Lanes }

func (rt *Runtime) scanner(q journal.Queue) func(context.Context, string, int) ([]string, error) {
	return func(ctx context.Context, after string, limit int) ([]string, error) {
		return rt.journal.WaitingUsers(ctx, rt.appid, q, after, limit)
	}
}

func (rt *Runtime) logger() *zap.Logger {
	if c := rt.current.Load(); c != nil {
		return c.Logger
	}
	return zap.NewNop()
}

// Apply puts a configuration into force. The owner is whatever Revoke will be
// called with. Its error is that the configuration cannot be put to use.
func (rt *Runtime) Apply(owner any, s *Settings) error {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	c, err := newInForce(owner, s, rt.applied, rt.store.memory, rt.via)
	if err != nil {
		return err
	}
	rt.applied = append(rt.applied, c)
	rt.enforceLocked()
	return nil
}

// Revoke takes an owner's configuration away. If it was in force, the one
// applied before it is again.
func (rt *Runtime) Revoke(owner any) {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	i := slices.IndexFunc(rt.applied, func(c *inForce) bool { return c.owner == owner })
	if i < 0 {
		return
	}
	gone := rt.applied[i]
	rt.applied = slices.Delete(rt.applied, i, i+1)
	rt.unrest.disturb()
	rt.enforceLocked()
	if len(rt.applied) > 0 && !slices.ContainsFunc(rt.applied, func(c *inForce) bool { return c.http == gone.http }) {
		gone.closeClient()
	}
	gone.fetch.Close()
}

// enforceLocked makes the configuration applied last the current one. The very
// last one stays in force when it is revoked, for what is still under way.
func (rt *Runtime) enforceLocked() {
	if len(rt.applied) == 0 {
		return
	}
	c := rt.applied[len(rt.applied)-1]
	first := rt.current.Load() == nil
	if rt.current.Swap(c) == c {
		return
	}
	rt.boundFilesLocked()
	rt.floods.set(c.Limits.User)
	if first {
		close(rt.started)
		return
	}
	rt.unrest.disturb()
	close(rt.changed)
	rt.changed = make(chan struct{})
	rt.bot.retry()
	rt.api.retry()
	rt.seen.pushed.Store(false)
	if rt.permit.forgive() {
		rt.chores.Go(rt.keepDenial)
	}
	rt.uploads.forgive()
	rt.noMenus.Store(false)
	rt.files.denied.end()
	rt.early.again()
	rt.unasked.end()
	for _, openid := range rt.outboxes.users() {
		rt.replies.wake(openid)
	}
}

// change is closed when another configuration comes into force.
func (rt *Runtime) change() <-chan struct{} {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	return rt.changed
}

// run starts the lanes as soon as there are a configuration and a journal.
func (rt *Runtime) run() {
	defer close(rt.done)
	select {
	case <-rt.started:
	case <-rt.stop.Done():
		return
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(rt.keepSources)
	j, err := rt.store.Get(rt.stop)
	if err != nil {
		return
	}
	rt.journal = j
	rt.boundFiles()
	err = rt.persist(rt.stop, "starting account", func(ctx context.Context, j *journal.Journal) error {
		epoch, before, err := j.Begin(ctx, rt.appid)
		if err != nil {
			return err
		}
		rt.before = before
		rt.epoch.Store(epoch)
		_, _, parked, err := j.CountWaiting(ctx, rt.appid)
		if err != nil {
			return err
		}
		rt.anyParked.Store(parked > 0)
		return errors.Join(rt.recallDenial(ctx, j), rt.recallReached(ctx, j))
	})
	if err != nil {
		return
	}
	rt.pushes.recall()
	rt.replies.recall()
	wg.Go(func() { rt.recallSeen(j) })
	wg.Go(rt.calm)
	wg.Go(rt.forgetLeavers)
	wg.Go(rt.prefetch)
	wg.Go(rt.listening.run)
	rt.catch.run() // until the stop
}

// Waiting counts what waits in the journal.
func (rt *Runtime) Waiting(ctx context.Context) (pushes, replies, parked int64, err error) {
	j, err := rt.store.Get(ctx)
	if err != nil {
		return 0, 0, 0, err
	}
	return j.CountWaiting(ctx, rt.appid)
}

// AppID is the account's.
func (rt *Runtime) AppID() string { return rt.appid }

// Store is where the account's messages are kept.
func (rt *Runtime) Store() *Store { return rt.store }

// Holds are the faults that an operator has to mend, by side.
func (rt *Runtime) Holds() map[string]Hold {
	holds := make(map[string]Hold)
	for _, g := range []*gate{rt.bot, rt.api} {
		if h := g.status(); h != nil {
			holds[g.side] = *h
		}
	}
	return holds
}

// Slowed is how many messages were slowed since the account started, because their
// users sent more than Limits.User lets through.
func (rt *Runtime) Slowed() int64 { return rt.floods.count() }

// Foreign is how many replies came, since the account started, for conversations
// that are none of the account's users': the bot may have other channels, too.
func (rt *Runtime) Foreign() int64 { return rt.foreign.Load() }

// End ends all open windows, and those that would open, as if WeChat should send
// again, or with success where a reply can go another way: the process is about to
// exit, and nobody waits for them.
func (rt *Runtime) End() { rt.end() }

// Destruct stops the account: no new work is begun, what is under way gets a
// moment to end by itself. It implements caddy.Destructor.
func (rt *Runtime) Destruct() error {
	rt.end()
	rt.halt()
	rt.floods.close()
	timer := time.AfterFunc(closeGrace, rt.abandon)
	defer timer.Stop()
	<-rt.done
	rt.pushes.wg.Wait()
	rt.replies.wg.Wait()
	rt.listening.close()
	rt.chores.Wait()
	rt.abandon()
	rt.typing.close()
	rt.bot.close()
	rt.api.close()
	if c := rt.current.Load(); c != nil {
		c.closeClient()
		c.fetch.Close()
	}
	return nil
}
