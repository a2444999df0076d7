package journal

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
)

// TestTrust: a clock that was set forward is not believed for an hour, unless it is set back.
func TestTrust(t *testing.T) {
	start := time.Unix(1_800_000_000, 0)
	type look struct {
		after time.Duration // since the last one
		set   time.Duration // by how much the clock was set meanwhile
		want  bool
	}
	const minute, day = time.Minute, 24 * time.Hour
	for name, tc := range map[string]struct {
		newest time.Time
		looks  []look
	}{
		"a steady clock":      {start, []look{{minute, 0, true}, {time.Hour, 0, true}, {40 * day, 0, true}}},
		"adjusted":            {start, []look{{minute, time.Minute, true}, {minute, -time.Minute, true}, {minute, leap, true}}},
		"forward":             {start, []look{{minute, 40 * day, false}, {58 * minute, 0, false}, {2 * minute, 0, true}}},
		"forward and back":    {start, []look{{minute, 40 * day, false}, {minute, -40 * day, true}}},
		"forward, and again":  {start, []look{{minute, day, false}, {59 * minute, day, false}, {59 * minute, 0, false}, {minute, 0, true}}},
		"back":                {start, []look{{minute, -40 * day, true}, {minute, 40 * day, false}}},
		"an empty journal":    {time.Time{}, []look{{minute, 0, true}}},
		"a day off":           {start.Add(-day), []look{{minute, 0, true}}},
		"long off":            {start.Add(-3 * day), []look{{minute, 0, false}, {58 * minute, 0, false}, {minute, 0, true}}},
		"long off, and back":  {start.Add(-3 * day), []look{{minute, -3 * day, true}}},
		"rows of the future":  {start.Add(3 * day), []look{{minute, 0, true}}},
		"remembered for long": {start.Add(-47 * time.Hour), []look{{minute, 0, true}}},
	} {
		t.Run(name, func(t *testing.T) {
			tr := newTrust(zap.NewNop(), start, tc.newest, 2*day)
			now, passed := start, time.Duration(0)
			for i, l := range tc.looks {
				now, passed = now.Add(l.after+l.set), passed+l.after
				if got := tr.holds(now, passed); got != l.want {
					t.Errorf("look %d: %v, want %v", i, got, l.want)
				}
			}
		})
	}
}

// TestClockAhead: nothing is forgotten while the clock is ahead for a while.
func TestClockAhead(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		ctx := context.Background()
		c := newClock()
		began := time.Now()
		var set atomic.Int64
		now := func() time.Time { return c.Now().Add(time.Since(began) + time.Duration(set.Load())).Round(0) }
		j, err := Open(ctx, Config{Dir: dir, Now: now, Keep: time.Hour, Sync: Normal})
		noErr(t, err)
		defer func() { noErr(t, j.Close()) }()
		noErr(t, j.PushDone(ctx, PushDone{ID: push(t, j, "u", "k"), Account: "app", OpenID: "u"}))
		for range 2 {
			noErr(t, bury(ctx, j, Dead{Account: "app", Kind: DeadPush, Ref: "r", Body: []byte("<")}))
		}
		push(t, j, "u", "newest")
		time.Sleep(5*time.Minute + 30*time.Second) // between two looks of the pruner
		set.Store(int64(40 * 24 * time.Hour))
		time.Sleep(30 * time.Minute)
		set.Store(0)
		time.Sleep(5 * time.Minute)
		if n := rowCount(t, j, "dead", "1 = 1"); n != 2 {
			t.Errorf("%d dead letters are left", n)
		}
		if n := rowCount(t, j, "pushes", "1 = 1"); n != 2 {
			t.Errorf("%d pushes are left", n)
		}
		time.Sleep(time.Hour)
		if n := rowCount(t, j, "pushes", "1 = 1"); n != 1 {
			t.Errorf("%d pushes are left after an hour, want the newest", n)
		}
	})
}
