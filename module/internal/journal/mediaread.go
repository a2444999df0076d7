package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
)

const (
	mediaColumns = `id, openid, ref, name, ext, size, created_at`
	mediaByName  = `SELECT ` + mediaColumns + ` FROM media WHERE account = $1 AND name = $2 AND done = 1`
	mediaByRef   = `SELECT ` + mediaColumns + ` FROM media WHERE account = $1 AND openid = $2 AND ref = $3 AND done = 1 ORDER BY id DESC LIMIT 1`
	selectChunk  = `SELECT body FROM chunks WHERE media = $1 AND part = $2`
)

// Media returns the file of that name, and whether there is one that is not older than the account
// keeps it.
func (j *Journal) Media(ctx context.Context, account, name string) (Media, bool, error) {
	return j.oneMedia(ctx, mediaByName, account, name)
}

// MediaOf returns the newest file that a user sent with a message, as Media does.
func (j *Journal) MediaOf(ctx context.Context, account, openid, ref string) (Media, bool, error) {
	return j.oneMedia(ctx, mediaByRef, account, openid, ref)
}

func (j *Journal) oneMedia(ctx context.Context, query, account string, args ...any) (m Media, found bool, err error) {
	if !j.media.there() {
		return Media{}, false, nil
	}
	s, err := j.media.open(ctx)
	if err == nil {
		err = s.r.each(ctx, query, func(rows *sql.Rows) error {
			var at int64
			m.Account, found = account, true
			err := rows.Scan(&m.id, &m.OpenID, &m.Ref, &m.Name, &m.Ext, &m.Size, &at)
			m.CreatedAt = moment(at)
			return err
		}, append([]any{account}, args...)...)
	}
	if err != nil {
		return Media{}, false, fmt.Errorf("finding media: %w", err)
	}
	if !found || j.now().Sub(m.CreatedAt) >= j.media.boundsOf(account).Keep {
		return Media{}, false, nil
	}
	return m, true, nil
}

// ReadMedia returns a reader of a file's content. It holds nothing that would have to be closed; one
// chunk at a time is in memory. Should the file be deleted meanwhile, reading fails.
func (j *Journal) ReadMedia(ctx context.Context, m Media) (*MediaReader, error) {
	s, err := j.media.open(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading media: %w", err)
	}
	return &MediaReader{ctx: ctx, s: s, m: m, part: -1}, nil
}

// MediaReader reads a file. It is not safe for concurrent use.
type MediaReader struct {
	ctx  context.Context
	s    *mediaStore
	m    Media
	pos  int64
	part int64 // which chunk is held, -1 for none
	held []byte
	err  error
}

// Read implements io.Reader.
func (r *MediaReader) Read(b []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	if r.pos >= r.m.Size {
		return 0, io.EOF
	}
	if part := r.pos / mediaChunk; part != r.part {
		if r.err = r.load(part); r.err != nil {
			return 0, r.err
		}
	}
	n := copy(b, r.held[r.pos-r.part*mediaChunk:])
	r.pos += int64(n)
	return n, nil
}

func (r *MediaReader) load(part int64) error {
	r.part, r.held = part, nil
	err := r.s.r.each(r.ctx, selectChunk, func(rows *sql.Rows) error { return rows.Scan(&r.held) }, r.m.id, part)
	if err == nil && int64(len(r.held)) != min(mediaChunk, r.m.Size-part*mediaChunk) {
		err = errors.New("a part of the file is gone")
	}
	if err != nil {
		return fmt.Errorf("reading media: %w", err)
	}
	return nil
}

// Seek implements io.Seeker.
func (r *MediaReader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += r.pos
	case io.SeekEnd:
		offset += r.m.Size
	}
	if offset < 0 {
		return 0, errors.New("reading media: before the beginning")
	}
	r.pos = offset
	return offset, nil
}

// Err is what reading failed with, nil if it did not.
func (r *MediaReader) Err() error { return r.err }
