package bridge

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddy-wechat/caddy-wechat/module/internal/journal"
)

func observed() (*zap.Logger, *observer.ObservedLogs) {
	core, logs := observer.New(zapcore.InfoLevel)
	return zap.New(core), logs
}

// TestStoreOpensLater: a journal that cannot be opened is tried again, and
// whoever needs it waits; the log has one line for the trouble and one for its
// end.
func TestStoreOpensLater(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "journal")
	if err := os.WriteFile(dir, []byte("in the way"), 0o600); err != nil {
		t.Fatal(err)
	}
	logger, logs := observed()
	s, err := OpenStore(dir, t, Keeping{Sync: journal.Full, Keep: time.Hour}, logger)
	if err != nil {
		t.Fatalf("trouble with the journal keeps Caddy from starting: %v", err)
	}
	defer func() { _ = s.Destruct() }()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := s.Get(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("getting a journal that is not open: %v", err)
	}
	if s.Err() == nil {
		t.Error("the store does not say what is wrong")
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if _, err := s.Get(ctx); err != nil || s.Err() != nil {
		t.Errorf("the journal is not opened when it could be: %v, %v", err, s.Err())
	}
	if bad, good := logs.FilterLevelExact(zapcore.ErrorLevel).Len(), logs.FilterMessage("journal works again").Len(); bad != 1 || good != 1 {
		t.Errorf("%d lines about the trouble, %d about its end: %v", bad, good, logs.All())
	}
}

// TestStoreLocked: that somebody else has the journal is the one thing that is
// not waited for.
func TestStoreLocked(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, err := OpenStore(dir, t, Keeping{Sync: journal.Full, Keep: time.Hour}, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = first.Destruct() }()
	if _, err := OpenStore(dir, t, Keeping{Sync: journal.Full, Keep: time.Hour}, zap.NewNop()); !errors.Is(err, journal.ErrLocked) {
		t.Errorf("opening it again: %v", err)
	}
}

// TestStoreRevoke: a configuration that was only tried leaves nothing behind, and
// the journal logs to the one in force.
func TestStoreRevoke(t *testing.T) {
	t.Parallel()
	logger, logs := observed()
	other, otherLogs := observed()
	s, err := OpenStore(t.TempDir(), "first", Keeping{Sync: journal.Full, Keep: time.Hour}, logger)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Destruct() }()
	s.Apply("tried", Keeping{Sync: journal.Normal, Keep: time.Minute}, other)
	s.logger.Info("while it is tried")
	s.Revoke("tried")
	s.logger.Info("afterwards")
	s.Revoke("first") // the last one stays
	s.logger.Info("at the end")
	if otherLogs.Len() != 1 || logs.Len() != 2 {
		t.Errorf("logged %v, and %v", logs.All(), otherLogs.All())
	}
	if o := s.applied[len(s.applied)-1]; o.owner != "first" || o.keeping != (Keeping{Sync: journal.Full, Keep: time.Hour}) {
		t.Errorf("in force: %+v", o)
	}
}
