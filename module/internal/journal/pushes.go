package journal

import (
	"context"
	"database/sql"
	"time"
)

// Push is a message or event as WeChat sent it.
type Push struct {
	// ID is given by AppendPush. Ids grow in the order of arrival and are never given twice.
	ID int64

	// Account and OpenID say whose push it is: the appid and the user.
	Account, OpenID string

	// Key is the de-duplication key within the account.
	Key string

	// Kind is the push's type, for whoever reads the database; the journal does not interpret it.
	Kind string

	// ReceivedAt is when it came, to the millisecond. Zero means now.
	ReceivedAt time.Time

	// Body is the push itself.
	Body []byte
}

// PushDone is the effect of a push that the bot has taken, or that needed no bot.
type PushDone struct {
	// ID, Account and OpenID are those of the push.
	ID              int64
	Account, OpenID string

	// At is when it happened. Zero means now.
	At time.Time

	// Floor becomes the user's watermark if there is none yet. Zero leaves it.
	Floor Mark

	// Active says that the user's conversation was active at At.
	Active bool

	// Forget says that the user has left: parked replies are deleted. Their message ids stay, or the
	// next listing would bring them back.
	Forget bool
}

const (
	insertPush = `INSERT INTO pushes (account, openid, dedup, kind, received_at, body) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (account, dedup) DO NOTHING`
	findPush     = `SELECT id FROM pushes WHERE account = $1 AND dedup = $2`
	selectPushes = `SELECT id, dedup, kind, received_at, body FROM pushes
		WHERE account = $1 AND openid = $2 AND state = 0 AND id > $3 ORDER BY id LIMIT $4`
	finishPush = `UPDATE pushes SET state = 1, handled_at = $2 WHERE id = $1 AND state = 0`
	copyPush   = `INSERT INTO dead (account, openid, kind, ref, reason, at, body)
		SELECT account, openid, 'push', dedup, CAST($2 AS TEXT), CAST($3 AS BIGINT), body FROM pushes WHERE id = $1 AND state = 0`
	buryPush = `UPDATE pushes SET state = 2, handled_at = $2, body = NULL WHERE id = $1 AND state = 0`
)

// AppendPush claims the push's key and appends it, durably when it returns. If the key has been
// claimed before, fresh is false, id is the earlier push's, and nothing changes. p.Body must not be
// modified afterwards, not even if ctx ended first.
func (j *Journal) AppendPush(ctx context.Context, p Push) (id int64, fresh bool, err error) {
	at := j.or(p.ReceivedAt)
	err = j.write(ctx, "appending push", func(t *tx) error {
		var err error
		id, fresh, err = j.dialect.insert(t, insertPush, p.Account, p.OpenID, p.Key, p.Kind, at, p.Body)
		if err == nil && !fresh {
			err = t.row(findPush, []any{&id}, p.Account, p.Key)
		}
		return err
	})
	if err != nil {
		return 0, false, err
	}
	return id, fresh, nil
}

// NextPushes returns up to limit waiting pushes of a user in the order of their arrival, beginning
// behind the id after.
func (j *Journal) NextPushes(ctx context.Context, account, openid string, after int64, limit int) ([]Push, error) {
	var list []Push
	err := j.read(ctx, "reading pushes", selectPushes, func(rows *sql.Rows) error {
		p := Push{Account: account, OpenID: openid}
		var at int64
		err := rows.Scan(&p.ID, &p.Key, &p.Kind, &at, &p.Body)
		p.ReceivedAt = moment(at)
		list = append(list, p)
		return err
	}, account, openid, after, limit)
	if err != nil {
		return nil, err
	}
	return list, nil
}

// PushDone records that a push is handled, with what follows from it, in one transaction. For a push
// that is not waiting, or unknown, only what follows is recorded.
func (j *Journal) PushDone(ctx context.Context, d PushDone) error {
	at := j.or(d.At)
	var active int64
	if d.Active {
		active = at
	}
	return j.write(ctx, "recording handled push", func(t *tx) error {
		if _, err := t.exec(finishPush, d.ID, at); err != nil {
			return err
		}
		if active > 0 || !d.Floor.IsZero() {
			if err := touch(t, d.Account, d.OpenID, active, d.Floor); err != nil {
				return err
			}
		}
		if d.Forget {
			_, err := t.exec(forgetParked, d.Account, d.OpenID, at)
			return err
		}
		return nil
	})
}

// PushDead makes a dead letter of a waiting push. The reason is for the operator and holds no secret.
// Of a push that is not waiting nothing is recorded.
func (j *Journal) PushDead(ctx context.Context, id int64, reason string) error {
	at := millis(j.now())
	return j.write(ctx, "burying push", func(t *tx) error {
		if _, err := t.exec(copyPush, id, reason, at); err != nil {
			return err
		}
		_, err := t.exec(buryPush, id, at)
		return err
	})
}
