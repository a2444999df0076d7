package journal

import (
	"context"
	"database/sql"
	"slices"
	"time"
)

// UserBacklog is what waits of one user.
type UserBacklog struct {
	OpenID                  string
	Pushes, Replies, Parked int64
	Oldest                  time.Time // when the oldest of it was received
}

// ParkedReply is a reply that waits for its user to act.
type ParkedReply struct {
	Reply

	// Next is what to begin behind to read on from here.
	Next ParkedMark
}

// ParkedMark is a place among the parked replies of an account. The zero mark is their beginning.
type ParkedMark struct {
	OpenID    string
	CreatedAt int64 // Unix milliseconds
	MessageID string
}

const (
	parkedUsers = `WITH RECURSIVE u (openid) AS (
			SELECT (SELECT openid FROM replies WHERE account = $1 AND state = 2 AND openid > $2 ORDER BY openid LIMIT 1)
			UNION ALL
			SELECT (SELECT r.openid FROM replies r WHERE r.account = $1 AND r.state = 2 AND r.openid > u.openid ORDER BY r.openid LIMIT 1)
			FROM u WHERE u.openid IS NOT NULL
		) SELECT openid FROM u WHERE openid IS NOT NULL LIMIT $3 + 0`

	selectUserBacklog = `SELECT
		(SELECT count(*) FROM pushes WHERE account = $1 AND openid = $2 AND state = 0),
		(SELECT count(*) FROM replies WHERE account = $1 AND openid = $2 AND state = 0),
		(SELECT count(*) FROM replies WHERE account = $1 AND openid = $2 AND state = 2),
		COALESCE((SELECT received_at FROM pushes WHERE account = $1 AND openid = $2 AND state = 0 ORDER BY id LIMIT 1), 0),
		COALESCE((SELECT received_at FROM replies WHERE account = $1 AND openid = $2 AND state = 0 ORDER BY created_at, message_id LIMIT 1), 0),
		COALESCE((SELECT received_at FROM replies WHERE account = $1 AND openid = $2 AND state = 2 ORDER BY created_at, message_id LIMIT 1), 0)`

	selectParked = `SELECT id, openid, message_id, created_at, received_at, step, cut, payload FROM replies
		WHERE account = $1 AND state = 2 AND (openid, created_at, message_id) > ($2, $3, $4)
		ORDER BY openid, created_at, message_id LIMIT $5 + 0`
	selectParkedOf = `SELECT id, openid, message_id, created_at, received_at, step, cut, payload FROM replies
		WHERE account = $1 AND openid = $2 AND state = 2 AND (created_at, message_id) > ($3, $4)
		ORDER BY created_at, message_id LIMIT $5 + 0`

	selectDeadHeads = `SELECT id, openid, kind, ref, reason, at, COALESCE(length(body), 0) FROM dead
		WHERE account = $1 AND id > $2 ORDER BY id LIMIT $3 + 0`
	selectDeadLetter = `SELECT id, openid, kind, ref, reason, at, COALESCE(length(body), 0), body FROM dead WHERE id = $2 AND account = $1`
)

// UserBacklogs returns what waits of up to limit users of an account, ascending by openid, beginning
// behind the openid after. It ends with ctx.
func (j *Journal) UserBacklogs(ctx context.Context, account, after string, limit int) ([]UserBacklog, error) {
	var users []string
	for _, query := range []string{pushUsers, replyUsers, parkedUsers} {
		err := j.search(ctx, "reading waiting users", query, func(rows *sql.Rows) error {
			var openid string
			err := rows.Scan(&openid)
			users = append(users, openid)
			return err
		}, account, after, limit)
		if err != nil {
			return nil, err
		}
	}
	slices.Sort(users)
	users = slices.Compact(users)
	var list []UserBacklog
	for _, openid := range users[:min(limit, len(users))] {
		u := UserBacklog{OpenID: openid}
		err := j.search(ctx, "counting what waits", selectUserBacklog, func(rows *sql.Rows) error {
			var at [3]int64
			err := rows.Scan(&u.Pushes, &u.Replies, &u.Parked, &at[0], &at[1], &at[2])
			for _, ms := range at {
				if t := moment(ms); !t.IsZero() && (u.Oldest.IsZero() || t.Before(u.Oldest)) {
					u.Oldest = t
				}
			}
			return err
		}, account, openid)
		if err != nil {
			return nil, err
		}
		if u.Pushes+u.Replies+u.Parked > 0 { // it may be done meanwhile
			list = append(list, u)
		}
	}
	return list, nil
}

// Parked returns up to limit parked replies of an account by user, in the bot's order, or of one user
// if openid is not empty, beginning behind a mark.
func (j *Journal) Parked(ctx context.Context, account, openid string, after ParkedMark, limit int) ([]ParkedReply, error) {
	query, args := selectParked, []any{account, after.OpenID, after.CreatedAt, after.MessageID, limit}
	if openid != "" {
		query, args[1] = selectParkedOf, openid
	}
	var list []ParkedReply
	err := j.search(ctx, "reading parked replies", query, func(rows *sql.Rows) error {
		p := ParkedReply{Reply: Reply{Account: account}}
		var created, received int64
		err := rows.Scan(&p.ID, &p.OpenID, &p.MessageID, &created, &received, &p.Step, &p.Cut, &p.Payload)
		p.CreatedAt, p.ReceivedAt = moment(created), moment(received)
		p.Next = ParkedMark{OpenID: p.OpenID, CreatedAt: created, MessageID: p.MessageID}
		list = append(list, p)
		return err
	}, args...)
	if err != nil {
		return nil, err
	}
	return list, nil
}

// DeadHead is a dead letter without its body.
type DeadHead struct {
	Dead
	Size int64 // of the body
}

// DeadHeads is [Journal.Dead] without the bodies.
func (j *Journal) DeadHeads(ctx context.Context, account string, after int64, limit int) ([]DeadHead, error) {
	var list []DeadHead
	err := j.search(ctx, "reading dead letters", selectDeadHeads, func(rows *sql.Rows) error {
		d := DeadHead{Dead: Dead{Account: account}}
		var at int64
		err := rows.Scan(&d.ID, &d.OpenID, &d.Kind, &d.Ref, &d.Reason, &at, &d.Size)
		d.At = moment(at)
		list = append(list, d)
		return err
	}, account, after, limit)
	if err != nil {
		return nil, err
	}
	return list, nil
}

// DeadLetter returns one dead letter of an account, and whether there is such a one.
func (j *Journal) DeadLetter(ctx context.Context, account string, id int64) (d DeadHead, found bool, err error) {
	err = j.read(ctx, "reading dead letter", selectDeadLetter, func(rows *sql.Rows) error {
		found, d.Account = true, account
		var at int64
		err := rows.Scan(&d.ID, &d.OpenID, &d.Kind, &d.Ref, &d.Reason, &at, &d.Size, &d.Body)
		d.At = moment(at)
		return err
	}, account, id)
	if err != nil {
		return DeadHead{}, false, err
	}
	return d, found, nil
}
