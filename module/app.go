package module

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/fnv"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/caddy-wechat/caddy-wechat/module/internal/bridge"
	"github.com/caddy-wechat/caddy-wechat/module/internal/journal"
)

// What lives on across reloads. A configuration takes its references in Start
// and gives them back in Cleanup.
var (
	stores   = caddy.NewUsagePool() // *bridge.Store by location
	runtimes = caddy.NewUsagePool() // *pooledRuntime by location and account
)

// lingering is how long an account that is no longer configured waits for
// requests that are still being answered.
const lingering = 6 * time.Second

// appState is what an App holds while its configuration is loaded.
type appState struct {
	logger  *zap.Logger
	journal journalConfig

	mu       sync.Mutex
	accounts map[string]*account // by appid
	store    *bridge.Store       // set by Start
	storeKey string

	ctx    caddy.Context  // for events
	alarms *bridge.Alarms // set by Start
	quiet  chan struct{}  // closed by Stop: no more events
}

func init() {
	caddy.RegisterModule(new(App))
}

// CaddyModule implements caddy.Module.
func (*App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "wechat",
		New: func() caddy.Module { return new(App) },
	}
}

// Provision implements caddy.Provisioner. It opens nothing.
func (a *App) Provision(ctx caddy.Context) error {
	a.logger, a.ctx = ctx.Logger(), ctx
	a.accounts = make(map[string]*account)
	var err error
	if a.journal, err = a.resolve(caddy.NewReplacer()); err != nil {
		return err
	}
	return registerMetrics(ctx)
}

// register adds a handler's account. Handlers of the same account share it.
func (a *App) register(s *bridge.Settings, callback *bridge.Callback, fingerprint string) (*account, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if acct := a.accounts[s.AppID]; acct != nil {
		if acct.fingerprint != fingerprint {
			return nil, fmt.Errorf("account %s is configured twice with different settings", s.AppID)
		}
		return acct, nil
	}
	acct := &account{
		settings:    s,
		callback:    callback,
		fingerprint: fingerprint,
		key:         poolKey("account", a.journalKey(), s.AppID),
		ready:       make(chan struct{}),
		void:        make(chan struct{}),
		idle:        make(chan struct{}),
	}
	a.accounts[s.AppID] = acct
	return acct, nil
}

// Start implements caddy.App. Its only error is that another process has the
// journal; other trouble is logged, and pushes wait until it is over.
func (a *App) Start() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.accounts) == 0 {
		return nil
	}
	a.tellSharedTokens()
	if err := a.openStore(); err != nil {
		return err
	}
	for _, acct := range a.accounts {
		if err := a.startAccount(acct); err != nil {
			return err
		}
	}
	a.raise()
	return nil
}

// journalKey names the journal in the pool. Two configurations with the same
// journal have the same key.
func (a *App) journalKey() string { return poolKey("journal", a.journal.dir) }

func (a *App) openStore() error {
	c := a.journal
	keeping := bridge.Keeping{Sync: journal.Sync(c.sync), Keep: a.remembered(), MaxSize: c.maxSize}
	key := a.journalKey()
	v, loaded, err := stores.LoadOrNew(key, func() (caddy.Destructor, error) {
		return bridge.OpenStore(c.dir, a, keeping, a.logger)
	})
	if err != nil {
		return fmt.Errorf("opening journal: %w", err)
	}
	a.store, a.storeKey = v.(*bridge.Store), key
	if loaded {
		a.store.Apply(a, keeping, a.logger)
	}
	return nil
}

// remembered is how long handled messages are remembered: as configured, but no
// shorter than somebody who has caught a callback can send it again. Its timestamp may
// be ahead by as much as it may be behind.
func (a *App) remembered() time.Duration {
	keep := a.journal.keep
	for _, acct := range a.accounts {
		keep = max(keep, 2*acct.callback.Freshness)
	}
	return keep
}

// pooledRuntime is a runtime with a reference of its own to its journal, so
// that the journal cannot be closed before it.
type pooledRuntime struct {
	*bridge.Runtime
	storeKey string
}

// Destruct implements caddy.Destructor.
func (p *pooledRuntime) Destruct() error {
	err := p.Runtime.Destruct()
	_, err2 := stores.Delete(p.storeKey)
	return errors.Join(err, err2)
}

func (a *App) startAccount(acct *account) error {
	lock := turnover(acct.key)
	lock.Lock()
	v, loaded, err := runtimes.LoadOrNew(acct.key, func() (caddy.Destructor, error) {
		if _, _, err := stores.LoadOrNew(a.storeKey, func() (caddy.Destructor, error) { return nil, errGone }); err != nil {
			return nil, err
		}
		return &pooledRuntime{bridge.NewRuntime(a.store, acct.settings.AppID), a.storeKey}, nil
	})
	lock.Unlock()
	if err != nil {
		return err
	}
	rt := v.(*pooledRuntime).Runtime
	acct.start(rt)
	if !loaded {
		a.tellLeftBehind(acct.settings.AppID)
	}
	if err := rt.Apply(a, acct.settings); err != nil {
		return fmt.Errorf("starting account %s: %w", acct.settings.AppID, err)
	}
	return nil
}

// tellLeftBehind logs how many messages of an account wait in a journal that is
// not its journal any more.
func (a *App) tellLeftBehind(appid string) {
	var old []*bridge.Runtime
	runtimes.Range(func(_, v any) bool {
		if rt, ok := v.(*pooledRuntime); ok && rt.AppID() == appid && rt.Store() != a.store {
			old = append(old, rt.Runtime)
		}
		return true
	})
	for _, rt := range old {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		pushes, replies, parked, err := rt.Waiting(ctx)
		cancel()
		log := a.logger.With(zap.String("app_id", appid), zap.String("old_dir", rt.Store().Dir()), zap.String("new_dir", a.store.Dir()))
		if err != nil {
			log.Warn("journal has moved; what waits in the old one cannot be counted", zap.Error(err))
			continue
		}
		log.Warn("journal has moved; messages stay behind in the old one",
			zap.Int64("pushes", pushes), zap.Int64("replies", replies), zap.Int64("parked", parked))
	}
}

// Stop implements caddy.App. The accounts go on as long as another
// configuration has them; if this one was never more than tried, the one before
// it is in force again.
func (a *App) Stop() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.hush()
	for _, acct := range a.accounts {
		if acct.runtime != nil {
			acct.runtime.Revoke(a)
		}
	}
	if a.store != nil {
		a.store.Revoke(a)
	}
	return nil
}

// Cleanup implements caddy.CleanerUpper: it gives back what Start took.
func (a *App) Cleanup() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	var leaving errgroup.Group // each may have to wait for what is under way
	for _, acct := range a.accounts {
		leaving.Go(func() error { return acct.leave(a) })
	}
	err := leaving.Wait()
	if a.storeKey != "" {
		a.store.Revoke(a)
		_, err2 := stores.Delete(a.storeKey)
		err = errors.Join(err, err2)
		a.storeKey = ""
	}
	return err
}

// turnovers keep an account's next runtime from beginning before the one before
// it has ended, however the two came about.
var turnovers [64]sync.Mutex

func turnover(key string) *sync.Mutex {
	h := fnv.New32a()
	_, _ = h.Write([]byte(key))
	return &turnovers[h.Sum32()%uint32(len(turnovers))]
}

// poolKey makes the name of a pooled value. A pool prints its keys when it
// panics, so nothing is to be read in them.
func poolKey(parts ...string) string {
	sum := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(sum, "%d:%s", len(p), p)
	}
	return parts[0] + ":" + hex.EncodeToString(sum.Sum(nil)[:12])
}

// Interface guards
var (
	_ caddy.App          = (*App)(nil)
	_ caddy.Provisioner  = (*App)(nil)
	_ caddy.CleanerUpper = (*App)(nil)
)
