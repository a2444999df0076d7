package bridge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-wechat/caddy-wechat/module/internal/journal"
	"github.com/caddy-wechat/caddy-wechat/module/wechat"
)

func seqs(ds []Decision) (all []uint64) {
	for _, d := range ds {
		all = append(all, d.Seq)
	}
	return all
}

// drain reads all there is without waiting.
func drain(t *testing.T, w *Watch) (all []Decision, lost uint64) {
	t.Helper()
	for {
		got, missed, more := w.read()
		all, lost = append(all, got...), lost+missed
		if !more {
			return all, lost
		}
	}
}

func TestTraceWatch(t *testing.T) {
	tests := map[string]struct {
		before, after int // decisions, before and after the watching began
		filter        Filter
		since         Since
		first, last   uint64
		n             int
		lost          uint64
	}{
		"new ones only":           {before: 5, after: 3, first: 6, last: 8, n: 3},
		"nothing new":             {before: 5},
		"all that is kept":        {before: 5, after: 1, since: Since{Kept: true}, first: 1, last: 6, n: 6},
		"behind one":              {before: 5, since: Since{Kept: true, Seq: 3}, first: 4, last: 5, n: 2},
		"behind the newest":       {before: 5, after: 1, since: Since{Kept: true, Seq: 5}, first: 6, last: 6, n: 1},
		"of an earlier process":   {before: 5, since: Since{Kept: true, Seq: 99}, first: 1, last: 5, n: 5},
		"more than is kept":       {before: traceKept + 10, since: Since{Kept: true}, first: 11, last: traceKept + 10, n: traceKept},
		"long gone":               {before: traceKept + 10, since: Since{Kept: true, Seq: 2}, first: 11, last: traceKept + 10, n: traceKept},
		"one account":             {before: 6, since: Since{Kept: true}, filter: Filter{AppID: "wx0"}, first: 2, last: 6, n: 3},
		"one user":                {before: 6, since: Since{Kept: true}, filter: Filter{AppID: "wx0", OpenID: "u2"}, first: 2, last: 2, n: 1},
		"nobody":                  {before: 6, since: Since{Kept: true}, filter: Filter{OpenID: "nobody"}},
		"too slow":                {after: traceKept + 7, first: 8, last: traceKept + 7, n: traceKept, lost: 7},
		"too slow, and picky too": {after: traceKept + 7, filter: Filter{OpenID: "nobody"}, lost: 7},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var tr trace
			add := func(n int) {
				for range n {
					tr.add(&note{appid: fmt.Sprintf("wx%d", (tr.last+1)%2), openid: fmt.Sprintf("u%d", tr.last+1)})
				}
			}
			add(test.before)
			w, err := tr.watch(test.filter, test.since)
			if err != nil {
				t.Fatal(err)
			}
			defer w.Close()
			add(test.after)
			got, lost := drain(t, w)
			if len(got) != test.n || lost != test.lost {
				t.Fatalf("got %d and lost %d, want %d and %d", len(got), lost, test.n, test.lost)
			}
			if s := seqs(got); test.n > 0 && (s[0] != test.first || s[len(s)-1] != test.last) {
				t.Errorf("got %d to %d, want %d to %d", s[0], s[len(s)-1], test.first, test.last)
			}
		})
	}
}

// TestTraceOfNoAccount: what concerns no account in particular concerns all.
func TestTraceOfNoAccount(t *testing.T) {
	var tr trace
	w, err := tr.watch(Filter{AppID: "wx1"}, Since{})
	if err != nil {
		t.Fatal(err)
	}
	tr.add(&note{side: "journal"})
	tr.add(&note{appid: "wx2"})
	if got, _ := drain(t, w); len(got) != 1 || got[0].Side != "journal" {
		t.Errorf("saw %+v", got)
	}
}

func TestTraceWatchers(t *testing.T) {
	var tr trace
	var all []*Watch
	for range traceWatchers {
		w, err := tr.watch(Filter{}, Since{})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, w)
	}
	if _, err := tr.watch(Filter{}, Since{}); !errors.Is(err, ErrWatched) {
		t.Fatalf("one too many: %v", err)
	}
	all[3].Close()
	all[3].Close()
	w, err := tr.watch(Filter{}, Since{})
	if err != nil {
		t.Fatalf("once one has gone: %v", err)
	}
	for _, w := range append(all, w) {
		w.Close()
	}
	if len(tr.watchers) != 0 {
		t.Errorf("%d are left", len(tr.watchers))
	}
}

// TestTraceNext: many decide while one watches, who sees all of it, in order.
func TestTraceNext(t *testing.T) {
	var tr trace
	w, err := tr.watch(Filter{}, Since{})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 500 {
				tr.add(&note{})
			}
		})
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for seen := uint64(0); seen < 2000; {
		got, lost, err := w.Next(ctx)
		if err != nil || lost > 0 {
			t.Fatalf("after %d: lost %d, %v", seen, lost, err)
		}
		for _, d := range got {
			if seen++; d.Seq != seen {
				t.Fatalf("saw %d, want %d", d.Seq, seen)
			}
		}
	}
	wg.Wait()
	cancel()
	if _, _, err := w.Next(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("once it is over: %v", err)
	}
}

func TestDecisionJSON(t *testing.T) {
	at := time.Date(2026, 5, 1, 12, 0, 0, 123456789, time.UTC)
	tests := map[string]struct {
		note note
		want string
	}{
		"push": {
			note{step: pushTaken, appid: "wx1", openid: "oA", key: "m/2345/oA", kind: "text", attempt: 1},
			`{"seq":7,"time":"2026-05-01T12:00:00.123456789Z","app_id":"wx1","openid":"oA","stage":"push","outcome":"taken","push":"2345","kind":"text","attempt":1}`,
		},
		"event": {
			note{step: pushIgnored, key: "e/99/oA/CLICK/k/"},
			`{"seq":7,"time":"2026-05-01T12:00:00.123456789Z","stage":"push","outcome":"ignored","push":"` + eventName("99", "e/99/oA/CLICK/k/") + `","road":"ignored"}`,
		},
		"none left is not the same as not said": {
			note{step: planParked, reply: "m1", road: roadPark, left: 1, took: 1500 * time.Millisecond},
			`{"seq":7,"time":"2026-05-01T12:00:00.123456789Z","stage":"plan","outcome":"parked","message_id":"m1","road":"parked","took":1.5,"allowance_left":0}`,
		},
		"hold": {
			note{step: holdHeld, side: "wechat", err: "no", remedy: "Do."},
			`{"seq":7,"time":"2026-05-01T12:00:00.123456789Z","stage":"hold","outcome":"held","side":"wechat","error":"no","remedy":"Do."}`,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			test.note.at = at
			got, err := json.Marshal(test.note.decision(7))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, string(got)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestPushName: the name under which the trace has a push is the one that the bot gets.
func TestPushName(t *testing.T) {
	const head = "<ToUserName>gh</ToUserName><FromUserName>oA/b</FromUserName><CreateTime>1700000000</CreateTime>"
	for name, xml := range map[string]string{
		"message": "<xml>" + head + "<MsgType>text</MsgType><Content>x</Content><MsgId>23456</MsgId></xml>",
		"event":   "<xml>" + head + "<MsgType>event</MsgType><Event>CLICK</Event><EventKey>a/b</EventKey></xml>",
		"no id":   "<xml>" + head + "<MsgType>text</MsgType><Content>x</Content></xml>",
	} {
		t.Run(name, func(t *testing.T) {
			p, err := wechat.ParsePush([]byte(xml))
			if err != nil {
				t.Fatal(err)
			}
			got := PushName(p.Key())
			want := map[string]string{"message": "23456", "event": eventID(p), "no id": got}[name]
			if got != want || strings.ContainsAny(got, "/%") || len(got) < 5 {
				t.Errorf("PushName(%q) = %q, want %q", p.Key(), got, want)
			}
		})
	}
}

// TestSteps: each step has names, and no two have the same.
func TestSteps(t *testing.T) {
	seen := make(map[[2]string]step)
	for s := range stepCount {
		if steps[s][0] == "" || steps[s][1] == "" {
			t.Errorf("step %d has no name", s)
		}
		if other, ok := seen[steps[s]]; ok {
			t.Errorf("steps %d and %d are both %v", other, s, steps[s])
		}
		seen[steps[s]] = s
	}
}

// TestNotesAllocateNothing: a push pays for its place in the trace with a copy.
func TestNotesAllocateNothing(t *testing.T) {
	rt := &Runtime{appid: "wx1", count: countersOf("wx1")}
	row := journal.Push{OpenID: "oAlice", Key: "m/oAlice/1234567890", Kind: "text", ReceivedAt: time.Now()}
	c := claimed{Claim: journal.Claim{Fresh: true, Attempts: 1}}
	rt.noteAppend(&row, c, nil)
	if n := testing.AllocsPerRun(100, func() { rt.noteAppend(&row, c, nil) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkNoteAppend: what the trace adds to taking a push.
func BenchmarkNoteAppend(b *testing.B) {
	rt := &Runtime{appid: "wx1", count: countersOf("wx1")}
	row := journal.Push{OpenID: "oAlice", Key: "m/oAlice/1234567890", Kind: "text", ReceivedAt: time.Now()}
	c := claimed{Claim: journal.Claim{Fresh: true, Attempts: 1}}
	for _, watched := range []bool{false, true} {
		b.Run(fmt.Sprintf("watched=%v", watched), func(b *testing.B) {
			if watched {
				w, err := WatchDecisions(Filter{}, Since{})
				if err != nil {
					b.Fatal(err)
				}
				ctx, cancel := context.WithCancel(b.Context())
				var wg sync.WaitGroup
				wg.Go(func() {
					defer w.Close()
					for {
						if _, _, err := w.Next(ctx); err != nil {
							return
						}
					}
				})
				defer wg.Wait()
				defer cancel()
			}
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					rt.noteAppend(&row, c, nil)
				}
			})
		})
	}
}

// traceOf is what the trace has of a scene's user since traced was set, a line each.
// Scenes share their account: no other one may run at the same time.
func (sc *scene) traceOf(openid string) []string {
	// Not a watcher: what others note in their bubbles must not wake this one.
	all, _ := drain(sc.t, &Watch{t: &decisions, filter: Filter{AppID: sceneAppID, OpenID: openid}, cursor: sc.traced})
	var lines []string
	for _, d := range all {
		line := strings.TrimSpace(strings.Join([]string{d.Stage, d.Outcome, d.Kind, d.Road, d.Reason}, " "))
		lines = append(lines, strings.Join(strings.Fields(line), " "))
	}
	return lines
}

func lastTraced() uint64 {
	decisions.mu.Lock()
	defer decisions.mu.Unlock()
	return decisions.last
}
