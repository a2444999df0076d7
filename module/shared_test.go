package module

import (
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddy-wechat/caddy-wechat/module/internal/bridge"
	"github.com/caddy-wechat/caddy-wechat/module/wechat"
)

// TestSharedTokens: accounts that take pushes in the clear should not have the same
// token.
func TestSharedTokens(t *testing.T) {
	t.Parallel()
	with := func(e wechat.Encryption, tokens ...string) *account {
		return &account{callback: &bridge.Callback{Callback: &wechat.Callback{Encryption: e, Tokens: tokens}}}
	}
	for _, tc := range []struct {
		name   string
		second *account
		warned int
	}{
		{"another token", with(wechat.Plain, "two"), 0},
		{"the same", with(wechat.Plain, "one"), 1},
		{"the same before a change", with(wechat.Compatible, "two", "one"), 1},
		{"the same, and encrypted", with(wechat.Safe, "one"), 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			core, logs := observer.New(zapcore.WarnLevel)
			a := &App{}
			a.logger, a.accounts = zap.New(core), map[string]*account{"wx1": with(wechat.Plain, "one"), "wx2": tc.second}
			a.tellSharedTokens()
			if logs.Len() != tc.warned {
				t.Errorf("%d lines, want %d: %v", logs.Len(), tc.warned, logs.All())
			}
		})
	}
}
