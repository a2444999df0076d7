package bridge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-wechat/caddy-wechat/module/bots"
)

// audibleBot is a bot whose messages are listened for, and which gives its users
// keys. It says nothing to those who did not listen in time, but lists it.
type audibleBot struct {
	script map[string][]bubble

	delivering time.Duration // how long it takes to say that it has a message
	listing    time.Duration // how long a listing takes

	mu      sync.Mutex
	n       int
	history map[string][]bots.Reply      // by conversation
	lines   map[string][]chan bots.Reply // that are open, by conversation
	opens   map[string][]time.Duration   // when each conversation was listened to
	keys    map[string]string            // that are good, by conversation
	turns   []string                     // conversation and text
	faults  []*bots.Fault                // of the next attempts to listen
	refuses bool                         // keys that were only just issued
	began   time.Time
	wg      sync.WaitGroup
}

func newAudibleBot() *audibleBot {
	return &audibleBot{
		script: make(map[string][]bubble), began: time.Now(), history: make(map[string][]bots.Reply),
		lines: make(map[string][]chan bots.Reply), opens: make(map[string][]time.Duration), keys: make(map[string]string),
	}
}

func (*audibleBot) Identity() string { return "audible" }
func (*audibleBot) Listens() bool    { return true }
func (*audibleBot) Issues() bool     { return true }

func (*audibleBot) Conversation(p bots.Peer) string {
	return fmt.Sprintf("%s-%d", p.OpenID, p.Generation)
}

var errKeyLost = &bots.Fault{Kind: bots.Unknown, KeyLost: true, Err: errors.New("no key")}

func (b *audibleBot) Issue(_ context.Context, p bots.Peer) (string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.Conversation(p)
	if b.keys[c] != "" {
		return "", errKeyLost
	}
	b.n++
	b.keys[c] = fmt.Sprintf("key %d", b.n)
	return b.keys[c], nil
}

func (b *audibleBot) check(p bots.Peer) error {
	if b.refuses || p.Key == "" || b.keys[b.Conversation(p)] != p.Key {
		return errKeyLost
	}
	return nil
}

func (b *audibleBot) Introduce(_ context.Context, p bots.Peer) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.check(p)
}

func (b *audibleBot) Deliver(_ context.Context, t bots.Turn) (bots.Receipt, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.check(t.Peer); err != nil {
		return bots.Receipt{}, err
	}
	var payload struct{ Text string }
	_ = json.Unmarshal(t.Message, &payload)
	conv := b.Conversation(t.Peer)
	b.turns = append(b.turns, conv+" "+payload.Text)
	for i, bu := range b.script[payload.Text] {
		b.wg.Go(func() {
			time.Sleep(bu.after + time.Duration(i)*time.Microsecond)
			b.say(conv, bu.text)
		})
	}
	at := time.Now()
	b.mu.Unlock()
	time.Sleep(b.delivering)
	b.mu.Lock()
	return bots.Receipt{At: at, ID: t.ID}, nil
}

// say says something now, to whoever listens.
func (b *audibleBot) say(conv, text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.n++
	payload, _ := json.Marshal(map[string]string{"type": "text", "text": text})
	r := bots.Reply{Conversation: conv, ID: fmt.Sprintf("m%05d", b.n), CreatedAt: time.Now(), Payload: payload}
	b.history[conv] = append(b.history[conv], r)
	for _, line := range b.lines[conv] {
		line <- r
	}
}

func (b *audibleBot) List(_ context.Context, p bots.Peer, after bots.Mark) ([]bots.Reply, bool, error) {
	time.Sleep(b.listing)
	b.mu.Lock()
	defer b.mu.Unlock()
	var found []bots.Reply
	for _, r := range b.history[b.Conversation(p)] {
		if r.CreatedAt.UnixMilli() > after.At.UnixMilli() {
			found = append(found, r)
		}
	}
	return found, false, nil
}

func (b *audibleBot) Listen(ctx context.Context, p bots.Peer, opened func(), hear func([]bots.Reply) error) error {
	conv, line := b.Conversation(p), make(chan bots.Reply, 100)
	b.mu.Lock()
	b.opens[conv] = append(b.opens[conv], time.Since(b.began).Round(10*ms))
	err := b.check(p)
	if len(b.faults) > 0 {
		err, b.faults = b.faults[0], b.faults[1:]
	}
	if err != nil {
		b.mu.Unlock()
		if f := bots.AsFault(err); f.Kind == bots.Poison {
			panic("bad stream")
		}
		return err
	}
	b.lines[conv] = append(b.lines[conv], line)
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.lines[conv] = slices.DeleteFunc(b.lines[conv], func(l chan bots.Reply) bool { return l == line })
	}()
	opened()
	for {
		select {
		case r, ok := <-line:
			if !ok {
				return &bots.Fault{Err: io.EOF}
			}
			if err := hear([]bots.Reply{r}); err != nil {
				return err
			}
		case <-ctx.Done():
			return &bots.Fault{Err: ctx.Err()}
		}
	}
}

// cut ends the streams of a conversation, the next ones with faults at once.
func (b *audibleBot) cut(conv string, then ...*bots.Fault) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.faults = then
	for _, line := range b.lines[conv] {
		close(line)
	}
	b.lines[conv] = nil
}

// heard is in which conversations somebody listens.
func (b *audibleBot) heard() (all []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for conv, lines := range b.lines {
		for range lines {
			all = append(all, conv)
		}
	}
	slices.Sort(all)
	return all
}

func (b *audibleBot) attempts(conv string) []time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.opens[conv])
}

// audible plays a scene with such a bot.
func audible(t *testing.T, test func(*testing.T, *scene, *audibleBot)) {
	t.Helper()
	dir := tempDir(t)
	synctest.Test(t, func(t *testing.T) {
		bot := newAudibleBot()
		sc := newScene(t, dir, func(s *Settings) { s.Bot, s.Reply, s.Typing = bot, ReplyPush, false }, nil)
		defer bot.wg.Wait()
		defer sc.close()
		test(t, sc, bot)
	})
}

// tell has a user say something, in the background.
func (sc *scene) tell(openid, text string) {
	go sc.wechat.Push(context.Background(), sc.wechat.Text(openid, text))
}

// pushed are the texts that the user has seen.
func pushed(sc *scene) (texts []string) {
	for _, line := range sc.saw() {
		texts = append(texts, line[strings.Index(line, "push")+5:])
	}
	return texts
}

const sceneConv = sceneUser + "-0"

func wantSeen(t *testing.T, sc *scene, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, sc.saw()); diff != "" {
		t.Errorf("the user sees (-want +got):\n%s", diff)
	}
}

// TestHearing: a reply is there as soon as it is said and settled; streams end and
// begin with what happens in a conversation.
func TestHearing(t *testing.T) {
	audible(t, func(t *testing.T, sc *scene, bot *audibleBot) {
		bot.script["hi"] = said(900*ms, "a")
		sc.tell(sceneUser, "hi")
		time.Sleep(2 * time.Minute)
		wantSeen(t, sc, "1.2s push a")
		bot.say(sceneConv, "b")
		time.Sleep(s)
		wantSeen(t, sc, "1.2s push a", "2m0.3s push b")
		time.Sleep(listenFor - 30*s)
		if got := bot.heard(); len(got) != 1 {
			t.Errorf("%q are listened to before the time is over", got)
		}
		time.Sleep(time.Minute)
		if got := bot.heard(); len(got) != 0 {
			t.Errorf("%q are listened to after the time is over", got)
		}
		sc.tell(sceneUser, "hi")
		time.Sleep(2 * s)
		if got := sc.saw(); len(got) != 3 || len(bot.attempts(sceneConv)) != 2 {
			t.Errorf("the user sees %q after %v", got, bot.attempts(sceneConv))
		}
	})
}

// TestHearingAgain: a stream that ends is opened again, at growing intervals, and
// what was missed comes ahead of what is heard.
func TestHearingAgain(t *testing.T) {
	audible(t, func(t *testing.T, sc *scene, bot *audibleBot) {
		sc.tell(sceneUser, "hi")
		time.Sleep(10*time.Minute - time.Since(sc.began)) // past all listings; and idle
		sc.tell(sceneUser, "hi")
		time.Sleep(4 * time.Minute)
		trouble := &bots.Fault{Err: io.ErrUnexpectedEOF}
		bot.cut(sceneConv, trouble, trouble, trouble, &bots.Fault{Err: io.EOF, RetryAfter: 20 * s}, trouble)
		bot.say(sceneConv, "missed")
		bot.wg.Go(func() {
			time.Sleep(100 * ms)
			bot.say(sceneConv, "missed too")
		})
		time.Sleep(50 * s)
		at := bot.attempts(sceneConv)
		if len(at) != 8 { // two that lasted, five that failed, one that lasts
			t.Fatalf("listened to at %v", at)
		}
		if pause := at[6] - at[5]; pause < 20*s {
			t.Errorf("a pause of %v although 20s were asked for", pause)
		}
		want := []string{"missed", "missed too"}
		if diff := cmp.Diff(want, pushed(sc)); diff != "" {
			t.Errorf("the user sees (-want +got):\n%s", diff)
		}
		bot.say(sceneConv, "heard")
		time.Sleep(2 * s)
		if diff := cmp.Diff(append(want, "heard"), pushed(sc)); diff != "" {
			t.Errorf("the user sees (-want +got):\n%s", diff)
		}
	})
}

// TestHearingOrder: what was said before a stream was opened goes before what is
// heard by it, also in a conversation that has only begun.
func TestHearingOrder(t *testing.T) {
	audible(t, func(t *testing.T, sc *scene, bot *audibleBot) {
		// The stream opens while the bot still takes the message, and has said the
		// first thing already; the listing that finds it takes longer than the second.
		bot.script["hi"] = append(said(100*ms, "first"), said(600*ms, "second")...)
		bot.delivering, bot.listing = 500*ms, 2*s
		bot.faults = []*bots.Fault{{Err: io.EOF}}
		sc.tell(sceneUser, "hi")
		time.Sleep(20 * s)
		if diff := cmp.Diff([]string{"first", "second"}, pushed(sc)); diff != "" {
			t.Errorf("the user sees (-want +got):\n%s", diff)
		}
	})
}

// TestHearingUnknown: a conversation that the bot does not know is left alone until
// something is said in it; a stream that panics, too.
func TestHearingUnknown(t *testing.T) {
	for name, f := range map[string]*bots.Fault{
		"unknown":   {Kind: bots.Unknown, Err: errors.New("gone")},
		"panicking": {Kind: bots.Poison, Err: errors.New("panic")},
	} {
		t.Run(name, func(t *testing.T) {
			audible(t, func(t *testing.T, sc *scene, bot *audibleBot) {
				time.Sleep(s) // what begins at the start has begun
				bot.faults = []*bots.Fault{f}
				sc.tell(sceneUser, "hi")
				time.Sleep(time.Minute)
				if at := bot.attempts(sceneConv); len(at) != 1 {
					t.Errorf("listened to at %v", at)
				}
				sc.tell(sceneUser, "hi")
				time.Sleep(s)
				if got := bot.heard(); len(got) != 1 {
					t.Errorf("%q are listened to", got)
				}
			})
		})
	}
}

// TestHearingHeld: a fault that an operator has to mend holds the account, and
// streams go on once it is mended.
func TestHearingHeld(t *testing.T) {
	audible(t, func(t *testing.T, sc *scene, bot *audibleBot) {
		bot.script["hi"] = said(30*s, "a")
		bot.faults = []*bots.Fault{{Kind: bots.Operator, Remedy: "pay", Err: errors.New("no plan")}}
		sc.tell(sceneUser, "hi")
		time.Sleep(10 * ms)
		if h := sc.rt.Holds()["bot"]; h.Remedy != "pay" {
			t.Errorf("held: %+v", h)
		}
		time.Sleep(time.Minute)
		if h := sc.rt.Holds(); len(h) != 0 {
			t.Errorf("still held: %+v", h)
		}
		if got := bot.heard(); len(got) != 1 || len(sc.saw()) != 1 {
			t.Errorf("%q are listened to, the user sees %q", got, sc.saw())
		}
	})
}

// TestHearingMany: of too many conversations, those that were silent for longest
// are not listened to; their replies are listed.
func TestHearingMany(t *testing.T) {
	audible(t, func(t *testing.T, sc *scene, bot *audibleBot) {
		sc.rt.listening.mu.Lock()
		sc.rt.listening.most = 2
		sc.rt.listening.mu.Unlock()
		bot.script["slow"] = said(10*s, "late")
		for _, tc := range []struct{ who, text, want string }{
			{"oA", "slow", "oA-0"},
			{"oB", "hi", "oA-0 oB-0"},
			{"oA", "hi", "oA-0 oB-0"},
			{"oC", "hi", "oA-0 oC-0"},
			{"oD", "hi", "oC-0 oD-0"},
		} {
			sc.tell(tc.who, tc.text)
			time.Sleep(s)
			if got := strings.Join(bot.heard(), " "); got != tc.want {
				t.Errorf("%s said %s: %q are listened to, want %q", tc.who, tc.text, got, tc.want)
			}
		}
		time.Sleep(30 * s)
		if seen := sc.wechat.Seen("oA"); len(seen) != 1 || seen[0].Text != "late" {
			t.Errorf("who is not listened to has %+v", seen)
		}
		if got := strings.Join(bot.heard(), " "); got != "oA-0 oD-0" {
			t.Errorf("%q are listened to after a listing, want the one with news and the latest", got)
		}
	})
}

// TestHearingAcrossReloads: a reload and a restart begin streams anew, and a bot
// that is not to be listened to ends them.
func TestHearingAcrossReloads(t *testing.T) {
	audible(t, func(t *testing.T, sc *scene, bot *audibleBot) {
		bot.script["hi"] = said(30*s, "a")
		sc.tell("oOld", "old")
		time.Sleep(10 * time.Minute)
		sc.tell(sceneUser, "hi")
		time.Sleep(5 * s)
		sc.s.Bot = sameBot{bot}
		sc.reload()
		sc.s.Bot = bot
		sc.reload()
		time.Sleep(5 * s)
		if diff := cmp.Diff([]string{sceneConv}, bot.heard()); diff != "" {
			t.Errorf("listened to after reloads (-want +got):\n%s", diff)
		}
		sc.restart()
		time.Sleep(5 * s)
		if diff := cmp.Diff([]string{sceneConv}, bot.heard()); diff != "" {
			t.Errorf("listened to after a restart (-want +got):\n%s", diff)
		}
		time.Sleep(20 * s)
		if got := sc.saw(); len(got) != 1 {
			t.Errorf("the user sees %q", got)
		}
		sc.s.Bot = deafBot{bot}
		sc.reload()
		time.Sleep(s)
		if got := bot.heard(); len(got) != 0 {
			t.Errorf("%q are listened to although replies come another way", got)
		}
	})
}

// sameBot is the bot as another configuration has it.
type sameBot struct{ *audibleBot }

// deafBot is not to be listened to.
type deafBot struct{ *audibleBot }

func (deafBot) Listens() bool { return false }
