package bridge

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestReplayBody: what could not be parsed when it came is delivered if it can be
// now, once, even if it came again meanwhile; the rest stays where it is.
func TestReplayBody(t *testing.T) {
	dir := tempDir(t)
	synctest.Test(t, func(t *testing.T) {
		sc := newScene(t, dir, nil, nil)
		defer sc.close()
		ctx := context.Background()
		for _, body := range []string{
			"<xml><ToUserName>gh</ToUserName><FromUserName>oAlice</FromUserName><CreateTime>1</CreateTime><MsgType>text</MsgType><Content>hi</Content><MsgId>7</MsgId></xml>",
			"<xml>",
			"<xml> <ToUserName>gh</ToUserName><FromUserName>oAlice</FromUserName><CreateTime>1</CreateTime><MsgType>text</MsgType><Content>hi</Content><MsgId>7</MsgId></xml>",
		} {
			for _, again := range []bool{false, true} {
				if fresh, err := sc.rt.Bury(ctx, []byte(body), errors.New("not understood")); err != nil || fresh == again {
					t.Fatalf("%s: fresh %v, %v", body, fresh, err)
				}
			}
		}
		time.Sleep(time.Second)
		n, err := sc.rt.ReplayDead(ctx, nil)
		if n != 2 || err != nil {
			t.Errorf("replayed %d, %v", n, err)
		}
		time.Sleep(time.Minute)
		sc.bot.mu.Lock()
		turns := slices.Clone(sc.bot.turns)
		sc.bot.mu.Unlock()
		if diff := cmp.Diff([]string{"hi"}, turns); diff != "" {
			t.Errorf("the bot got (-want +got):\n%s", diff)
		}
		left, err := sc.rt.DeadLetters(ctx, 0, 10)
		if err != nil || len(left) != 1 || left[0].Size != 5 {
			t.Errorf("left: %+v, %v", left, err)
		}
		if n, err := sc.rt.DropDead(ctx, nil); n != 1 || err != nil {
			t.Errorf("dropped %d, %v", n, err)
		}
	})
}

// TestNotOpen: without a journal, nothing is done and that is said.
func TestNotOpen(t *testing.T) {
	rt := &Runtime{store: &Store{ready: make(chan struct{})}}
	_, err1 := rt.WaitingUsers(t.Context(), "", 1)
	_, _, err2 := rt.Parked(t.Context(), "", ParkedMark{}, 1)
	_, _, err3 := rt.DeliverParked(t.Context(), "u")
	_, err4 := rt.DropParked(t.Context(), "u")
	_, err5 := rt.DeadLetters(t.Context(), 0, 1)
	_, _, err6 := rt.DeadLetter(t.Context(), 1)
	_, err7 := rt.ReplayDead(t.Context(), nil)
	_, err8 := rt.DropDead(t.Context(), []int64{1})
	for i, err := range []error{err1, err2, err3, err4, err5, err6, err7, err8} {
		if !errors.Is(err, ErrNotOpen) {
			t.Errorf("%d: %v", i+1, err)
		}
	}
}
