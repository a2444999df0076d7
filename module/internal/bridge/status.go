package bridge

import (
	"cmp"
	"context"
	"os"
	"strings"
	"time"

	"github.com/caddy-wechat/caddy-wechat/module/internal/journal"
)

// staleAfter is how long something may wait before an account counts as one where
// things wait: longer than a bot takes, and than the ordinary retries do.
const staleAfter = time.Minute

// Account is how an account is doing.
type Account struct {
	AppID string `json:"app_id"`

	// Bot is the kind of bot. Whoever asks for the status fills it in.
	Bot   string    `json:"bot"`
	Reply ReplyMode `json:"reply"`

	// Health is ok; waiting: something has waited for more than a minute; held: an
	// operator has to mend something; down: pushes cannot be taken.
	Health string `json:"health"`

	Journal JournalStatus `json:"journal"`

	// LastPush and LastReply are when a push and a reply of the bot last came, be it
	// before a restart; null if none did, as far as the journal's newest 20000 of each,
	// of all accounts, tell.
	LastPush  *time.Time `json:"last_push"`
	LastReply *time.Time `json:"last_reply"`

	// MayPush is whether WeChat lets the account push messages, null while that is not
	// known.
	MayPush *bool `json:"may_push"`

	// Windows is how many pushes wait for a passive reply.
	Windows int        `json:"windows"`
	Lanes   LaneStatus `json:"lanes"`

	Holds []HoldStatus `json:"holds"`

	// Waiting is null while the journal cannot be read.
	Waiting *Waiting `json:"waiting"`
}

// JournalStatus is how the journal is doing.
type JournalStatus struct {
	OK    bool   `json:"ok"`
	Error string `json:"error,omitempty"`
	Dir   string `json:"dir"`
	Size  int64  `json:"size"` // of its files, in bytes
}

// LaneStatus is how many lanes are at work, towards the bot and towards WeChat.
type LaneStatus struct {
	In  int `json:"in"`
	Out int `json:"out"`
}

// HoldStatus is a fault that an operator has to mend.
type HoldStatus struct {
	Side   string    `json:"side"` // bot, wechat, journal
	Since  time.Time `json:"since"`
	Error  string    `json:"error"`
	Remedy string    `json:"remedy"`
}

// Waiting is what waits in the journal.
type Waiting struct {
	Pushes      int64      `json:"pushes"`
	OldestPush  *time.Time `json:"oldest_push"`
	Replies     int64      `json:"replies"`
	OldestReply *time.Time `json:"oldest_reply"`
	Parked      int64      `json:"parked"`
	Dead        int64      `json:"dead"`
}

// Status tells how the account is doing. Counting what waits may take a while and
// ends with the context.
func (rt *Runtime) Status(ctx context.Context) Account {
	a := Account{
		AppID: rt.appid, Holds: []HoldStatus{},
		Journal:  rt.store.status(),
		LastPush: instant(rt.seen.push.Load()), LastReply: instant(rt.seen.reply.Load()),
		MayPush: rt.mayPush(),
		Windows: rt.windows.open(),
		Lanes:   LaneStatus{In: rt.pushes.atWork(), Out: rt.replies.atWork()},
		Waiting: rt.backlog(ctx),
	}
	if c := rt.current.Load(); c != nil {
		a.Reply = c.Reply
	}
	for _, side := range []*gate{rt.bot, rt.api} {
		if h := side.status(); h != nil {
			a.Holds = append(a.Holds, HoldStatus{Side: side.side, Since: h.Since, Error: h.Cause, Remedy: h.Remedy})
		}
	}
	if since, err := rt.store.trouble(); err != nil {
		a.Holds = append(a.Holds, HoldStatus{Side: "journal", Since: since, Error: err.Error(), Remedy: rt.store.remedy(err)})
	}
	a.Health = a.health(time.Now())
	return a
}

// journalRemedy is what helps as a rule where the journal does not work.
const journalRemedy = "Look at the journal's folder: is there free space, may Caddy write there, is the database whole?"

// remedy is what an operator can do about an error of the journal.
func (s *Store) remedy(err error) string {
	return cmp.Or(journal.Remedy(err, s.dir, s.opened() != nil), journalRemedy)
}

func (a *Account) health(now time.Time) string {
	old := func(t *time.Time) bool { return t != nil && now.Sub(*t) > staleAfter }
	switch {
	case !a.Journal.OK:
		return "down"
	case len(a.Holds) > 0:
		return "held"
	case a.Waiting != nil && (old(a.Waiting.OldestPush) || old(a.Waiting.OldestReply)):
		return "waiting"
	}
	return "ok"
}

func (rt *Runtime) backlog(ctx context.Context) *Waiting {
	j := rt.store.opened()
	if j == nil {
		return nil
	}
	b, err := j.Backlog(ctx, rt.appid)
	if err != nil {
		return nil
	}
	return &Waiting{
		Pushes: b.Pushes, OldestPush: moment(b.OldestPush), Replies: b.Replies, OldestReply: moment(b.OldestReply),
		Parked: b.Parked, Dead: b.Dead,
	}
}

// mayPush is whether the account may push, nil while nobody has found out.
func (rt *Runtime) mayPush() *bool {
	c := rt.current.Load()
	may := rt.seen.pushed.Load()
	if c == nil || !may && rt.permit.last(time.Now()).IsZero() {
		return nil
	}
	if !rt.permit.last(time.Now()).IsZero() {
		may = false
	}
	return &may
}

// InForce tells whether a configuration has the account still, and which bot it has.
func (rt *Runtime) InForce() (s *Settings, live bool) {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	if c := rt.current.Load(); c != nil {
		s = c.Settings
	}
	return s, len(rt.applied) > 0
}

// open is how many windows there are that are not over.
func (ws *windows) open() int {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	return len(ws.byKey) - len(ws.over)
}

// opened is the journal, nil while it is not open.
func (s *Store) opened() *journal.Journal {
	select {
	case <-s.ready:
		return s.journal
	default:
		return nil
	}
}

// trouble is since when and why the journal does not work.
func (s *Store) trouble() (time.Time, error) {
	if !s.failing.Load() {
		return time.Time{}, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.since, s.err
}

func (s *Store) status() JournalStatus {
	st := JournalStatus{OK: s.opened() != nil, Dir: s.dir, Size: s.Size()}
	if err := s.Err(); err != nil {
		st.OK, st.Error = false, err.Error()
	}
	return st
}

// Size is how much room the journal's files take up, in bytes, as far as that can be
// told.
func (s *Store) Size() (n int64) {
	files, err := os.ReadDir(s.dir)
	if err != nil {
		return 0
	}
	for _, f := range files {
		if info, err := f.Info(); err == nil && strings.Contains(f.Name(), ".db") {
			n += info.Size()
		}
	}
	return n
}

// instant is a time in Unix nanoseconds, nil for none.
func instant(ns int64) *time.Time {
	if ns == 0 {
		return nil
	}
	t := time.Unix(0, ns).UTC()
	return &t
}

func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
