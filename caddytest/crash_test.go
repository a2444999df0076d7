package caddytest

import (
	"context"
	"database/sql"
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	_ "modernc.org/sqlite"

	"github.com/caddy-wechat/caddy-wechat/caddytest/simulator"
)

// TestKill kills Caddy ten times at random moments while a crowd speaks, and
// starts it again on the same journal each time. Whatever was answered success
// reaches the bot once and in order, every answer of the bot reaches its user in
// order, and a message is sent twice only where a kill fell between WeChat's
// taking it and the journal's knowing of it.
func TestKill(t *testing.T) {
	const kills = 10
	w := newWorld(t, setup{
		options: bulk,
		wechat:  func(c *simulator.WeChatConfig) { c.NoAllowance = true },
	})
	c := crowd{w: w, users: 50, each: 80, until: true, pause: 80 * time.Millisecond}
	ctx := within(t, 4*time.Minute)
	var speaking sync.WaitGroup
	over := make(chan struct{})
	speaking.Go(func() {
		defer close(over)
		c.speak(ctx)
	})

	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	doubtful := make(map[string]int)
	began := time.Now()
	for n := range kills {
		time.Sleep(time.Duration(random.IntN(600)) * time.Millisecond)
		select {
		case <-over:
			t.Error("the crowd fell silent before the last kill")
		default:
		}
		w.caddy.kill()
		w.underWay(doubtful)
		if n%3 == 2 { // and once more, before it is up
			if _, err := w.caddy.launch(w.config()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Duration(random.IntN(400)) * time.Millisecond)
			w.caddy.kill()
			w.underWay(doubtful)
		}
		w.caddy.start(w.config())
	}
	killed := time.Since(began)
	speaking.Wait()
	spoken := time.Since(began)
	c.check(ctx, c.users*kills)
	t.Logf("%d messages: %d kills in %v, pushed in %v, all answered in %v",
		c.users*c.each, kills, killed, spoken, time.Since(began))
	w.checkRepeats(c, doubtful)
}

// underWay counts in what the dead process may have been sending: of each user,
// the oldest reply that the journal does not know to be done. It reads a copy,
// so that the next process finds everything as the kill has left it.
func (w *world) underWay(doubtful map[string]int) {
	w.t.Helper()
	dir := w.t.TempDir()
	for _, name := range []string{"journal.db", "journal.db-wal"} {
		raw, err := os.ReadFile(filepath.Join(w.caddy.dir, "journal", name))
		if os.IsNotExist(err) {
			continue
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), raw, 0o600)
		}
		if err != nil {
			w.t.Fatal(err)
		}
	}
	db, err := sql.Open("sqlite", filepath.Join(dir, "journal.db"))
	if err != nil {
		w.t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.Query(`SELECT openid, payload FROM replies WHERE state = 0 ORDER BY openid, created_at, message_id`)
	if err != nil {
		w.t.Fatal(err)
	}
	defer rows.Close()
	last := ""
	for rows.Next() {
		var openid string
		var payload []byte
		var reply struct{ Text string }
		if err := rows.Scan(&openid, &payload); err != nil {
			w.t.Fatal(err)
		}
		if err := json.Unmarshal(payload, &reply); err != nil {
			w.t.Fatal(err)
		}
		if openid != last {
			doubtful[reply.Text]++
		}
		last = openid
	}
	if err := rows.Err(); err != nil {
		w.t.Fatal(err)
	}
}

// checkRepeats looks whether a message was read more often than kills can
// explain.
func (w *world) checkRepeats(c crowd, doubtful map[string]int) {
	w.t.Helper()
	total, could := 0, 0
	for _, n := range doubtful {
		could += n
	}
	for i := range c.users {
		seen := texts(w.wechat.Replies(c.openid(i)))
		for k, s := range seen {
			if k == 0 || seen[k-1] != s {
				continue
			}
			total++
			if doubtful[s]--; doubtful[s] < 0 {
				w.t.Errorf("user %d read %q again, which was not under way at a kill", i, s)
			}
		}
	}
	w.t.Logf("%d of %d sends in doubt were repeated", total, could)
}

// TestKillDuringCall kills Caddy at the very moments that random kills seldom
// hit: one side has taken a message, or not, and the journal does not know.
func TestKillDuringCall(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name  string
		first bool   // the message is the first that the bot hears of the user
		say   string // the message
		kill  func(*killing)
		reply int // wait until the bot has sent so many messages before the restart
		read  []string
	}{
		{
			name: "wechat took the message",
			say:  "one",
			kill: func(k *killing) { k.whenRead("echo: one") },
			read: []string{"echo: one", "echo: one"},
		},
		{
			name: "wechat took a part of the message",
			say:  "chapters",
			kill: func(k *killing) { k.whenRead(chapter(2)) },
			read: []string{chapter(1), chapter(2), chapter(2), chapter(3)},
		},
		{
			name: "wechat did not take the message",
			say:  "one",
			kill: func(k *killing) {
				k.w.wechat.Fail(simulator.WeChatFault{Path: sendPath, Times: 1, Delay: 3 * time.Second, Cut: true})
				k.afterTurn(500 * time.Millisecond)
			},
			read: []string{"echo: one"},
		},
		{
			name: "the bot took the message",
			say:  "one",
			kill: func(k *killing) { k.late("createMessage"); k.afterTurn(0) },
			read: []string{"echo: one"},
		},
		{
			name:  "the bot took the message and replies while Caddy is down",
			say:   "think",
			kill:  func(k *killing) { k.late("createMessage"); k.afterTurn(0) },
			reply: 1,
			read:  []string{"thought"},
		},
		{
			name:  "the bot took the message and goes on to reply while Caddy is down",
			say:   "think aloud",
			kill:  func(k *killing) { k.late("createMessage"); k.afterReply(1) },
			reply: 2,
			read:  []string{"hm", "thought"},
		},
		{
			name: "the bot did not take the message",
			say:  "one",
			kill: func(k *killing) {
				k.w.botpress.Fail(simulator.BotpressFault{Op: "createMessage", Delay: 3 * time.Second, ResetBefore: true})
				k.after(500 * time.Millisecond)
			},
			read: []string{"echo: one"},
		},
		{
			name:  "the bot took the user",
			first: true,
			say:   "one",
			kill:  func(k *killing) { k.late("getOrCreateUser"); k.after(500 * time.Millisecond) },
			read:  []string{"echo: one"},
		},
		{
			name:  "the bot took the conversation",
			first: true,
			say:   "one",
			kill:  func(k *killing) { k.late("getOrCreateConversation"); k.after(500 * time.Millisecond) },
			read:  []string{"echo: one"},
		},
		{
			name:  "the bot took the first message",
			first: true,
			say:   "one",
			kill:  func(k *killing) { k.late("createMessage"); k.afterTurn(0) },
			read:  []string{"echo: one"},
		},
		{
			name:  "the bot took the first message and replies while Caddy is down",
			first: true,
			say:   "think",
			kill:  func(k *killing) { k.late("createMessage"); k.afterTurn(0) },
			reply: 1,
			read:  []string{"thought"},
		},
		{
			name:  "the bot took the first message and goes on to reply while Caddy is down",
			first: true,
			say:   "think aloud",
			kill:  func(k *killing) { k.late("createMessage"); k.afterReply(1) },
			reply: 2,
			read:  []string{"hm", "thought"},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			k := &killing{t: t, pushed: make(chan struct{}), dead: make(chan struct{})}
			k.w = newWorld(t, setup{
				options:  bulk,
				wechat:   func(c *simulator.WeChatConfig) { c.OnSeen = k.seen },
				botpress: func(c *simulator.BotpressConfig) { c.Bot = thinker },
			})
			var heard, read []string
			if !tc.first {
				k.w.push(k.w.wechat.Text(alice, "zero"))
				k.w.expect(alice, "echo: zero")
				heard, read = []string{"zero"}, []string{"echo: zero"}
			}
			k.turns, k.replies = len(heard)+1, len(read)
			tc.kill(k)
			k.w.push(k.w.wechat.Text(alice, tc.say))
			close(k.pushed)
			k.await(tc.reply)
			k.w.caddy.start(k.w.config())
			k.w.push(k.w.wechat.Text(alice, "two"))
			k.check(append(heard, tc.say, "two"), append(append(read, tc.read...), "echo: two"))
		})
	}
}

const (
	alice    = "oAlice"
	sendPath = "/cgi-bin/message/custom/send"
)

// thinker is a bot that takes its time over some texts.
func thinker(ctx context.Context, t *simulator.BotTurn) {
	switch t.Text() {
	case "chapters":
		t.Reply(chapter(1) + "\n\n" + chapter(2) + "\n\n" + chapter(3))
	case "think":
		if t.Sleep(700 * time.Millisecond) {
			t.Reply("thought")
		}
	case "think aloud":
		t.Reply("hm")
		if t.Sleep(1200 * time.Millisecond) {
			t.Reply("thought")
		}
	default:
		simulator.EchoBot(ctx, t)
	}
}

// chapter is a text of which one fits into a message, and two do not.
func chapter(n int) string {
	return strings.TrimSpace(strings.Repeat("chapter "+strconv.Itoa(n)+" ", 150))
}

// killing ends a Caddy at a moment that one of the simulators knows.
type killing struct {
	t       *testing.T
	w       *world
	turns   int           // of the bot with the message that the kill is about
	replies int           // of the bot before that
	pushed  chan struct{} // closed when that message was answered success
	once    sync.Once
	dead    chan struct{} // closed when the process is

	mu   sync.Mutex
	text string
}

// whenRead asks for the kill when the user reads a text, before WeChat answers
// the call that brought it.
func (k *killing) whenRead(text string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.text = text
}

func (k *killing) seen(_ string, s simulator.Seen) {
	k.mu.Lock()
	hit := k.text != "" && strings.TrimSpace(s.Text) == k.text
	k.mu.Unlock()
	if hit {
		k.now()
	}
}

// late makes the bot's side answer a call long after it took effect.
func (k *killing) late(op string) {
	k.w.botpress.Fail(simulator.BotpressFault{Op: op, LateBy: 3 * time.Second})
}

// afterTurn asks for the kill some time after the bot has the message.
func (k *killing) afterTurn(d time.Duration) {
	ctx := within(k.t, 30*time.Second)
	go func() {
		_, _ = k.w.botpress.WaitTurns(ctx, conversation(alice), k.turns)
		time.Sleep(d)
		k.now()
	}()
}

// afterReply asks for the kill once the user has read some of the bot's replies
// to the message, and the journal knows.
func (k *killing) afterReply(n int) {
	ctx := within(k.t, 30*time.Second)
	go func() {
		_, _ = k.w.wechat.Wait(ctx, alice, k.replies+n)
		time.Sleep(300 * time.Millisecond)
		k.now()
	}()
}

// after asks for the kill some time after the push.
func (k *killing) after(d time.Duration) {
	time.AfterFunc(d, k.now)
}

func (k *killing) now() {
	k.once.Do(func() {
		<-k.pushed
		k.w.caddy.kill()
		close(k.dead)
	})
}

// await waits until the process is dead and the bot has said some things more.
func (k *killing) await(replies int) {
	k.t.Helper()
	ctx := within(k.t, 30*time.Second)
	select {
	case <-k.dead:
	case <-ctx.Done():
		k.t.Fatal("the moment of the kill did not come")
	}
	if replies > 0 {
		if _, err := k.w.botpress.WaitMessages(ctx, conversation(alice), k.turns+k.replies+replies); err != nil {
			k.t.Fatal(err)
		}
	}
	k.w.wechat.ClearFaults()
	k.w.botpress.ClearFaults()
}

// check compares what the bot heard and what the user read.
func (k *killing) check(heard, read []string) {
	k.t.Helper()
	ctx := within(k.t, 30*time.Second)
	_, err := k.w.wechat.Wait(ctx, alice, len(read))
	time.Sleep(500 * time.Millisecond) // whatever is too many may be on its way
	var got []string
	for _, s := range texts(k.w.wechat.Replies(alice)) {
		got = append(got, strings.TrimSpace(s))
	}
	if diff := cmp.Diff(read, got); diff != "" {
		k.t.Errorf("the user read (-want +got, %v):\n%s", err, diff)
	}
	if diff := cmp.Diff(heard, said(k.w.botpress.Turns(conversation(alice)))); diff != "" {
		k.t.Errorf("the bot heard (-want +got):\n%s", diff)
	}
}
