package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

const (
	// mediaName is the database of what users sent, beside the journal's own. It may be deleted while
	// no process has it open: what users sent is gone then, and nothing else.
	mediaName = "media.db"

	// DefaultMediaKeep is how long media is kept for an account that does not say.
	DefaultMediaKeep = 72 * time.Hour

	// mediaRest is for how long a media database that could not be opened is left alone.
	mediaRest = 30 * time.Second
)

// ErrMediaFull is returned by PutMedia if the file is larger than the account may store at all, or
// than is left beside files that are being written.
var ErrMediaFull = errors.New("no room for the file within the account's bound")

// ErrForgotten is returned by PutMedia if the user's media was deleted meanwhile.
var ErrForgotten = errors.New("the user's files were deleted meanwhile")

// Media is a file that a user sent.
type Media struct {
	// Account and OpenID say whose it is: the appid and the user.
	Account, OpenID string

	// Ref names the message it came with, within the user.
	Ref string

	// Name is by what it is asked for, unique within the account.
	Name string

	// Ext tells its type; the journal does not interpret it.
	Ext string

	// Size is in bytes. It is given by PutMedia.
	Size int64

	// CreatedAt is when it was put, to the millisecond. It is given by PutMedia.
	CreatedAt time.Time

	id int64
}

// MediaBounds is how long an account's media is kept, and how many bytes of it.
type MediaBounds struct {
	Keep  time.Duration // zero or less means DefaultMediaKeep
	Store int64         // zero or less means no bound
}

// mediaBase is the media database that may not be open yet. It is opened when it is first needed. Of
// whatever is wrong with it only those hear who want media.
type mediaBase struct {
	path    string
	dialect *dialect
	log     *zap.Logger
	now     func() time.Time

	mu     sync.Mutex
	sync   Sync
	bounds map[string]MediaBounds // by account
	store  *mediaStore            // nil while it is not open
	failed time.Time              // when opening failed last
	err    error                  // why
	closed bool
}

// mediaStore is the open media database. Large writes go through a writer of its own.
type mediaStore struct {
	dialect *dialect
	w       *writer
	r       *reader
	stale   int64 // the highest id that an earlier process gave

	mu   sync.Mutex
	used map[string]*atomic.Int64 // bytes, by account
}

// mediaDialect is that of the media database.
func mediaDialect() *dialect {
	d := sqliteDialect()
	d.migrations, d.writing = "mediamigrations", accessMedia
	return d
}

func newMediaBase(path string, log *zap.Logger, now func() time.Time) *mediaBase {
	return &mediaBase{path: path, dialect: mediaDialect(), log: log, now: now, sync: Full, bounds: make(map[string]MediaBounds)}
}

// BoundMedia says how long an account's media is kept from now on, and how much of it.
func (j *Journal) BoundMedia(account string, b MediaBounds) {
	m := j.media
	m.mu.Lock()
	defer m.mu.Unlock()
	m.bounds[account] = b
}

func (m *mediaBase) boundsOf(account string) MediaBounds {
	m.mu.Lock()
	defer m.mu.Unlock()
	b := m.bounds[account]
	if b.Keep <= 0 {
		b.Keep = DefaultMediaKeep
	}
	return b
}

func (m *mediaBase) configure(s Sync) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sync = s
	if m.store != nil {
		m.store.w.sync.Store(s)
	}
}

// open returns the database. What is wrong with it is logged when it is found, and looked at again
// after mediaRest, by when an operator may have moved the file away.
func (m *mediaBase) open(ctx context.Context) (*mediaStore, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.closed:
		return nil, ErrClosed
	case m.store != nil:
		return m.store, nil
	case m.err != nil && m.now().Sub(m.failed) < mediaRest:
		return nil, m.err
	}
	s, err := m.openStore(context.WithoutCancel(ctx))
	if err != nil {
		err = unavailable(fmt.Errorf("opening %s: %w", m.path, err))
		if m.err == nil {
			remedy := "Mend the file, or stop Caddy and delete it: what it holds is kept for days only."
			if errors.Is(err, ErrDamaged) {
				remedy = Remedy(err, filepath.Dir(m.path), true) + " Or delete the file instead: what it holds is kept for days only."
			}
			m.log.Error("media of users cannot be kept; messages go on without", zap.Error(err), zap.String("remedy", remedy))
		}
		m.failed, m.err = m.now(), err
		return nil, err
	}
	if m.err != nil {
		m.log.Info("media of users can be kept again")
	}
	m.store, m.err = s, nil
	return s, nil
}

func (m *mediaBase) openStore(ctx context.Context) (*mediaStore, error) {
	db, err := openDatabase(ctx, m.dialect, m.path, func(ctx context.Context, db *sql.DB) error {
		_, err := m.dialect.sound(ctx, db, 0)
		return err
	})
	if err != nil {
		return nil, err
	}
	readDB, err := openSQLite(m.path, accessRead, readers)
	if err != nil {
		_ = db.Close()
		return nil, err
	}
	s := &mediaStore{
		dialect: m.dialect, used: make(map[string]*atomic.Int64),
		w: newWriter(db, m.dialect, nil, m.log), r: &reader{db: readDB},
	}
	s.w.sync.Store(m.sync)
	if err := s.measure(ctx); err != nil {
		_, _ = readDB.Close(), db.Close()
		return nil, err
	}
	go s.w.loop()
	return s, nil
}

// measure finds out what is there.
func (s *mediaStore) measure(ctx context.Context) error {
	err := s.r.each(ctx, `SELECT account, SUM(size), MAX(id) FROM media GROUP BY account`, func(rows *sql.Rows) error {
		var account string
		var size, last int64
		err := rows.Scan(&account, &size, &last)
		s.usage(account).Store(size)
		s.stale = max(s.stale, last)
		return err
	})
	if err != nil {
		_ = s.r.close()
	}
	return err
}

// usage counts the bytes of an account.
func (s *mediaStore) usage(account string) *atomic.Int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.used[account]
	if n == nil {
		n = new(atomic.Int64)
		s.used[account] = n
	}
	return n
}

// there tells whether the database is open, or could be because its file exists.
func (m *mediaBase) there() bool {
	m.mu.Lock()
	open := m.store != nil
	m.mu.Unlock()
	if open {
		return true
	}
	_, err := os.Stat(m.path)
	return err == nil
}

// close waits for what is being written and lets nobody in any more.
func (m *mediaBase) close() error {
	m.mu.Lock()
	s := m.store
	m.closed, m.store = true, nil
	m.mu.Unlock()
	if s == nil {
		return nil
	}
	close(s.w.quit)
	<-s.w.exited
	err := s.r.close()
	if _, err := s.w.db.Exec(s.dialect.compact); err != nil {
		m.log.Warn("compacting the media database", zap.Error(err))
	}
	return errors.Join(err, s.w.db.Close())
}
