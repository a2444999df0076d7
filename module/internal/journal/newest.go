package journal

import (
	"context"
	"database/sql"
	"time"
)

// No index finds an account's newest rows, and none is worth its cost: of the newest of
// all accounts, 20000 at most are looked at, from the end. The || keeps SQLite from looking
// through all of the account's keys instead.
const (
	newestPush = `SELECT received_at FROM pushes
		WHERE id > (SELECT COALESCE(MAX(id), 0) FROM pushes) - 20000 AND account || '' = $1 ORDER BY id DESC LIMIT 1`
	newestReply = `SELECT received_at FROM replies
		WHERE id > (SELECT COALESCE(MAX(id), 0) FROM replies) - 20000 AND account || '' = $1 ORDER BY id DESC LIMIT 1`
)

// Newest tells when the last push and the last reply of an account came; zero for none. Those of an
// account are not found behind 20000 later ones of others.
func (j *Journal) Newest(ctx context.Context, account string) (push, reply time.Time, err error) {
	for _, q := range []struct {
		query string
		at    *time.Time
	}{{newestPush, &push}, {newestReply, &reply}} {
		err := j.search(ctx, "reading when the last message came", q.query, func(rows *sql.Rows) error {
			var at int64
			err := rows.Scan(&at)
			*q.at = moment(at)
			return err
		}, account)
		if err != nil {
			return time.Time{}, time.Time{}, err
		}
	}
	return push, reply, nil
}
