package bridge

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"time"

	"github.com/caddy-wechat/caddy-wechat/module/internal/journal"
	"github.com/caddy-wechat/caddy-wechat/module/wechat"
)

// NotSent is why an operator's message was not even accepted, as a sentence.
type NotSent string

// Error implements error.
func (n NotSent) Error() string { return string(n) }

// fatePoll is how often it is looked what has become of an operator's message.
const fatePoll = 50 * time.Millisecond

// Client calls WeChat's API with the access token of the account in force. It may
// be closed by a reload; a call under way then fails.
func (rt *Runtime) Client(ctx context.Context) (*wechat.Client, error) {
	c, err := rt.awaitSettings(ctx)
	if err != nil {
		return nil, err
	}
	return c.client, nil
}

// awaitSettings gives the configuration in force once there is one.
func (rt *Runtime) awaitSettings(ctx context.Context) (*inForce, error) {
	select {
	case <-rt.started:
		return rt.current.Load(), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Say sends a text to a user as if the bot had said it: through the journal, in
// the user's order, and counted against the allowance. It waits until that has
// been done, or the context ends; a message that was accepted goes out all the
// same, as soon as it can. A *NotSent* says why it was not accepted.
func (rt *Runtime) Say(ctx context.Context, openid, text string) (journal.Fate, error) {
	c, err := rt.awaitSettings(ctx)
	if err != nil {
		return 0, err
	}
	if blank(text) {
		return 0, NotSent("The text is empty.")
	}
	j, err := rt.store.Get(ctx)
	if err != nil {
		return 0, err
	}
	if err := rt.maySay(ctx, j, c, openid); err != nil {
		return 0, err
	}
	payload, err := json.Marshal(map[string]string{"type": "text", "text": text})
	if err != nil {
		return 0, err
	}
	id := "operator-" + rand.Text()
	now := time.Now()
	err = rt.persist(ctx, "appending reply", func(ctx context.Context, j *journal.Journal) error {
		_, err := j.AppendReplies(ctx, rt.appid, openid, []journal.Reply{{
			MessageID: id, CreatedAt: now, ReceivedAt: now, Payload: payload,
		}})
		return err
	})
	if err != nil {
		return 0, err
	}
	rt.replies.wake(openid)
	return rt.awaitFate(ctx, j, id)
}

// awaitFate waits until something has become of a reply.
func (rt *Runtime) awaitFate(ctx context.Context, j *journal.Journal, id string) (journal.Fate, error) {
	for {
		f, known, err := j.ReplyFate(ctx, rt.appid, id)
		switch {
		case ctx.Err() != nil:
			return journal.FateWaiting, nil
		case err != nil:
			return 0, err
		case known && f != journal.FateWaiting:
			return f, nil
		}
		if sleep(ctx, fatePoll, nil) != nil {
			return journal.FateWaiting, nil
		}
	}
}

// maySay tells why a message to a user would not go out now.
func (rt *Runtime) maySay(ctx context.Context, j *journal.Journal, c *inForce, openid string) error {
	u, known, err := j.User(ctx, rt.appid, openid)
	if err != nil {
		return err
	}
	if !known {
		return NotSent("Nobody of that id has written to this account, as far as the journal knows.")
	}
	act, now := rt.acts.last(openid), time.Now()
	if !u.LeftAt.IsZero() && !act.message.After(u.LeftAt) && !act.action.After(u.LeftAt) {
		return NotSent("The user does not follow the account any more, since " + u.LeftAt.Format(time.RFC3339) + ".")
	}
	if window, _ := rt.windows.oldest(now, openid, rt.passive(c)); window != nil {
		return nil // it can be the answer to what the user has just sent
	}
	if rt.passive(c) {
		return NotSent("The account may not push messages, or is told not to by `reply passive`; it can only answer, and the user has sent nothing that waits for an answer.")
	}
	if h := rt.api.status(); h != nil {
		return NotSent("The account is held: " + h.Cause + ". " + h.Remedy)
	}
	parked, err := j.HasParked(ctx, rt.appid, openid)
	switch {
	case err != nil:
		return err
	case parked:
		return NotSent("Replies of the bot are parked for this user and go first. They go out when the user acts, or when you deliver them.")
	}
	bal := balance{u.Message, u.Action}.acted(act.message, act.action)
	if bal.left(c.Allowance, now) > 0 {
		return nil
	}
	return NotSent(bal.spent(c.Allowance, now))
}

// spent says why nothing is left of the allowances.
func (b balance) spent(a Allowance, now time.Time) string {
	if b.message.Since.IsZero() && b.action.Since.IsZero() {
		return "The user has done nothing yet that lets the account send messages."
	}
	last, g := b.message, a.Message
	if b.action.Since.After(last.Since) && now.Sub(b.message.Since) >= a.Message.For {
		last, g = b.action, a.Action
	}
	if age := now.Sub(last.Since); age >= g.For {
		return fmt.Sprintf("The user last acted %v ago, and WeChat lets the account send for %v. It can send again when the user acts.",
			age.Round(time.Second), g.For)
	}
	return fmt.Sprintf("All %d messages that WeChat allows are used up since the user last acted, %v ago. It can send again when the user acts.",
		g.Count, now.Sub(last.Since).Round(time.Second))
}
