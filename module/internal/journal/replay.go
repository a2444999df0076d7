package journal

import (
	"context"
	"database/sql"
	"errors"
)

// MaxReplay is how many dead letters one call of Replay or DropDead takes at most: as long as it
// runs, other writes wait.
const MaxReplay = 100

// Replayed is a dead letter that waits again.
type Replayed struct {
	ID     int64 // of the dead letter that was
	OpenID string
	Kind   string // DeadPush or DeadReply
}

// A row that became a dead letter is still there, without its body, for its key; it keeps its place
// in the queue. Pruning may have taken it: then a new one is made.
const (
	selectDeadRef = `SELECT openid, kind, ref FROM dead WHERE id = $1 AND account = $2`

	revivePush = `UPDATE pushes SET state = 0, handled_at = 0, body = (SELECT body FROM dead WHERE id = $3)
		WHERE account = $1 AND dedup = $2 AND state = 2`
	remakePush = `INSERT INTO pushes (account, openid, dedup, kind, received_at, body)
		SELECT account, openid, ref, kind, at, body FROM dead WHERE id = $1
		ON CONFLICT (account, dedup) DO NOTHING`

	// One that was given up only in part is done, or still under way. Done, it goes out once more, as
	// a whole: which part it was is not known.
	reviveReply = `UPDATE replies SET handled_at = 0, payload = (SELECT body FROM dead WHERE id = $3),
			step = CASE WHEN state = 3 THEN step ELSE 0 END, cut = CASE WHEN state = 3 THEN cut ELSE 0 END, state = 0
		WHERE account = $1 AND message_id = $2 AND state IN (1, 3)`
	remakeReply = `INSERT INTO replies (account, openid, message_id, created_at, received_at, payload)
		SELECT account, openid, ref, at AS created_at, at AS received_at, body FROM dead WHERE id = $1
		ON CONFLICT (account, message_id) DO NOTHING`

	// The highest id is never given twice as long as its row stays: that one is emptied, and belongs
	// to no account any more.
	emptyDead  = `UPDATE dead SET account = '', openid = '', ref = '', reason = '', body = NULL WHERE id = $1 AND account = $2 AND id = (SELECT max(id) FROM dead)`
	deleteDead = `DELETE FROM dead WHERE id = $1 AND account = $2`

	dropParked = `UPDATE replies SET state = 1, handled_at = $3, payload = NULL WHERE account = $1 AND openid = $2 AND state = 2`
)

// Replay makes dead letters of an account wait again, at most MaxReplay, in one transaction: a push
// for the bot, in its place among its user's pushes and with its key claimed as before; a reply for
// the user. They are no dead letters any more then. Ids that are not known, letters that are still
// under way, and bodies that never became a push are left alone.
func (j *Journal) Replay(ctx context.Context, account string, ids []int64) ([]Replayed, error) {
	var all []Replayed
	err := j.write(ctx, "replaying dead letters", func(t *tx) error {
		all = nil
		for _, id := range ids[:min(len(ids), MaxReplay)] {
			r := Replayed{ID: id}
			var ref string
			err := t.row(selectDeadRef, []any{&r.OpenID, &r.Kind, &ref}, id, account)
			if errors.Is(err, sql.ErrNoRows) {
				continue
			}
			if err != nil {
				return err
			}
			ok, err := revive(t, account, id, r.Kind, ref)
			if err != nil {
				return err
			}
			if !ok {
				continue
			}
			if _, err := removeDead(t, account, id); err != nil {
				return err
			}
			all = append(all, r)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

// revive puts a dead letter's row back into its queue. It is false if there is nothing to put back.
func revive(t *tx, account string, id int64, kind, ref string) (bool, error) {
	old, anew := revivePush, remakePush
	switch kind {
	case DeadPush:
	case DeadReply:
		old, anew = reviveReply, remakeReply
	default:
		return false, nil
	}
	n, err := t.exec(old, account, ref, id)
	if err == nil && n == 0 {
		n, err = t.exec(anew, id)
	}
	return n > 0, err
}

// removeDead removes a dead letter and tells whether there was one.
func removeDead(t *tx, account string, id int64) (bool, error) {
	n, err := t.exec(emptyDead, id, account)
	if err == nil && n == 0 {
		n, err = t.exec(deleteDead, id, account)
	}
	return n > 0, err
}

// DropDead deletes dead letters of an account, at most MaxReplay, and tells how many there were.
func (j *Journal) DropDead(ctx context.Context, account string, ids []int64) (int64, error) {
	return j.change(ctx, "dropping dead letters", func(t *tx) (int64, error) {
		var n int64
		for _, id := range ids[:min(len(ids), MaxReplay)] {
			ok, err := removeDead(t, account, id)
			if err != nil {
				return 0, err
			}
			if ok {
				n++
			}
		}
		return n, nil
	})
}

// DropParked lets go of a user's parked replies and tells how many. Their message ids stay known.
func (j *Journal) DropParked(ctx context.Context, account, openid string) (int64, error) {
	at := millis(j.now())
	return j.change(ctx, "dropping parked replies", func(t *tx) (int64, error) {
		return t.exec(dropParked, account, openid, at)
	})
}
