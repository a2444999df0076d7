package journal

import (
	"context"
	"database/sql"
	"errors"
	"slices"
)

// AppendListing appends what a listing of a user's conversation found and the journal does not know,
// and moves the user's watermark. rs are the bot's messages newer than the watermark, without a gap from it to the last of them.
//
// The watermark moves to the last message before the first unknown one, to the last of all if
// nothing is unknown, and never backwards: a listing vouches only for what an earlier way, or an
// earlier listing, had brought already. So a message that shows up late between two others is still
// found by the next listing. Waiting and parked replies count as known: they are kept until they are
// done, and done ones until the watermark has passed them.
//
// Nothing at or below the stored watermark is taken: the journal may have forgotten its id.
// Durable when it returns. The payloads must not be modified afterwards.
func (j *Journal) AppendListing(ctx context.Context, account, openid string, rs []Reply) (fresh int, err error) {
	if len(rs) == 0 {
		return 0, nil
	}
	return j.listed(ctx, account, openid, rs, func(*tx) error { return nil })
}

// AppendFirstListing is [Journal.AppendListing] and notes, in the same transaction, that the
// conversation has been listed since the start that the epoch numbers.
func (j *Journal) AppendFirstListing(ctx context.Context, account, openid string, epoch int64, rs []Reply) (fresh int, err error) {
	return j.listed(ctx, account, openid, rs, func(t *tx) error {
		_, err := t.exec(setEpoch, account, openid, epoch)
		return err
	})
}

func (j *Journal) listed(ctx context.Context, account, openid string, rs []Reply, then func(*tx) error) (int, error) {
	given := rs
	rs = slices.Clone(rs)
	slices.SortStableFunc(rs, func(a, b Reply) int { return a.mark().Compare(b.mark()) })
	unknown := make(map[string]bool)
	fresh := 0 // as unknown, the writer's until it has answered
	err := j.write(ctx, "appending listing", func(t *tx) error {
		var err error
		clear(unknown)
		if fresh, err = j.appendListing(t, account, openid, rs, unknown); err != nil {
			return err
		}
		return then(t)
	})
	if err != nil {
		return 0, err
	}
	for i := range given {
		given[i].Fresh = unknown[given[i].MessageID]
	}
	return fresh, nil
}

// appendListing adds the ids of those that were not known to the unknown ones.
func (j *Journal) appendListing(t *tx, account, openid string, rs []Reply, unknown map[string]bool) (fresh int, err error) {
	stored, err := watermark(t, account, openid)
	if err != nil {
		return 0, err
	}
	reached := stored
	var active int64
	for i := range rs {
		r := &rs[i]
		if r.mark().Compare(stored) <= 0 {
			continue
		}
		isNew, _, err := j.appendReply(t, account, openid, r)
		if err != nil {
			return 0, err
		}
		if isNew {
			fresh++
			unknown[r.MessageID] = true
			active = max(active, millis(r.CreatedAt))
		} else if fresh == 0 {
			reached = r.mark()
		}
	}
	if reached.Compare(stored) > 0 {
		if _, err := t.exec(moveWatermark, account, openid, millis(reached.At), reached.ID); err != nil {
			return 0, err
		}
	}
	if fresh > 0 {
		err = touch(t, account, openid, active, Mark{})
	}
	return fresh, err
}

// watermark returns the user's stored watermark, none if the user is not known.
func watermark(t *tx, account, openid string) (Mark, error) {
	var m Mark
	var at int64
	err := t.row(readWatermark, []any{&at, &m.ID}, account, openid)
	if errors.Is(err, sql.ErrNoRows) {
		return Mark{}, nil
	}
	m.At = moment(at)
	return m, err
}
