package journal

import (
	"context"
	"time"
)

// Grant names an allowance of messages that something the user did has opened.
type Grant int

const (
	// GrantNone is none.
	GrantNone Grant = iota

	// GrantAction was opened by a tap, a follow or a scan.
	GrantAction

	// GrantMessage was opened by a message.
	GrantMessage
)

// Clock is an allowance: when it was opened, zero for never, and how much of it is used.
type Clock struct {
	Since time.Time
	Used  int
}

// usedUp is how much is used of an allowance that WeChat says is used up, whatever had been counted.
const usedUp = 1 << 30

const (
	grantMessage = `INSERT INTO users (account, openid, message_at) VALUES ($1, $2, $3)
		ON CONFLICT (account, openid) DO UPDATE SET message_at = excluded.message_at, message_used = 0
		WHERE users.message_at < excluded.message_at AND users.left_at < excluded.message_at`
	grantAction = `INSERT INTO users (account, openid, action_at) VALUES ($1, $2, $3)
		ON CONFLICT (account, openid) DO UPDATE SET action_at = excluded.action_at, action_used = 0
		WHERE users.action_at < excluded.action_at AND users.left_at < excluded.action_at`
	spendMessage = `UPDATE users SET message_used = CASE WHEN message_at = $3 THEN message_used + 1 ELSE 1 END, message_at = $3
		WHERE account = $1 AND openid = $2 AND message_at <= $3`
	spendAction = `UPDATE users SET action_used = CASE WHEN action_at = $3 THEN action_used + 1 ELSE 1 END, action_at = $3
		WHERE account = $1 AND openid = $2 AND action_at <= $3`
	exhaust = `UPDATE users SET
			message_at = CASE WHEN message_at <= $3 THEN $3 ELSE message_at END,
			message_used = CASE WHEN message_at <= $3 THEN $5 ELSE message_used END,
			action_at = CASE WHEN action_at <= $4 THEN $4 ELSE action_at END,
			action_used = CASE WHEN action_at <= $4 THEN $5 ELSE action_used END
		WHERE account = $1 AND openid = $2`
)

var (
	grants    = map[Grant]string{GrantMessage: grantMessage, GrantAction: grantAction}
	spendings = map[Grant]string{GrantMessage: spendMessage, GrantAction: spendAction}
)

// Exhaust records that WeChat says a user's allowances are used up: those that were opened at the
// times given, and older ones. Newer ones are left alone.
func (j *Journal) Exhaust(ctx context.Context, account, openid string, message, action time.Time) error {
	return j.write(ctx, "recording spent allowance", func(t *tx) error {
		_, err := t.exec(exhaust, account, openid, millis(message), millis(action), usedUp)
		return err
	})
}
