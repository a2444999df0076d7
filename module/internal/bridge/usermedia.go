package bridge

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"github.com/caddy-wechat/caddy-wechat/module/botpress"
	"github.com/caddy-wechat/caddy-wechat/module/bots"
	"github.com/caddy-wechat/caddy-wechat/module/internal/journal"
	"github.com/caddy-wechat/caddy-wechat/module/wechat"
)

const (
	// userFileLimit is the largest file that is taken from a user. WeChat lets users
	// send pictures and videos of some 10 to 20 MB.
	userFileLimit = 20 << 20

	// userFileTime is how long fetching a file may hold up its user's messages, one
	// retry included. A connection that stands still is given up long before.
	userFileTime = 30 * time.Second

	// userFilesAtOnce bounds how many files lanes fetch at once. A part of each is in
	// memory.
	userFilesAtOnce = 16

	// retryFile is how long after a failure a file is asked for again.
	retryFile = 300 * time.Millisecond
)

// userFiles is what an account has for the files that its users send.
type userFiles struct {
	slots   chan struct{} // one token for each file that a lane fetches
	flights fileFlights
	denied  rest // WeChat does not let the account have them
	failed  rate.Sometimes
	key     atomic.Pointer[[]byte] // signs addresses
	reached atomic.Pointer[string] // base of the address at which pushes arrive
	moved   rate.Sometimes
}

// rest is a time for which something is not tried.
type rest struct{ until atomic.Int64 }

func (r *rest) lasts() bool           { return time.Now().UnixNano() < r.until.Load() }
func (r *rest) begin(d time.Duration) { r.until.Store(time.Now().Add(d).UnixNano()) }
func (r *rest) end()                  { r.until.Store(0) }

func (f *userFiles) init() {
	f.slots = make(chan struct{}, userFilesAtOnce)
	f.failed = rate.Sometimes{First: 1, Interval: time.Minute}
	f.moved = rate.Sometimes{First: 1, Interval: time.Minute}
}

// carryFile puts the address of what the user sent into a turn, in place of the
// line that names its kind, or of the address that WeChat gives for pictures. Where
// that cannot be had, the turn stays as it is: a bot that learns of a message
// without its picture is better than one that waits. Of a message that had to wait
// for its turn the file is there already: see prefetch. The error is that the
// account was told to stop; the file is fetched by the next process then.
func (rt *Runtime) carryFile(t *bots.Turn, row journal.Push, p *wechat.Push) error {
	ids, payload := fileOf(p)
	if len(ids) == 0 {
		return nil
	}
	below := rt.fileBase(rt.current.Load())
	if below == "" {
		rt.logger().Debug("file not fetched: public_url is not set, and no push has told it yet")
		return nil
	}
	ctx, cancel := context.WithTimeout(rt.stop, userFileTime)
	defer cancel()
	began := time.Now()
	file, err := rt.takeFile(ctx, row, t.ID, ids)
	rt.noteTaken(p, began, err)
	switch {
	case err == nil:
		t.Message = encoded(payload(below + file))
	case rt.stop.Err() != nil:
		return rt.stop.Err()
	case errors.Is(err, errDenied): // it was said before
	case errors.Is(err, errLeft), errors.Is(err, journal.ErrForgotten): // nothing of theirs is kept
	default:
		rt.untaken(p, err)
	}
	return nil
}

// fileOf is under which ids WeChat has the file of a message, the best first, and
// what to make of its address.
func fileOf(p *wechat.Push) (ids []string, payload func(string) botpress.Outgoing) {
	var all []string
	switch b := p.Body.(type) {
	case *wechat.Image:
		all, payload = []string{b.MediaID}, botpress.ImagePayload
	case *wechat.Voice:
		all, payload = []string{b.MediaID16K, b.MediaID}, botpress.AudioPayload
	case *wechat.Video:
		all, payload = []string{b.MediaID}, botpress.VideoPayload
	}
	for _, id := range all {
		if id != "" {
			ids = append(ids, id)
		}
	}
	return ids, payload
}

// untaken says why a file was not taken.
func (rt *Runtime) untaken(p *wechat.Push, err error) {
	if rt.forbids(err) {
		return
	}
	log := rt.logger().With(zap.String("kind", p.MsgType), zap.Error(err))
	if e, ok := errors.AsType[*wechat.Error](err); ok {
		log = log.With(zap.String("remedy", e.Remedy()))
	}
	rt.files.failed.Do(func() { log.Warn("file of a user not taken; the bot gets the message without it") })
}

// forbids tells whether WeChat says by an error that the account may not have files,
// and heeds it.
func (rt *Runtime) forbids(err error) bool {
	e, ok := errors.AsType[*wechat.Error](err)
	if !ok || e.Action() != wechat.ActionNoPermission {
		return errors.Is(err, errDenied)
	}
	if !rt.files.denied.lasts() {
		rt.logger().Warn("account may not download what users send; the bot gets pictures by the address WeChat gives, of the rest it is told the kind",
			zap.Duration("tried_again_after", denialLasts), zap.Error(err))
	}
	rt.files.denied.begin(denialLasts)
	return true
}

// takeFile downloads a file and keeps it, and returns its name with the signature.
// A file that was taken before is not downloaded again.
func (rt *Runtime) takeFile(ctx context.Context, row journal.Push, msgID string, ids []string) (file string, err error) {
	key, err := rt.fileKey(ctx)
	if err != nil {
		return "", err
	}
	var m journal.Media
	if fl, mine := rt.files.flights.board(row.ID); mine {
		m, err = rt.land(ctx, fl, rt.files.slots, row, msgID, ids)
	} else {
		m, err = rt.awaitFile(ctx, fl, row, msgID)
	}
	if err != nil {
		return "", err
	}
	id, err := base64.RawURLEncoding.DecodeString(m.Name)
	if err != nil {
		return "", fmt.Errorf("naming file: %w", err)
	}
	return fileToken(key, rt.appid, id, m.Ext) + "." + m.Ext, nil
}

// download tries the ids one after the other, each a second time if it may only
// have been bad luck.
func (rt *Runtime) download(ctx context.Context, row journal.Push, m journal.Media, ids []string) (got journal.Media, err error) {
	for _, id := range ids {
		got, err = rt.downloadOnce(ctx, row, m, id)
		if err != nil && passing(err) && sleep(ctx, retryFile, nil) == nil {
			got, err = rt.downloadOnce(ctx, row, m, id)
		}
		var e *wechat.Error
		if !errors.As(err, &e) || e.Action() != wechat.ActionReupload {
			return got, err
		}
	}
	return got, err
}

// passing tells whether a failure may pass by itself within moments.
func passing(err error) bool {
	if _, broken := errors.AsType[*wechat.TransportError](err); broken {
		return true
	}
	e, ok := errors.AsType[*wechat.Error](err)
	return ok && (e.Action() == wechat.ActionRetry || e.Action() == wechat.ActionRefresh)
}

func (rt *Runtime) downloadOnce(ctx context.Context, row journal.Push, m journal.Media, mediaID string) (journal.Media, error) {
	d, err := rt.current.Load().client.Download(ctx, mediaID, userFileLimit)
	if err != nil {
		return m, err
	}
	defer func() { _ = d.Close() }()
	head := make([]byte, sniffed)
	n, err := io.ReadFull(d, head)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF { // the download has errors of its own
		return m, err
	}
	head = head[:n]
	var ok bool
	if m.Ext, ok = extOf(head); !ok {
		return m, errNoFile
	}
	var id [fileIDSize]byte
	_, _ = rand.Read(id[:]) // never fails
	m.Name = base64.RawURLEncoding.EncodeToString(id[:])
	return rt.journal.PutMedia(ctx, m, io.MultiReader(bytes.NewReader(head), d, whileThere{ctx, rt, row}))
}
