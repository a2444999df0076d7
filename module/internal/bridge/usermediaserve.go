package bridge

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-wechat/caddy-wechat/module/internal/journal"
)

const (
	// fileIDSize is how many random bytes name a file, and fileMACSize how many of the
	// signature follow: nobody guesses either.
	fileIDSize  = 16
	fileMACSize = 16

	stateFileKey = "media_key"
	stateReached = "public_url"
)

// File is a file that a user sent, ready to be served.
type File struct {
	*journal.MediaReader
	Type   string    // content type
	Inline bool      // a browser may show it
	ETag   string    // with quotes
	At     time.Time // of its arrival
	Until  time.Time // when it is kept no longer
}

// File finds a file by the last part of its address. What was not signed by this
// account, is not there, or not any more, is not found; an error says that it
// cannot be told.
func (rt *Runtime) File(ctx context.Context, name string) (_ *File, found bool, err error) {
	token, ext, _ := strings.Cut(name, ".")
	contentType, ok := fileTypes[ext]
	if !ok {
		return nil, false, nil
	}
	select {
	case <-rt.started:
	case <-ctx.Done():
		return nil, false, ctx.Err()
	}
	j, err := rt.store.Get(ctx)
	if err != nil {
		return nil, false, err
	}
	key, err := rt.fileKey(ctx)
	if err != nil {
		return nil, false, err
	}
	id, ok := checkFileToken(key, rt.appid, token, ext)
	if !ok {
		return nil, false, nil
	}
	m, ok, err := j.Media(ctx, rt.appid, base64.RawURLEncoding.EncodeToString(id))
	if err != nil || !ok || m.Ext != ext {
		return nil, false, err
	}
	u, _, err := j.User(ctx, rt.appid, m.OpenID)
	if err != nil || !u.LastLeft.IsZero() && !m.CreatedAt.After(u.LastLeft) { // it is about to be deleted
		return nil, false, err
	}
	// It is read as slowly as the client reads it, and a chunk at a time.
	r, err := j.ReadMedia(context.WithoutCancel(ctx), m)
	if err != nil {
		return nil, false, err
	}
	return &File{
		MediaReader: r,
		Type:        contentType,
		Inline:      shown(contentType),
		ETag:        `"` + strconv.FormatInt(m.CreatedAt.UnixMilli(), 36) + "-" + strconv.FormatInt(m.Size, 36) + `"`,
		At:          m.CreatedAt,
		Until:       m.CreatedAt.Add(rt.current.Load().Media.Keep),
	}, true, nil
}

// fileToken names a file so that nobody else can: its id, and a signature over the
// account, the id and the extension.
func fileToken(key []byte, appid string, id []byte, ext string) string {
	return base64.RawURLEncoding.EncodeToString(append(append([]byte(nil), id...), fileMAC(key, appid, id, ext)...))
}

// checkFileToken returns the id in a token whose signature is good.
func checkFileToken(key []byte, appid, token, ext string) (id []byte, ok bool) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(raw) != fileIDSize+fileMACSize || strings.ContainsAny(token, "\r\n") { // which the decoder skips
		return nil, false
	}
	id = raw[:fileIDSize]
	return id, hmac.Equal(raw[fileIDSize:], fileMAC(key, appid, id, ext))
}

func fileMAC(key []byte, appid string, id []byte, ext string) []byte {
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "media\x00%s\x00%s\x00", appid, ext)
	mac.Write(id)
	return mac.Sum(nil)[:fileMACSize]
}

// fileKey is the account's key for signing addresses. It is made once and kept in the
// journal.
func (rt *Runtime) fileKey(ctx context.Context) ([]byte, error) {
	if key := rt.files.key.Load(); key != nil {
		return *key, nil
	}
	j, err := rt.store.Get(ctx)
	if err != nil {
		return nil, err
	}
	fresh := make([]byte, sha256.Size)
	_, _ = rand.Read(fresh) // never fails
	held, err := j.ClaimState(ctx, rt.appid, stateFileKey, hex.EncodeToString(fresh))
	if err != nil {
		return nil, err
	}
	key, err := hex.DecodeString(held)
	if err != nil || len(key) != sha256.Size {
		return nil, fmt.Errorf("reading the key for signing media: the journal's %s is malformed", stateFileKey)
	}
	rt.files.key.Store(&key)
	return key, nil
}

// fileBase is what addresses of files begin with; empty if that is not known.
func (rt *Runtime) fileBase(c *inForce) string {
	base := c.PublicURL
	if base == "" {
		if learned := rt.files.reached.Load(); learned != nil {
			base = *learned
		}
	}
	if base == "" {
		return ""
	}
	return base + strings.TrimSuffix(c.Path, "/") + "/media/"
}

// Reached notes the base of the address at which a verified push has arrived:
// scheme, host, and what lies before the callback's path. Where no public_url is
// configured, the bot is told addresses below it.
func (rt *Runtime) Reached(base string) {
	if old := rt.files.reached.Load(); old != nil && *old == base {
		return
	}
	if rt.files.reached.Swap(&base) == nil {
		rt.early.again()
	}
	select {
	case <-rt.store.ready:
		// Where pushes arrive under several names, any of them will do.
		rt.files.moved.Do(func() { rt.keepReached(rt.stop, rt.store.journal) })
	default: // recallReached does it
	}
}

// keepReached records the address for the next start. That it cannot be recorded is
// no reason to stop: the next push tells it.
func (rt *Runtime) keepReached(ctx context.Context, j *journal.Journal) {
	if err := j.SetState(ctx, rt.appid, stateReached, *rt.files.reached.Load()); err != nil && ctx.Err() == nil {
		rt.logger().Warn("remembering the address at which pushes arrive", zap.Error(err))
	}
}

// recallReached reads what an earlier process has recorded, unless a push has been
// quicker.
func (rt *Runtime) recallReached(ctx context.Context, j *journal.Journal) error {
	base, found, err := j.State(ctx, rt.appid, stateReached)
	if err != nil {
		return err
	}
	if found && rt.files.reached.CompareAndSwap(nil, &base) {
		return nil
	}
	if rt.files.reached.Load() != nil {
		rt.keepReached(ctx, j)
	}
	return nil
}

// boundFiles tells the journal how long files are kept, and how much of them.
func (rt *Runtime) boundFiles() {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	rt.boundFilesLocked()
}

func (rt *Runtime) boundFilesLocked() {
	select {
	case <-rt.store.ready:
		m := rt.current.Load().Media
		rt.store.journal.BoundMedia(rt.appid, journal.MediaBounds{Keep: m.Keep, Store: m.Store})
	default: // it is done once the journal is open
	}
}
