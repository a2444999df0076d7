package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
)

// Examination is what can be told of a journal that nobody has opened.
type Examination struct {
	// Exists says that there is a database.
	Exists bool
	// InUse says that a process has it, and then nothing else was looked at.
	InUse bool
	// Schema is the version of its schema, Newest the one known here.
	Schema, Newest int64
	// Oldest is when the oldest of what waits came; zero if nothing waits.
	Oldest time.Time
}

const oldestWaiting = `SELECT min(received_at) FROM
	(SELECT received_at FROM pushes WHERE state = 0 UNION ALL SELECT received_at FROM replies WHERE state = 0) w`

// Examine looks at the journal in a directory and changes nothing. ErrNewer and
// ErrDamaged tell what is wrong with it.
func Examine(ctx context.Context, dir string) (e Examination, err error) {
	path := filepath.Join(dir, databaseName)
	switch _, err := os.Stat(path); {
	case errors.Is(err, fs.ErrNotExist):
		return e, nil
	case err != nil:
		return e, fmt.Errorf("looking at the journal: %w", err)
	}
	e.Exists = true
	if e.InUse, err = inUse(filepath.Join(dir, lockName)); err != nil || e.InUse {
		return e, err
	}
	d := sqliteDialect()
	e.Schema, e.Newest, err = inspect(ctx, d, path, nil)
	switch {
	case err != nil && d.damaged(err):
		return e, fmt.Errorf("%w: %w", ErrDamaged, err)
	case err != nil:
		return e, err
	case e.Schema > e.Newest:
		return e, fmt.Errorf("%w: schema %d, this version knows %d", ErrNewer, e.Schema, e.Newest)
	case e.Schema < e.Newest:
		return e, nil // its tables may be others
	}
	e.Oldest, err = oldestIn(ctx, path)
	return e, err
}

// inUse tells whether a process holds the lock. It shares the lock for an instant,
// so that two who look do not take each other for that process.
func inUse(path string) (bool, error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	lock := flock.New(path, flock.SetFlag(os.O_RDWR))
	ok, err := lock.TryRLock()
	if err != nil {
		return false, fmt.Errorf("looking at the journal's lock: %w", err)
	}
	return !ok, lock.Close()
}

func oldestIn(ctx context.Context, path string) (time.Time, error) {
	db, err := openSQLite(path, accessInspect, 1)
	if err != nil {
		return time.Time{}, err
	}
	defer func() { _ = db.Close() }()
	var ms sql.NullInt64
	if err := db.QueryRowContext(ctx, oldestWaiting).Scan(&ms); err != nil {
		return time.Time{}, fmt.Errorf("looking at what waits: %w", err)
	}
	return moment(ms.Int64), nil
}
