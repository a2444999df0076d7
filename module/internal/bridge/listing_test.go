package bridge

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-wechat/caddy-wechat/module/bots"
)

// partialBot says four things that no webhook brings, and lists one or two of them at a time.
type partialBot struct {
	*promptBot
	most int

	mu    sync.Mutex
	asked []int // how many were newer than the mark each time
}

func (b *partialBot) List(_ context.Context, p bots.Peer, after bots.Mark) (found []bots.Reply, more bool, err error) {
	newer := 0
	for i := range 4 {
		at := b.sc.began.Add(2*s + time.Duration(i)*ms)
		if !at.After(after.At) || time.Now().Before(at) {
			continue
		}
		if newer++; newer <= b.most {
			payload, _ := json.Marshal(map[string]any{"type": "text", "text": string(rune('a' + i))})
			found = append(found, bots.Reply{Conversation: b.Conversation(p), ID: fmt.Sprint("m", i), CreatedAt: at, Payload: payload})
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked = append(b.asked, newer)
	return found, newer > b.most, nil
}

// TestListingInParts: what a bot lists in parts is asked for until all of it is here, and reaches the user in
// order. The watermark passes nothing that was not listed.
func TestListingInParts(t *testing.T) {
	for most, want := range map[int][]int{
		1: {4, 4, 3, 3, 2, 2, 1, 1, 0}, // found, then known and passed
		3: {4, 4, 1, 1, 0},
	} {
		t.Run(fmt.Sprint(most), func(t *testing.T) {
			dir := tempDir(t)
			synctest.Test(t, func(t *testing.T) {
				bot := &partialBot{promptBot: &promptBot{}, most: most}
				sc := newScene(t, dir, func(s *Settings) {
					bot.scriptedBot = s.Bot.(*scriptedBot)
					s.Bot = bot
					s.Typing = false
				}, nil)
				defer sc.close()
				sc.play(hi)
				time.Sleep(5*time.Minute - time.Since(sc.began))
				saw := sc.saw()
				for i := range saw {
					saw[i] = saw[i][len(saw[i])-1:]
				}
				if diff := cmp.Diff([]string{"a", "b", "c", "d"}, saw); diff != "" {
					t.Errorf("the user sees (-want +got):\n%s", diff)
				}
				bot.mu.Lock()
				defer bot.mu.Unlock()
				if len(bot.asked) > 0 && bot.asked[0] == 0 { // at the start, before there was anything
					bot.asked = bot.asked[1:]
				}
				if diff := cmp.Diff(want, bot.asked); diff != "" {
					t.Errorf("newer than the watermark, each time (-want +got):\n%s", diff)
				}
			})
		})
	}
}
