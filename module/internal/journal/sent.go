package journal

import (
	"context"
	"time"
)

// Progress is how far WeChat has accepted a reply.
type Progress struct {
	// ID is the reply's.
	ID int64

	// Step is how many of its parts, and Cut how many bytes of the part behind those.
	Step, Cut int

	// Done says that nothing of it is left. Its payload is let go, its message id is remembered.
	Done bool

	// Dead, if not empty, makes a dead letter of a reply of which nothing more is to be sent. It is the
	// reason, for the operator, and holds no secret.
	Dead string

	// Refused, if not empty, makes a dead letter of the reply, because of some of it that cannot be
	// sent, while the rest goes its way.
	Refused string
}

// Sent is the effect of one message that WeChat has accepted, on whatever road.
type Sent struct {
	// Account and OpenID are the user's.
	Account, OpenID string

	// Progress is what it means for the replies that went into the message.
	Progress []Progress

	// Spend is the allowance that the message was taken from, GrantNone for a passive reply. Since is
	// when that allowance was opened. If a newer one has been opened meanwhile, that is left alone.
	Spend Grant
	Since time.Time

	// Push is the push that was answered with it, 0 for none, and Answer what it was answered with, for
	// the case that WeChat asks again.
	Push   int64
	Answer []byte

	// Shown is the message id of the last reply of which the message shows something, empty if it shows
	// none. Choices of other replies are not the bot's latest message any more.
	Shown string
}

// Sent records, in one transaction, what follows from a message that WeChat has accepted.
func (j *Journal) Sent(ctx context.Context, s Sent) error {
	at := millis(j.now())
	if s.Push != 0 {
		j.claims.changed(s.Push)
	}
	return j.write(ctx, "recording accepted message", func(t *tx) error {
		for _, p := range s.Progress {
			if err := advance(t, p, at); err != nil {
				return err
			}
		}
		if statement, ok := spendings[s.Spend]; ok {
			if _, err := t.exec(statement, s.Account, s.OpenID, millis(s.Since)); err != nil {
				return err
			}
		}
		if err := shown(t, s.Account, s.OpenID, s.Shown, at); err != nil || s.Push == 0 {
			return err
		}
		_, err := t.exec(answerPush, s.Push, s.Answer)
		return err
	})
}

func advance(t *tx, p Progress, at int64) error {
	if p.Refused != "" {
		if _, err := t.exec(copyReply, p.ID, p.Refused, at); err != nil {
			return err
		}
	}
	switch {
	case p.Dead != "":
		return buryReplyAt(t, p.ID, p.Dead, at)
	case p.Done:
		_, err := t.exec(doneReply, p.ID, at)
		return err
	}
	_, err := t.exec(stepReply, p.ID, p.Step, p.Cut)
	return err
}
