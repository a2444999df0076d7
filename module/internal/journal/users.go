package journal

import (
	"cmp"
	"context"
	"database/sql"
	"time"
)

// Mark is a place in a conversation: a bot message's creation time, to the millisecond, and its id,
// in this order of weight. The zero Mark is none.
type Mark struct {
	At time.Time
	ID string
}

// IsZero tells whether m is none.
func (m Mark) IsZero() bool { return m.At.IsZero() }

// Compare returns -1, 0 or 1 as m is before, at or behind o. None is before every other.
func (m Mark) Compare(o Mark) int {
	return cmp.Or(cmp.Compare(millis(m.At), millis(o.At)), cmp.Compare(m.ID, o.ID))
}

// User is what is known of a user for good.
type User struct {
	// Account and OpenID name the user: the appid and the user's id under it.
	Account, OpenID string

	// Conversation and Bot are where the user talks; a conversation belongs to one user of an
	// account. Empty means not known yet.
	Conversation, Bot string

	// Generation counts how often user and conversation had to be made anew at the bot.
	Generation int

	// Watermark is the newest bot message up to which a listing found everything taken. Nothing at or
	// below it is taken from a listing.
	Watermark Mark

	// ActiveAt is the conversation's last activity, to the minute: it lags by up to a minute while
	// the conversation goes on.
	ActiveAt time.Time

	// Epoch is the start of the account (see [Journal.Begin]) since which the conversation has been
	// listed, or in which it began.
	Epoch int64

	// Message and Action are the allowances that the user's last message, and the last tap, follow or
	// scan, opened.
	Message, Action Clock

	// LeftAt is when the user unsubscribed; zero if that did not happen or is over.
	LeftAt time.Time

	// LastLeft is when the user last unsubscribed, also if that is over; zero if that did not happen.
	LastLeft time.Time

	// Profile is what WeChat told of the user, in whatever form SetProfile was given it; empty if that
	// did not happen, or the user has left since.
	Profile string

	// Trace is the trace of what the bot was last told by the user, as in the header traceparent, and
	// TracedAt when that was; empty if no such message belonged to one.
	Trace    string
	TracedAt time.Time
}

// activeGrain is how far active_at may lag behind, in milliseconds. Without it every push and every
// reply would rewrite the user's row.
const activeGrain = 60_000

const (
	userColumns = `openid, COALESCE(conversation, ''), generation, bot, watermark_at, watermark_id, active_at, epoch,
		message_at, message_used, action_at, action_used, left_at, profile, trace, traced_at`

	selectUser         = `SELECT ` + userColumns + ` FROM users WHERE account = $1 AND openid = $2`
	selectConversation = `SELECT ` + userColumns + ` FROM users WHERE account = $1 AND conversation = $2`
	selectActive       = `SELECT ` + userColumns + ` FROM users
		WHERE account = $1 AND openid > $3 AND active_at >= $2 ORDER BY openid LIMIT $4 + 0`

	upsertUser = `INSERT INTO users (account, openid, conversation, generation, bot, watermark_at, watermark_id, active_at, epoch)
		VALUES ($1, $2, NULLIF($3, ''), $4, $5, $6, $7, $8, $9)
		ON CONFLICT (account, openid) DO UPDATE SET
			conversation = excluded.conversation, generation = excluded.generation, bot = excluded.bot,
			watermark_id = CASE WHEN users.watermark_at = 0 OR users.bot <> excluded.bot OR users.generation <> excluded.generation
				THEN excluded.watermark_id ELSE users.watermark_id END,
			watermark_at = CASE WHEN users.watermark_at = 0 OR users.bot <> excluded.bot OR users.generation <> excluded.generation
				THEN excluded.watermark_at ELSE users.watermark_at END,
			epoch = excluded.epoch,
			active_at = CASE WHEN excluded.active_at > users.active_at THEN excluded.active_at ELSE users.active_at END`

	touchUser = `INSERT INTO users (account, openid, active_at, watermark_at, watermark_id) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (account, openid) DO UPDATE SET
			watermark_id = CASE WHEN users.watermark_at = 0 THEN excluded.watermark_id ELSE users.watermark_id END,
			watermark_at = CASE WHEN users.watermark_at = 0 THEN excluded.watermark_at ELSE users.watermark_at END,
			active_at = CASE WHEN excluded.active_at > users.active_at THEN excluded.active_at ELSE users.active_at END
		WHERE excluded.active_at >= users.active_at + $6 OR (users.watermark_at = 0 AND excluded.watermark_at > 0)`

	setTrace = `UPDATE users SET trace = $3, traced_at = $4 WHERE account = $1 AND openid = $2`

	setProfile = `UPDATE users SET profile = $3 WHERE account = $1 AND openid = $2 AND left_at < $4`

	readWatermark = `SELECT watermark_at, watermark_id FROM users WHERE account = $1 AND openid = $2`
	moveWatermark = `INSERT INTO users (account, openid, watermark_at, watermark_id) VALUES ($1, $2, $3, $4)
		ON CONFLICT (account, openid) DO UPDATE SET watermark_at = excluded.watermark_at, watermark_id = excluded.watermark_id`
)

// User returns what is known of a user, and whether anything is.
func (j *Journal) User(ctx context.Context, account, openid string) (User, bool, error) {
	return one(j.users(ctx, j.read, selectUser, account, openid))
}

// UserByConversation returns the user whose conversation it is, and whether there is one.
func (j *Journal) UserByConversation(ctx context.Context, account, conversation string) (User, bool, error) {
	return one(j.users(ctx, j.read, selectConversation, account, conversation))
}

// ActiveUsers returns up to limit users of an account whose conversations have been active since
// then, by openid, beginning behind the openid after.
func (j *Journal) ActiveUsers(ctx context.Context, account string, since time.Time, after string, limit int) ([]User, error) {
	return j.users(ctx, j.search, selectActive, account, millis(since), after, limit)
}

// users runs a query for userColumns whose first argument is the account.
func (j *Journal) users(ctx context.Context, run runner, query string, args ...any) ([]User, error) {
	var list []User
	err := run(ctx, "reading users", query, func(rows *sql.Rows) error {
		u := User{Account: args[0].(string)}
		var mark, active, message, action, left, traced int64
		err := rows.Scan(&u.OpenID, &u.Conversation, &u.Generation, &u.Bot, &mark, &u.Watermark.ID, &active, &u.Epoch,
			&message, &u.Message.Used, &action, &u.Action.Used, &left, &u.Profile, &u.Trace, &traced)
		u.Watermark.At, u.ActiveAt, u.TracedAt = moment(mark), moment(active), moment(traced)
		u.Message.Since, u.Action.Since, u.LastLeft = moment(message), moment(action), moment(left)
		if max(message, action) <= left { // nothing was done since
			u.LeftAt = u.LastLeft
		}
		list = append(list, u)
		return err
	}, args...)
	if err != nil {
		return nil, err
	}
	return list, nil
}

// one is the first of a list, and whether there is one.
func one(list []User, err error) (User, bool, error) {
	if err != nil || len(list) == 0 {
		return User{}, false, err
	}
	return list[0], true, nil
}

// PutUser records a user's conversation, generation, bot and epoch. A watermark is taken only where
// there is none yet or where it belongs to another conversation, which another bot or generation
// makes; ActiveAt only if it is later. That the conversation is another user's is an error.
func (j *Journal) PutUser(ctx context.Context, u User) error {
	return j.write(ctx, "recording user", func(t *tx) error {
		_, err := t.exec(upsertUser, u.Account, u.OpenID, u.Conversation, u.Generation, u.Bot,
			millis(u.Watermark.At), u.Watermark.ID, millis(u.ActiveAt), u.Epoch)
		return err
	})
}

// SetProfile records what WeChat told of a user who is known, in the course of a push that was received at
// the time at. That the user leaves deletes it, and nothing is recorded for a push from before.
func (j *Journal) SetProfile(ctx context.Context, account, openid, profile string, at time.Time) error {
	return j.write(ctx, "recording profile", func(t *tx) error {
		_, err := t.exec(setProfile, account, openid, profile, millis(at))
		return err
	})
}

// touch notes activity (0 = none) and, where there is no watermark, floor.
func touch(t *tx, account, openid string, active int64, floor Mark) error {
	_, err := t.exec(touchUser, account, openid, active, millis(floor.At), floor.ID, activeGrain)
	return err
}
