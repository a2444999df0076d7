package journal

import (
	"context"
	"database/sql"
)

// Fate is what has become of a reply.
type Fate int

// The fates of a reply, as they are stored.
const (
	FateWaiting Fate = iota
	FateDone         // all of it went out, or there is nobody any more to read it
	FateParked
	FateDead
)

const selectFate = `SELECT state FROM replies WHERE account = $1 AND message_id = $2`

// ReplyFate tells what has become of a reply, and whether it is known (still).
func (j *Journal) ReplyFate(ctx context.Context, account, messageID string) (f Fate, known bool, err error) {
	err = j.read(ctx, "reading reply", selectFate, func(rows *sql.Rows) error {
		known = true
		return rows.Scan(&f)
	}, account, messageID)
	return f, known, err
}
