package module

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-wechat/caddy-wechat/module/internal/bridge"
)

// TestMute: a push that is not answered is held until its sender hangs up, or for so
// long that WeChat would have; one too many is not.
func TestMute(t *testing.T) {
	for name, tc := range map[string]struct {
		gone, held time.Duration
		others     int64
	}{
		"who hangs up":   {5 * time.Second, 5 * time.Second, 2},
		"who does not":   {time.Hour, silence, 2},
		"one too many":   {time.Hour, 0, 3},
		"many too many":  {time.Hour, 0, 10},
		"the only one":   {time.Second, time.Second, 0},
		"who is gone":    {0, 0, 0},
		"one of the few": {2 * time.Second, 2 * time.Second, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := new(Handler)
				h.account = &account{settings: &bridge.Settings{Limits: bridge.Limits{Windows: 3}}}
				h.mute.Store(tc.others)
				ctx, cancel := context.WithTimeout(t.Context(), tc.gone)
				defer cancel()
				began := time.Now()
				h.stayMute(ctx)
				if d := time.Since(began); d != tc.held {
					t.Errorf("held for %v, want %v", d, tc.held)
				}
				if n := h.mute.Load(); n != tc.others {
					t.Errorf("%d are counted, want %d", n, tc.others)
				}
			})
		})
	}
}
