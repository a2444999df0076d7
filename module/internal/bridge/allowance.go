package bridge

import (
	"time"

	"github.com/caddy-wechat/caddy-wechat/module/internal/journal"
)

// balance is what a user's allowances are, as far as is known. WeChat has the
// last word: what it refuses corrects it.
type balance struct {
	message, action journal.Clock
}

// left is how many messages may still be sent. Whether what two allowances leave
// adds up is not documented; if not, WeChat says so in time.
func (b balance) left(a Allowance, now time.Time) int {
	return remaining(b.message, a.Message, now) + remaining(b.action, a.Action, now)
}

// next is the allowance that the next message is taken from: of those that leave
// something, the one that ends first.
func (b balance) next(a Allowance, now time.Time) (journal.Grant, time.Time) {
	m, t := remaining(b.message, a.Message, now) > 0, remaining(b.action, a.Action, now) > 0
	switch {
	case t && (!m || b.action.Since.Add(a.Action.For).Before(b.message.Since.Add(a.Message.For))):
		return journal.GrantAction, b.action.Since
	case m:
		return journal.GrantMessage, b.message.Since
	}
	return journal.GrantNone, time.Time{}
}

func remaining(c journal.Clock, g Grant, now time.Time) int {
	if c.Since.IsZero() || now.Sub(c.Since) >= g.For {
		return 0
	}
	return max(g.Count-c.Used, 0)
}

// acted is the balance once the user did something at these times, zero for
// never, that may not be recorded yet.
func (b balance) acted(message, action time.Time) balance {
	if message.After(b.message.Since) {
		b.message = journal.Clock{Since: message}
	}
	if action.After(b.action.Since) {
		b.action = journal.Clock{Since: action}
	}
	return b
}
