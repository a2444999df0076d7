package bridge

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-wechat/caddy-wechat/module/bots"
)

func (b *audibleBot) turned() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.turns...)
}

// forget makes the keys of all conversations worthless, or of none known.
func (b *audibleBot) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for conv := range b.keys {
		b.keys[conv] = "another"
	}
}

func TestKeyIsKept(t *testing.T) {
	audible(t, func(t *testing.T, sc *scene, bot *audibleBot) {
		sc.tell(sceneUser, "one")
		time.Sleep(s)
		sc.restart()
		sc.tell(sceneUser, "two")
		time.Sleep(s)
		bot.forget()
		sc.tell(sceneUser, "three")
		time.Sleep(s)
		sc.tell(sceneUser, "four")
		time.Sleep(s)
		want := []string{"oAlice-0 one", "oAlice-0 two", "oAlice-1 three", "oAlice-1 four"}
		if diff := cmp.Diff(want, bot.turned()); diff != "" {
			t.Errorf("the bot heard (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]string{"oAlice-1"}, bot.heard()); diff != "" {
			t.Errorf("listened to (-want +got):\n%s", diff)
		}
	})
}

// TestKeysTaken: users of whom the journal knows nothing are there already, more
// than one would like to try one after the other.
func TestKeysTaken(t *testing.T) {
	audible(t, func(t *testing.T, sc *scene, bot *audibleBot) {
		for n := range 10 {
			bot.keys[bot.Conversation(bots.Peer{OpenID: sceneUser, Generation: n})] = "somebody's"
		}
		sc.tell(sceneUser, "one")
		time.Sleep(s)
		sc.tell(sceneUser, "two")
		time.Sleep(s)
		turns := bot.turned()
		if len(turns) != 2 || strings.Fields(turns[0])[0] != strings.Fields(turns[1])[0] {
			t.Errorf("the bot heard %q", turns)
		}
		if waiting, parked, dead := sc.state(); waiting+parked > 0 || len(dead) > 0 {
			t.Error(waiting, parked, dead)
		}
	})
}

// TestKeysRefused: where new keys are refused too, somebody has to look. Nothing is
// lost meanwhile.
func TestKeysRefused(t *testing.T) {
	audible(t, func(t *testing.T, sc *scene, bot *audibleBot) {
		bot.refuses = true
		sc.tell(sceneUser, "one")
		time.Sleep(time.Minute)
		if h := sc.rt.Holds()["bot"]; !strings.Contains(h.Remedy, "encryption_key") {
			t.Errorf("held: %+v", h)
		}
		bot.mu.Lock()
		bot.refuses = false
		issued := len(bot.keys)
		bot.mu.Unlock()
		if issued > 20 {
			t.Errorf("%d users were made in a minute", issued)
		}
		time.Sleep(2 * time.Minute)
		if turns := bot.turned(); len(turns) != 1 || len(sc.rt.Holds()) != 0 {
			t.Errorf("the bot heard %q, held: %v", turns, sc.rt.Holds())
		}
	})
}

// otherBot is another bot than the one it is made of.
type otherBot struct{ *audibleBot }

func (otherBot) Identity() string { return "other" }

// signingBot makes the keys of users itself.
type signingBot struct{ *audibleBot }

func (signingBot) Issues() bool { return false }

func (b signingBot) sign(p bots.Peer) bots.Peer {
	b.mu.Lock()
	defer b.mu.Unlock()
	if c := b.Conversation(p); b.keys[c] == "" {
		b.keys[c] = "signed"
	}
	p.Key = b.keys[b.Conversation(p)]
	return p
}

func (b signingBot) Introduce(ctx context.Context, p bots.Peer) error {
	return b.audibleBot.Introduce(ctx, b.sign(p))
}

func (b signingBot) Deliver(ctx context.Context, t bots.Turn) (bots.Receipt, error) {
	t.Peer = b.sign(t.Peer)
	return b.audibleBot.Deliver(ctx, t)
}

// TestKeysOfSeveralBots: a user's key is for one bot, and is there when that bot is
// back; who signs keys may do so for users whose keys were issued, but not the
// other way round.
func TestKeysOfSeveralBots(t *testing.T) {
	audible(t, func(t *testing.T, sc *scene, bot *audibleBot) {
		other := otherBot{newAudibleBot()}
		signed := signingBot{bot}
		for _, step := range []struct {
			bot  bots.Bot
			user string
			say  string
		}{
			{bot, "oA", "1"},
			{signed, "oA", "2"},
			{bot, "oA", "3"},
			{other, "oA", "4"},
			{bot, "oA", "5"},
			{other, "oA", "6"},
			{signed, "oB", "7"},
			{bot, "oB", "8"},
			{signed, "oB", "9"},
		} {
			sc.s.Bot = step.bot
			sc.reload()
			time.Sleep(5 * s)
			sc.tell(step.user, step.say)
			time.Sleep(5 * s)
		}
		if diff := cmp.Diff([]string{"oA-0 1", "oA-0 2", "oA-0 3", "oA-0 5", "oB-0 7", "oB-1 8", "oB-1 9"}, bot.turned()); diff != "" {
			t.Errorf("the bot heard (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]string{"oA-0 4", "oA-0 6"}, other.turned()); diff != "" {
			t.Errorf("the other bot heard (-want +got):\n%s", diff)
		}
	})
}
