package bridge

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap/zapcore"
)

// TestStoreOutcome: on a full disk small writes succeed between large ones that fail. That is one trouble, of
// which the log tells once, and it is over when nothing has failed for a while.
func TestStoreOutcome(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		logger, logs := observed()
		s := &Store{logger: logger}
		full := errors.New("full")
		expect := func(when string, failing bool, bad, good int) {
			t.Helper()
			if (s.Err() != nil) != failing {
				t.Errorf("%s: error %v", when, s.Err())
			}
			if b, g := logs.FilterLevelExact(zapcore.ErrorLevel).Len(), logs.FilterMessage("journal works again").Len(); b != bad || g != good {
				t.Errorf("%s: %d lines about trouble, %d about its end, want %d and %d", when, b, g, bad, good)
			}
		}
		s.outcome("writing", nil)
		expect("at first", false, 0, 0)
		for range 5 {
			s.outcome("writing", full)
			s.outcome("writing less", nil)
			time.Sleep(time.Second)
			expect("meanwhile", true, 1, 0)
		}
		time.Sleep(quiet)
		expect("when nothing fails any more", false, 1, 1)
		s.outcome("writing", full)
		time.Sleep(time.Hour)
		expect("when nothing has succeeded", true, 2, 1)
		s.outcome("writing", nil)
		synctest.Wait()
		expect("after a long time", false, 2, 2)
	})
}
