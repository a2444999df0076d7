package bridge

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-wechat/caddy-wechat/module/internal/journal"
)

// Store is a journal that may not be open yet. Only a second process on the
// same directory is a reason not to start; with any other trouble Caddy starts,
// whoever needs the journal waits, and opening it is tried again and again.
type Store struct {
	cancel context.CancelFunc
	done   chan struct{} // closed when the opener has ended
	ready  chan struct{} // closed when the journal is open

	mu      sync.Mutex
	logger  *zap.Logger
	cfg     journal.Config
	journal *journal.Journal
	err     error // of the last try
}

// OpenStore opens a journal. Its error is that another process has it.
func OpenStore(cfg journal.Config) (*Store, error) {
	ctx, cancel := context.WithCancel(context.Background())
	s := &Store{
		cancel: cancel,
		done:   make(chan struct{}),
		ready:  make(chan struct{}),
		logger: cfg.Logger,
		cfg:    cfg,
	}
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
	cfg := s.cfg
	s.mu.Unlock()
	j, err := journal.Open(ctx, cfg)

	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err = err; err != nil {
		s.logger.Error("journal cannot be opened; pushes are held until it can", zap.String("dir", cfg.Dir), zap.Error(err))
		return err
	}
	j.Configure(s.cfg.Sync, s.cfg.Keep)
	s.journal = j
	close(s.ready)
	return nil
}

func (s *Store) keepOpening(ctx context.Context) {
	defer close(s.done)
	var wait backoff
	for sleep(ctx, wait.next(), nil) == nil {
		if s.open(ctx) == nil {
			s.logger.Info("journal is open", zap.String("dir", s.cfg.Dir))
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

// Configure takes over what a reload may change: how durable an append is, how
// long handled messages are remembered, and where to log.
func (s *Store) Configure(sync journal.Sync, keep time.Duration, logger *zap.Logger) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cfg.Sync, s.cfg.Keep, s.cfg.Logger, s.logger = sync, keep, logger, logger
	if s.journal != nil {
		s.journal.Configure(sync, keep)
	}
}

// Dir is where the journal lies.
func (s *Store) Dir() string { return s.cfg.Dir }

// Err is why the journal is not open, nil if it is.
func (s *Store) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Destruct closes the journal. It implements caddy.Destructor.
func (s *Store) Destruct() error {
	s.cancel()
	<-s.done
	select {
	case <-s.ready:
		return s.journal.Close()
	default:
		return nil
	}
}
