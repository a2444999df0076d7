package caddytest

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-wechat/caddy-wechat/caddytest/simulator"
)

// TestMissedWebhooks spoils webhooks in all ways, and lets the bot speak without
// any. Each of its messages arrives, once and in its order.
func TestMissedWebhooks(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{options: bulk})
	// All conversations wait for their listings side by side.
	for i, tc := range missedWebhooks {
		openid := fmt.Sprintf("oUser%d", i)
		w.push(w.wechat.Text(openid, "hello"))
		w.expect(openid, "echo: hello")
		if tc.fault.Mode != "" {
			tc.fault.Conversation = conversation(openid)
			w.botpress.FailWebhook(tc.fault)
		}
		for _, text := range tc.say {
			w.push(w.wechat.Text(openid, text))
		}
		if tc.silently {
			w.botpress.Say(conversation(openid), "by the way", simulator.SaySilently())
		}
	}
	for i, tc := range missedWebhooks {
		w.expectOf(tc.name, fmt.Sprintf("oUser%d", i), tc.want)
	}
	w.awaitLate(within(t, 20*time.Second))
	listed := w.botpress.Calls("listMessages")
	w.restart() // which lists all of them at once
	w.awaitListings(within(t, 20*time.Second), listed+len(missedWebhooks))
	for i, tc := range missedWebhooks {
		w.expectOf(tc.name+", after another listing", fmt.Sprintf("oUser%d", i), tc.want)
	}
}

var missedWebhooks = []struct {
	name     string
	fault    simulator.WebhookFault
	say      []string
	silently bool // the bot says one thing more, of its own accord
	want     []string
}{
	{
		name:  "refused",
		fault: simulator.WebhookFault{Mode: simulator.WebhookBadSecret},
		say:   []string{"a"},
		want:  []string{"echo: hello", "echo: a"},
	},
	{
		name:  "never sent",
		fault: simulator.WebhookFault{Mode: simulator.WebhookSkip},
		say:   []string{"a"},
		want:  []string{"echo: hello", "echo: a"},
	},
	{
		name:  "cut",
		fault: simulator.WebhookFault{Mode: simulator.WebhookCut},
		say:   []string{"a"},
		want:  []string{"echo: hello", "echo: a"},
	},
	{
		name:  "hung up before our answer",
		fault: simulator.WebhookFault{Mode: simulator.WebhookHangUp},
		say:   []string{"a"},
		want:  []string{"echo: hello", "echo: a"},
	},
	{
		name:  "sent twice",
		fault: simulator.WebhookFault{Mode: simulator.WebhookTwice},
		say:   []string{"a"},
		want:  []string{"echo: hello", "echo: a"},
	},
	{
		name:  "later than a listing",
		fault: simulator.WebhookFault{Mode: simulator.WebhookLate, Delay: 8 * time.Second},
		say:   []string{"a"},
		want:  []string{"echo: hello", "echo: a"},
	},
	{
		name:  "both of two bubbles",
		fault: simulator.WebhookFault{Mode: simulator.WebhookSkip, Times: 2},
		say:   []string{"many 2"},
		want:  []string{"echo: hello", "1/2", "2/2"},
	},
	{
		name:  "the second of two bubbles",
		fault: simulator.WebhookFault{Mode: simulator.WebhookCut, After: 1},
		say:   []string{"many 2"},
		want:  []string{"echo: hello", "1/2", "2/2"},
	},
	{
		name:  "several turns",
		fault: simulator.WebhookFault{Mode: simulator.WebhookBadSecret, Times: 4},
		say:   []string{"a", "many 2", "b"},
		want:  []string{"echo: hello", "echo: a", "1/2", "2/2", "echo: b"},
	},
	{
		name:     "of the bot's own accord",
		silently: true,
		want:     []string{"echo: hello", "by the way"},
	},
	{
		name: "nothing missed",
		say:  []string{"a"},
		want: []string{"echo: hello", "echo: a"},
	},
}

// expectOf is expect for one of several users, and goes on with the others.
func (w *world) expectOf(name, openid string, want []string) {
	w.t.Helper()
	seen, err := w.wechat.Wait(within(w.t, 30*time.Second), openid, len(want))
	if diff := cmp.Diff(want, texts(seen)); diff != "" {
		w.t.Errorf("%s: the user read (-want +got, %v):\n%s", name, err, diff)
	}
}

// awaitLate waits until the late webhooks were posted, and taken.
func (w *world) awaitLate(ctx context.Context) {
	w.t.Helper()
	w.until(ctx, "the late webhook is taken", func() bool {
		for _, p := range w.botpress.Webhooks() {
			if p.Fault == simulator.WebhookLate && p.Status == 200 {
				return true
			}
		}
		return false
	})
}

// awaitListings waits until conversations were listed n times in all, and for
// what follows from that.
func (w *world) awaitListings(ctx context.Context, n int) {
	w.t.Helper()
	w.until(ctx, "conversations are listed", func() bool { return w.botpress.Calls("listMessages") >= n })
	time.Sleep(500 * time.Millisecond)
}

// until waits until something is so.
func (w *world) until(ctx context.Context, what string, so func() bool) {
	w.t.Helper()
	for !so() {
		select {
		case <-ctx.Done():
			w.t.Fatalf("waiting until %s: %v", what, ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// TestMissedWhileDown lets the bot speak while Caddy is down. Its messages
// arrive once Caddy is up, in order, and before one that comes then by webhook,
// however long the listing takes.
func TestMissedWhileDown(t *testing.T) {
	t.Parallel()
	const alice, bob = "oAlice", "oBob"
	w := newWorld(t, setup{options: bulk})
	for _, openid := range []string{alice, bob} {
		w.push(w.wechat.Text(openid, "hello"))
		w.expect(openid, "echo: hello")
	}
	w.caddy.stop()
	w.botpress.Say(conversation(alice), "first")
	w.botpress.Say(conversation(alice), "second")
	w.botpress.Say(conversation(bob), "first")
	w.botpress.Fail(simulator.BotpressFault{
		Op: "listMessages", Conversation: conversation(bob), LateBy: 10 * time.Second,
	})
	w.caddy.start(w.config())
	w.botpress.Say(conversation(bob), "second")
	if n := len(w.wechat.Replies(bob)); n != 1 {
		t.Errorf("bob has read %d messages before the listing was answered, want 1", n)
	}
	w.expect(alice, "echo: hello", "first", "second")
	w.expect(bob, "echo: hello", "first", "second")

	// And that was all.
	listed := w.botpress.Calls("listMessages")
	w.restart()
	w.awaitListings(within(t, 20*time.Second), listed+2)
	w.expect(alice, "echo: hello", "first", "second")
	w.expect(bob, "echo: hello", "first", "second")
}

// TestKeep has a user come back after the journal has forgotten what was said:
// the bot's old messages stand in the listing that brings the new one, and are
// not sent again.
func TestKeep(t *testing.T) {
	t.Parallel()
	const alice = "oAlice"
	w := newWorld(t, setup{options: bulk + "\nfreshness 0", idle: true})
	w.journal = "keep 1s"
	w.caddy.start(w.config())
	ctx := within(t, time.Minute)
	w.push(w.wechat.Text(alice, "many 3"))
	w.expect(alice, "1/3", "2/3", "3/3")

	listed := w.botpress.Calls("listMessages")
	w.restart() // its listing finds all of it done, after which it may be forgotten
	w.awaitListings(ctx, listed+1)
	w.until(ctx, "replies are forgotten", func() bool { return w.remembered() <= 1 })

	w.botpress.FailWebhook(simulator.WebhookFault{Conversation: conversation(alice), Times: -1})
	w.push(w.wechat.Text(alice, "I am back"))
	w.expect(alice, "1/3", "2/3", "3/3", "echo: I am back")

	listed = w.botpress.Calls("listMessages")
	w.restart()
	w.awaitListings(ctx, listed+1)
	w.expect(alice, "1/3", "2/3", "3/3", "echo: I am back")
}

// remembered is how many replies the journal holds, handled ones included.
func (w *world) remembered() (n int) {
	w.t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(w.journalDir(), "journal.db")+"?mode=ro")
	if err != nil {
		w.t.Fatal(err)
	}
	defer db.Close()
	if err := db.QueryRow("SELECT count(*) FROM replies").Scan(&n); err != nil {
		w.t.Fatal(err)
	}
	return n
}

// TestFreshJournal loses the journal. The bot's old messages, which it told of,
// stay old.
func TestFreshJournal(t *testing.T) {
	t.Parallel()
	const alice = "oAlice"
	w := newWorld(t, setup{options: bulk})
	ctx := within(t, time.Minute)
	w.push(w.wechat.Text(alice, "many 3"))
	w.expect(alice, "1/3", "2/3", "3/3")
	w.caddy.stop()
	if err := os.RemoveAll(w.journalDir()); err != nil {
		t.Fatal(err)
	}
	w.caddy.start(w.config())
	w.botpress.FailWebhook(simulator.WebhookFault{Conversation: conversation(alice), Times: -1})
	w.push(w.wechat.Text(alice, "hello"))
	w.expect(alice, "1/3", "2/3", "3/3", "echo: hello")

	listed := w.botpress.Calls("listMessages")
	w.restart()
	w.awaitListings(ctx, listed+1)
	w.expect(alice, "1/3", "2/3", "3/3", "echo: hello")
}
