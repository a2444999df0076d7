package journal

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// Leaver is a user who has left, and whose media is still to be deleted.
type Leaver struct {
	// OpenID is the user's.
	OpenID string

	// Until is when the leaving was recorded: what began to be stored later is of a user who has come
	// back.
	Until time.Time
}

const (
	leaveUser = `INSERT INTO users (account, openid, left_at) VALUES ($1, $2, $3)
		ON CONFLICT (account, openid) DO UPDATE SET message_at = 0, message_used = 0, action_at = 0, action_used = 0,
			left_at = excluded.left_at, profile = ''`
	userLeft     = `SELECT left_at FROM users WHERE account = $1 AND openid = $2`
	insertLeaver = `INSERT INTO leavers (account, openid, until) VALUES ($1, $2, $3)
		ON CONFLICT (account, openid) DO UPDATE SET until = excluded.until`
	selectLeavers = `SELECT openid, until FROM leavers WHERE account = $1 ORDER BY openid LIMIT $2 + 0`
	dropLeaver    = `DELETE FROM leavers WHERE account = $1 AND openid = $2 AND until = $3`
)

// leave deletes what is known of a user who left at the time at: replies that wait or are parked, choices,
// the profile; and ends the allowances. That media is to be deleted, which lies elsewhere, is recorded.
// The replies' message ids stay, or the next listing would bring them back.
func leave(t *tx, account, openid string, at, now int64) error {
	if _, err := t.exec(forgetReplies, account, openid, now); err != nil {
		return err
	}
	if _, err := t.exec(forgetChoices, account, openid); err != nil {
		return err
	}
	if _, err := t.exec(leaveUser, account, openid, at); err != nil {
		return err
	}
	_, err := t.exec(insertLeaver, account, openid, now)
	return err
}

// leftSince tells whether a user has left at the time at or later.
func leftSince(t *tx, account, openid string, at int64) (bool, error) {
	var left int64
	err := t.row(userLeft, []any{&left}, account, openid)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return left > 0 && left >= at, err
}

// Leavers returns up to limit users of an account who left and whose media is still to be deleted, by
// openid. ForgetMedia deletes it, Forgotten says that this is done.
func (j *Journal) Leavers(ctx context.Context, account string, limit int) ([]Leaver, error) {
	var list []Leaver
	err := j.read(ctx, "reading who left", selectLeavers, func(rows *sql.Rows) error {
		var l Leaver
		var until int64
		err := rows.Scan(&l.OpenID, &until)
		l.Until = moment(until)
		list = append(list, l)
		return err
	}, account, limit)
	if err != nil {
		return nil, err
	}
	return list, nil
}

// Forgotten records that a leaver's media is deleted. If the user has come back and left again meanwhile,
// there is more to delete, and nothing is recorded.
func (j *Journal) Forgotten(ctx context.Context, account string, l Leaver) error {
	return j.write(ctx, "recording who is forgotten", func(t *tx) error {
		_, err := t.exec(dropLeaver, account, l.OpenID, millis(l.Until))
		return err
	})
}
