package module

import (
	"errors"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/caddy-wechat/caddy-wechat/module/internal/bridge"
	"github.com/caddy-wechat/caddy-wechat/module/internal/journal"
)

// TestEnterVoid has a request wait in a configuration that is never started: a
// server of it may have accepted the request before another failed. The request
// goes to the account as it runs already, if it does.
func TestEnterVoid(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	journalKey := poolKey("journal", t.Name())
	pooled, _, err := stores.LoadOrNew(journalKey, func() (caddy.Destructor, error) {
		return bridge.OpenStore(t.TempDir(), t, bridge.Keeping{Sync: journal.Full, Keep: time.Hour}, zap.NewNop())
	})
	if err != nil {
		t.Fatal(err)
	}
	runs := poolKey("account", "runs")
	v, _, err := runtimes.LoadOrNew(runs, func() (caddy.Destructor, error) {
		return &pooledRuntime{bridge.NewRuntime(pooled.(*bridge.Store), "wx0123456789abcdef"), journalKey}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		for range 100 { // the request gives it back behind the scenes
			if n, _ := runtimes.References(runs); n == 1 {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		if last, err := runtimes.Delete(runs); err != nil || !last {
			t.Errorf("the request has kept the runtime: %v", err)
		}
		if _, open := stores.References(journalKey); open {
			t.Error("the journal outlives its last account")
		}
	}()

	for _, tc := range []struct {
		name string
		key  string
		want *bridge.Runtime
		err  error
	}{
		{name: "account runs", key: runs, want: v.(*pooledRuntime).Runtime},
		{name: "account does not run", key: poolKey("account", "new"), err: errGone},
	} {
		t.Run(tc.name, func(t *testing.T) {
			acct := &account{key: tc.key, ready: make(chan struct{}), void: make(chan struct{}), idle: make(chan struct{})}
			over := time.AfterFunc(20*time.Millisecond, func() {
				if err := acct.leave(nil); err != nil {
					t.Error(err)
				}
			})
			defer over.Stop()
			rt, done, err := acct.enter(t.Context())
			if rt != tc.want || !errors.Is(err, tc.err) {
				t.Fatalf("enter: %p, %v; want %p, %v", rt, err, tc.want, tc.err)
			}
			if done != nil {
				done()
			}
		})
	}
}
