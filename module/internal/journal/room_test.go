package journal

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestMaxSize: a journal that has reached its size takes no further push and no letter, but what is known
// already, replies and effects; it goes on by itself once there is room, or may become larger.
func TestMaxSize(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		ctx := context.Background()
		const most = 1 << 20
		j, err := Open(ctx, Config{Dir: dir, Keep: time.Hour, Sync: Normal, MaxSize: most})
		noErr(t, err)
		defer func() { noErr(t, j.Close()) }()
		body := []byte(strings.Repeat("x", 20_000))
		n := 0
		fill := func() error {
			for range 500 {
				if _, err := j.AppendPush(ctx, Push{Account: "app", OpenID: "u", Key: fmt.Sprint(n), Body: body}, true); err != nil {
					return err
				}
				n++
				time.Sleep(2 * time.Second)
			}
			return nil
		}
		expect := func(when string, err error) {
			t.Helper()
			if !errors.Is(err, ErrFull) || !errors.Is(err, ErrUnavailable) || !j.Full() {
				t.Fatalf("%s: %v after %d pushes", when, err, n)
			}
		}
		expect("filled", fill())
		if n < most/len(body)/2 || n > most/len(body) {
			t.Errorf("%d pushes were taken", n)
		}
		_, err = j.Bury(ctx, Dead{Account: "app", Kind: DeadBody, Ref: "r"})
		expect("a letter", err)
		c, err := j.AppendPush(ctx, Push{Account: "app", OpenID: "u", Key: "0"}, true)
		if err != nil || c.Fresh || c.Attempts != 2 {
			t.Errorf("one that is known: %+v, %v", c, err)
		}
		if fresh, err := j.AppendReplies(ctx, "app", "u", []Reply{said("m", 1)}); fresh != 1 || err != nil {
			t.Errorf("a reply: %d, %v", fresh, err)
		}
		for id := int64(1); id < int64(n); id++ {
			noErr(t, j.PushDone(ctx, PushDone{ID: id, Account: "app", OpenID: "u"}))
		}
		expect("handled, and remembered", fill())
		before := n
		time.Sleep(time.Hour + 2*time.Minute) // until that is over
		if j.Full() {
			t.Fatal("it is full though everything was deleted")
		}
		expect("filled again", fill())
		if n < before+before/2 {
			t.Errorf("%d pushes were taken", n-before)
		}
		j.Configure(Normal, time.Hour, 2*most)
		time.Sleep(2 * time.Second)
		if j.Full() {
			t.Error("it is full though it may become larger")
		}
		j.Configure(Normal, time.Hour, most)
		time.Sleep(2 * time.Second)
		expect("made small", fill())
		j.Configure(Normal, time.Hour, 0)
		if _, err := j.AppendPush(ctx, Push{Account: "app", OpenID: "u", Key: "any size"}, true); err != nil {
			t.Errorf("without a bound: %v", err)
		}
	})
}
