package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"time"
)

// Options are what most commands take.
type Options struct {
	Account string // an appid; empty for all, or for the only one
	User    string // an openid; empty for all
	After   int64
	Limit   int
	Now     func() time.Time
}

func (o Options) now() time.Time {
	if o.Now != nil {
		return o.Now()
	}
	return time.Now()
}

func (o Options) query() url.Values {
	q := url.Values{}
	if o.Account != "" {
		q.Set("app_id", o.Account)
	}
	if o.User != "" {
		q.Set("openid", o.User)
	}
	if o.After > 0 {
		q.Set("after", fmt.Sprint(o.After))
	}
	if o.Limit > 0 {
		q.Set("limit", fmt.Sprint(o.Limit))
	}
	return q
}

// Account is how an account does.
type Account struct {
	AppID     string    `json:"app_id"`
	Bot       string    `json:"bot"`
	Reply     string    `json:"reply"`
	Health    string    `json:"health"`
	Journal   Journal   `json:"journal"`
	LastPush  time.Time `json:"last_push"`
	LastReply time.Time `json:"last_reply"`
	MayPush   *bool     `json:"may_push"`
	Windows   int64     `json:"windows"`
	Lanes     struct {
		In  int64 `json:"in"`
		Out int64 `json:"out"`
	} `json:"lanes"`
	Holds   []Hold  `json:"holds"`
	Waiting Waiting `json:"waiting"`
}

// Journal is how an account's journal does.
type Journal struct {
	OK    bool   `json:"ok"`
	Error string `json:"error"`
	Dir   string `json:"dir"`
	Size  int64  `json:"size"`
}

// Hold is a fault that somebody has to mend.
type Hold struct {
	Side   string    `json:"side"`
	Since  time.Time `json:"since"`
	Error  string    `json:"error"`
	Remedy string    `json:"remedy"`
}

// Waiting is what waits.
type Waiting struct {
	Pushes      int64     `json:"pushes"`
	OldestPush  time.Time `json:"oldest_push"`
	Replies     int64     `json:"replies"`
	OldestReply time.Time `json:"oldest_reply"`
	Parked      int64     `json:"parked"`
	Dead        int64     `json:"dead"`
}

// Accounts reads how the accounts do: all, or the one that is named.
func Accounts(ctx context.Context, a *Admin, o Options) ([]Account, json.RawMessage, error) {
	var raw json.RawMessage
	if o.Account != "" {
		if err := a.Get(ctx, "/wechat/accounts/"+url.PathEscape(o.Account), nil, &raw); err != nil {
			return nil, nil, err
		}
		var one Account
		err := json.Unmarshal(raw, &one)
		return []Account{one}, raw, err
	}
	if err := a.Get(ctx, "/wechat/accounts", nil, &raw); err != nil {
		return nil, nil, err
	}
	var all struct {
		Accounts []Account `json:"accounts"`
	}
	err := json.Unmarshal(raw, &all)
	return all.Accounts, raw, err
}

// Status prints how the accounts do. It is false if somebody has something to mend.
func Status(ctx context.Context, a *Admin, out *Out, o Options) (well bool, err error) {
	accounts, raw, err := Accounts(ctx, a, o)
	if err != nil {
		return false, err
	}
	well = true
	for _, acct := range accounts {
		well = well && (acct.Health == "ok" || acct.Health == "waiting")
	}
	if out.JSON {
		return well, out.Document(raw)
	}
	if len(accounts) == 0 {
		out.Line("No account is configured.")
	}
	for i, acct := range accounts {
		if i > 0 {
			out.Line()
		}
		out.account(acct, o.now())
	}
	return well, nil
}

func healthStyle(health string) Style {
	switch health {
	case "ok":
		return Good
	case "waiting":
		return Warn
	}
	return Bad
}

func (o *Out) account(a Account, now time.Time) {
	o.Line(o.Paint(Bold, Clean(a.AppID)), "  ", o.Paint(healthStyle(a.Health), Clean(a.Health)))
	row := func(name, value string) { o.Line("  ", fmt.Sprintf("%-11s ", name), Clean(value)) }
	row("bot", a.Bot)
	road := a.Reply
	switch {
	case a.MayPush == nil:
		road += ", whether the account may push is not known yet"
	case *a.MayPush:
		road += ", the account may push"
	default:
		road += ", the account may not push: replies only as answers"
	}
	row("replies", road)
	row("last push", Ago(a.LastPush, now))
	row("last reply", Ago(a.LastReply, now))
	row("at work", fmt.Sprintf("on %s towards the bot, on %s towards WeChat; %s held for an answer",
		plural(a.Lanes.In, "user", "users"), plural(a.Lanes.Out, "user", "users"), count(a.Windows, "callback")))
	w := a.Waiting
	row("waiting", fmt.Sprintf("%s%s, %s%s", count(w.Pushes, "push"), oldest(w.Pushes, w.OldestPush, now),
		plural(w.Replies, "reply", "replies"), oldest(w.Replies, w.OldestReply, now)))
	if a.stuck(now) {
		o.Line("  → What keeps it: caddy wechat doctor. What was tried: caddy wechat tail --past")
	}
	row("parked", plural(w.Parked, "reply", "replies"))
	dead := plural(w.Dead, "letter", "letters")
	if w.Dead > 0 {
		dead += ": caddy wechat dead list"
	}
	row("dead", dead)
	if a.Journal.OK {
		row("journal", fmt.Sprintf("%s in %s", Size(a.Journal.Size), a.Journal.Dir))
	} else {
		o.Line("  ", fmt.Sprintf("%-11s ", "journal"), o.Paint(Bad, "does not work: "+Clean(a.Journal.Error)))
	}
	for _, h := range a.Holds {
		o.Line("  ", o.Paint(Bad, fmt.Sprintf("held, %s side, for %s: %s", Clean(h.Side), Span(now.Sub(h.Since)), Clean(h.Error))))
		if h.Remedy != "" {
			o.Line("  → ", Clean(h.Remedy))
		}
	}
}

// soon is how long what works leaves nothing waiting.
const soon = 3 * time.Second

// stuck says whether something waits for longer than it should, and no hold says why: a
// bot or an API that is away is tried again and again, which is no hold.
func (a Account) stuck(now time.Time) bool {
	late := func(n int64, at time.Time) bool { return n > 0 && !at.IsZero() && now.Sub(at) >= soon }
	w := a.Waiting
	return len(a.Holds) == 0 && a.Journal.OK && (late(w.Pushes, w.OldestPush) || late(w.Replies, w.OldestReply))
}

func oldest(n int64, at, now time.Time) string {
	if n == 0 || at.IsZero() {
		return ""
	}
	return " (the oldest came " + Ago(at, now) + ")"
}
