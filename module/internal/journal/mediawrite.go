package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"time"

	"go.uber.org/zap"
)

const (
	// mediaChunk is the size of each chunk of a file but the last.
	mediaChunk = 64 << 10

	// mediaBatch is how many chunks are in memory and written at once. While one file's are written,
	// others wait.
	mediaBatch = 8

	// mediaShare is the part of an account's media that one user may hold once there is no room. Whoever sends more
	// makes room by their own: not others' files.
	mediaShare = 4
)

const (
	insertMedia = `INSERT INTO media (account, openid, ref, name, ext, created_at) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (account, name) DO NOTHING`
	insertChunk = `INSERT INTO chunks (media, part, body) VALUES ($1, $2, $3)`
	growMedia   = `UPDATE media SET size = size + $2 WHERE id = $1`
	finishMedia = `UPDATE media SET done = 1 WHERE id = $1 AND done = 0`
	doomMedia   = `UPDATE media SET done = 2 WHERE account = $1 AND openid = $2 AND created_at <= $3 AND done = 0`

	hideMedia    = `UPDATE media SET done = 0 WHERE id = $1`
	deleteChunks = `DELETE FROM chunks WHERE id IN (SELECT id FROM chunks WHERE media = $1 LIMIT $2 + 0)`
	deleteMedia  = `DELETE FROM media WHERE id = $1`
	oldestMedia  = `SELECT id FROM media WHERE account = $1 AND done = 1 AND id <> $2 ORDER BY created_at, id LIMIT 1`
	oldestOwn    = `SELECT id FROM media WHERE account = $1 AND openid = $2 AND done = 1 AND id <> $3 ORDER BY created_at, id LIMIT 1`
	ownMedia     = `SELECT COALESCE(SUM(size), 0) FROM media WHERE account = $1 AND openid = $2`
	userMedia    = `SELECT id FROM media WHERE account = $1 AND openid = $2 AND created_at <= $3 AND done = 1 ORDER BY id`
	mediaSize    = `SELECT account, size FROM media WHERE id = $1`
)

// PutMedia stores what r yields, up to its end, in place of older media of the account if it does not
// fit beside it. Nobody finds it before it is whole. An error of r is returned as it is; nothing is
// stored then.
func (j *Journal) PutMedia(ctx context.Context, m Media, r io.Reader) (_ Media, err error) {
	s, err := j.media.open(ctx)
	if err != nil {
		return Media{}, fmt.Errorf("storing media: %w", err)
	}
	now := j.or(time.Time{})
	m.CreatedAt, m.Size = moment(now), 0
	inserted := false
	err = s.w.do(ctx, func(t *tx) (err error) {
		m.id, inserted, err = s.dialect.insert(t, insertMedia, m.Account, m.OpenID, m.Ref, m.Name, m.Ext, now)
		return err
	})
	if err != nil {
		return Media{}, fmt.Errorf("storing media: %w", err)
	}
	if !inserted {
		return Media{}, errors.New("storing media: the name is taken")
	}
	defer func() {
		if err == nil {
			return
		}
		// Whatever is left of it is found and deleted later.
		if err := s.remove(context.WithoutCancel(ctx), m.id); err != nil && !errors.Is(err, ErrClosed) {
			j.log.Warn("deleting part of a file", zap.Error(err))
		}
	}()
	if err := j.fillMedia(ctx, s, &m, r); err != nil {
		return Media{}, err
	}
	var n int64
	err = s.w.do(ctx, func(t *tx) (err error) {
		n, err = t.exec(finishMedia, m.id)
		return err
	})
	if err == nil && n == 0 {
		err = ErrForgotten
	}
	if err != nil {
		return Media{}, fmt.Errorf("storing media: %w", err)
	}
	return m, nil
}

// fillMedia writes the file, a few chunks at a time.
func (j *Journal) fillMedia(ctx context.Context, s *mediaStore, m *Media, r io.Reader) error {
	store := j.media.boundsOf(m.Account).Store
	used := s.usage(m.Account)
	buf := make([]byte, mediaBatch*mediaChunk)
	for part := 0; ; part += mediaBatch {
		n, rerr := fill(r, buf)
		if rerr != nil && rerr != io.EOF {
			return rerr
		}
		if store > 0 && m.Size+int64(n) > store {
			return ErrMediaFull
		}
		if err := s.appendChunks(ctx, m.id, part, buf[:n]); err != nil {
			return fmt.Errorf("storing media: %w", err)
		}
		m.Size += int64(n)
		used.Add(int64(n))
		if store > 0 {
			if err := s.makeRoom(ctx, *m, store); err != nil {
				return err
			}
		}
		if rerr != nil {
			return nil
		}
	}
}

// fill reads until buf is full. Its error is that of r if it came before; io.ReadFull would make a connection that
// broke look like an end.
func fill(r io.Reader, buf []byte) (n int, err error) {
	for n < len(buf) && err == nil {
		var m int
		m, err = r.Read(buf[n:])
		n += m
	}
	if n == len(buf) {
		err = nil
	}
	return n, err
}

// appendChunks writes some chunks. It does not heed ctx: whether they were written must be known, or the
// account's bytes would be counted wrong.
func (s *mediaStore) appendChunks(ctx context.Context, id int64, part int, data []byte) error {
	if len(data) == 0 {
		return ctx.Err()
	}
	return s.w.do(context.WithoutCancel(ctx), func(t *tx) error {
		for p, rest := part, data; len(rest) > 0; p++ {
			n := min(len(rest), mediaChunk)
			if _, err := t.exec(insertChunk, id, p, rest[:n]); err != nil {
				return err
			}
			rest = rest[n:]
		}
		_, err := t.exec(growMedia, id, len(data))
		return err
	})
}

// makeRoom deletes an account's oldest media, but not the one named, until no more is left than store. Of a user
// who has more than a fair share, the user's own go first.
func (s *mediaStore) makeRoom(ctx context.Context, m Media, store int64) error {
	for used := s.usage(m.Account); used.Load() > store; {
		id, err := s.dispensable(ctx, m, store)
		if err != nil {
			return fmt.Errorf("making room for media: %w", err)
		}
		if id == 0 {
			return ErrMediaFull
		}
		if err := s.remove(ctx, id); err != nil {
			return fmt.Errorf("making room for media: %w", err)
		}
	}
	return nil
}

// dispensable is the file that makes room for another, 0 if there is none.
func (s *mediaStore) dispensable(ctx context.Context, m Media, store int64) (id int64, err error) {
	if m.OpenID != "" {
		own, err := s.find(ctx, ownMedia, m.Account, m.OpenID)
		if err != nil {
			return 0, err
		}
		if own > store/mediaShare {
			if id, err = s.find(ctx, oldestOwn, m.Account, m.OpenID, m.id); err != nil || id != 0 {
				return id, err
			}
		}
	}
	return s.find(ctx, oldestMedia, m.Account, m.id)
}

// find runs a query for a number, and returns 0 if there is none.
func (s *mediaStore) find(ctx context.Context, query string, args ...any) (int64, error) {
	var id int64 // the writer's until it has answered
	err := s.w.do(ctx, func(t *tx) error {
		id = 0
		err := t.row(query, []any{&id}, args...)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		return err
	})
	if err != nil {
		return 0, err
	}
	return id, nil
}

// remove deletes a file in small steps. Nobody finds it from the first one on.
func (s *mediaStore) remove(ctx context.Context, id int64) error {
	for {
		var account string
		var size int64
		var over bool
		err := s.w.do(context.WithoutCancel(ctx), func(t *tx) error { // for the same reason
			size, over = 0, false
			if _, err := t.exec(hideMedia, id); err != nil {
				return err
			}
			n, err := t.exec(deleteChunks, id, mediaBatch)
			if err != nil || n == mediaBatch {
				return err
			}
			over = true
			err = t.row(mediaSize, []any{&account, &size}, id)
			if errors.Is(err, sql.ErrNoRows) { // somebody else has deleted it
				return nil
			}
			if err == nil {
				_, err = t.exec(deleteMedia, id)
			}
			return err
		})
		if err != nil {
			return err
		}
		if over {
			if size > 0 {
				s.usage(account).Add(-size)
			}
			return nil
		}
	}
}

// ForgetMedia deletes all of a user's that began to be stored up to then. What is still being stored is not
// kept when it is whole.
func (j *Journal) ForgetMedia(ctx context.Context, account, openid string, until time.Time) error {
	if !j.media.there() {
		return nil
	}
	s, err := j.media.open(ctx)
	if err != nil {
		return fmt.Errorf("deleting media: %w", err)
	}
	err = s.w.do(ctx, func(t *tx) error {
		_, err := t.exec(doomMedia, account, openid, millis(until))
		return err
	})
	var ids []int64
	if err == nil {
		err = s.r.each(ctx, userMedia, func(rows *sql.Rows) error {
			var id int64
			err := rows.Scan(&id)
			ids = append(ids, id)
			return err
		}, account, openid, millis(until))
	}
	for _, id := range ids {
		if err == nil {
			err = s.remove(ctx, id)
		}
	}
	if err != nil {
		return fmt.Errorf("deleting media: %w", err)
	}
	return nil
}
