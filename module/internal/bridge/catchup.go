package bridge

import (
	"container/heap"
	"context"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-wechat/caddy-wechat/module/internal/journal"
)

// Neither webhooks nor streams repeat what was missed, so every conversation is
// listed some time after it fell silent: with no reply yet, often; then twice
// more. Times are counted from the last activity.
var (
	unansweredAfter = []time.Duration{5 * time.Second, 10 * time.Second, 15 * time.Second, 45 * time.Second, 2 * time.Minute}
	answeredAfter   = []time.Duration{10 * time.Second, 2 * time.Minute}
)

const (
	// restless is after how long a conversation is listed that does not fall silent.
	restless = time.Minute

	// passEvery is how often all conversations of the last passSpan are listed.
	passEvery = time.Hour
	passSpan  = 48 * time.Hour

	// listings is how many conversations are listed at once.
	listings = 8

	passBatch = 256

	// parkedFor is how long a reply waits for its user to act again.
	parkedFor   = 48 * time.Hour
	staleReason = "parked for 48 hours"
)

// watch is a conversation that was active lately.
type watch struct {
	openid   string
	active   time.Time // last activity
	since    time.Time // the first activity that no listing has covered, zero if there is none
	listed   time.Time // when it was last listed
	answered bool      // a reply came since the last push
	wait     backoff   // after a failed listing
	due      time.Time
	asked    time.Time // when it was last asked to be listed at once
	index    int       // in the heap, -1 outside
}

// next is when the conversation is to be listed next, zero for never.
func (w *watch) next() time.Time {
	after := unansweredAfter
	if w.answered {
		after = answeredAfter
	}
	for _, d := range after {
		at := w.active.Add(d)
		if !at.After(w.listed) {
			continue
		}
		if most := w.since.Add(restless); !w.since.IsZero() && most.Before(at) {
			return most
		}
		return at
	}
	return time.Time{}
}

// catchup lists conversations when it is time to.
type catchup struct {
	rt *Runtime

	mu      sync.Mutex
	watches map[string]*watch
	heap    watchHeap
	poke    chan struct{} // the heap's first entry has changed
	pass    chan time.Time
}

func newCatchup(rt *Runtime) *catchup {
	return &catchup{
		rt:      rt,
		watches: make(map[string]*watch),
		poke:    make(chan struct{}, 1),
		pass:    make(chan time.Time, 1),
	}
}

// delivered notes that the bot got something of the user's.
func (c *catchup) delivered(openid string) { c.activity(openid, false) }

// heard notes that the bot said something to the user.
func (c *catchup) heard(openid string) { c.activity(openid, true) }

// soon has a conversation listed at once, and once more if that is under way.
func (c *catchup) soon(openid string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	w := c.watches[openid]
	if w == nil {
		w = &watch{openid: openid, index: -1}
		c.watches[openid] = w
	}
	w.asked = time.Now()
	c.scheduleLocked(w, w.asked)
}

func (c *catchup) activity(openid string, reply bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	w := c.watches[openid]
	if w == nil {
		w = &watch{openid: openid, index: -1}
		c.watches[openid] = w
	}
	w.active, w.answered = time.Now(), reply
	if w.since.IsZero() {
		w.since = w.active
	}
	c.scheduleLocked(w, w.next())
}

// scheduleLocked sets when a conversation is listed next; zero forgets it.
func (c *catchup) scheduleLocked(w *watch, due time.Time) {
	switch {
	case due.IsZero():
		if w.index >= 0 {
			heap.Remove(&c.heap, w.index)
		}
		delete(c.watches, w.openid)
		return
	case w.index < 0:
		w.due = due
		heap.Push(&c.heap, w)
	default:
		w.due = due
		heap.Fix(&c.heap, w.index)
	}
	if c.heap[0] == w {
		select {
		case c.poke <- struct{}{}:
		default:
		}
	}
}

// run lists conversations until the runtime stops.
func (c *catchup) run() {
	ctx := c.rt.stop
	work := make(chan string)
	var wg sync.WaitGroup
	defer wg.Wait()
	for range listings {
		wg.Go(func() {
			for {
				select {
				case openid := <-work:
					c.list(openid)
				case <-ctx.Done():
					return
				}
			}
		})
	}
	wg.Go(func() { c.passes(work) })
	c.clock(work)
}

// clock hands out conversations that are due.
func (c *catchup) clock(work chan<- string) {
	ctx := c.rt.stop
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-c.poke:
		case <-ctx.Done():
			return
		}
		for {
			openid, wait := c.pop()
			if openid == "" {
				timer.Reset(wait)
				break
			}
			select {
			case work <- openid:
			case <-ctx.Done():
				return
			}
		}
	}
}

// pop takes the first conversation off the heap if it is due, or says how long
// that will take.
func (c *catchup) pop() (string, time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.heap) == 0 {
		return "", time.Hour
	}
	if wait := time.Until(c.heap[0].due); wait > 0 {
		return "", wait
	}
	w := heap.Pop(&c.heap).(*watch)
	w.since = time.Time{} // the listing that begins covers it
	return w.openid, 0
}

// list looks a conversation up and schedules its next listing.
func (c *catchup) list(openid string) {
	began := time.Now()
	_, err := c.rt.list(openid)
	c.mu.Lock()
	defer c.mu.Unlock()
	w := c.watches[openid]
	if err != nil {
		if w == nil { // it came from a pass
			w = &watch{openid: openid, index: -1}
			c.watches[openid] = w
		}
		if w.index < 0 || w.due.Before(time.Now().Add(lastWait)) {
			c.scheduleLocked(w, time.Now().Add(w.wait.next()))
		}
		return
	}
	if w == nil {
		return
	}
	w.wait.reset()
	w.listed = began
	if w.asked.After(began) {
		c.scheduleLocked(w, w.asked)
		return
	}
	c.scheduleLocked(w, w.next())
}

// after asks for a pass through all conversations that were active since then.
func (c *catchup) after(since time.Time) {
	for {
		select {
		case c.pass <- since:
			return
		case earlier := <-c.pass:
			if earlier.Before(since) {
				since = earlier
			}
		}
	}
}

// passes lists all conversations of the last days: at the start, every hour,
// and when asked to.
func (c *catchup) passes(work chan<- string) {
	ctx := c.rt.stop
	hourly := time.NewTicker(passEvery)
	defer hourly.Stop()
	since := time.Now().Add(-passSpan)
	var wait backoff
	for {
		var again <-chan time.Time
		if err := c.each(since, work); err == nil {
			wait.reset()
			c.expire()
		} else if ctx.Err() == nil {
			c.rt.logger().Error("reading active conversations; trying again", zap.Error(err))
			again = time.After(wait.next())
		}
		select {
		case <-again:
		case now := <-hourly.C:
			since = now.Add(-passSpan)
		case since = <-c.pass:
		case <-ctx.Done():
			return
		}
	}
}

// expire makes dead letters of parked replies that are too old to be of use.
func (c *catchup) expire() {
	for {
		var n int64
		err := c.rt.persist(c.rt.stop, "expiring parked replies", func(ctx context.Context, j *journal.Journal) (err error) {
			n, err = j.ExpireParked(ctx, c.rt.appid, time.Now().Add(-parkedFor), passBatch, staleReason)
			return err
		})
		if err != nil || n == 0 {
			return
		}
		c.rt.logger().Warn("parked replies became dead letters: their users did not come back in time", zap.Int64("replies", n))
	}
}

func (c *catchup) each(since time.Time, work chan<- string) error {
	ctx := c.rt.stop
	after := ""
	for {
		users, err := c.rt.journal.ActiveUsers(ctx, c.rt.appid, since, after, passBatch)
		if err != nil {
			return err
		}
		for _, u := range users {
			select {
			case work <- u.OpenID:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		if len(users) < passBatch {
			return nil
		}
		after = users[len(users)-1].OpenID
	}
}

// shortOutage is what the ordinary listings make good.
const shortOutage = 5 * time.Second

// outage notices when the bot was out of reach and is back: what it said
// meanwhile may have been missed.
type outage struct {
	mu    sync.Mutex
	since time.Time
}

func (o *outage) begin() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.since.IsZero() {
		o.since = time.Now()
	}
}

func (o *outage) over(rt *Runtime) {
	o.mu.Lock()
	since := o.since
	o.since = time.Time{}
	o.mu.Unlock()
	if !since.IsZero() && time.Since(since) > shortOutage {
		rt.catch.after(since.Add(-2 * time.Minute))
	}
}

// watchHeap orders conversations by when they are due.
type watchHeap []*watch

func (h watchHeap) Len() int           { return len(h) }
func (h watchHeap) Less(i, j int) bool { return h[i].due.Before(h[j].due) }
func (h watchHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *watchHeap) Push(x any) {
	w := x.(*watch)
	w.index = len(*h)
	*h = append(*h, w)
}

func (h *watchHeap) Pop() any {
	old := *h
	w := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	w.index = -1
	return w
}
