package bridge

import (
	"sync"
	"sync/atomic"
	"time"
)

// counters are what is counted of an account as long as the process lives: reloads
// do not begin anew. Whoever decides something pays with a few atomic additions.
type counters struct {
	steps   [stepCount]atomic.Int64
	pushes  [pushDead + 1][kindCount]atomic.Int64
	dead    [3]atomic.Int64 // push, reply, body
	answers histogram       // from a push's arrival to what it is answered
	appends histogram
	calls   histogram // of the bot
	sends   histogram // to WeChat
	held    [3]atomic.Int64
	noted   sync.Map // tally -> *atomic.Int64
	tallies atomic.Int64
	tokens  [2]atomic.Int64 // fetched, failed
	refused refusalCounts   // files of the bot
}

// talliesMost bounds how many different values of what is not known beforehand are
// told apart.
const talliesMost = 200

// tally is something that is counted by values that are known only when they come:
// all of them are from a short list, but not from one of ours.
type tally struct {
	what   tallied
	of, by string
	code   int32
}

type tallied uint8

const (
	tallyReplies tallied = iota // of: road, by: reason
	tallySends                  // of: kind, by: outcome
	tallyErrors                 // code
)

// add counts one more. Beyond the bound, the values are not told apart.
func (c *counters) add(t tally) {
	v, ok := c.noted.Load(t)
	if !ok {
		if c.tallies.Load() >= talliesMost {
			t = tally{what: t.what, of: "other", by: "other", code: otherCode}
		}
		var fresh bool
		if v, fresh = c.noted.LoadOrStore(t, new(atomic.Int64)); !fresh {
			c.tallies.Add(1)
		}
	}
	v.(*atomic.Int64).Add(1)
}

// otherCode stands for the codes that are not told apart.
const otherCode = -1 << 31

// accounts are the counters of all accounts that the process has had.
var accounts sync.Map // appid -> *counters

func countersOf(appid string) *counters {
	if v, ok := accounts.Load(appid); ok {
		return v.(*counters)
	}
	v, _ := accounts.LoadOrStore(appid, new(counters))
	return v.(*counters)
}

// pushKinds are the kinds of pushes that are told apart. The last two stand for other
// events and for everything else.
var pushKinds = [...]string{
	"text", "image", "voice", "video", "shortvideo", "location", "link", "body",
	"event:subscribe", "event:unsubscribe", "event:SCAN", "event:CLICK", "event:VIEW", "event:LOCATION", "event:TEMPLATESENDJOBFINISH",
	"event", "other",
}

const kindCount = len(pushKinds)

var pushKindIndex = func() map[string]int {
	index := make(map[string]int, kindCount)
	for i, kind := range pushKinds {
		index[kind] = i
	}
	return index
}()

func kindIndex(kind string) int {
	if i, ok := pushKindIndex[kind]; ok {
		return i
	}
	if len(kind) > len("event:") && kind[:len("event:")] == "event:" {
		return kindCount - 2
	}
	return kindCount - 1
}

// sides are what can be held.
var sides = [...]string{"bot", "wechat", "journal"}

// note counts what a decision says.
func (c *counters) note(n *note) {
	if c == nil {
		return
	}
	c.steps[n.step].Add(1)
	switch n.step {
	case pushTaken, pushDuplicate, pushIgnored, pushRefused, pushDead:
		c.pushes[n.step][kindIndex(n.kind)].Add(1)
		if n.step == pushDead && n.kind == "body" {
			c.dead[2].Add(1)
		} else if n.step == pushDead {
			c.dead[0].Add(1)
		}
	case appendOK:
		c.appends.observe(n.took)
	case botDelivered, botFound, botRetry, botHeld, botDead:
		c.calls.observe(n.took)
	case replyDead:
		c.dead[1].Add(1)
	case planParked, planDropped:
		c.add(tally{what: tallyReplies, of: roadNames[n.road], by: n.reason})
	case sendOK, sendRetry, sendRefused, sendDoubtful:
		c.sends.observe(n.took)
		c.add(tally{what: tallySends, of: n.kind, by: steps[n.step][1]})
	case holdHeld:
		for i, side := range sides {
			if side == n.side {
				c.held[i].Add(1)
			}
		}
	default:
	}
	if n.code != 0 {
		c.add(tally{what: tallyErrors, code: n.code})
	}
}

// sent counts the replies that a message was made of.
func (c *counters) sent(t *table, on road) {
	c.add(tally{what: tallyReplies, of: roadNames[on], by: t.move.why})
	for range t.from[t.move.n-1].reply {
		c.add(tally{what: tallyReplies, of: "merged", by: t.move.why})
	}
}

// token counts how fetching an access token ended.
func (c *counters) token(err error) {
	if err != nil {
		c.tokens[1].Add(1)
		return
	}
	c.tokens[0].Add(1)
}

// secondsBounds are the upper bounds of all histograms, in seconds.
var secondsBounds = [...]float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}

// histogram counts durations.
type histogram struct {
	counts [len(secondsBounds) + 1]atomic.Int64
	sum    atomic.Int64 // nanoseconds
}

func (h *histogram) observe(d time.Duration) {
	i, s := 0, d.Seconds()
	for i < len(secondsBounds) && s > secondsBounds[i] {
		i++
	}
	h.counts[i].Add(1)
	h.sum.Add(int64(d))
}

// Histogram is how often something took how long.
type Histogram struct {
	Count   uint64
	Sum     float64            // seconds
	Buckets map[float64]uint64 // upper bound -> how many took no longer
}

func (h *histogram) read() *Histogram {
	out := &Histogram{Buckets: make(map[float64]uint64, len(secondsBounds)), Sum: time.Duration(h.sum.Load()).Seconds()}
	for i := range h.counts {
		out.Count += uint64(h.counts[i].Load())
		if i < len(secondsBounds) {
			out.Buckets[secondsBounds[i]] = out.Count
		}
	}
	return out
}
