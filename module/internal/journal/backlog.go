package journal

import (
	"context"
	"database/sql"
	"time"
)

// Backlog is what waits of an account.
type Backlog struct {
	Pushes, Replies, Parked, Dead int64

	// OldestPush and OldestReply are when the oldest that waits was received, zero if none does.
	OldestPush, OldestReply time.Time
}

// The partial indexes hold the ids: nothing else is read, and the two oldest rows.
const selectBacklog = `WITH
	p (n, first) AS (SELECT count(*), min(id) FROM pushes WHERE account = $1 AND state = 0),
	r (n, first) AS (SELECT count(*), min(id) FROM replies WHERE account = $1 AND state = 0)
	SELECT p.n, COALESCE((SELECT received_at FROM pushes WHERE id = p.first), 0),
		r.n, COALESCE((SELECT received_at FROM replies WHERE id = r.first), 0),
		(SELECT count(*) FROM replies WHERE account = $1 AND state = 2),
		(SELECT count(*) FROM dead WHERE account = $1)
	FROM p, r`

// Backlog counts what waits of an account. It reads an index entry for each: of the order of 100 ms
// for a million. It ends with ctx.
func (j *Journal) Backlog(ctx context.Context, account string) (b Backlog, err error) {
	err = j.search(ctx, "counting what waits", selectBacklog, func(rows *sql.Rows) error {
		var push, reply int64
		err := rows.Scan(&b.Pushes, &push, &b.Replies, &reply, &b.Parked, &b.Dead)
		b.OldestPush, b.OldestReply = moment(push), moment(reply)
		return err
	}, account)
	return b, err
}
