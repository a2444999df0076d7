package journal

import (
	"context"
	"database/sql"
)

const (
	selectNextReply = `SELECT id, message_id, created_at, received_at, step, payload,
			CASE WHEN EXISTS (SELECT 1 FROM replies p WHERE p.account = $1 AND p.openid = $2 AND p.state = 2) THEN 1 ELSE 0 END
		FROM replies WHERE account = $1 AND openid = $2 AND state = 0 ORDER BY created_at, message_id LIMIT 1`
	parkBehind = `UPDATE replies SET state = 2 WHERE account = $1 AND openid = $2 AND state = 0
		AND EXISTS (SELECT 1 FROM replies p WHERE p.account = $1 AND p.openid = $2 AND p.state = 2)`
)

// NextReply returns a user's first waiting reply in the bot's order, and whether replies of the user
// were parked at that moment: then it may not go out before them.
func (j *Journal) NextReply(ctx context.Context, account, openid string) (r Reply, found, parked bool, err error) {
	err = j.read(ctx, "reading reply", selectNextReply, func(rows *sql.Rows) error {
		r = Reply{Account: account, OpenID: openid}
		var created, received int64
		err := rows.Scan(&r.ID, &r.MessageID, &created, &received, &r.Step, &r.Payload, &parked)
		r.CreatedAt, r.ReceivedAt = moment(created), moment(received)
		found = true
		return err
	}, account, openid)
	if err != nil {
		return Reply{}, false, false, err
	}
	return r, found, parked, nil
}

// ParkBehind parks a user's waiting replies if some are parked already. It returns how many it
// parked: none means that nothing is parked any more, or nothing waits.
func (j *Journal) ParkBehind(ctx context.Context, account, openid string) (int64, error) {
	return j.change(ctx, "parking replies", func(t *tx) (int64, error) { return t.exec(parkBehind, account, openid) })
}
