package journal

import (
	"context"
	"database/sql"
)

const (
	selectState = `SELECT value FROM state WHERE account = $1 AND name = $2`
	claimState  = `INSERT INTO state (account, name, value) VALUES ($1, $2, $3) ON CONFLICT (account, name) DO NOTHING`
	upsertState = `INSERT INTO state (account, name, value) VALUES ($1, $2, $3)
		ON CONFLICT (account, name) DO UPDATE SET value = excluded.value`
)

// State returns a small durable fact of an account, and whether it is recorded.
func (j *Journal) State(ctx context.Context, account, name string) (value string, found bool, err error) {
	err = j.read(ctx, "reading state", selectState, func(rows *sql.Rows) error {
		found = true
		return rows.Scan(&value)
	}, account, name)
	if err != nil {
		return "", false, err
	}
	return value, found, nil
}

// SetState records a small durable fact of an account, instead of what the name held before.
func (j *Journal) SetState(ctx context.Context, account, name, value string) error {
	return j.write(ctx, "recording state", func(t *tx) error {
		_, err := t.exec(upsertState, account, name, value)
		return err
	})
}

// ClaimState records a fact unless the name holds one already, and returns what it holds.
func (j *Journal) ClaimState(ctx context.Context, account, name, value string) (string, error) {
	var held string // the writer's until it has answered
	err := j.write(ctx, "claiming state", func(t *tx) error {
		if _, err := t.exec(claimState, account, name, value); err != nil {
			return err
		}
		return t.row(selectState, []any{&held}, account, name)
	})
	if err != nil {
		return "", err
	}
	return held, nil
}
