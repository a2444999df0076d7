package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"time"

	"go.uber.org/zap"
)

const (
	// unfinishedFor is how long a file may be under way. What is older was given up.
	unfinishedFor = 10 * time.Minute

	// mediaSlack is how many free pages the media database keeps: 16 MiB in pages of 4096 bytes. Pages
	// beyond it are given back to the disk, mediaStep of them at a time.
	mediaSlack = 4096
	mediaStep  = 256
)

const (
	mediaAccounts = `SELECT DISTINCT account FROM media`
	expiredMedia  = `SELECT id FROM media WHERE account = $1 AND created_at <= $2 ORDER BY created_at, id LIMIT 1`
	givenUpMedia  = `SELECT id FROM media WHERE done <> 1 AND (id <= $1 OR created_at < $2) ORDER BY id LIMIT 1`
)

// PruneMedia deletes media that is older than its account keeps it, media beyond what its account may
// store, and what was never finished, a little at a time. The journal does it by itself every minute.
func (j *Journal) PruneMedia(ctx context.Context) error {
	if !j.media.there() {
		return nil
	}
	s, err := j.media.open(ctx)
	if err != nil {
		return err
	}
	now := j.now()
	if err := s.sweep(ctx, givenUpMedia, s.stale, millis(now.Add(-unfinishedFor))); err != nil {
		return fmt.Errorf("pruning media: %w", err)
	}
	var accounts []string
	err = s.r.each(ctx, mediaAccounts, func(rows *sql.Rows) error {
		var a string
		err := rows.Scan(&a)
		accounts = append(accounts, a)
		return err
	})
	for _, a := range accounts {
		if err != nil {
			break
		}
		b := j.media.boundsOf(a)
		err = s.sweep(ctx, expiredMedia, a, millis(now.Add(-b.Keep)))
		if err == nil && b.Store > 0 {
			err = s.makeRoom(ctx, Media{Account: a}, b.Store)
		}
		if errors.Is(err, ErrMediaFull) { // what is being written will see to it
			err = nil
		}
	}
	if err == nil {
		err = s.shrink(ctx)
	}
	if err != nil {
		return fmt.Errorf("pruning media: %w", err)
	}
	return nil
}

// sweep deletes all files that a query finds, one after the other.
func (s *mediaStore) sweep(ctx context.Context, query string, args ...any) error {
	for {
		id, err := s.find(ctx, query, args...)
		if err != nil || id == 0 {
			return err
		}
		if err := s.remove(ctx, id); err != nil {
			return err
		}
		if err := sleep(ctx, prunePause); err != nil {
			return err
		}
	}
}

// shrink gives back what a lower bound, or a quiet week, has left free. A database that gives nothing back,
// because somebody has written it anew with other settings, is left as it is.
func (s *mediaStore) shrink(ctx context.Context) error {
	for before := int64(math.MaxInt64); ; {
		var free int64
		err := s.w.do(ctx, func(t *tx) error { return t.row("PRAGMA freelist_count", []any{&free}) })
		if err != nil || free <= mediaSlack || free >= before {
			return err
		}
		before = free
		err = s.w.do(ctx, func(t *tx) error {
			_, err := t.exec(fmt.Sprintf("PRAGMA incremental_vacuum(%d)", mediaStep))
			return err
		})
		if err != nil {
			return err
		}
		if err := sleep(ctx, prunePause); err != nil {
			return err
		}
	}
}

func (j *Journal) pruneMedia(ctx context.Context) {
	defer recovered(j.log, "pruning media panicked")
	err := j.PruneMedia(ctx)
	if err != nil && ctx.Err() == nil && !errors.Is(err, ErrClosed) {
		j.log.Debug("pruning media", zap.Error(err))
	}
}
