package module

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddy-wechat/caddy-wechat/module/internal/bridge"
	"github.com/caddy-wechat/caddy-wechat/module/wechat"
)

// errGone is that an account is no longer configured.
var errGone = errors.New("account is no longer configured")

// account is what the handlers of one configuration share of an account.
type account struct {
	settings    *bridge.Settings
	callback    *bridge.Callback // how requests are judged
	fingerprint string
	key         string        // of the runtime in the pool
	ready       chan struct{} // closed by start
	void        chan struct{} // closed when the configuration is over and was never started
	idle        chan struct{} // closed when the account was left and its last request is answered

	// Set by start, before ready is closed.
	runtime *bridge.Runtime
	done    func() // exit

	mu       sync.Mutex
	requests int  // being answered
	left     bool // the configuration has given its reference back
}

// start hands over the runtime. Requests may have been waiting for it: Caddy
// starts the http app and this one in no fixed order.
func (acct *account) start(rt *bridge.Runtime) {
	acct.runtime, acct.done = rt, acct.exit
	close(acct.ready)
}

// enter gives a request the runtime, for as long as it does not call done.
func (acct *account) enter(ctx context.Context) (rt *bridge.Runtime, done func(), err error) {
	select {
	case <-acct.ready:
	default:
		select {
		case <-acct.ready:
		case <-acct.void:
			return acct.visit()
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		}
	}
	acct.mu.Lock()
	defer acct.mu.Unlock()
	if acct.left {
		return acct.visit()
	}
	acct.requests++
	return acct.runtime, acct.done, nil
}

func (acct *account) exit() {
	acct.mu.Lock()
	defer acct.mu.Unlock()
	if acct.requests--; acct.requests == 0 && acct.left {
		close(acct.idle)
	}
}

// visit serves a request that reached a configuration which is over already:
// the account most likely lives on in the one that followed.
func (acct *account) visit() (*bridge.Runtime, func(), error) {
	lock := turnover(acct.key)
	lock.Lock()
	defer lock.Unlock()
	v, _, err := runtimes.LoadOrNew(acct.key, func() (caddy.Destructor, error) { return nil, errGone })
	if err != nil {
		return nil, nil, err
	}
	return v.(*pooledRuntime).Runtime, func() {
		// Should the account have ended meanwhile, this is what ends its runtime;
		// the request need not wait for that.
		go func() {
			lock.Lock()
			defer lock.Unlock()
			_, _ = runtimes.Delete(acct.key)
		}()
	}, nil
}

// leave takes the configuration's settings out of force and gives its reference
// back. If it is the last one, requests that are being answered are waited for.
func (acct *account) leave(owner any) error {
	if acct.runtime == nil {
		close(acct.void)
		return nil
	}
	acct.runtime.Revoke(owner)
	acct.mu.Lock()
	if acct.left {
		acct.mu.Unlock()
		return nil
	}
	acct.left = true
	busy := acct.requests > 0
	acct.mu.Unlock()

	if n, _ := runtimes.References(acct.key); busy && n <= 1 {
		t := time.NewTimer(lingering)
		defer t.Stop()
		select {
		case <-acct.idle:
		case <-t.C:
		}
	}
	lock := turnover(acct.key)
	lock.Lock()
	defer lock.Unlock()
	_, err := runtimes.Delete(acct.key)
	return err
}

// end ends the account's windows: the process is about to exit.
func (acct *account) end() {
	select {
	case <-acct.ready:
		acct.runtime.End()
	default:
	}
}

// able tells whether pushes can be taken now.
func (acct *account) able() bool {
	select {
	case <-acct.ready:
		return acct.runtime.Store().Err() == nil
	default:
		return false
	}
}

// tellSharedTokens warns of accounts with the same token: a push in the clear does not
// say which account it is for, so that whoever has caught one account's can send it to
// the other.
func (a *App) tellSharedTokens() {
	by := make(map[string]string) // token -> appid
	for _, appid := range slices.Sorted(maps.Keys(a.accounts)) {
		c := a.accounts[appid].callback
		if c.Encryption == wechat.Safe { // the AppID is in the cipher text
			continue
		}
		for _, token := range c.Tokens {
			if other, taken := by[token]; taken {
				a.logger.Warn("two accounts have the same token: a push in the clear to one can be sent to the other; give each its own",
					zap.String("app_id", appid), zap.String("other", other))
				continue
			}
			by[token] = appid
		}
	}
}
