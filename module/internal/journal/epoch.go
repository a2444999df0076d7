package journal

import (
	"context"
	"database/sql"
	"errors"
	"strconv"
)

const (
	stateEpoch = "epoch"

	lastPush = `SELECT COALESCE(MAX(id), 0) FROM pushes`
	setEpoch = `UPDATE users SET epoch = $3 WHERE account = $1 AND openid = $2 AND epoch <> $3`
)

// Begin notes that an account starts to work. It returns the number of this start, from 1 on, and the
// id of the last push that was appended before it, 0 if none was.
func (j *Journal) Begin(ctx context.Context, account string) (epoch, last int64, err error) {
	var n, pushes int64 // the writer's until it has answered
	err = j.write(ctx, "beginning", func(t *tx) error {
		var before string
		err := t.row(selectState, []any{&before}, account, stateEpoch)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		n, _ = strconv.ParseInt(before, 10, 64) // nothing else writes it
		n++
		if _, err := t.exec(upsertState, account, stateEpoch, strconv.FormatInt(n, 10)); err != nil {
			return err
		}
		return t.row(lastPush, []any{&pushes})
	})
	if err != nil {
		return 0, 0, err
	}
	return n, pushes, nil
}
