package bridge

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-wechat/caddy-wechat/module/internal/journal"
	"github.com/caddy-wechat/caddy-wechat/module/wechat"
)

const (
	// earlyAtOnce bounds how many files are fetched at once that wait for their
	// message's turn. Lanes have places of their own, so that none waits for these.
	earlyAtOnce = 8

	// earlyBatch is how many waiting messages are read from the journal at once.
	earlyBatch = 64

	// earlyAgain is how long after a failure a waiting file is asked for again, and
	// earlyKept of how many that is remembered. Of the others it is their message's
	// turn that fetches them.
	earlyAgain = 5 * time.Minute
	earlyKept  = 1024

	// earlyStreak is how many failures one after the other end a round: WeChat does not
	// answer, or not this account.
	earlyStreak = 2 * earlyAtOnce
)

// early fetches files of messages that wait for the bot, beside the lanes: WeChat
// forgets a file after three days, and a bot may be down for longer. What waits is
// in the journal, where it is found again after a restart.
type early struct {
	poke chan struct{} // something new may wait
	anew chan struct{} // what could not be fetched before may be had now

	mu     sync.Mutex
	failed []journal.Push // to be asked for again; ids and users only
	streak int            // failures since the last file
}

func (e *early) init() {
	e.poke, e.anew = make(chan struct{}, 1), make(chan struct{}, 1)
}

// soon has the journal looked at for files.
func (e *early) soon() { nudge(e.poke) }

// again has the journal looked at from its beginning.
func (e *early) again() { nudge(e.anew) }

func nudge(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // it is under way
	}
}

// note notes how fetching ended.
func (e *early) note(row journal.Push, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err == nil {
		e.streak = 0
		return
	}
	e.streak++
	if len(e.failed) < earlyKept {
		e.failed = append(e.failed, row)
	}
}

// round begins a round with what is to be asked for again.
func (e *early) round() (failed []journal.Push) {
	e.mu.Lock()
	defer e.mu.Unlock()
	failed, e.failed, e.streak = e.failed, nil, 0
	return failed
}

// put takes back what a round did not come to.
func (e *early) put(rows []journal.Push) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.failed = append(rows, e.failed...)
	e.failed = e.failed[:min(len(e.failed), earlyKept)]
}

func (e *early) hopeless() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.streak >= earlyStreak
}

// prefetch fetches files of waiting messages until the account stops.
func (rt *Runtime) prefetch() {
	f := fetching{rt: rt, places: make(chan struct{}, earlyAtOnce)}
	defer f.wg.Wait()
	ticks := time.NewTicker(earlyAgain)
	defer ticks.Stop()
	var after int64
	for barred := false; ; {
		switch able := rt.fetchable(); {
		case !able:
			barred = true
		case barred: // what came meanwhile was passed over
			barred, after = false, 0
			fallthrough
		default:
			after = f.behind(after)
		}
		select {
		case <-rt.early.poke:
		case <-rt.early.anew:
			rt.early.round()
			after = 0
		case <-ticks.C:
			if rt.fetchable() {
				f.retry() // and go on behind those
			}
		case <-rt.stop.Done():
			return
		}
	}
}

// fetchable tells whether it makes sense to fetch files now.
func (rt *Runtime) fetchable() bool {
	return !rt.files.denied.lasts() && rt.fileBase(rt.current.Load()) != ""
}

// fetching is the goroutines that prefetch has at work.
type fetching struct {
	rt     *Runtime
	places chan struct{}
	wg     sync.WaitGroup
}

// behind fetches the files of messages that wait behind one, and returns the last
// one's id. It ends where WeChat seems to give none: the next tick goes on.
func (f *fetching) behind(after int64) int64 {
	for {
		list, err := f.rt.journal.WaitingFiles(f.rt.stop, f.rt.appid, after, earlyBatch)
		if err != nil {
			if f.rt.stop.Err() == nil {
				f.rt.logger().Warn("reading which files wait", zap.Error(err))
			}
			return after // the next push, or the next tick, looks again
		}
		for _, row := range list {
			if f.rt.early.hopeless() || !f.begin(row) {
				return after
			}
			after = row.ID
		}
		if len(list) < earlyBatch {
			return after
		}
	}
}

// retry asks again for files that could not be had.
func (f *fetching) retry() {
	rows := f.rt.early.round()
	for i, row := range rows {
		if f.rt.early.hopeless() {
			f.rt.early.put(rows[i:])
			return
		}
		if !f.begin(row) {
			return
		}
	}
}

// begin fetches a file once there is a place. It is false if the account stops.
func (f *fetching) begin(row journal.Push) bool {
	select {
	case f.places <- struct{}{}:
	case <-f.rt.stop.Done():
		return false
	}
	f.wg.Go(func() {
		defer func() { <-f.places }()
		f.rt.fetchEarly(row)
	})
	return true
}

// fetchEarly fetches the file of a message that waits for its turn. Whatever goes
// wrong is tried again then, if not before.
func (rt *Runtime) fetchEarly(row journal.Push) {
	defer func() {
		if p := recover(); p != nil {
			rt.logger().Error("fetching a file panicked", zap.Int64("push", row.ID), zap.String("panic", panicked(p)), zap.Stack("stack"))
		}
	}()
	ctx, cancel := context.WithTimeout(rt.stop, userFileTime)
	defer cancel()
	rows, err := rt.journal.NextPushes(ctx, rt.appid, row.OpenID, row.ID-1, 1)
	switch {
	case err != nil:
		rt.early.note(row, err)
		return
	case len(rows) == 0 || rows[0].ID != row.ID: // it has had its turn
		return
	}
	p, err := wechat.ParsePush(rows[0].Body)
	if err != nil {
		return
	}
	ids, _ := fileOf(p)
	if len(ids) == 0 {
		return
	}
	fl, mine := rt.files.flights.board(row.ID)
	if !mine { // its turn has come
		return
	}
	_, err = rt.land(ctx, fl, nil, rows[0], p.MsgID, ids)
	switch {
	case rt.stop.Err() != nil:
	case rt.forbids(err), lost(err):
		rt.logger().Debug("file of a waiting message not taken", zap.Int64("push", row.ID), zap.Error(err))
	default:
		rt.early.note(row, err)
	}
}

// lost tells whether a file cannot be had, or is not wanted, whenever it is tried.
func lost(err error) bool {
	for _, final := range []error{errNoFile, errLeft, journal.ErrForgotten, journal.ErrMediaFull, wechat.ErrTooLarge} {
		if errors.Is(err, final) {
			return true
		}
	}
	e, ok := errors.AsType[*wechat.Error](err)
	return ok && e.Action() == wechat.ActionReupload
}
