package journal

import (
	"context"
	"database/sql"
	"time"
)

// Reply is a message of the bot on its way to a user.
type Reply struct {
	// ID is given by the journal.
	ID int64

	// Account and OpenID say whose reply it is. Appending takes them from its own arguments.
	Account, OpenID string

	// MessageID is the bot's id of the message, the de-duplication key within the account.
	MessageID string

	// CreatedAt is the bot's time of the message, to the millisecond. Replies go out in the order of
	// CreatedAt, then MessageID.
	CreatedAt time.Time

	// ReceivedAt is when it came here. Zero means now.
	ReceivedAt time.Time

	// Step is how many of its parts WeChat has accepted, and Cut how many bytes of the part behind
	// those.
	Step, Cut int

	// Payload is what the bot sent.
	Payload []byte

	// Trace is the trace it belongs to, as in the header traceparent; empty for none.
	Trace string

	// Fresh is set by appending a listing: the message id was not known.
	Fresh bool
}

func (r *Reply) mark() Mark { return Mark{At: r.CreatedAt, ID: r.MessageID} }

const (
	insertReply = `INSERT INTO replies (account, openid, message_id, created_at, received_at, payload, trace) VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (account, message_id) DO NOTHING`
	selectReplies = `SELECT id, message_id, created_at, received_at, step, cut, payload, trace,
			CASE WHEN EXISTS (SELECT 1 FROM replies p WHERE p.account = $1 AND p.openid = $2 AND p.state = 2) THEN 1 ELSE 0 END
		FROM replies WHERE account = $1 AND openid = $2 AND state = 0 ORDER BY created_at, message_id LIMIT $3 + 0`
	stepReply = `UPDATE replies SET step = $2, cut = $3 WHERE id = $1 AND state IN (0, 2)`
	doneReply = `UPDATE replies SET state = 1, handled_at = $2, payload = NULL WHERE id = $1 AND state IN (0, 2)`
	copyReply = `INSERT INTO dead (account, openid, kind, ref, reason, at, body)
		SELECT account, openid, 'reply', message_id, CAST($2 AS TEXT), CAST($3 AS BIGINT), payload FROM replies WHERE id = $1 AND state IN (0, 2)`
	buryReply   = `UPDATE replies SET state = 3, handled_at = $2, payload = NULL WHERE id = $1 AND state IN (0, 2)`
	parkAll     = `UPDATE replies SET state = 2 WHERE account = $1 AND openid = $2 AND state = 0`
	unparkAll   = `UPDATE replies SET state = 0 WHERE account = $1 AND openid = $2 AND state = 2`
	staleParked = `(SELECT id FROM replies WHERE account = $1 AND openid = $2 AND state = 2 AND created_at < $3)`
	copyStale   = `INSERT INTO dead (account, openid, kind, ref, reason, at, body)
		SELECT account, openid, 'reply', message_id, CAST($5 AS TEXT), CAST($4 AS BIGINT), payload FROM replies WHERE id IN ` + staleParked
	buryStale    = `UPDATE replies SET state = 3, handled_at = $4, payload = NULL WHERE id IN ` + staleParked
	anyParked    = `SELECT 1 FROM replies WHERE account = $1 AND openid = $2 AND state = 2 LIMIT 1`
	parkedBefore = `(SELECT id FROM replies WHERE account = $1 AND state = 2 AND created_at < $2
		ORDER BY openid, created_at, message_id LIMIT $3 + 0)`
	copyParked = `INSERT INTO dead (account, openid, kind, ref, reason, at, body)
		SELECT account, openid, 'reply', message_id, CAST($5 AS TEXT), CAST($4 AS BIGINT), payload FROM replies WHERE id IN ` + parkedBefore
	buryParked = `UPDATE replies SET state = 3, handled_at = $4, payload = NULL WHERE id IN ` + parkedBefore
	// The rows stay for their message ids.
	forgetReplies = `UPDATE replies SET state = 1, handled_at = $3, payload = NULL WHERE account = $1 AND openid = $2 AND state IN (0, 2)`
)

// AppendReplies appends replies that were delivered to us (not listed), leaves out those whose
// message id is known, and notes the conversation's activity if any was new. Durable when it returns.
// The payloads must not be modified afterwards.
func (j *Journal) AppendReplies(ctx context.Context, account, openid string, rs []Reply) (int, error) {
	if len(rs) == 0 {
		return 0, nil
	}
	fresh := 0 // the writer's until it has answered
	err := j.write(ctx, "appending replies", func(t *tx) error {
		fresh = 0
		var active int64
		for i := range rs {
			n, at, err := j.appendReply(t, account, openid, &rs[i])
			if err != nil {
				return err
			}
			if n {
				fresh++
				active = max(active, at)
			}
		}
		if fresh == 0 {
			return nil
		}
		return touch(t, account, openid, active, Mark{})
	})
	if err != nil {
		return 0, err
	}
	return fresh, nil
}

// appendReply appends one reply if it is not known, and tells when it was received.
func (j *Journal) appendReply(t *tx, account, openid string, r *Reply) (fresh bool, at int64, err error) {
	at = j.or(r.ReceivedAt)
	n, err := t.exec(insertReply, account, openid, r.MessageID, millis(r.CreatedAt), at, r.Payload, r.Trace)
	return n > 0, at, err
}

// NextReplies returns up to limit waiting replies of a user, in the bot's order, and whether others
// were parked at that moment: then none may go out before them.
func (j *Journal) NextReplies(ctx context.Context, account, openid string, limit int) (list []Reply, parked bool, err error) {
	err = j.read(ctx, "reading replies", selectReplies, func(rows *sql.Rows) error {
		r := Reply{Account: account, OpenID: openid}
		var created, received int64
		err := rows.Scan(&r.ID, &r.MessageID, &created, &received, &r.Step, &r.Cut, &r.Payload, &r.Trace, &parked)
		r.CreatedAt, r.ReceivedAt = moment(created), moment(received)
		list = append(list, r)
		return err
	}, account, openid, limit)
	if err != nil {
		return nil, false, err
	}
	return list, parked, nil
}

// ReplyDead makes a dead letter of a waiting or parked reply. The reason is for the operator and
// holds no secret.
func (j *Journal) ReplyDead(ctx context.Context, id int64, reason string) error {
	at := millis(j.now())
	return j.write(ctx, "burying reply", func(t *tx) error {
		return buryReplyAt(t, id, reason, at)
	})
}

func buryReplyAt(t *tx, id int64, reason string, at int64) error {
	if _, err := t.exec(copyReply, id, reason, at); err != nil {
		return err
	}
	_, err := t.exec(buryReply, id, at)
	return err
}

// Park takes all waiting replies of a user out of the queue until Unpark, and tells how many.
func (j *Journal) Park(ctx context.Context, account, openid string) (int64, error) {
	return j.change(ctx, "parking replies", func(t *tx) (int64, error) {
		return t.exec(parkAll, account, openid)
	})
}

// Unpark puts a user's parked replies back into the queue and tells how many. They come before what
// the bot said later. Those that the bot created before then become dead letters instead.
func (j *Journal) Unpark(ctx context.Context, account, openid string, before time.Time, reason string) (n, dead int64, err error) {
	at := millis(j.now())
	var unparked, buried int64 // the writer's until it has answered
	err = j.write(ctx, "unparking replies", func(t *tx) (err error) {
		if _, err = t.exec(copyStale, account, openid, millis(before), at, reason); err != nil {
			return err
		}
		if buried, err = t.exec(buryStale, account, openid, millis(before), at); err != nil {
			return err
		}
		unparked, err = t.exec(unparkAll, account, openid)
		return err
	})
	if err != nil {
		return 0, 0, err
	}
	return unparked, buried, nil
}

// HasParked tells whether a user has parked replies.
func (j *Journal) HasParked(ctx context.Context, account, openid string) (bool, error) {
	found := false
	err := j.read(ctx, "looking for parked replies", anyParked, func(*sql.Rows) error {
		found = true
		return nil
	}, account, openid)
	return found, err
}

// ExpireParked makes dead letters of up to limit parked replies of an account that the bot created
// before then, and tells how many; call again while it is limit.
func (j *Journal) ExpireParked(ctx context.Context, account string, before time.Time, limit int, reason string) (int64, error) {
	at := millis(j.now())
	return j.change(ctx, "burying parked replies", func(t *tx) (int64, error) {
		if _, err := t.exec(copyParked, account, millis(before), limit, at, reason); err != nil {
			return 0, err
		}
		return t.exec(buryParked, account, millis(before), limit, at)
	})
}
