package bridge

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// MetricKind says how a metric behaves.
type MetricKind int

// The kinds of metrics.
const (
	Counter MetricKind = iota
	Gauge
	Durations // a histogram of seconds
)

// Metric is something that is measured of each account, or of the process if Labels
// does not begin with app_id.
type Metric struct {
	Name   string
	Help   string
	Kind   MetricKind
	Labels []string
}

// The metrics. No label holds anything that a user could choose at will.
var (
	metricUp         = add("up", Gauge, "1 if pushes can be taken, 0 if not.")
	metricPushes     = add("pushes_total", Counter, "Pushes by kind and outcome: taken, duplicate, ignored (the bot is not told), refused (bad signature), dead.", "kind", "outcome")
	metricAnswers    = add("answer_seconds", Durations, "How long WeChat waited for the answer to a push.")
	metricWindows    = add("windows", Gauge, "Windows open: pushes that wait for a passive reply.")
	metricWindowEnds = add("windows_total", Counter, "Windows by what happened: opened, and how requests ended that were held: answered, success, thinking, silent, same_again, closed.", "outcome")
	metricAppends    = add("append_seconds", Durations, "How long it took until a push was on disk.")
	metricAppendBad  = add("append_failures_total", Counter, "Pushes that could not be put on disk while WeChat waited.")
	metricWaiting    = add("waiting", Gauge, "What waits in the journal, by stage: push (for the bot), reply (for WeChat), parked (for the user), dead (for the operator).", "stage")
	metricOldest     = add("waiting_oldest_seconds", Gauge, "Age of the oldest that waits, by stage: push, reply. 0 if nothing waits.", "stage")
	metricLanes      = add("lanes", Gauge, "Lanes at work: in (towards the bot), out (towards WeChat).", "direction")
	metricBot        = add("bot_calls_total", Counter, "Deliveries to the bot by outcome: delivered, found (it had it already), retry, held, dead.", "outcome")
	metricBotTime    = add("bot_call_seconds", Durations, "How long a delivery to the bot took.")
	metricReceived   = add("replies_received_total", Counter, "Replies of the bot by how they came: received, found (missed, and found by listing), duplicate; and dead.", "outcome")
	metricForeign    = add("replies_foreign_total", Counter, "Replies that came for conversations of nobody we know: the bot may have other channels, too.")
	metricSlowed     = add("pushes_slowed_total", Counter, "Messages of users who send too much, which reach the bot later (limits user).")
	metricReplies    = add("replies_total", Counter, "Replies that went out, were parked or dropped, by road (passive, pushed, merged, parked, dropped) and reason. One that takes several messages counts for each.", "road", "reason")
	metricSends      = add("sends_total", Counter, "Messages sent to WeChat by kind and outcome: ok, retry, refused, doubtful.", "kind", "outcome")
	metricSendTime   = add("send_seconds", Durations, "How long sending a message to WeChat took.")
	metricAllowance  = add("allowance_refusals_total", Counter, "Messages that WeChat refused because the user has to act first (45015, 45047).")
	metricErrors     = add("api_errors_total", Counter, "Errors that WeChat's API answered with, by errcode.", "code")
	metricTokens     = add("token_refreshes_total", Counter, "Access tokens fetched, by outcome: ok, failed.", "outcome")
	metricTyping     = add("typing_total", Counter, "Calls that show the user that the bot works: on, off, failed.", "outcome")
	metricMedia      = add("media_total", Counter, "Files by what was done: fetched (the bot's), uploaded, reused, downloaded (a user's), failed.", "outcome")
	metricRefusals   = add("media_refusals_total", Counter, "Files of the bot that became links, by reason: forbidden (an address inside the network), address, status, size, format, time, busy, network.", "reason")
	metricHolds      = add("holds_total", Counter, "Holds that have begun, by side: bot, wechat, journal.", "side")
	metricHeld       = add("held", Gauge, "1 while a side is held until an operator mends something, by side: bot, wechat, journal.", "side")
	metricPassive    = add("passive_only", Gauge, "1 if WeChat does not let the account push messages, as far as is known.")
	metricDead       = add("dead_letters_total", Counter, "Dead letters, by kind: push, reply, body (never became a push).", "kind")
	metricJournal    = process("journal_bytes", Gauge, "Size of the files of all journals.")
)

// Metrics are all there are, in the order in which they are told of.
var Metrics []*Metric

func add(name string, kind MetricKind, help string, labels ...string) *Metric {
	return process(name, kind, help, append([]string{"app_id"}, labels...)...)
}

func process(name string, kind MetricKind, help string, labels ...string) *Metric {
	m := &Metric{Name: "caddy_wechat_" + name, Kind: kind, Help: help, Labels: labels}
	Metrics = append(Metrics, m)
	return m
}

// Sample is a metric's value for some labels.
type Sample struct {
	*Metric
	Labels    []string
	Value     float64
	Durations *Histogram // for that kind of metric
}

// Measure hands out all samples. The live accounts are those whose state is asked for,
// which ends with the context; what was counted is told of all that the process has
// had.
func Measure(ctx context.Context, live []*Runtime, emit func(Sample)) {
	stores := make(map[*Store]bool)
	told := make(map[string]bool)
	for _, rt := range live {
		stores[rt.store] = true
		if !told[rt.appid] { // while its journal moves, an account has two
			told[rt.appid] = true
			rt.measure(ctx, emit)
		}
	}
	var size int64
	for s := range stores {
		size += s.Size()
	}
	emit(Sample{Metric: metricJournal, Value: float64(size)})
	accounts.Range(func(appid, c any) bool {
		c.(*counters).measure(appid.(string), emit)
		return true
	})
}

// measure tells how the account is doing now.
func (rt *Runtime) measure(ctx context.Context, emit func(Sample)) {
	set := func(m *Metric, value float64, labels ...string) {
		emit(Sample{Metric: m, Value: value, Labels: append([]string{rt.appid}, labels...)})
	}
	set(metricUp, oneIf(rt.store.opened() != nil && rt.store.Err() == nil))
	set(metricWindows, float64(rt.windows.open()))
	set(metricForeign, float64(rt.Foreign()))
	set(metricSlowed, float64(rt.Slowed()))
	set(metricLanes, float64(rt.pushes.atWork()), "in")
	set(metricLanes, float64(rt.replies.atWork()), "out")
	set(metricHeld, oneIf(rt.bot.status() != nil), "bot")
	set(metricHeld, oneIf(rt.api.status() != nil), "wechat")
	set(metricHeld, oneIf(rt.store.Err() != nil), "journal")
	set(metricPassive, oneIf(!rt.permit.last(time.Now()).IsZero()))
	w := rt.backlogs.get(ctx, rt.backlog)
	if w == nil {
		return // the journal cannot be read
	}
	set(metricWaiting, float64(w.Pushes), "push")
	set(metricWaiting, float64(w.Replies), "reply")
	set(metricWaiting, float64(w.Parked), "parked")
	set(metricWaiting, float64(w.Dead), "dead")
	set(metricOldest, age(w.OldestPush), "push")
	set(metricOldest, age(w.OldestReply), "reply")
}

func oneIf(on bool) float64 {
	if on {
		return 1
	}
	return 0
}

func age(t *time.Time) float64 {
	if t == nil {
		return 0
	}
	return max(time.Since(*t).Seconds(), 0)
}

// measure tells what was counted.
func (c *counters) measure(appid string, emit func(Sample)) {
	set := func(m *Metric, value int64, labels ...string) {
		emit(Sample{Metric: m, Value: float64(value), Labels: append([]string{appid}, labels...)})
	}
	for s := range c.pushes {
		for k := range c.pushes[s] {
			if n := c.pushes[s][k].Load(); n > 0 || s == int(pushTaken) {
				set(metricPushes, n, pushKinds[k], steps[s][1])
			}
		}
	}
	for s := range stepCount {
		if m := stepMetrics[steps[s][0]]; m != nil {
			set(m, c.steps[s].Load(), steps[s][1])
		}
	}
	set(metricAppendBad, c.steps[appendFailed].Load())
	for i, name := range refusalNames {
		set(metricRefusals, c.refused[i].Load(), name)
	}
	for i, side := range sides {
		set(metricHolds, c.held[i].Load(), side)
	}
	for i, kind := range [...]string{"push", "reply", "body"} {
		set(metricDead, c.dead[i].Load(), kind)
	}
	set(metricTokens, c.tokens[0].Load(), "ok")
	set(metricTokens, c.tokens[1].Load(), "failed")
	for m, h := range map[*Metric]*histogram{metricAnswers: &c.answers, metricAppends: &c.appends, metricBotTime: &c.calls, metricSendTime: &c.sends} {
		emit(Sample{Metric: m, Labels: []string{appid}, Durations: h.read()})
	}
	c.measureTallies(set)
}

// stepMetrics are the metrics that count a stage by its outcomes.
var stepMetrics = map[string]*Metric{
	"window": metricWindowEnds, "bot": metricBot, "reply": metricReceived, "typing": metricTyping, "media": metricMedia,
}

func (c *counters) measureTallies(set func(*Metric, int64, ...string)) {
	var refusals int64
	c.noted.Range(func(k, v any) bool {
		t, n := k.(tally), v.(*atomic.Int64).Load()
		switch t.what {
		case tallyReplies:
			set(metricReplies, n, t.of, t.by)
		case tallySends:
			set(metricSends, n, t.of, t.by)
		case tallyErrors:
			code := strconv.Itoa(int(t.code))
			if t.code == otherCode {
				code = "other"
			}
			if t.code == 45015 || t.code == 45047 {
				refusals += n
			}
			set(metricErrors, n, code)
		}
		return true
	})
	set(metricAllowance, refusals)
}

// backlogFresh is how long the count of what waits is taken to be what it was. It
// reads an index entry for each message that waits.
const backlogFresh = 5 * time.Second

// backlogTime bounds the counting.
const backlogTime = 3 * time.Second

// backlogs remembers how much waits, for whoever asks often.
type backlogs struct {
	mu   sync.Mutex
	at   time.Time
	last *Waiting
}

func (b *backlogs) get(ctx context.Context, count func(context.Context) *Waiting) *Waiting {
	b.mu.Lock()
	defer b.mu.Unlock()
	if time.Since(b.at) < backlogFresh {
		return b.last
	}
	ctx, cancel := context.WithTimeout(ctx, backlogTime)
	defer cancel()
	b.last, b.at = count(ctx), time.Now()
	return b.last
}
