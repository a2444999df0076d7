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
	"go.uber.org/zap"
)

const (
	databaseName = "journal.db"
	lockName     = "journal.lock"

	dirMode  = 0o700
	fileMode = 0o600
)

// Open opens the journal in cfg.Dir, and creates what is missing. ErrLocked, ErrNewer and ErrDamaged
// tell what can be told apart; in the last two cases the database file has not been touched. It looks
// at the schema only, so that the time it takes does not grow with what waits.
func Open(ctx context.Context, cfg Config) (*Journal, error) {
	return open(ctx, cfg, nil)
}

// open is Open with the writer's hook for tests.
func open(ctx context.Context, cfg Config, connected func(*sql.Conn) error) (_ *Journal, err error) {
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("locating the journal: %w", err)
	}
	cfg.Dir = dir
	if err := os.MkdirAll(dir, dirMode); err != nil {
		return nil, fmt.Errorf("creating the journal's directory: %w", err)
	}
	lock, err := acquire(filepath.Join(dir, lockName))
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = lock.Unlock()
		}
	}()
	d, path := sqliteDialect(), filepath.Join(dir, databaseName)
	high, unclean := recall(dir, cfg.Logger)
	checked := true
	db, err := openDatabase(ctx, d, path, func(ctx context.Context, db *sql.DB) (err error) {
		checked, err = d.sound(ctx, db, high)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("opening the journal %s: %w", path, err)
	}
	readDB, err := openSQLite(path, accessRead, readers)
	if err != nil {
		_ = db.Close()
		return nil, fmt.Errorf("opening the journal %s: %w", path, err)
	}
	checkDB, err := openSQLite(path, accessCheckpoint, 1)
	if err != nil {
		_, _ = db.Close(), readDB.Close()
		return nil, fmt.Errorf("opening the journal %s: %w", path, err)
	}
	j := assemble(cfg, d, lock, db, readDB, checkDB)
	j.w.connected, j.w.mark = connected, &mark{path: filepath.Join(dir, markName)}
	j.start(unclean && !checked)
	return j, nil
}

// recall returns the mark that a process left which did not end as it should. Without a database it is
// void: that was taken away by intent.
func recall(dir string, log *zap.Logger) (high int64, unclean bool) {
	path := filepath.Join(dir, markName)
	high, unclean = readMark(path)
	if !unclean {
		return 0, false
	}
	if _, err := os.Stat(filepath.Join(dir, databaseName)); errors.Is(err, fs.ErrNotExist) {
		if log != nil {
			log.Warn("the journal is not there any more; beginning a new one", zap.String("dir", dir))
		}
		_ = removeMark(path)
		return 0, false
	}
	return high, true
}

// assemble puts the parts together; nothing runs yet.
func assemble(cfg Config, d *dialect, lock *flock.Flock, db, readDB, checkDB *sql.DB) *Journal {
	j := &Journal{
		dir: cfg.Dir, dialect: d, log: cfg.Logger, now: cfg.Now, lock: lock, damaged: cfg.Damaged,
		r:      &reader{db: readDB},
		closed: make(chan struct{}), end: make(chan error, 1),
	}
	if j.log == nil {
		j.log = zap.NewNop()
	}
	if j.now == nil {
		j.now = time.Now
	}
	j.media = newMediaBase(filepath.Join(cfg.Dir, mediaName), j.log, j.now)
	j.c = &checkpointer{db: checkDB, statement: d.checkpoint, log: j.log, suspect: j.suspect, due: make(chan struct{}, 1)}
	j.w = newWriter(db, d, j.c, j.log)
	j.Configure(cfg.Sync, cfg.Keep, cfg.MaxSize)
	return j
}

// start starts the goroutines, among them one that looks through the file if that is still to be done.
func (j *Journal) start(check bool) {
	var ctx context.Context
	ctx, j.stop = context.WithCancel(context.Background())
	go j.w.loop()
	j.beside.Go(func() { j.pruneForever(ctx) })
	j.beside.Go(func() { j.c.loop(ctx) })
	j.beside.Go(func() { j.measureForever(ctx) })
	j.beside.Go(func() { j.watch(ctx, filepath.Join(j.dir, databaseName)) })
	if check {
		j.beside.Go(func() { j.checkLater(ctx) })
	}
}

// acquire takes the lock that keeps a second process out. It is let go when the process ends, however
// it ends; the file stays.
func acquire(path string) (*flock.Flock, error) {
	lock := flock.New(path, flock.SetPermissions(fileMode))
	switch ok, err := lock.TryLock(); {
	case err != nil:
		return nil, fmt.Errorf("locking the journal: %w", err)
	case !ok:
		return nil, fmt.Errorf("locking %s: %w", path, ErrLocked)
	}
	return lock, nil
}

// openDatabase returns the writer's pool of the database at path, with the newest schema. Before anything
// is written, check looks at what is there; nil means not at all.
func openDatabase(ctx context.Context, d *dialect, path string, check func(context.Context, *sql.DB) error) (*sql.DB, error) {
	if err := createFile(path); err != nil {
		return nil, err
	}
	version, newest, err := inspect(ctx, d, path, check)
	switch {
	case err != nil && d.damaged(err) && !errors.Is(err, ErrDamaged):
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	case err != nil:
		return nil, err
	case version > newest:
		return nil, fmt.Errorf("%w: schema %d, this version knows %d", ErrNewer, version, newest)
	}
	if err := protect(path); err != nil {
		return nil, err
	}
	db, err := openSQLite(path, d.writing, 1)
	if err != nil {
		return nil, err
	}
	if version < newest {
		err = migrate(ctx, d, db)
	} else {
		err = db.PingContext(ctx)
	}
	if err != nil {
		_ = db.Close()
		if d.damaged(err) {
			err = fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		return nil, err
	}
	return db, nil
}

// createFile creates the database file if it does not exist, empty and for the owner alone whatever
// the umask. SQLite gives the files beside it the same mode.
func createFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, fileMode) //nolint:gosec // the operator's own path
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(f.Chmod(fileMode), f.Sync(), f.Close())
}

// inspect tells the schema version of the database at path, and the newest one known here, without
// changing the file. check is for a file that is not too new.
func inspect(ctx context.Context, d *dialect, path string, check func(context.Context, *sql.DB) error) (version, newest int64, err error) {
	_, newest, err = migrations(d)
	if err != nil {
		return 0, 0, err
	}
	db, err := openSQLite(path, accessInspect, 1)
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = db.Close() }()
	version, err = schemaVersion(ctx, d, db)
	if err == nil && check != nil && version <= newest {
		err = check(ctx, db)
	}
	return version, newest, err
}

// protect takes away what others may do with the database's files, for instance after a copy back
// from a backup.
func protect(path string) error {
	for _, name := range []string{path, path + "-wal", path + "-shm"} {
		info, err := os.Stat(name) //nolint:gosec // the operator's own path
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return err
		case info.Mode().Perm()&0o077 != 0:
			if err := os.Chmod(name, fileMode); err != nil { //nolint:gosec // as above
				return err
			}
		}
	}
	return nil
}
