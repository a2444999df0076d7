package journal

import (
	"context"
	"database/sql"
	"time"

	"go.uber.org/zap"
)

const (
	// leap is how much more than the time that passed the clock has to go on by to have been set forward.
	leap = 5 * time.Minute

	// mistrust is for how long nothing is deleted for its age after that: the clock may be wrong now, and be
	// set back.
	mistrust = time.Hour

	// absence is how long ago the newest row may be from before a start is taken for one with a wrong clock.
	absence = 24 * time.Hour
)

const newestRow = `SELECT MAX(COALESCE((SELECT received_at FROM pushes ORDER BY id DESC LIMIT 1), 0),
	COALESCE((SELECT received_at FROM replies ORDER BY id DESC LIMIT 1), 0))`

// trust is whether the clock tells what is old. A clock that is days ahead for a minute must not empty the
// journal.
type trust struct {
	log    *zap.Logger
	wall   time.Time     // when it was last asked, by the clock
	passed time.Duration // and by what cannot be set
	until  time.Duration // likewise; before that nothing is deleted
}

// newTrust begins with a clock that says now. newest is when the journal's last row came, zero if there is none.
func newTrust(log *zap.Logger, now, newest time.Time, keep time.Duration) *trust {
	t := &trust{log: log, wall: now.Round(0)}
	if away := t.wall.Sub(newest); !newest.IsZero() && away > max(keep, absence) {
		t.until = mistrust
		log.Info("the journal's last message is from long ago; nothing is deleted for a while, should the clock be wrong",
			zap.Duration("ago", away.Round(time.Second)), zap.Duration("for", mistrust))
	}
	return t
}

// holds tells whether what is old by the clock, which says now, may be deleted. passed is the time since the
// beginning.
func (t *trust) holds(now time.Time, passed time.Duration) bool {
	now = now.Round(0) // or the difference would be of what cannot be set
	ahead := now.Sub(t.wall) - (passed - t.passed)
	t.wall, t.passed = now, passed
	switch {
	case ahead > leap:
		t.until = passed + mistrust
		t.log.Warn("the clock was set forward; nothing is deleted from the journal for a while, should it be wrong",
			zap.Duration("by", ahead.Round(time.Second)), zap.Duration("for", mistrust))
	case ahead < -leap:
		t.until = 0
	}
	return passed >= t.until
}

// trustClock begins to watch the clock.
func (j *Journal) trustClock(ctx context.Context) *trust {
	var newest time.Time
	err := j.read(ctx, "reading when the last message came", newestRow, func(rows *sql.Rows) error {
		var at int64
		err := rows.Scan(&at)
		newest = moment(at)
		return err
	})
	if err != nil && ctx.Err() == nil {
		j.log.Debug("watching the clock", zap.Error(err))
	}
	return newTrust(j.log, j.now(), newest, time.Duration(j.keep.Load()))
}
