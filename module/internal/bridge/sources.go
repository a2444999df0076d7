package bridge

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-wechat/caddy-wechat/module/internal/journal"
	"github.com/caddy-wechat/caddy-wechat/module/wechat"
)

const (
	// sourcesKept is how long the list of addresses that WeChat publishes is used
	// before it is asked for again, less up to sourcesJitter.
	sourcesKept   = 24 * time.Hour
	sourcesJitter = 2 * time.Hour

	// sourcesStale is how old a list may be to speak against an address. WeChat
	// adds addresses, and says so nowhere else.
	sourcesStale = 7 * 24 * time.Hour

	// sourcesRecall is how long the journal is waited for before WeChat is asked.
	sourcesRecall = 2 * time.Second

	// sourcesTold bounds how many addresses one log line names.
	sourcesTold = 20

	stateSources = "callback_ips"
)

// sources knows from which addresses WeChat sends callbacks, by its own account.
type sources struct {
	list    atomic.Pointer[sourceList] // nil: not known
	settled chan struct{}              // closed when a list is known, or the first try to get one is over
	settle  func()
}

// sourceList is a list as WeChat gave it. It does not change.
type sourceList struct {
	at     time.Time // when
	all    []netip.Prefix
	single map[netip.Addr]struct{} // those of one address each
	ranges []netip.Prefix          // the others
}

func (s *sources) init() {
	s.settled = make(chan struct{})
	s.settle = sync.OnceFunc(func() { close(s.settled) })
}

func newSourceList(at time.Time, all []netip.Prefix) *sourceList {
	l := &sourceList{at: at, single: make(map[netip.Addr]struct{})}
	all = slices.Clone(all)
	slices.SortFunc(all, netip.Prefix.Compare)
	l.all = slices.Compact(all)
	for _, p := range l.all {
		if p.IsSingleIP() {
			l.single[p.Addr()] = struct{}{}
		} else {
			l.ranges = append(l.ranges, p)
		}
	}
	return l
}

func (l *sourceList) contains(a netip.Addr) bool {
	if _, ok := l.single[a]; ok {
		return true
	}
	return slices.ContainsFunc(l.ranges, func(p netip.Prefix) bool { return p.Contains(a) })
}

// due is how long the list is good for.
func (l *sourceList) due(now time.Time) time.Duration {
	if l == nil || l.at.After(now) { // the clock was put back: nobody knows how old it is
		return 0
	}
	return sourcesKept - now.Sub(l.at)
}

// without are the prefixes that another list lacks.
func (l *sourceList) without(other *sourceList) []string {
	var out []string
	for _, p := range l.all {
		if _, found := slices.BinarySearchFunc(other.all, p, netip.Prefix.Compare); !found {
			out = append(out, p.String())
		}
	}
	return out
}

// FromWeChat tells whether an address is one that WeChat says it sends callbacks
// from, and whether that can be said: known is false without a list, and with one so
// old that it may lack addresses. Right after a start it waits for the list as long
// as the context allows. Settings.Published must be on.
func (rt *Runtime) FromWeChat(ctx context.Context, a netip.Addr) (listed, known bool) {
	select {
	case <-rt.sources.settled:
	case <-ctx.Done():
	}
	l := rt.sources.list.Load()
	if l == nil {
		return false, false
	}
	return l.contains(a), time.Since(l.at) < sourcesStale
}

// keepSources gets the list of WeChat's addresses and keeps it fresh, as long as a
// configuration asks for it.
func (rt *Runtime) keepSources() {
	rt.recallSources()
	early := rand.N(sourcesJitter)
	var f failures
	for rt.stop.Err() == nil {
		change := rt.change()
		c := rt.current.Load()
		pause := rt.sources.list.Load().due(time.Now()) - early
		switch {
		case !c.Published:
			pause = sourcesKept
		case pause <= 0:
			if pause = f.pause(rt.fetchSources(c, &f)); pause == 0 {
				continue
			}
		}
		if sleep(rt.stop, pause, change) != nil {
			return
		}
	}
}

// failures are those in a row to get the list.
type failures struct {
	wait backoff
	last string // what the log was told
}

// pause is how long to wait after an attempt. WeChat counts requests for a token by
// the day: five minutes at most keeps far below that.
func (f *failures) pause(err error) time.Duration {
	if err == nil {
		*f = failures{}
		return 0
	}
	return 10 * f.wait.next()
}

// fetchSources asks WeChat for its list and keeps it.
func (rt *Runtime) fetchSources(c *inForce, f *failures) (err error) {
	defer rt.sources.settle()
	defer func() {
		if r := recover(); r != nil {
			err = errors.New("panic: " + panicked(r))
			rt.tellSources(f, err)
		}
	}()
	all, err := c.client.CallbackIPs(rt.stop)
	if err != nil {
		if rt.stop.Err() == nil {
			rt.tellSources(f, err)
		}
		return err
	}
	l := newSourceList(time.Now(), all)
	old := rt.sources.list.Swap(l)
	if old == nil || f.last != "" {
		rt.logger().Info("addresses of wechat's callbacks are known", zap.Int("count", len(l.all)))
	}
	if old == nil {
		old = l
	}
	if added, removed := l.without(old), old.without(l); len(added)+len(removed) > 0 {
		rt.logger().Info("addresses of wechat's callbacks have changed", zap.Int("count", len(l.all)),
			zap.Strings("added", added[:min(len(added), sourcesTold)]),
			zap.Strings("removed", removed[:min(len(removed), sourcesTold)]))
	}
	rt.recordSources(l)
	return nil
}

// tellSources tells the log why there is no list, once for each reason.
func (rt *Runtime) tellSources(f *failures, err error) {
	why, fields := err.Error(), []zap.Field{zap.Error(err)}
	if e, ok := errors.AsType[*wechat.Error](err); ok {
		why = e.API + " " + strconv.Itoa(e.Code) // the text differs each time
		if e.Remedy() != "" {
			fields = append(fields, zap.String("remedy", e.Remedy()))
		}
	}
	level := zap.DebugLevel
	if why != f.last {
		level, f.last = zap.WarnLevel, why
	}
	if l := rt.sources.list.Load(); l != nil {
		fields = append(fields, zap.Time("list_from", l.at))
	}
	rt.logger().Log(level, "asking for the addresses of wechat's callbacks; trying again", fields...)
}

// keptSources is a list as it lies in the journal.
type keptSources struct {
	At  int64    `json:"at"` // Unix milliseconds
	IPs []string `json:"ips"`
}

// recordSources keeps a list for the next start. That it cannot be kept is no
// reason to stop: WeChat will tell it again.
func (rt *Runtime) recordSources(l *sourceList) {
	kept := keptSources{At: l.at.UnixMilli()}
	for _, p := range l.all {
		kept.IPs = append(kept.IPs, p.String())
	}
	raw, err := json.Marshal(kept)
	if err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(rt.stop, sourcesRecall)
	defer cancel()
	j, err := rt.store.Get(ctx)
	if err == nil {
		err = j.SetState(context.WithoutCancel(ctx), rt.appid, stateSources, string(raw))
	}
	if err != nil && rt.stop.Err() == nil {
		rt.logger().Warn("keeping the addresses of wechat's callbacks", zap.Error(err))
	}
}

// recallSources takes up the list that an earlier process has kept. A journal that
// does not work is not waited for: WeChat may be asked, too.
func (rt *Runtime) recallSources() {
	ctx, cancel := context.WithTimeout(rt.stop, sourcesRecall)
	defer cancel()
	var value string
	err := rt.persist(ctx, "reading state", func(ctx context.Context, j *journal.Journal) (err error) {
		value, _, err = j.State(ctx, rt.appid, stateSources)
		return err
	})
	if err != nil || value == "" {
		return
	}
	var kept keptSources
	if json.Unmarshal([]byte(value), &kept) != nil {
		return
	}
	var all []netip.Prefix
	for _, s := range kept.IPs {
		if p, err := netip.ParsePrefix(s); err == nil {
			all = append(all, p)
		}
	}
	if len(all) == 0 {
		return
	}
	l := newSourceList(time.UnixMilli(kept.At), all)
	rt.sources.list.Store(l)
	if time.Since(l.at) < sourcesStale {
		rt.sources.settle()
	}
}
