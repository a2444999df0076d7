package bridge

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/caddy-wechat/caddy-wechat/module/internal/journal"
)

// flightKept is how long it is remembered that a file could not be fetched: whoever
// comes for it at the same time need not find that out again.
const flightKept = 10 * time.Second

// errDenied is that WeChat does not let the account have files.
var errDenied = errors.New("account may not download files")

// fileFlights are the files that are being fetched, by the push they came with. A
// file is fetched once, whether its turn has come or not.
type fileFlights struct {
	mu    sync.Mutex
	by    map[int64]*fileFlight
	swept time.Time
}

// fileFlight is one of them.
type fileFlight struct {
	push  int64
	done  chan struct{} // closed when it is over
	err   error         // how it ended; valid once it is
	ended time.Time
}

// board joins the fetching of a push's file, or what is remembered of it. If it is
// mine, nobody fetches the file: land has to be called.
func (fs *fileFlights) board(push int64) (fl *fileFlight, mine bool) {
	now := time.Now()
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if fs.by == nil {
		fs.by = make(map[int64]*fileFlight)
	}
	if now.Sub(fs.swept) > flightKept {
		fs.swept = now
		for id, fl := range fs.by {
			if fl.over() && now.Sub(fl.ended) > flightKept {
				delete(fs.by, id)
			}
		}
	}
	if fl = fs.by[push]; fl != nil && (!fl.over() || now.Sub(fl.ended) <= flightKept) {
		return fl, false
	}
	fl = &fileFlight{push: push, done: make(chan struct{})}
	fs.by[push] = fl
	return fl, true
}

func (fl *fileFlight) over() bool {
	select {
	case <-fl.done:
		return true
	default:
		return false
	}
}

// landed ends a flight. Only failures are remembered: a file that was fetched is in
// the journal.
func (fs *fileFlights) landed(fl *fileFlight, err error) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fl.err, fl.ended = err, time.Now()
	close(fl.done)
	if err == nil {
		delete(fs.by, fl.push)
	}
}

// land fetches the file of a flight that is the caller's, unless it is there. Places
// bound how many do so at once; nil if the caller sees to that.
func (rt *Runtime) land(ctx context.Context, fl *fileFlight, places chan struct{}, row journal.Push, msgID string, ids []string) (m journal.Media, err error) {
	over := errors.New("fetching a file panicked")
	defer func() { rt.files.flights.landed(fl, over) }()
	m, err = rt.fetchFile(ctx, places, row, msgID, ids)
	over = err
	return m, err
}

func (rt *Runtime) fetchFile(ctx context.Context, places chan struct{}, row journal.Push, msgID string, ids []string) (m journal.Media, err error) {
	if err := rt.stillThere(ctx, row); err != nil {
		return m, err
	}
	m, found, err := rt.journal.MediaOf(ctx, rt.appid, row.OpenID, msgID)
	if err != nil || found {
		return m, err
	}
	if rt.files.denied.lasts() {
		return m, errDenied
	}
	if places != nil {
		select {
		case places <- struct{}{}:
			defer func() { <-places }()
		case <-ctx.Done():
			return m, ctx.Err()
		}
	}
	return rt.download(ctx, row, journal.Media{Account: rt.appid, OpenID: row.OpenID, Ref: msgID}, ids)
}

// awaitFile is the file of a flight that is somebody else's.
func (rt *Runtime) awaitFile(ctx context.Context, fl *fileFlight, row journal.Push, msgID string) (m journal.Media, err error) {
	select {
	case <-fl.done:
	case <-ctx.Done():
		return m, ctx.Err()
	}
	if fl.err != nil {
		return m, fl.err
	}
	if err := rt.stillThere(ctx, row); err != nil {
		return m, err
	}
	m, found, err := rt.journal.MediaOf(ctx, rt.appid, row.OpenID, msgID)
	if err == nil && !found {
		err = errors.New("the file was deleted meanwhile")
	}
	return m, err
}
