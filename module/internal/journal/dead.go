package journal

import (
	"context"
	"database/sql"
	"time"
)

// Kinds of dead letters.
const (
	DeadPush  = "push"  // Ref is the push's key, Body its body
	DeadReply = "reply" // Ref is the bot's message id, Body the payload
	DeadBody  = "body"  // what never became a push; Body is as received
)

// Dead is a dead letter: what could not be handled and waits for the operator, for 30 days.
type Dead struct {
	// ID is given by the journal and grows.
	ID int64

	// Account and OpenID say whose it is; OpenID is empty where that is not known.
	Account, OpenID string

	// Kind is DeadPush, DeadReply or DeadBody.
	Kind string

	// Ref is the id under which it came; of a DeadBody, what tells it from others.
	Ref string

	// Reason is a sentence for the operator, without secrets.
	Reason string

	// At is when it was given up. Zero means now.
	At time.Time

	// Body is the letter.
	Body []byte
}

const (
	insertBuried = `INSERT INTO pushes (account, openid, dedup, kind, received_at, state, handled_at) VALUES ($1, $2, $3, $4, $5, 1, $5)
		ON CONFLICT (account, dedup) DO NOTHING`
	insertDead = `INSERT INTO dead (account, openid, kind, ref, reason, at, body) VALUES ($1, $2, $3, $4, $5, $6, $7)`
	selectDead = `SELECT id, openid, kind, ref, reason, at, body FROM dead
		WHERE account = $1 AND id > $2 ORDER BY id LIMIT $3 + 0`
)

// Bury records a dead letter that was never a row of a queue, durably when it returns. A DeadBody with
// a Ref is recorded once: that it was is remembered like a handled push. fresh tells whether it was
// recorded. While the journal is full, what is not known is refused with ErrFull. d.Body must not be
// modified afterwards.
func (j *Journal) Bury(ctx context.Context, d Dead) (fresh bool, err error) {
	if err := j.admit(ctx, d.Account, buriedKey(d.Ref)); err != nil {
		return false, err
	}
	at := j.or(d.At)
	n, err := j.change(ctx, "recording dead letter", func(t *tx) (int64, error) {
		if d.Kind == DeadBody && d.Ref != "" {
			id, fresh, err := j.dialect.insert(t, insertBuried, d.Account, d.OpenID, buriedKey(d.Ref), d.Kind, at)
			if err != nil || !fresh {
				return 0, err
			}
			t.appended = max(t.appended, id)
		}
		return t.exec(insertDead, d.Account, d.OpenID, d.Kind, d.Ref, d.Reason, at, d.Body)
	})
	return n > 0, err
}

// buriedKey is under which key a letter is known that was no push.
func buriedKey(ref string) string { return "body/" + ref }

// Dead returns up to limit dead letters of an account, oldest first, beginning behind the id after.
func (j *Journal) Dead(ctx context.Context, account string, after int64, limit int) ([]Dead, error) {
	var list []Dead
	err := j.read(ctx, "reading dead letters", selectDead, func(rows *sql.Rows) error {
		d := Dead{Account: account}
		var at int64
		err := rows.Scan(&d.ID, &d.OpenID, &d.Kind, &d.Ref, &d.Reason, &at, &d.Body)
		d.At = moment(at)
		list = append(list, d)
		return err
	}, account, after, limit)
	if err != nil {
		return nil, err
	}
	return list, nil
}
