package journal

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"
)

// choiceKeep is how long choices are remembered. A tap counts for a day, and may have waited for the
// bot; what is typed counts as long as nothing else was shown, which may be long.
const choiceKeep = 30 * 24 * time.Hour

// Option is one answer that a bot offers.
type Option struct {
	// Number is what the user may type, counted from 1.
	Number int `json:"n"`

	// Label is what the user reads, Value what the bot gets.
	Label string `json:"label"`
	Value string `json:"value"`
}

// Choice are the options that a reply offers to a user.
type Choice struct {
	// Account and OpenID are the user's.
	Account, OpenID string

	// Ref tells the choice from others of the user.
	Ref string

	// MessageID is the reply's.
	MessageID string

	// At is when it was shown, to the millisecond.
	At time.Time

	// Answers is the push in answer to which it was shown, 0 for none.
	Answers int64

	Options []Option

	// Decided is when it was decided to show it. If the user has left since, nothing is recorded. Zero
	// means that this does not matter.
	Decided time.Time
}

const (
	upsertChoice = `INSERT INTO choices (account, openid, ref, message_id, at, answers, options) VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (account, openid, ref) DO UPDATE SET at = excluded.at, over_at = 0, answers = excluded.answers, options = excluded.options`
	endChoices   = `UPDATE choices SET over_at = $4 WHERE account = $1 AND openid = $2 AND over_at = 0 AND message_id <> $3`
	selectChoice = `SELECT ref, message_id, at, answers, options FROM choices
		WHERE account = $1 AND openid = $2 AND ref = $3`
	// What was shown in the same millisecond, nobody can have read before they wrote.
	selectLatest = `SELECT ref, message_id, at, answers, options FROM choices
		WHERE account = $1 AND openid = $2 AND at <= $3 AND (over_at = 0 OR over_at >= $3) AND answers < $4
		ORDER BY at DESC LIMIT 1`
	forgetChoices = `DELETE FROM choices WHERE account = $1 AND openid = $2`
	dropChoice    = `DELETE FROM choices WHERE account = $1 AND openid = $2 AND ref = $3`
	oldChoices    = `SELECT 1 FROM choices WHERE at < $1 LIMIT 1`
	pruneChoices  = `DELETE FROM choices WHERE (account, openid, ref) IN
		(SELECT account, openid, ref FROM choices WHERE at < $1 ORDER BY at LIMIT $2 + 0)`
)

// Offer records a choice that is about to be shown, or is shown again. Durable when it returns: an
// answer may come at once.
func (j *Journal) Offer(ctx context.Context, c Choice) error {
	options, err := json.Marshal(c.Options)
	if err != nil {
		return fmt.Errorf("encoding options: %w", err)
	}
	at := j.or(c.At)
	return j.write(ctx, "recording choice", func(t *tx) error {
		if !c.Decided.IsZero() {
			if left, err := leftSince(t, c.Account, c.OpenID, millis(c.Decided)); left || err != nil {
				return err
			}
		}
		_, err := t.exec(upsertChoice, c.Account, c.OpenID, c.Ref, c.MessageID, at, c.Answers, options)
		return err
	})
}

// Withdraw forgets choices of a user that were not shown after all.
func (j *Journal) Withdraw(ctx context.Context, account, openid string, refs []string) error {
	return j.write(ctx, "withdrawing choice", func(t *tx) error {
		for _, ref := range refs {
			if _, err := t.exec(dropChoice, account, openid, ref); err != nil {
				return err
			}
		}
		return nil
	})
}

// Choice returns one of a user's choices, and whether it is remembered.
func (j *Journal) Choice(ctx context.Context, account, openid, ref string) (Choice, bool, error) {
	return j.choice(ctx, selectChoice, account, openid, ref)
}

// LatestChoice returns the choice that was the newest thing the bot had shown to a user when a push was
// received, and whether there was one.
func (j *Journal) LatestChoice(ctx context.Context, account, openid string, at time.Time, push int64) (Choice, bool, error) {
	return j.choice(ctx, selectLatest, account, openid, millis(at), push)
}

// choice runs a query for at most one choice, whose first two arguments are the user.
func (j *Journal) choice(ctx context.Context, query, account, openid string, args ...any) (c Choice, found bool, err error) {
	err = j.read(ctx, "reading choice", query, func(rows *sql.Rows) error {
		c = Choice{Account: account, OpenID: openid}
		var at int64
		var options []byte
		if err := rows.Scan(&c.Ref, &c.MessageID, &at, &c.Answers, &options); err != nil {
			return err
		}
		c.At = moment(at)
		found = json.Unmarshal(options, &c.Options) == nil
		return nil
	}, append([]any{account, openid}, args...)...)
	if err != nil {
		return Choice{}, false, err
	}
	return c, found, nil
}

// shown notes that a reply was shown: the choices of others are not the bot's latest message any more.
func shown(t *tx, account, openid, messageID string, at int64) error {
	if messageID == "" {
		return nil
	}
	_, err := t.exec(endChoices, account, openid, messageID, at)
	return err
}
