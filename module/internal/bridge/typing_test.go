package bridge

import (
	"context"
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-wechat/caddy-wechat/module/bots"
)

// promptBot tells what it has to say before it answers the call, and can be slow
// with either.
type promptBot struct {
	*scriptedBot
	before map[string]time.Duration // how long the call takes before anything is said
	after  map[string]time.Duration // and after
	says   map[string]string
}

func (b *promptBot) Deliver(ctx context.Context, t bots.Turn) (bots.Receipt, error) {
	var payload struct{ Text, Event string }
	raw := t.Message
	if t.Event != nil {
		raw = t.Event
	}
	_ = json.Unmarshal(raw, &payload)
	key := payload.Text + payload.Event
	time.Sleep(b.before[key])
	at := time.Now()
	if text := b.says[key]; text != "" {
		p, _ := json.Marshal(map[string]any{"type": "text", "text": text})
		b.post(bots.Reply{Conversation: b.Conversation(t.Peer), ID: "p-" + text, CreatedAt: at.Add(ms), Payload: p})
	}
	time.Sleep(b.after[key])
	return bots.Receipt{At: at, ID: t.ID}, nil
}

// TestTypingAfterTheAnswer: an answer that comes before the bot's call
// returns ends the waiting all the same.
func TestTypingAfterTheAnswer(t *testing.T) {
	dir := tempDir(t)
	synctest.Test(t, func(t *testing.T) {
		bot := &promptBot{says: map[string]string{"hi": "a"}, after: map[string]time.Duration{"hi": 50 * ms}}
		sc := newScene(t, dir, func(s *Settings) {
			bot.scriptedBot = s.Bot.(*scriptedBot)
			s.Bot = bot
		}, nil)
		defer sc.close()
		sc.play(hi)
		time.Sleep(5*s - time.Since(sc.began))
		if diff := cmp.Diff([]string{"300ms passive a"}, sc.saw()); diff != "" {
			t.Errorf("the user sees (-want +got):\n%s", diff)
		}
		if sc.wechat.Typing(sceneUser) {
			t.Error("the user is shown that the bot works, 5 s after its answer")
		}
	})
}

// missedBot says things that no webhook brings.
type missedBot struct{ *promptBot }

func (b missedBot) List(_ context.Context, p bots.Peer, since bots.Mark) ([]bots.Reply, bool, error) {
	at := b.sc.began.Add(2 * s)
	if !at.After(since.At) || time.Now().Before(at) { // at the start it is listed, too
		return nil, false, nil
	}
	payload, _ := json.Marshal(map[string]any{"type": "text", "text": "a"})
	return []bots.Reply{{Conversation: b.Conversation(p), ID: "m1", CreatedAt: at, Payload: payload}}, false, nil
}

// TestTypingAfterAMissedAnswer: an answer that is found by a listing ends the
// waiting like any other.
func TestTypingAfterAMissedAnswer(t *testing.T) {
	dir := tempDir(t)
	synctest.Test(t, func(t *testing.T) {
		bot := missedBot{&promptBot{}}
		sc := newScene(t, dir, func(s *Settings) {
			bot.scriptedBot = s.Bot.(*scriptedBot)
			s.Bot = bot
		}, nil)
		defer sc.close()
		sc.play(hi)
		time.Sleep(18*s - time.Since(sc.began))
		if diff := cmp.Diff([]string{"5.3s push a"}, sc.saw()); diff != "" {
			t.Errorf("the user sees (-want +got):\n%s", diff)
		}
		if sc.wechat.Typing(sceneUser) {
			t.Error("the user is shown that the bot works, long after its answer")
		}
	})
}
