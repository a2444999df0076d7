package bridge

import (
	"context"
	"errors"
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
					if g.pass(t.Context()) != nil {
						return
					}
					tries.Add(1)
					time.Sleep(10 * time.Millisecond) // the call
					if !mended.Load() {
						g.hold(errOperator, "allow the address")
						continue
					}
					g.release()
					through.Add(1)
					return
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

// TestGateUnsure: a try that ends without an answer is followed by another.
func TestGateUnsure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, _ := newTestGate(t)
		defer g.close()
		g.hold(errOperator, "mend it")
		for range 5 {
			if err := g.pass(t.Context()); err != nil {
				t.Fatal(err)
			}
			g.unsure()
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if g.pass(ctx) == nil {
			t.Error("a second caller was let through before its time")
		}
		g.retry()
		ctx, cancel = context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if err := g.pass(ctx); err != nil {
			t.Errorf("nobody was let through after a change: %v", err)
		}
	})
}
