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

	// Trace is the trace it belongs to, as in the header traceparent; empty for none.
	Trace string

	// Leaves says that the user left by it, at ReceivedAt. What is known of the user is deleted with the
	// append, whatever waits before the push: waiting and parked replies, choices and the profile;
	// allowances end. Media is deleted by whoever reads Leavers.
	Leaves bool

	// Returns says that the user came, or came back, by it, at ReceivedAt: an allowance is opened with
	// the append.
	Returns bool
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

	// Trace is the trace that what the bot says next to the user, who is known, belongs to. Empty leaves
	// what there is.
	Trace string

	// GrantAt is when the user did it, and Grant the allowance that was opened by it.
	Grant   Grant
	GrantAt time.Time
}

// Claim is what became of a push that was appended.
type Claim struct {
	// ID is the push's; if it was known, the earlier one's.
	ID int64

	// Fresh says that its key had not been claimed before.
	Fresh bool

	// Attempts is how often it was appended, this time included, counting only calls that asked to count.
	Attempts int

	// Answer is the passive reply that was recorded for it, nil for none.
	Answer []byte
}

// Limits are written "$n + 0": SQLite looks into a bare parameter to plan with its value, and so
// prepares the statement anew each time that it is bound. (SQLite: sqlite3ExprIsInteger.)
const (
	insertPush = `INSERT INTO pushes (account, openid, dedup, kind, received_at, body) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (account, dedup) DO NOTHING`
	insertTracedPush = `INSERT INTO pushes (account, openid, dedup, kind, received_at, body, trace) VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (account, dedup) DO NOTHING`
	findPush     = `SELECT id, attempts, answer FROM pushes WHERE account = $1 AND dedup = $2`
	countPush    = `UPDATE pushes SET attempts = attempts + 1 WHERE id = $1`
	answerPush   = `UPDATE pushes SET answer = $2 WHERE id = $1`
	selectPushes = `SELECT id, dedup, kind, received_at, body, trace FROM pushes
		WHERE account = $1 AND openid = $2 AND state = 0 AND id > $3 ORDER BY id LIMIT $4 + 0`
	finishPush = `UPDATE pushes SET state = 1, handled_at = $2 WHERE id = $1 AND state = 0`
	copyPush   = `INSERT INTO dead (account, openid, kind, ref, reason, at, body)
		SELECT account, openid, 'push', dedup, CAST($2 AS TEXT), CAST($3 AS BIGINT), body FROM pushes WHERE id = $1 AND state = 0`
	buryPush = `UPDATE pushes SET state = 2, handled_at = $2, body = NULL WHERE id = $1 AND state = 0`
)

// AppendPush claims the push's key and appends it, durably when it returns. If the key has been
// claimed before, the claim is not fresh, and nothing changes but, with count, the number of attempts.
// While the journal is full, what is not known is refused with ErrFull.
// p.Body must not be modified afterwards, not even if ctx ended first.
func (j *Journal) AppendPush(ctx context.Context, p Push, count bool) (Claim, error) {
	if !count {
		if c, ok := j.claims.find(p.Account, p.Key, j.now(), time.Duration(j.keep.Load())); ok {
			return c, nil
		}
	}
	if err := j.admit(ctx, p.Account, p.Key); err != nil {
		return Claim{}, err
	}
	o, ok := j.appendings.Get().(*appending)
	if !ok {
		o = new(appending)
		o.operation = newOperation(o.run)
	}
	o.p, o.count, o.at, o.now, o.insert = p, count, j.or(p.ReceivedAt), millis(j.now()), j.dialect.insert
	answered, err := j.submit(ctx, "appending push", o.operation)
	var c Claim
	if answered { // until then it is the writer's
		c = o.claim
		o.reset()
		j.appendings.Put(o)
	}
	if err != nil {
		return Claim{}, err
	}
	if c.Fresh {
		j.claims.note(p.Account, p.Key, c.ID, j.now())
	} else if count {
		j.claims.changed(c.ID)
	}
	return c, nil
}

// appending is the operation of AppendPush. There are many: it is used again.
type appending struct {
	*operation
	p      Push
	count  bool
	at     int64 // when it came
	now    int64
	insert func(t *tx, statement string, args ...any) (int64, bool, error)
	claim  Claim
}

// reset makes an operation that was answered fit to be used again.
func (o *appending) reset() {
	o.p, o.claim = Push{}, Claim{}
	o.state.Store(opQueued)
}

func (o *appending) run(t *tx) error {
	p, c := &o.p, &o.claim
	*c = Claim{Attempts: 1}
	var err error
	if p.Trace == "" { // as a rule: one value less to hand over
		c.ID, c.Fresh, err = o.insert(t, insertPush, p.Account, p.OpenID, p.Key, p.Kind, o.at, p.Body)
	} else {
		c.ID, c.Fresh, err = o.insert(t, insertTracedPush, p.Account, p.OpenID, p.Key, p.Kind, o.at, p.Body, p.Trace)
	}
	if c.Fresh {
		t.appended = max(t.appended, c.ID)
	}
	switch {
	case err != nil:
		return err
	case c.Fresh && p.Leaves:
		return leave(t, p.Account, p.OpenID, o.at, o.now)
	case c.Fresh && p.Returns:
		_, err = t.exec(grantAction, p.Account, p.OpenID, o.at)
		return err
	case c.Fresh:
		return nil
	}
	if err = t.row(findPush, []any{&c.ID, &c.Attempts, &c.Answer}, p.Account, p.Key); err != nil || !o.count {
		return err
	}
	c.Attempts++
	_, err = t.exec(countPush, c.ID)
	return err
}

// NextPushes returns up to limit waiting pushes of a user in the order of their arrival, beginning
// behind the id after.
func (j *Journal) NextPushes(ctx context.Context, account, openid string, after int64, limit int) ([]Push, error) {
	var list []Push
	err := j.read(ctx, "reading pushes", selectPushes, func(rows *sql.Rows) error {
		p := Push{Account: account, OpenID: openid}
		var at int64
		err := rows.Scan(&p.ID, &p.Key, &p.Kind, &at, &p.Body, &p.Trace)
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
	return j.write(ctx, "recording handled push", func(t *tx) error {
		if _, err := t.exec(finishPush, d.ID, at); err != nil {
			return err
		}
		return follow(t, &d, at)
	})
}

// PushDead makes a dead letter of a waiting push, and records what follows from it all the same. The
// reason is for the operator and holds no secret.
func (j *Journal) PushDead(ctx context.Context, d PushDone, reason string) error {
	at := j.or(d.At)
	return j.write(ctx, "burying push", func(t *tx) error {
		if _, err := t.exec(copyPush, d.ID, reason, at); err != nil {
			return err
		}
		if _, err := t.exec(buryPush, d.ID, at); err != nil {
			return err
		}
		return follow(t, &d, at)
	})
}

// follow records what follows from a push that is done with.
func follow(t *tx, d *PushDone, at int64) error {
	var active int64
	if d.Active {
		active = at
	}
	if active > 0 || !d.Floor.IsZero() {
		if err := touch(t, d.Account, d.OpenID, active, d.Floor); err != nil {
			return err
		}
	}
	if d.Trace != "" {
		if _, err := t.exec(setTrace, d.Account, d.OpenID, d.Trace, at); err != nil {
			return err
		}
	}
	if statement, ok := grants[d.Grant]; ok {
		if _, err := t.exec(statement, d.Account, d.OpenID, millis(d.GrantAt)); err != nil {
			return err
		}
	}
	return nil
}
