package journal

import (
	"context"
	"flag"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

const modelUsers = 3

// model is what the journal should hold: WeChat's and the bot's side of a few users.
type model struct {
	dir   string
	clock *clock
	j     *Journal

	appended  map[string]int64     // push key -> its id
	handled   map[string]time.Time // push key -> when
	waiting   [modelUsers][]string // push keys, in order
	said      [modelUsers][]Reply  // everything the bot ever said to the user, in order
	delivered map[string]int       // message id -> how often the user was shown it
	number    int
}

func (m *model) open(t *rapid.T) {
	j, err := Open(context.Background(), Config{Dir: m.dir, Sync: Normal, Keep: time.Hour, Now: m.clock.Now})
	if err != nil {
		t.Fatalf("opening: %v", err)
	}
	m.j = j
}

func user(t *rapid.T) int { return rapid.IntRange(0, modelUsers-1).Draw(t, "user") }

func openid(u int) string { return fmt.Sprint("u", u) }

// TestModel: whatever happens in whatever order, a push is claimed once, pushes and replies come in
// order, and whatever the bot says reaches the user exactly once, though signals get lost, listings
// repeat everything above the watermark, and old rows are pruned.
func TestModel(t *testing.T) {
	// Each run opens a database on disk several times. -rapid.checks asks for more.
	if f := flag.Lookup("rapid.checks"); f.Value.String() == f.DefValue {
		noErr(t, f.Value.Set("25"))
	}
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp("", "journal")
		if err != nil {
			t.Fatal(err)
		}
		m := &model{
			dir: dir, clock: newClock(),
			appended: map[string]int64{}, handled: map[string]time.Time{}, delivered: map[string]int{},
		}
		m.open(t)
		defer os.RemoveAll(dir)
		defer func() { _ = m.j.Close() }()
		t.Repeat(map[string]func(*rapid.T){
			"push":    m.push,
			"handle":  m.handle,
			"say":     m.say,
			"list":    m.list,
			"deliver": m.deliver,
			"park":    m.park,
			"prune":   m.prune,
			"reopen":  func(t *rapid.T) { noModelErr(t, m.j.Close()); m.open(t) },
			"":        m.check,
		})
		m.drain(t)
	})
}

func noModelErr(t *rapid.T, err error) {
	if err != nil {
		t.Fatal(err)
	}
}

// push brings a new push or one of the last few again.
func (m *model) push(t *rapid.T) {
	u := user(t)
	key := fmt.Sprintf("%d/%d", u, rapid.IntRange(max(0, m.number-5), m.number+1).Draw(t, "number"))
	m.number++
	before, known := m.appended[key]
	id, fresh, err := appendPush(context.Background(), m.j, Push{Account: "app", OpenID: openid(u), Key: key})
	noModelErr(t, err)
	at, done := m.handled[key]
	switch remembered := !done || m.clock.Now().Sub(at) <= time.Hour; {
	case !known && !fresh:
		t.Fatalf("push %s is new, and taken for a duplicate", key)
	case known && fresh && remembered:
		t.Fatalf("push %s was claimed twice", key)
	case known && !fresh && id != before:
		t.Fatalf("push %s has id %d, had %d", key, id, before)
	}
	if fresh {
		for other, o := range m.appended {
			if o >= id {
				t.Fatalf("push %s has id %d, push %s had %d before", key, id, other, o)
			}
		}
		m.appended[key] = id
		delete(m.handled, key)
		m.waiting[u] = append(m.waiting[u], key)
	}
}

// handle takes a user's first push.
func (m *model) handle(t *rapid.T) {
	u := user(t)
	if len(m.waiting[u]) == 0 {
		t.Skip("nothing waits")
	}
	key := m.waiting[u][0]
	list, err := m.j.NextPushes(context.Background(), "app", openid(u), 0, 1)
	noModelErr(t, err)
	if len(list) != 1 || list[0].Key != key {
		t.Fatalf("next of user %d is %+v, want %s", u, list, key)
	}
	noModelErr(t, m.j.PushDone(context.Background(), PushDone{
		ID: list[0].ID, Account: "app", OpenID: openid(u), Active: true, Floor: Mark{At: m.clock.Now()},
	}))
	m.handled[key] = m.clock.Now()
	m.waiting[u] = m.waiting[u][1:]
}

// say lets the bot say something; the signal about it may get lost.
func (m *model) say(t *rapid.T) {
	u := user(t)
	m.clock.Add(time.Duration(rapid.IntRange(0, 2).Draw(t, "ms")) * time.Millisecond)
	m.number++
	r := Reply{MessageID: fmt.Sprintf("m%06d", m.number), CreatedAt: m.clock.Now(), Payload: []byte("x")}
	// The bot does not speak first: there is a floor below what it says.
	noModelErr(t, m.j.PutUser(context.Background(), User{Account: "app", OpenID: openid(u), Watermark: Mark{At: r.CreatedAt.Add(-time.Millisecond)}}))
	m.said[u] = append(m.said[u], r)
	if rapid.Bool().Draw(t, "signal arrives") {
		_, err := m.j.AppendReplies(context.Background(), "app", openid(u), []Reply{r})
		noModelErr(t, err)
	}
}

// list lists a conversation down to its watermark.
func (m *model) list(t *rapid.T) { m.listUser(t, user(t)) }

func (m *model) listUser(t *rapid.T, u int) (fresh int) {
	before, _, err := m.j.User(context.Background(), "app", openid(u))
	noModelErr(t, err)
	var rs []Reply
	for _, r := range m.said[u] {
		if r.mark().Compare(before.Watermark) > 0 {
			rs = append(rs, r)
		}
	}
	fresh, err = m.j.AppendListing(context.Background(), "app", openid(u), rs)
	noModelErr(t, err)
	after, _, err := m.j.User(context.Background(), "app", openid(u))
	noModelErr(t, err)
	if after.Watermark.Compare(before.Watermark) < 0 {
		t.Fatalf("watermark went from %v back to %v", before.Watermark, after.Watermark)
	}
	return fresh
}

// deliver shows a user the next reply.
func (m *model) deliver(t *rapid.T) { m.deliverTo(t, user(t)) }

func (m *model) deliverTo(t *rapid.T, u int) bool {
	list, err := nextReplies(context.Background(), m.j, "app", openid(u), 1)
	noModelErr(t, err)
	if len(list) == 0 {
		return false
	}
	noModelErr(t, replyDone(context.Background(), m.j, list[0].ID))
	m.delivered[list[0].MessageID]++
	return true
}

func (m *model) park(t *rapid.T) {
	act := m.j.Park
	if rapid.Bool().Draw(t, "unpark") {
		act = func(ctx context.Context, account, openid string) (int64, error) {
			return unpark(ctx, m.j, account, openid)
		}
	}
	_, err := act(context.Background(), "app", openid(user(t)))
	noModelErr(t, err)
}

func (m *model) prune(t *rapid.T) {
	m.clock.Add(time.Duration(rapid.IntRange(0, 90).Draw(t, "minutes")) * time.Minute)
	_, err := m.j.Prune(context.Background())
	noModelErr(t, err)
}

// check compares what can be seen.
func (m *model) check(t *rapid.T) {
	for u := range modelUsers {
		list, err := m.j.NextPushes(context.Background(), "app", openid(u), 0, 10_000)
		noModelErr(t, err)
		var got []string
		for _, p := range list {
			got = append(got, p.Key)
		}
		if diff := cmp.Diff(m.waiting[u], got, cmpEmpty); diff != "" {
			t.Fatalf("waiting pushes of user %d (-want +got):\n%s", u, diff)
		}
		rs, err := nextReplies(context.Background(), m.j, "app", openid(u), 10_000)
		noModelErr(t, err)
		if !slices.IsSortedFunc(rs, func(a, b Reply) int { return a.mark().Compare(b.mark()) }) {
			t.Fatalf("replies of user %d are not in order: %+v", u, rs)
		}
	}
	for id, n := range m.delivered {
		if n > 1 {
			t.Fatalf("reply %s was delivered %d times", id, n)
		}
	}
}

// drain lists and delivers until nothing happens any more.
func (m *model) drain(t *rapid.T) {
	for u := range modelUsers {
		_, err := unpark(context.Background(), m.j, "app", openid(u))
		noModelErr(t, err)
		for m.listUser(t, u) > 0 || m.deliverTo(t, u) {
		}
		for _, r := range m.said[u] {
			if m.delivered[r.MessageID] != 1 {
				t.Fatalf("reply %s was delivered %d times", r.MessageID, m.delivered[r.MessageID])
			}
		}
	}
}

var cmpEmpty = cmp.Transformer("empty", func(s []string) string { return fmt.Sprint(s) })
