package journal

import (
	"context"
	"database/sql"
)

const (
	selectKey = `SELECT generation, issued FROM keys WHERE account = $1 AND openid = $2 AND bot = $3`
	upsertKey = `INSERT INTO keys (account, openid, bot, generation, issued) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (account, openid, bot) DO UPDATE SET generation = excluded.generation, issued = excluded.issued`
)

// Key returns the key that a bot has issued for a user, and the generation of the user that it is for; an
// empty one if there is none.
func (j *Journal) Key(ctx context.Context, account, openid, bot string) (generation int, key string, err error) {
	err = j.read(ctx, "reading key", selectKey, func(rows *sql.Rows) error {
		return rows.Scan(&generation, &key)
	}, account, openid, bot)
	if err != nil {
		return 0, "", err
	}
	return generation, key, nil
}

// PutKey records a key that a bot has issued, instead of the one before, which is of no use any more. It is kept for
// good: the bot does not give it again.
func (j *Journal) PutKey(ctx context.Context, account, openid, bot string, generation int, key string) error {
	return j.write(ctx, "recording key", func(t *tx) error {
		_, err := t.exec(upsertKey, account, openid, bot, generation, key)
		return err
	})
}
