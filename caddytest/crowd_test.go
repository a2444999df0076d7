package caddytest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-wechat/caddy-wechat/caddytest/simulator"
)

// crowd is a number of users who each say a number of things, all at once. Each
// user waits for the answer to a push before the next, as WeChat does.
type crowd struct {
	w     *world
	users int
	each  int

	// until, if set, makes a user repeat a push until its answer was success: a
	// server that was killed meanwhile has promised nothing yet.
	until bool

	// pause between two pushes of a user, for loads that have to last.
	pause time.Duration
}

func (c crowd) openid(i int) string { return fmt.Sprintf("oUser%04d", i) }

func (c crowd) text(i, k int) string { return fmt.Sprintf("%d of user %d", k, i) }

// speak has all users say all they have to, and returns when the last push was
// answered.
func (c crowd) speak(ctx context.Context) {
	c.w.t.Helper()
	var wg sync.WaitGroup
	for i := range c.users {
		wg.Go(func() {
			for k := range c.each {
				if !c.say(ctx, i, k) {
					return
				}
				time.Sleep(c.pause)
			}
		})
	}
	wg.Wait()
}

// say pushes one message, some of them several times: a duplicate at the same
// moment, an attempt whose answer is lost, a late duplicate.
func (c crowd) say(ctx context.Context, i, k int) bool {
	p := c.w.wechat.Text(c.openid(i), c.text(i, k))
	switch rand.IntN(10) {
	case 0:
		p.LoseAnswers = 1
	case 1:
		p.LoseAnswers = 2
	case 2:
		go c.w.wechat.Push(ctx, p)
	case 3:
		defer func() { go c.w.wechat.Push(ctx, p) }()
	}
	for {
		d := c.w.wechat.Push(ctx, p)
		switch {
		case d.Outcome == simulator.OutcomeSuccess:
			return true
		case ctx.Err() != nil:
			return false
		case !c.until:
			c.w.t.Errorf("push %q: %+v", c.text(i, k), d)
			return false
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// check waits until every user has every answer, and compares both sides: all
// there, in order, and once. repeats is how many answers may stand twice.
func (c crowd) check(ctx context.Context, repeats int) {
	c.w.t.Helper()
	for i := range c.users {
		openid := c.openid(i)
		var asked, answered []string
		for k := range c.each {
			asked = append(asked, c.text(i, k))
			answered = append(answered, "echo: "+c.text(i, k))
		}
		turns, err := c.w.botpress.WaitTurns(ctx, conversation(openid), c.each)
		if diff := cmp.Diff(asked, said(turns)); diff != "" {
			c.w.t.Fatalf("the bot heard of user %d (-want +got, %v):\n%s", i, err, diff)
		}
		seen, err := c.w.wechat.Wait(ctx, openid, c.each)
		got, twice := once(texts(seen))
		for len(got) < c.each && err == nil { // the count was reached by repeats
			seen, err = c.w.wechat.Wait(ctx, openid, len(seen)+1)
			got, twice = once(texts(seen))
		}
		repeats -= twice
		if diff := cmp.Diff(answered, got); diff != "" {
			c.w.t.Fatalf("user %d read (-want +got, %v):\n%s", i, err, diff)
		}
	}
	if repeats < 0 {
		c.w.t.Errorf("%d answers more than allowed were read twice", -repeats)
	}
	time.Sleep(300 * time.Millisecond) // whatever is too many may be on its way
	if n := c.w.botpress.CountTurns(); n != int64(c.users*c.each) {
		c.w.t.Errorf("the bot had %d turns, want %d", n, c.users*c.each)
	}
}

// once leaves out what follows itself, and counts it.
func once(all []string) (got []string, twice int) {
	for i, s := range all {
		if i > 0 && all[i-1] == s {
			twice++
			continue
		}
		got = append(got, s)
	}
	return got, twice
}

// roundUntil has each user say one thing, and repeat it until it is taken.
func (c crowd) roundUntil(ctx context.Context, k int) {
	done := make(chan bool, c.users)
	for i := range c.users {
		go func() {
			p := c.w.wechat.Text(c.openid(i), c.text(i, k))
			for !c.w.wechat.Push(ctx, p).Accepted() && ctx.Err() == nil {
				time.Sleep(20 * time.Millisecond)
			}
			done <- true
		}()
	}
	for range c.users {
		<-done
	}
}

// checkUsers expects all that the users have said at the bot, once and in order, and all answers.
func (c crowd) checkUsers(ctx context.Context) {
	c.w.t.Helper()
	for i := range c.users {
		var asked, answered []string
		for k := range c.each {
			asked = append(asked, c.text(i, k))
			answered = append(answered, "echo: "+c.text(i, k))
		}
		turns, err := c.w.botpress.WaitTurns(ctx, conversation(c.openid(i)), c.each)
		if diff := cmp.Diff(asked, said(turns)); diff != "" {
			c.w.t.Errorf("the bot heard of user %d (-want +got, %v):\n%s", i, err, diff)
		}
		seen, err := c.w.wechat.Wait(ctx, c.openid(i), c.each)
		if got, _ := once(texts(seen)); !cmp.Equal(answered, got) {
			c.w.t.Errorf("user %d read (-want +got, %v):\n%s", i, err, cmp.Diff(answered, got))
		}
	}
}

// TestCrowd is 200 users of 50 messages each, interleaved, with WeChat's retries
// and duplicates mixed in: each user's order is kept on both sides, each message
// is there once.
func TestCrowd(t *testing.T) {
	for _, mode := range []string{simulator.ModePlain, simulator.ModeCompatible, simulator.ModeSafe} {
		t.Run(mode, func(t *testing.T) {
			c := crowd{
				w: newWorld(t, setup{
					mode:    mode,
					options: bulk,
					// All wait for all: on a slow machine longer than WeChat would.
					wechat: func(c *simulator.WeChatConfig) { c.NoAllowance, c.Timeout = true, 20*time.Second },
				}),
				users: 200,
				each:  50,
				until: true,
			}
			if raced { // everything takes ten times as long
				c.users = 60
			}
			ctx := within(t, 10*time.Minute)
			began := time.Now()
			c.speak(ctx)
			spoken := time.Since(began)
			c.check(ctx, 0)
			t.Logf("%d messages: pushed in %v, all answered in %v", c.users*c.each, spoken, time.Since(began))
		})
	}
}
