package journal

import (
	"context"
	"database/sql"
	"fmt"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// measureEvery is how often the size of the database is looked at, if it may have changed.
const measureEvery = time.Second

// room is how large the database may become.
type room struct {
	max  atomic.Int64 // bytes; 0: any size
	full atomic.Bool
}

func (r *room) bound(size int64) {
	if size = max(size, 0); size == 0 {
		r.full.Store(false)
	}
	r.max.Store(size)
}

// used notes how many bytes are in use. Once it is full, a hundredth has to be free for it not to be.
func (r *room) used(n int64) {
	most := r.max.Load()
	if r.full.Load() {
		most -= most / 100
	}
	r.full.Store(r.max.Load() > 0 && n >= most)
}

// Full tells whether the database has reached Config.MaxSize, as far as is known.
func (j *Journal) Full() bool { return j.room.full.Load() }

// admit refuses what is not known while the journal is full.
func (j *Journal) admit(ctx context.Context, account, key string) error {
	if !j.Full() {
		return nil
	}
	known := false
	err := j.read(ctx, "looking for a push", findPush, func(*sql.Rows) error {
		known = true
		return nil
	}, account, key)
	if err == nil && !known {
		err = unavailable(fmt.Errorf("appending push: %w", ErrFull))
	}
	return err
}

// measureForever is the goroutine that looks at the size.
func (j *Journal) measureForever(ctx context.Context) {
	type state struct{ commits, most int64 }
	for seen := (state{-1, -1}); ; {
		if now := (state{j.w.commits.Load(), j.room.max.Load()}); now != seen && now.most > 0 {
			seen = now
			j.measure(ctx)
		}
		if sleep(ctx, measureEvery) != nil {
			return
		}
	}
}

func (j *Journal) measure(ctx context.Context) {
	defer recovered(j.log, "measuring the journal panicked")
	err := j.read(ctx, "measuring the journal", j.dialect.size, func(rows *sql.Rows) error {
		var n int64
		err := rows.Scan(&n)
		if err == nil {
			j.room.used(n)
		}
		return err
	})
	if err != nil && ctx.Err() == nil {
		j.log.Debug("measuring the journal", zap.Error(err))
	}
}
