package bridge

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-wechat/caddy-wechat/module/internal/journal"
	"github.com/caddy-wechat/caddy-wechat/module/internal/mediafile"
)

// Store is a journal that may not be open yet. Only a second process on the
// same directory is a reason not to start; with any other trouble Caddy starts,
// whoever needs the journal waits, and opening it is tried again and again.
//
// Configurations come and go with Apply and Revoke, as they do with a Runtime.
type Store struct {
	dir    string
	logger *zap.Logger       // follows the configuration in force
	memory *mediafile.Memory // that bots' files take up, for all accounts
	cancel context.CancelFunc
	done   chan struct{} // closed when the opener has ended
	ready  chan struct{} // closed when the journal is open

	failing atomic.Bool // the journal does not open or does not take writes

	mu      sync.Mutex
	failed  time.Time   // when it was last seen to fail
	over    *time.Timer // looks whether that is over
	ended   bool
	follow  *following
	applied []storeOptions // all that were applied and not revoked, oldest first
	journal *journal.Journal
	err     error              // why it is failing
	since   time.Time          // when that began
	keeps   map[*counters]bool // of the accounts that keep their messages here
}

// storeOptions are what a reload may change.
type storeOptions struct {
	owner   any
	keeping Keeping
	logger  *zap.Logger
}

// Keeping is how a journal keeps what it is given. Zero values are the journal's defaults.
type Keeping struct {
	Sync    journal.Sync  // how durable an append is
	Keep    time.Duration // how long handled messages are remembered
	MaxSize int64         // at how many bytes no further push is taken
}

// OpenStore opens the journal in a directory. Its error is that another process
// has it.
func OpenStore(dir string, owner any, k Keeping, logger *zap.Logger) (*Store, error) {
	ctx, cancel := context.WithCancel(context.Background())
	s := &Store{
		dir:    dir,
		follow: &following{},
		memory: mediafile.NewMemory(0),
		cancel: cancel,
		done:   make(chan struct{}),
		ready:  make(chan struct{}),
	}
	s.logger = zap.New(s.follow)
	s.Apply(owner, k, logger)
	err := s.open(ctx)
	switch {
	case err == nil:
		close(s.done)
	case errors.Is(err, journal.ErrLocked):
		cancel()
		return nil, err
	default:
		go s.keepOpening(ctx)
	}
	return s, nil
}

func (s *Store) open(ctx context.Context) error {
	s.mu.Lock()
	o := s.applied[len(s.applied)-1]
	s.mu.Unlock()
	j, err := journal.Open(ctx, journal.Config{
		Dir: s.dir, Sync: o.keeping.Sync, Keep: o.keeping.Keep, MaxSize: o.keeping.MaxSize, Logger: s.logger,
		Damaged: func(err error) { s.outcome("using journal", err) },
	})
	if err != nil {
		s.outcome("opening journal", err)
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.recoveredLocked()
	s.journal = j
	s.enforceLocked()
	close(s.ready)
	return nil
}

func (s *Store) keepOpening(ctx context.Context) {
	defer close(s.done)
	var wait backoff
	for sleep(ctx, wait.next(), nil) == nil {
		if s.open(ctx) == nil {
			return
		}
	}
}

// Get waits for the journal.
func (s *Store) Get(ctx context.Context) (*journal.Journal, error) {
	select {
	case <-s.ready:
		return s.journal, nil
	default:
	}
	select {
	case <-s.ready:
		return s.journal, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Apply puts a configuration into force: how messages are kept, and where to log. The
// owner is whatever Revoke will be called with.
func (s *Store) Apply(owner any, k Keeping, logger *zap.Logger) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.applied = append(s.applied, storeOptions{owner, k, logger})
	s.enforceLocked()
}

// Revoke takes an owner's configuration away. If it was in force, the one
// applied before it is again; the very last one stays.
func (s *Store) Revoke(owner any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.applied) > 1 {
		s.applied = slices.DeleteFunc(s.applied, func(o storeOptions) bool { return o.owner == owner })
		s.enforceLocked()
	}
}

func (s *Store) enforceLocked() {
	if len(s.applied) == 0 {
		return
	}
	o := s.applied[len(s.applied)-1]
	s.follow.to.Store(o.logger)
	if s.journal != nil {
		s.journal.Configure(o.keeping.Sync, o.keeping.Keep, o.keeping.MaxSize)
	}
}

// quiet is for how long nothing may have failed for trouble to be over. Whoever is refused tries again
// sooner than that; and on a full disk a small write may still succeed between large ones that do not.
const quiet = 1500 * time.Millisecond

// outcome notes how the journal's last task ended. The log hears when trouble
// begins and when it is over.
func (s *Store) outcome(what string, err error) {
	if err == nil && !s.failing.Load() {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		if s.over == nil && s.failing.Load() {
			s.over = time.AfterFunc(max(time.Until(s.failed.Add(quiet)), 0), s.recovered)
		}
		return
	}
	was := s.failing.Swap(true)
	s.err, s.failed = err, time.Now()
	if s.over != nil {
		s.over.Stop()
		s.over = nil
	}
	log := s.logger.With(zap.String("dir", s.dir), zap.String("what", what), zap.Error(err))
	if was {
		log.Debug("journal still does not work")
		return
	}
	if remedy := journal.Remedy(err, s.dir, s.journal != nil); remedy != "" {
		log = log.With(zap.String("remedy", remedy))
	}
	s.since = s.failed
	s.noteLocked(err)
	log.Error("journal does not work; pushes are held until it does")
}

// recovered notes that trouble is over: something has succeeded, and nothing has failed for a while.
func (s *Store) recovered() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.journal != nil && s.journal.Full() && !s.ended { // small things are still recorded
		s.over = time.AfterFunc(quiet, s.recovered)
		return
	}
	s.recoveredLocked()
}

func (s *Store) recoveredLocked() {
	if s.over != nil {
		s.over.Stop()
		s.over = nil
	}
	s.err = nil
	if s.failing.Swap(false) {
		s.noteLocked(nil)
		s.logger.Info("journal works again", zap.String("dir", s.dir))
	}
}

// Dir is where the journal lies.
func (s *Store) Dir() string { return s.dir }

// Err is why the journal does not open or does not take writes, nil if it does.
func (s *Store) Err() error {
	if !s.failing.Load() {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Destruct closes the journal. It implements caddy.Destructor.
func (s *Store) Destruct() error {
	s.cancel()
	<-s.done
	s.mu.Lock()
	s.ended = true
	if s.over != nil {
		s.over.Stop()
	}
	s.mu.Unlock()
	select {
	case <-s.ready:
		return s.journal.Close()
	default:
		return nil
	}
}

// following is a log core that hands on to the logger in force: the journal
// outlives the configuration that opened it, and with it that one's logger.
type following struct {
	to atomic.Pointer[zap.Logger]
}

// Enabled implements zapcore.LevelEnabler.
func (f *following) Enabled(l zapcore.Level) bool { return f.to.Load().Core().Enabled(l) }

// With implements zapcore.Core.
func (f *following) With(fields []zapcore.Field) zapcore.Core {
	return f.to.Load().Core().With(fields)
}

// Check implements zapcore.Core.
func (f *following) Check(e zapcore.Entry, c *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	to := f.to.Load()
	e.LoggerName = to.Name()
	return to.Core().Check(e, c)
}

// Write implements zapcore.Core.
func (f *following) Write(e zapcore.Entry, fields []zapcore.Field) error {
	return f.to.Load().Core().Write(e, fields)
}

// Sync implements zapcore.Core.
func (f *following) Sync() error { return f.to.Load().Core().Sync() }
