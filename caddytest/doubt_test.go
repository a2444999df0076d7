package caddytest

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-wechat/caddy-wechat/caddytest/simulator"
)

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
				k.w.caddy.log.await(1, "reply delivered") // and recorded
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
