package module

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// TestHold: a push that is not answered is held until its sender hangs up, or for so
// long that WeChat would have.
func TestHold(t *testing.T) {
	for name, gone := range map[string]time.Duration{"who hangs up": 5 * time.Second, "who does not": time.Hour} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), gone)
				defer cancel()
				began := time.Now()
				hold(ctx)
				if d := time.Since(began); d != min(gone, silence) {
					t.Errorf("held for %v", d)
				}
			})
		})
	}
}
