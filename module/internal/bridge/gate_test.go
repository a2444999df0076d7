package bridge

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

var errOperator = errors.New("40164")

func newTestGate(t *testing.T) (*gate, *observer.ObservedLogs) {
	t.Helper()
	core, logs := observer.New(zap.DebugLevel)
	logger := zap.New(core)
	return &gate{side: "wechat", logger: func() *zap.Logger { return logger }}, logs
}

// TestGate: while a fault lasts, one caller at a time tries, at growing intervals;
// all go on once it is mended; the log has one line for the fault and one for
// its end.
func TestGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, logs := newTestGate(t)
		var mended atomic.Bool
		var tries, through atomic.Int32
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				for {
					tk, err := g.pass(t.Context(), delivering)
					if err != nil {
						return
					}
					tries.Add(1)
					time.Sleep(10 * time.Millisecond) // the call
					if mended.Load() {
						tk.ok()
						tk.end()
						through.Add(1)
						return
					}
					tk.fault(errOperator, "allow the address")
					tk.end()
				}
			})
		}
		time.Sleep(10 * time.Minute)
		if n := tries.Load(); n < 50+15 || n > 50+50 {
			t.Errorf("%d tries in ten minutes, want the first of each and one every half minute", n)
		}
		if h := g.status(); h == nil || h.Remedy != "allow the address" || time.Since(h.Since) < 9*time.Minute {
			t.Errorf("hold: %+v", h)
		}
		mended.Store(true)
		time.Sleep(time.Minute)
		if n := through.Load(); n != 50 {
			t.Errorf("%d callers went through, want 50", n)
		}
		wg.Wait()
		g.close()
		if n := logs.FilterMessage("account held").FilterField(zap.String("remedy", "allow the address")).Len(); n != 1 {
			t.Errorf("%d log lines name the remedy, want 1", n)
		}
		if n := logs.FilterMessage("account released").Len(); n != 1 {
			t.Errorf("%d log lines tell the end, want 1", n)
		}
	})
}

// mayPass tells whether somebody is let through at once.
func mayPass(t *testing.T, g *gate, why purpose) *ticket {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	tk, err := g.pass(ctx, why)
	if err != nil {
		return nil
	}
	return tk
}

// held is a gate that a fault has closed.
func held(t *testing.T, g *gate, why purpose) {
	t.Helper()
	tk := mayPass(t, g, why)
	tk.fault(errOperator, "mend it")
	tk.end()
}

// TestGateUntaken: those who are told that one may try may not need to any more. Then
// others are told, until somebody tries.
func TestGateUntaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, _ := newTestGate(t)
		defer g.close()
		var gd gated
		tries := 0
		gd.wake = func(openid string) bool {
			if openid == "waits" {
				go func() {
					if tk := g.try(delivering); tk != nil {
						tries++
						tk.ok()
						tk.end()
					}
				}()
			}
			return openid != "gone"
		}
		g.news = gd.news
		tk := g.try(delivering)
		tk.fault(errOperator, "allow the address")
		tk.end()
		for i := range 20 * triers {
			gd.add(fmt.Sprint("has another road ", i))
		}
		gd.add("gone")
		gd.add("waits")
		time.Sleep(2 * time.Minute)
		if h := g.status(); h != nil || tries != 1 {
			t.Errorf("%d tries, hold %+v", tries, h)
		}
	})
}

// TestGateUnsure: a try that ends without an answer is followed by another.
func TestGateUnsure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, _ := newTestGate(t)
		defer g.close()
		held(t, g, delivering)
		for range 5 {
			tk, err := g.pass(t.Context(), delivering)
			if err != nil {
				t.Fatal(err)
			}
			if mayPass(t, g, delivering) != nil {
				t.Error("two tries at once")
			}
			tk.end()
		}
		if mayPass(t, g, delivering) != nil {
			t.Error("a try was made before its time")
		}
		g.retry()
		if mayPass(t, g, delivering) == nil {
			t.Error("nobody was let through after a change")
		}
	})
}

// TestGateUnderWay: calls that were under way when the gate closed neither open
// it nor put the next try off.
func TestGateUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, _ := newTestGate(t)
		defer g.close()
		good, bad, late := mayPass(t, g, delivering), mayPass(t, g, delivering), mayPass(t, g, delivering)
		held(t, g, delivering)
		good.ok()
		good.end()
		bad.fault(errOperator, "mend it")
		bad.end()
		if g.status() == nil {
			t.Error("an old call opened the gate")
		}
		time.Sleep(2 * firstWait)
		tk := mayPass(t, g, delivering)
		if tk == nil {
			t.Fatal("an old call put the next try off")
		}
		tk.ok()
		tk.end()
		late.fault(errOperator, "mend it")
		late.end()
		if g.status() != nil {
			t.Error("a call that began before the fault was mended closed the gate")
		}
	})
}

// TestGatePurposes: while messages cannot be delivered, a listing neither tries
// nor opens the gate; while listing fails, either may try.
func TestGatePurposes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, _ := newTestGate(t)
		defer g.close()
		held(t, g, delivering)
		time.Sleep(time.Hour)
		if mayPass(t, g, listing) != nil {
			t.Error("a listing was let through")
		}
		tk := mayPass(t, g, delivering)
		tk.ok()
		tk.end()
		held(t, g, listing)
		time.Sleep(time.Hour)
		if mayPass(t, g, listing) == nil {
			t.Error("a listing was not let through")
		}
	})
}

// TestGateRelapse: a fault that comes and goes, because one user's messages
// meet it and others' do not, is logged once.
func TestGateRelapse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, logs := newTestGate(t)
		defer g.close()
		for range 20 {
			held(t, g, delivering)
			tk, err := g.pass(t.Context(), delivering)
			if err != nil {
				t.Fatal(err)
			}
			tk.ok()
			tk.end()
		}
		if n := logs.FilterMessage("account held").Len(); n != 1 {
			t.Errorf("%d log lines, want 1", n)
		}
	})
}
