package bridge

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"image"
	"image/color"
	"image/jpeg"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/singleflight"

	"github.com/caddy-wechat/caddy-wechat/module/internal/journal"
	"github.com/caddy-wechat/caddy-wechat/module/internal/mediafile"
	"github.com/caddy-wechat/caddy-wechat/module/wechat"
)

const (
	// lifeMargin is how long before its end a media_id is not used any more: it is
	// to outlast the message's way.
	lifeMargin = time.Hour

	// freshFor is how long the content behind an address is taken to be what it was.
	// After that it is fetched again, and uploaded if it is another.
	freshFor = 10 * time.Minute

	// uploadTries is how often a file is tried that WeChat does not take for the
	// moment, with growing pauses: for some minutes.
	uploadTries = 10

	// fetchTries is how often a file that there is no memory for is tried.
	fetchTries = 5
)

// uploads are the files on their way to WeChat. What is wanted by many is
// uploaded once.
type uploads struct {
	flights singleflight.Group
	denied  atomic.Int64 // when WeChat said that the account may not upload; Unix milliseconds
}

// forgive lets the account try again: the operator may have changed something.
func (u *uploads) forgive() { u.denied.Store(0) }

// uploadable tells whether the account may upload, as far as is known.
func (rt *Runtime) uploadable(now time.Time) bool {
	return now.Sub(time.UnixMilli(rt.uploads.denied.Load())) >= denialLasts && rt.permit.last(now).IsZero()
}

// unfit is why a bot's file is none that WeChat could be given.
type unfit struct{ error }

func (u unfit) Unwrap() error { return u.error }

// prepare makes the next piece ready to go out. What cannot be had becomes a
// link.
func (rt *Runtime) prepare(t *table) (wait bool, err error) {
	p, ob := t.from[0].part, t.ob
	if !rt.uploadable(t.now) {
		return false, rt.withoutUpload(t, errNoUpload)
	}
	if d := time.Until(ob.retryAt); ob.faults > 0 && ob.under == t.c && d > 0 {
		ob.later(d, func() { rt.replies.wake(ob.openid) })
		return true, nil
	}
	began := time.Now()
	u, err := rt.living(p, func() (journal.Upload, error) { return rt.upload(t.c, mediaKinds[p.kind], p.url) })
	rt.noteMedia(ob.openid, mediaKinds[p.kind], u, began, err)
	if err != nil {
		return rt.notUploaded(t, err)
	}
	if p.kind == partVideo && t.pushes {
		p.thumb = rt.thumbnailOf(t.c, p)
	}
	p.media, p.until = u.MediaID, u.Until
	return false, nil
}

var (
	errNoUpload = errors.New("account may not upload media")
	errHeld     = errors.New("account is held")
)

// living is a part's file as WeChat has it. Whoever found a media_id in the journal
// before it was refused, and forgotten, may write it down again or share it with those
// who ask at the same time: then it is forgotten once more.
func (rt *Runtime) living(p *part, upload func() (journal.Upload, error)) (u journal.Upload, err error) {
	for range 3 {
		if u, err = upload(); err != nil || !slices.Contains(p.dead, u.MediaID) {
			break
		}
		if err = rt.forgetUploads(u.MediaID); err != nil {
			break
		}
	}
	return u, err
}

// upload is a file that a bot's message points to, as WeChat has it.
func (rt *Runtime) upload(c *inForce, kind wechat.MediaKind, from string) (journal.Upload, error) {
	v, err, _ := rt.uploads.flights.Do(string(kind)+" "+from, func() (any, error) {
		return rt.uploadFrom(c, kind, from)
	})
	u, _ := v.(journal.Upload)
	return u, err
}

func (rt *Runtime) uploadFrom(c *inForce, kind wechat.MediaKind, from string) (journal.Upload, error) {
	address := hashed("a", []byte(from))
	known, found, err := rt.uploaded(address, kind)
	if err != nil || found && time.Since(known.CheckedAt) < freshFor {
		return known, err
	}
	// Before there is anything to hold in memory.
	tk := rt.api.try(delivering)
	if tk == nil {
		return journal.Upload{}, errHeld
	}
	defer tk.end()
	began := time.Now()
	file, err := c.fetch.Fetch(rt.calls, from)
	rt.noteFetched(kind, began, err)
	if err != nil {
		if !found || rt.calls.Err() != nil {
			return journal.Upload{}, unfit{err}
		}
		known.CheckedAt = time.Now() // WeChat has it still
		return known, rt.keepUploads(known)
	}
	defer file.Close()
	data, name, err := fit(rt.calls, began.Add(mediafile.DefaultTimeout), kind, file.Data)
	if err != nil {
		return journal.Upload{}, unfit{err}
	}
	return rt.uploadData(c, tk, kind, name, data, address)
}

// fit makes of a file what WeChat takes. What has to wait for other pictures waits
// until the time by at most.
func fit(ctx context.Context, by time.Time, kind wechat.MediaKind, data []byte) (out []byte, name string, err error) {
	switch kind {
	case wechat.MediaVoice:
		name, err = mediafile.Voice(data)
		return data, name, err
	case wechat.MediaVideo:
		name, err = mediafile.Video(data)
		return data, name, err
	case wechat.MediaImage, wechat.MediaThumb:
	}
	return mediafile.PictureBy(ctx, by, data, mediafile.PictureLimit)
}

// uploadData uploads a file unless WeChat has the same, and records it under its
// content and under another hash.
func (rt *Runtime) uploadData(c *inForce, tk *ticket, kind wechat.MediaKind, name string, data []byte, under string) (journal.Upload, error) {
	content := hashed("c", data)
	u, found, err := rt.uploaded(content, kind)
	if err != nil {
		return u, err
	}
	u.CheckedAt = time.Now()
	if !found {
		m, err := c.client.Upload(rt.calls, kind, name, data)
		if err != nil {
			told(tk, err)
			return journal.Upload{}, err
		}
		tk.ok()
		u.Account, u.Kind, u.MediaID = rt.appid, string(kind), m.ID
		u.Until = u.CheckedAt.Add(wechat.MediaLife - lifeMargin)
	}
	rows := []journal.Upload{u, u}
	rows[0].Hash, rows[1].Hash = content, under
	return u, rt.keepUploads(rows...)
}

func (rt *Runtime) keepUploads(rows ...journal.Upload) error {
	return rt.persist(rt.calls, "recording upload", func(ctx context.Context, j *journal.Journal) error {
		return j.PutUploads(ctx, rows)
	})
}

// told tells the gate what an error of an upload says about the account.
func told(tk *ticket, err error) {
	e, ok := errors.AsType[*wechat.Error](err)
	switch {
	case !ok:
	case e.Action() == wechat.ActionHold:
		tk.fault(e, e.Remedy())
	case e.Action() != wechat.ActionRefresh:
		tk.ok()
	}
}

func hashed(of string, data []byte) string {
	sum := sha256.Sum256(data)
	return of + hex.EncodeToString(sum[:])
}

// uploaded is what WeChat has of a hash.
func (rt *Runtime) uploaded(hash string, kind wechat.MediaKind) (u journal.Upload, found bool, err error) {
	err = rt.persist(rt.calls, "reading upload", func(ctx context.Context, j *journal.Journal) (err error) {
		u, found, err = j.Upload(ctx, rt.appid, hash, string(kind))
		return err
	})
	return u, found, err
}

// renew has a part uploaded anew whose media_id WeChat does not know any more.
func (rt *Runtime) renew(p *part) error {
	p.dead = []string{p.media, p.thumb}
	p.media, p.thumb = "", ""
	return rt.forgetUploads(p.dead...)
}

func (rt *Runtime) forgetUploads(ids ...string) error {
	return rt.persist(rt.calls, "forgetting upload", func(ctx context.Context, j *journal.Journal) error {
		for _, id := range ids {
			if id == "" {
				continue
			}
			if err := j.ForgetUpload(ctx, rt.appid, id); err != nil {
				return err
			}
		}
		return nil
	})
}

// thumbnailOf is the media_id of the picture that stands for a video, which WeChat
// lists as required where a video is pushed. Without one it is tried all the same.
func (rt *Runtime) thumbnailOf(c *inForce, p *part) string {
	u, err := rt.living(p, func() (journal.Upload, error) {
		v, err, _ := rt.uploads.flights.Do("thumbnail", func() (any, error) { return rt.uploadThumbnail(c) })
		u, _ := v.(journal.Upload)
		return u, err
	})
	if err != nil {
		rt.logger().Debug("video goes without a thumbnail", zap.Error(err))
	}
	return u.MediaID
}

func (rt *Runtime) uploadThumbnail(c *inForce) (journal.Upload, error) {
	data := thumbnail()
	hash := hashed("c", data)
	u, found, err := rt.uploaded(hash, wechat.MediaThumb)
	if err != nil || found {
		return u, err
	}
	tk := rt.api.try(delivering)
	if tk == nil {
		return u, errHeld
	}
	defer tk.end()
	return rt.uploadData(c, tk, wechat.MediaThumb, "video.jpg", data, hash)
}

// thumbnail draws a triangle on black. No frame of the video is decoded.
var thumbnail = sync.OnceValue(func() []byte {
	const size = 200
	img := image.NewGray(image.Rect(0, 0, size, size))
	for y := -50; y <= 50; y++ {
		for x := range 2 * (50 - max(y, -y)) * 7 / 8 {
			img.SetGray(60+x, size/2+y, color.Gray{Y: 230})
		}
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, nil); err != nil { // memory does not refuse a write
		panic(err)
	}
	return b.Bytes()
})

// notUploaded says what follows from a file that could not be fetched or uploaded.
func (rt *Runtime) notUploaded(t *table, err error) (wait bool, _ error) {
	if rt.stop.Err() != nil {
		return false, errStopped
	}
	if bad, ok := errors.AsType[unfit](err); ok {
		return rt.unfetched(t, bad.error)
	}
	if errors.Is(err, errHeld) {
		return rt.heldUpload(t)
	}
	e, ok := errors.AsType[*wechat.Error](err)
	if !ok {
		if errors.Is(err, wechat.ErrMessage) {
			return false, rt.withoutUpload(t, err)
		}
		return rt.againOrLink(t, 0, err)
	}
	switch e.Action() {
	case wechat.ActionHold:
		t.ob.faults++
		t.ob.retryAt, t.ob.under = time.Now().Add(t.ob.wait.next()), t.c
		return false, nil
	case wechat.ActionRefresh, wechat.ActionRetry:
		return rt.againOrLink(t, 0, err)
	case wechat.ActionWait:
		return rt.againOrLink(t, time.Minute, err)
	case wechat.ActionNoPermission: // media only: the account may be able to send texts
		if rt.uploads.denied.Swap(time.Now().UnixMilli()) == 0 {
			rt.logger().Warn("account may not upload media; pictures become cards, voice and video links", zap.Error(e))
		}
	default:
	}
	return false, rt.withoutUpload(t, err)
}

// heldUpload waits until files may be uploaded again. What would be the last word
// to a callback does not wait: it is a link.
func (rt *Runtime) heldUpload(t *table) (wait bool, _ error) {
	if t.window != nil && t.window.final {
		return false, rt.linked(t, errHeld)
	}
	rt.gated.add(t.ob.openid)
	if rt.api.free() { // it has opened meanwhile
		return false, nil
	}
	return true, nil
}

// withoutUpload makes of a part what can be shown without WeChat having its file.
func (rt *Runtime) withoutUpload(t *table, err error) error {
	p := t.from[0].part
	e, _ := errors.AsType[*wechat.Error](err)
	denied := errors.Is(err, errNoUpload) || e != nil && e.Action() == wechat.ActionNoPermission
	if p.kind == partImage && denied {
		p.toCard()
		return nil
	}
	if !denied {
		rt.logger().Warn("wechat does not take a file; it becomes a link", zap.Int64("reply", t.q[0].ID), zap.Error(err))
	}
	return rt.linked(t, err)
}

// linked makes a link of what cannot be shown, or gives it up.
func (rt *Runtime) linked(t *table, err error) error {
	if t.from[0].part.fallBack() {
		return nil
	}
	return rt.give(t, move{n: 1}, err.Error())
}

// again waits before a file is tried again.
func (rt *Runtime) again(t *table, least time.Duration, err error) (wait bool) {
	rt.retry(t, least, err)
	ob := t.ob
	ob.later(time.Until(ob.retryAt), func() { rt.replies.wake(ob.openid) })
	return true
}

// againOrLink is again, unless it was tried often enough, or would be the last word
// to a callback: what waits behind a file must not wait for ever.
func (rt *Runtime) againOrLink(t *table, least time.Duration, err error) (wait bool, _ error) {
	p := t.from[0].part
	if p.tries++; p.tries > uploadTries || t.window != nil && t.window.final {
		return false, rt.withoutUpload(t, err)
	}
	return rt.again(t, least, err), nil
}
