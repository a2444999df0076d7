package caddytest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-wechat/caddy-wechat/caddytest/simulator"
)

// badNetFor in the environment says how long the network is bad, such as 1h.
const badNetFor = "CADDY_WECHAT_BADNET"

// badNetLasts is how long it is, and how long it takes each time for everything to be delivered after it.
func badNetLasts(t *testing.T) (lasts, after time.Duration) {
	t.Helper()
	lasts, after = 8*time.Second, 90*time.Second
	if os.Getenv(long) != "" {
		lasts, after = 3*time.Minute, 5*time.Minute
	}
	if s := os.Getenv(badNetFor); s != "" {
		var err error
		if lasts, err = time.ParseDuration(s); err != nil {
			t.Fatal(err)
		}
		after = 5 * time.Minute
	}
	return lasts, after
}

// TestBadNetwork lets the networks towards both clouds be late, cut connections in the middle of what is
// said, break them, swallow everything, and recover, each for itself, while users write. Nothing is lost,
// the order is kept on both sides, and the bot has each message once.
//
// Where webhooks come over such a network too, what they did not bring is found by listings, behind what
// they did: of the replies, the order is not expected then.
func TestBadNetwork(t *testing.T) {
	t.Parallel()
	for name, hooks := range map[string]bool{"calls": false, "calls and webhooks": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lasts, after := badNetLasts(t)
			w := newWorld(t, setup{
				options: bulk,
				idle:    true,
				wechat: func(c *simulator.WeChatConfig) {
					c.NoAllowance, c.DisableKeepAlives, c.KeepSeen = true, true, 50_000
				},
			})
			nets := []*badNet{newBadNet(t, strings.TrimPrefix(w.wechatAt, "http://")), newBadNet(t, strings.TrimPrefix(w.botAt, "http://"))}
			w.wechatAt, w.botAt = "http://"+nets[0].addr(), "http://"+nets[1].addr()
			if hooks {
				n := newBadNet(t, w.site)
				w.botpress.SetWebhook("http://"+n.addr()+"/wechat/botpress", webhookSecret)
				nets = append(nets, n)
			}
			w.caddy.start(w.config())
			ctx := within(t, lasts+after)
			c := crowd{w: w, users: 6}
			c.speakOver(ctx, nets, lasts)
			began := time.Now()
			c.checkAll(ctx, !hooks)
			t.Logf("%d messages in %v of bad network, all delivered %v after it", c.users*c.each, lasts, time.Since(began))
		})
	}
}

// speakOver has all users speak for a while, as the networks change.
func (c *crowd) speakOver(ctx context.Context, nets []*badNet, lasts time.Duration) {
	t := c.w.t
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	next := make([]time.Time, len(nets)) // change of each
	for end := time.Now().Add(lasts); time.Now().Before(end) && ctx.Err() == nil; c.each++ {
		for i, n := range nets {
			if time.Now().Before(next[i]) {
				continue
			}
			n.set(fault(random.IntN(int(faults))))
			d := time.Duration(500+random.IntN(2000)) * time.Millisecond
			if lasts >= time.Minute && random.IntN(10) == 0 { // longer than calls wait
				d = time.Duration(20+random.IntN(20)) * time.Second
			}
			next[i] = time.Now().Add(d)
		}
		c.round(ctx, c.each)
		time.Sleep(time.Duration(random.IntN(400)) * time.Millisecond)
	}
	for _, n := range nets {
		n.set(faultNone)
		t.Logf("%d faults towards %s", n.done.Load(), n.target)
	}
}

// checkAll waits until every user has every answer: in order, save that a message which WeChat had taken
// when its answer was lost comes again; or else in whatever order. Where many wait they come in one message.
func (c *crowd) checkAll(ctx context.Context, ordered bool) {
	c.w.t.Helper()
	for i := range c.users {
		var asked, answered []string
		for k := range c.each {
			asked = append(asked, c.text(i, k))
			answered = append(answered, "echo: "+c.text(i, k))
		}
		turns, err := c.w.botpress.WaitTurns(ctx, conversation(c.openid(i)), c.each)
		if at := firstDiff(asked, said(turns)); at != "" {
			c.w.t.Fatalf("the bot heard of user %d: %s (%v)", i, at, err)
		}
		got, err := c.readAll(ctx, i)
		if !ordered {
			slices.Sort(answered)
			slices.Sort(got)
		}
		if at := firstDiff(answered, got); at != "" {
			c.w.t.Fatalf("user %d read: %s (%v)", i, at, err)
		}
	}
	if n := c.w.botpress.CountTurns(); n != int64(c.users*c.each) {
		c.w.t.Errorf("the bot had %d turns, want %d", n, c.users*c.each)
	}
}

// firstDiff says where two lists differ first; whole ones are too long to be compared line by line.
func firstDiff(want, got []string) string {
	for i := range max(len(want), len(got)) {
		if i >= len(want) || i >= len(got) || want[i] != got[i] {
			return fmt.Sprintf("%d of %d; from the %dth on %.300q, want %.300q",
				len(got), len(want), i, got[min(i, len(got)):min(i+8, len(got))], want[min(i, len(want)):min(i+8, len(want))])
		}
	}
	return ""
}

// readAll waits until a user has read as many different answers as they have asked for, and gives them in the
// order in which each was read first.
func (c *crowd) readAll(ctx context.Context, i int) (got []string, err error) {
	for n := 1; ; n++ {
		seen, err := c.w.wechat.Wait(ctx, c.openid(i), n)
		got = got[:0]
		known := make(map[string]bool)
		for _, message := range texts(seen) {
			for answer := range strings.SplitSeq(message, "\n\n") {
				if !known[answer] {
					got = append(got, answer)
				}
				known[answer] = true
			}
		}
		if n = len(seen); len(got) >= c.each || err != nil {
			return got, err
		}
	}
}
