package journal

import (
	"context"
	"database/sql"
	"fmt"
)

// Queue names one of the two things that wait for a user's lane.
type Queue int

const (
	// Pushes wait for the bot.
	Pushes Queue = iota

	// Replies wait for the user. Parked ones do not wait.
	Replies
)

// Each step jumps over all further rows of a user, so a user with a million rows costs as little as
// one with one.
const (
	pushUsers = `WITH RECURSIVE u (openid) AS (
			SELECT (SELECT openid FROM pushes WHERE account = $1 AND state = 0 AND openid > $2 ORDER BY openid LIMIT 1)
			UNION ALL
			SELECT (SELECT p.openid FROM pushes p WHERE p.account = $1 AND p.state = 0 AND p.openid > u.openid ORDER BY p.openid LIMIT 1)
			FROM u WHERE u.openid IS NOT NULL
		) SELECT openid FROM u WHERE openid IS NOT NULL LIMIT $3 + 0`
	replyUsers = `WITH RECURSIVE u (openid) AS (
			SELECT (SELECT openid FROM replies WHERE account = $1 AND state = 0 AND openid > $2 ORDER BY openid LIMIT 1)
			UNION ALL
			SELECT (SELECT r.openid FROM replies r WHERE r.account = $1 AND r.state = 0 AND r.openid > u.openid ORDER BY r.openid LIMIT 1)
			FROM u WHERE u.openid IS NOT NULL
		) SELECT openid FROM u WHERE openid IS NOT NULL LIMIT $3 + 0`

	// The list of kinds is that of the index.
	filePushes = `SELECT id, openid FROM pushes WHERE account = $1 AND state = 0 AND kind IN ('image', 'voice', 'video', 'shortvideo')
		AND id > $2 ORDER BY id LIMIT $3 + 0`

	countWaiting = `SELECT
		(SELECT count(*) FROM pushes WHERE account = $1 AND state = 0),
		(SELECT count(*) FROM replies WHERE account = $1 AND state = 0),
		(SELECT count(*) FROM replies WHERE account = $1 AND state = 2)`
)

// WaitingUsers returns up to limit users of an account for whom something waits in the queue,
// ascending by openid, beginning behind the openid after.
func (j *Journal) WaitingUsers(ctx context.Context, account string, q Queue, after string, limit int) ([]string, error) {
	var query string
	switch q {
	case Pushes:
		query = pushUsers
	case Replies:
		query = replyUsers
	default:
		return nil, fmt.Errorf("reading waiting users: no queue %d", q)
	}
	var list []string
	err := j.search(ctx, "reading waiting users", query, func(rows *sql.Rows) error {
		var openid string
		err := rows.Scan(&openid)
		list = append(list, openid)
		return err
	}, account, after, limit)
	if err != nil {
		return nil, err
	}
	return list, nil
}

// WaitingFiles returns up to limit waiting pushes of an account that came with a file, in the order of
// their arrival, beginning behind the id after: their ids and users only.
func (j *Journal) WaitingFiles(ctx context.Context, account string, after int64, limit int) ([]Push, error) {
	var list []Push
	err := j.search(ctx, "reading waiting files", filePushes, func(rows *sql.Rows) error {
		p := Push{Account: account}
		err := rows.Scan(&p.ID, &p.OpenID)
		list = append(list, p)
		return err
	}, account, after, limit)
	if err != nil {
		return nil, err
	}
	return list, nil
}

// CountWaiting counts an account's waiting pushes, waiting replies and parked replies. It reads an
// index entry for each: of the order of 100 ms for a million.
func (j *Journal) CountWaiting(ctx context.Context, account string) (pushes, replies, parked int64, err error) {
	err = j.search(ctx, "counting what waits", countWaiting, func(rows *sql.Rows) error {
		return rows.Scan(&pushes, &replies, &parked)
	}, account)
	return pushes, replies, parked, err
}
