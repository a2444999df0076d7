package journal

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"go.uber.org/zap"
)

const (
	// deadKeep is how long dead letters, and the rows they came from, are kept at least.
	deadKeep = 30 * 24 * time.Hour

	// pruneChunk is how many rows one step of pruning looks at, and so how long it may hold up the
	// writes beside it: about as long as one batch of them.
	pruneChunk = 100

	// prunePause follows each step that deleted something.
	prunePause = 5 * time.Millisecond
)

// sweep is the pruning of one table. It walks up the ids, which are in the order of arrival, so it
// needs no index of its own, and the effects that are recorded all day have none to maintain for it.
type sweep struct {
	// scan yields id, time of arrival, and 1 for what may go, of the next $2 rows behind id $1; $3 and
	// $4 are the times before which handled and dead rows may go.
	scan string

	// purge deletes what may go of the ids behind $1 up to and including $2; $3 and $4 as above. The
	// highest id stays, so that it is not given again.
	purge string
}

// What waits is never removed, nor what is parked. A reply goes only once the watermark has passed
// it, since a listing may bring up again what is above.
const (
	prunablePush  = `(state = 1 AND handled_at < $3 OR state = 2 AND handled_at < $4)`
	prunableReply = `(state = 1 AND handled_at < $3 OR state = 3 AND handled_at < $4)
		AND EXISTS (SELECT 1 FROM users u WHERE u.account = replies.account AND u.openid = replies.openid
			AND (replies.created_at, replies.message_id) <= (u.watermark_at, u.watermark_id))`
	prunableDead = `at < $3 AND at < $4`
)

func sweeps() []sweep {
	build := func(table, at, prunable string) sweep {
		return sweep{
			scan: `SELECT id, ` + at + `, CASE WHEN ` + prunable + ` THEN 1 ELSE 0 END FROM ` + table +
				` WHERE id > $1 ORDER BY id LIMIT $2 + 0`,
			purge: `DELETE FROM ` + table + ` WHERE id > $1 AND id <= $2 AND id < (SELECT max(id) FROM ` + table + `) AND ` + prunable,
		}
	}
	return []sweep{
		build("pushes", "received_at", prunablePush),
		build("replies", "received_at", prunableReply),
		build("dead", "at", prunableDead),
	}
}

// Prune removes what was handled longer ago than Config.Keep, and dead letters older than 30 days, in
// small steps beside the traffic, and tells how many rows went. The journal does it by itself every
// minute, or more often if Keep is short.
func (j *Journal) Prune(ctx context.Context) (int64, error) {
	var total int64
	for _, s := range sweeps() {
		n, err := j.sweep(ctx, s)
		total += n
		if err != nil {
			return total, err
		}
	}
	now := j.now()
	for _, p := range []struct {
		look, purge string
		before      time.Time
	}{{oldChoices, pruneChoices, now.Add(-choiceKeep)}, {oldUploads, pruneUploads, now}} {
		n, err := j.shed(ctx, p.look, p.purge, millis(p.before))
		total += n
		if err != nil {
			return total, err
		}
	}
	return total, nil
}

// shed prunes a table that has an index on its times: look yields a row if one is from before $1,
// purge deletes up to $2 such rows.
func (j *Journal) shed(ctx context.Context, look, purge string, before int64) (total int64, err error) {
	for {
		old := false
		err := j.read(ctx, "looking for old rows", look, func(*sql.Rows) error {
			old = true
			return nil
		}, before)
		if err != nil || !old {
			return total, err
		}
		n, err := j.change(ctx, "pruning", func(t *tx) (int64, error) {
			return t.exec(purge, before, pruneChunk)
		})
		total += n
		if err != nil {
			return total, err
		}
		if err := sleep(ctx, prunePause); err != nil {
			return total, err
		}
	}
}

// sweep prunes one table from its oldest row on, until all further ones are too young.
func (j *Journal) sweep(ctx context.Context, s sweep) (total int64, err error) {
	keep := time.Duration(j.keep.Load())
	now := j.now()
	handled, dead := millis(now.Add(-keep)), millis(now.Add(-max(keep, deadKeep)))
	for after := int64(0); ; {
		last, rows, prunable, young := after, 0, false, false
		err := j.read(ctx, "looking for old rows", s.scan, func(r *sql.Rows) error {
			var at, gone int64
			err := r.Scan(&last, &at, &gone)
			rows++
			prunable = prunable || gone == 1
			// A time in the future is a clock that was wrong, and says nothing.
			young = young || at >= handled && at <= millis(now)
			return err
		}, after, pruneChunk, handled, dead)
		if err != nil {
			return total, err
		}
		if prunable {
			n, err := j.change(ctx, "pruning", func(t *tx) (int64, error) {
				return t.exec(s.purge, after, last, handled, dead)
			})
			total += n
			if err != nil {
				return total, err
			}
			if err := sleep(ctx, prunePause); err != nil {
				return total, err
			}
		}
		if rows < pruneChunk || young {
			return total, nil
		}
		after = last
	}
}

// pruneForever is the pruner's goroutine.
func (j *Journal) pruneForever(ctx context.Context) {
	began := time.Now()
	clock := j.trustClock(ctx)
	for {
		keep := time.Duration(j.keep.Load())
		if sleep(ctx, min(time.Minute, max(time.Second, keep/20))) != nil {
			return
		}
		if clock.holds(j.now(), time.Since(began)) {
			j.pruneOnce(ctx)
		}
	}
}

func (j *Journal) pruneOnce(ctx context.Context) {
	defer recovered(j.log, "pruning the journal panicked")
	j.pruneMedia(ctx)
	_, err := j.Prune(ctx)
	if err != nil && ctx.Err() == nil && !errors.Is(err, ErrClosed) {
		j.log.Warn("pruning the journal", zap.Error(err))
	}
}

// sleep waits, and returns ctx's error if that ends first.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
