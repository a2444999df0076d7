package caddytest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-wechat/caddy-wechat/caddytest/simulator"
)

// nothing is a placeholder that resolves to nothing.
const nothing = "{env.CADDY_WECHAT_TEST_NOTHING}"

// newBareWorld is a world whose bot has neither an encryption key nor a webhook.
func newBareWorld(t *testing.T, s setup) *world {
	t.Helper()
	change := s.botpress
	s.botpress = func(c *simulator.BotpressConfig) {
		c.EncryptionKey, c.WebhookURL, c.WebhookSecret = "", "", ""
		if change != nil {
			change(c)
		}
	}
	idle := s.idle
	s.idle = true
	w := newWorld(t, s)
	w.botKey, w.botSecret = nothing, nothing
	if !idle {
		w.caddy.start(w.config())
	}
	return w
}

// listening waits until a conversation is listened to.
func (w *world) listening(conv string) {
	w.t.Helper()
	if err := w.botpress.WaitStreams(within(w.t, 30*time.Second), conv, 1); err != nil {
		w.t.Fatalf("%s is not listened to: %v", conv, err)
	}
}

// TestListen: with neither a key nor a secret, what the bot says is heard, also of
// its own accord, and the keys that it issues are in the journal alone.
func TestListen(t *testing.T) {
	t.Parallel()
	w := newBareWorld(t, setup{options: "settle 0"})
	const alice = "oAlice"
	w.push(w.wechat.Text(alice, "hello"))
	w.expect(alice, "echo: hello")
	w.listening(conversation(alice))
	w.push(w.wechat.Text(alice, "many 3"))
	w.expect(alice, "echo: hello", "1/3", "2/3", "3/3")
	w.botpress.Say(conversation(alice), "by the way")
	w.expect(alice, "echo: hello", "1/3", "2/3", "3/3", "by the way")

	for _, name := range []string{"journal.db", "journal.db-wal"} {
		info, err := os.Stat(filepath.Join(w.journalDir(), name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", name, info.Mode())
		}
	}
	if log := w.caddy.log.String(); strings.Contains(log, "eyJ") {
		t.Error("the log shows a key")
	}
	// A second of wait would be too long, but a busy machine knows no time.
	if n := len(w.caddy.log.lines("found replies that were not delivered to us")); n > 1 {
		t.Errorf("%d listings found what should have been heard", n)
	}
}

// TestListenThroughTrouble: streams break, fall silent, and end with the cloud;
// each thing that the bot says arrives once, in its order.
func TestListenThroughTrouble(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name    string
		trouble func(w *world, conv string)
	}{
		{"cut", func(w *world, conv string) {
			w.botpress.DropStreams(conv)
			w.botpress.Say(conv, "said")
		}},
		{"cut within an event", func(w *world, conv string) {
			w.botpress.TearStreams(conv)
			w.botpress.Say(conv, "said")
		}},
		{"silent", func(w *world, conv string) {
			w.botpress.SilenceStreams(true)
			w.botpress.Script(func(ctx context.Context, turn *simulator.BotTurn) {
				w.botpress.Script(nil)
				turn.Reply("said")
				w.botpress.SilenceStreams(false)
			})
			w.push(w.wechat.Text("oAlice", "speak"))
		}},
		{"the cloud away", func(w *world, conv string) {
			w.botpress.SetDown(true)
			w.botpress.Say(conv, "said")
			time.Sleep(time.Second)
			w.botpress.SetDown(false)
		}},
		{"refused for a while", func(w *world, conv string) {
			w.botpress.Fail(simulator.BotpressFault{Op: "listenConversation", Times: 2, Status: 429, Headers: map[string]string{"Retry-After": "1"}})
			w.botpress.DropStreams(conv)
			w.botpress.Say(conv, "said")
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newBareWorld(t, setup{options: "settle 0"})
			conv := conversation("oAlice")
			w.push(w.wechat.Text("oAlice", "hello"))
			w.expect("oAlice", "echo: hello")
			w.listening(conv)
			tc.trouble(w, conv)
			w.expect("oAlice", "echo: hello", "said")
			w.listening(conv)
			w.push(w.wechat.Text("oAlice", "again"))
			w.expect("oAlice", "echo: hello", "said", "echo: again")
		})
	}
}

// TestKeys: what makes a user's key worthless makes another conversation of the
// user's; with a key of the operator's, the conversations from before go on.
func TestKeys(t *testing.T) {
	t.Parallel()
	w := newBareWorld(t, setup{options: "settle 0"})
	const alice = "oAlice"
	var want []string
	conv := conversation(alice)
	say := func(text, in string) {
		t.Helper()
		before := len(w.botpress.Turns(in))
		w.push(w.wechat.Text(alice, text))
		want = append(want, "echo: "+text)
		w.expect(alice, want...)
		if n := len(w.botpress.Turns(in)); n != before+1 {
			t.Errorf("%q did not go to %s, which has %d turns; there are %q", text, in, n, w.botpress.Conversations())
		}
	}
	say("one", conv)
	w.restart()
	say("the key is kept", conv)

	w.botpress.SetEncryptionKey("")
	say("the key is refused", conv+"-1")
	say("the new one is not", conv+"-1")

	w.caddy.stop()
	for _, name := range []string{"journal.db", "journal.db-wal", "journal.db-shm"} {
		if err := os.Remove(filepath.Join(w.journalDir(), name)); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	w.caddy.start(w.config())
	w.push(w.wechat.Text(alice, "the journal is lost"))
	want = append(want, "echo: the journal is lost")
	w.expect(alice, want...)
	var lost string // the two before are taken, and how many more is not known
	for _, c := range w.botpress.Conversations() {
		if c != conv && c != conv+"-1" {
			lost = c
		}
	}
	say("one that is new again", lost)

	w.botpress.SetEncryptionKey(encryptionKey)
	w.botKey = encryptionKey
	w.reload()
	say("keys of our own", lost)
	if n := w.botpress.Calls("createUser"); n != 5 {
		t.Errorf("%d users were to be made, want one, another, and three more until an id was free", n)
	}

	w.botpress.SetEncryptionKey("")
	w.botKey = nothing
	w.reload()
	w.push(w.wechat.Text(alice, "and keys of Botpress again"))
	want = append(want, "echo: and keys of Botpress again")
	w.expect(alice, want...)
}

// TestListenToMany: more users than there are streams. Those for whom there is
// none have their replies by listing.
func TestListenToMany(t *testing.T) {
	const streams = 100
	w := newBareWorld(t, setup{options: bulk, wechat: func(c *simulator.WeChatConfig) { c.NoAllowance = true }})
	c := crowd{w: w, users: 200, each: 3}
	ctx := within(t, time.Minute)
	over, watched := make(chan struct{}), make(chan int)
	go func() {
		most := 0
		for {
			select {
			case <-over:
				watched <- most
				return
			case <-time.After(20 * time.Millisecond):
				most = max(most, w.botpress.State().Streams)
			}
		}
	}()
	c.speak(ctx)
	c.check(within(t, 45*time.Second), 0)
	close(over)
	// A stream that was given up is seen to be so a moment later.
	if most := <-watched; most < streams/2 || most > 2*streams {
		t.Errorf("%d streams at once", most)
	}
	w.until(ctx, "there are no more streams than allowed", func() bool { return w.botpress.State().Streams <= streams })
}

// TestListenAcrossReloads: the bot answers while streams end and begin anew.
func TestListenAcrossReloads(t *testing.T) {
	t.Parallel()
	w := newBareWorld(t, setup{options: bulk, wechat: func(c *simulator.WeChatConfig) { c.NoAllowance = true }})
	w.botpress.Script(func(ctx context.Context, turn *simulator.BotTurn) {
		for i := range 15 {
			time.Sleep(100 * time.Millisecond)
			turn.Reply(fmt.Sprintf("%s %d", turn.Text(), i))
		}
	})
	var want []string
	for i := range 15 {
		want = append(want, fmt.Sprintf("go %d", i))
	}
	var wg sync.WaitGroup
	for i := range 5 {
		w.push(w.wechat.Text(fmt.Sprintf("oUser%d", i), "go"))
	}
	spoken := make(chan struct{})
	wg.Go(func() {
		defer close(spoken)
		_ = w.botpress.WaitIdle(within(t, time.Minute))
	})
	w.reloadWhile(spoken, func() {}, bulk, bulk+"\n\t\tai_label on")
	wg.Wait()
	for i := range 5 {
		w.expectOf("user", fmt.Sprintf("oUser%d", i), want)
	}
}

// TestListenAfterKill: Caddy dies while the bot is thinking. What it says meanwhile
// is found, and what it says later is heard.
func TestListenAfterKill(t *testing.T) {
	t.Parallel()
	w := newBareWorld(t, setup{options: bulk})
	dead, alive := make(chan struct{}), make(chan struct{})
	w.botpress.Script(func(ctx context.Context, turn *simulator.BotTurn) {
		<-dead
		turn.Reply("while it was dead")
		<-alive
		turn.Reply("when it lived again")
	})
	w.push(w.wechat.Text("oAlice", "hello"))
	if _, err := w.botpress.WaitTurns(within(t, 30*time.Second), conversation("oAlice"), 1); err != nil {
		t.Fatal(err)
	}
	w.caddy.kill()
	close(dead)
	w.caddy.start(w.config())
	w.expect("oAlice", "while it was dead")
	w.listening(conversation("oAlice"))
	close(alive)
	w.expect("oAlice", "while it was dead", "when it lived again")
	if diff := cmp.Diff([]string{"hello"}, said(w.botpress.Turns(conversation("oAlice")))); diff != "" {
		t.Errorf("the bot heard (-want +got):\n%s", diff)
	}
}
