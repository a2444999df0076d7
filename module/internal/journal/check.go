package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"go.uber.org/zap"
)

// checkAtOnce is how long a start may look for damage in the file before the journal is used. After a
// process that did not end as it should, a large file is looked through beside the traffic.
const checkAtOnce = 200 * time.Millisecond

// checkFile looks through the whole file, as long as ctx lasts. done tells whether it came to the end.
func (d *dialect) checkFile(ctx context.Context, db *sql.DB) (done bool, err error) {
	if d.check == "" {
		return true, nil
	}
	var verdict string
	err = db.QueryRowContext(ctx, d.check).Scan(&verdict)
	switch {
	case ctx.Err() != nil:
		return false, nil
	case err != nil:
		return true, err
	case verdict != "ok": // it names pages and tables, nothing of what is in them
		return true, fmt.Errorf("%w: %s", ErrDamaged, verdict)
	}
	return true, nil
}

// sound looks for damage that the opening of a file does not meet: db is a connection that cannot write.
// A file that is too large to be looked through at once is left for later.
func (d *dialect) sound(ctx context.Context, db *sql.DB, high int64) (done bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, checkAtOnce)
	defer cancel()
	if done, err = d.checkFile(ctx, db); err != nil {
		return done, err
	}
	n, err := missing(context.WithoutCancel(ctx), db, high)
	if err == nil && n > 0 {
		err = fmt.Errorf("%w: %d pushes that were on disk are gone; its write-ahead log was deleted or cut off", ErrDamaged, n)
	}
	return done, err
}

// checkLater looks through the file beside the traffic.
func (j *Journal) checkLater(ctx context.Context) {
	defer recovered(j.log, "checking the journal panicked")
	db, err := openSQLite(filepath.Join(j.dir, databaseName), accessRead, 1)
	if err == nil {
		defer func() { _ = db.Close() }()
		_, err = j.dialect.checkFile(ctx, db)
	}
	if err != nil && !j.suspect(err) && ctx.Err() == nil {
		j.log.Warn("checking the journal", zap.Error(err))
	}
}

// suspect tells whether an error says that the file is damaged. If so, the journal takes nothing any
// more: what it does not find in a damaged file it would do again, or for nobody.
func (j *Journal) suspect(err error) bool {
	switch {
	case err == nil:
		return false
	case errors.Is(err, ErrDamaged), errors.Is(err, ErrMoved):
	case j.dialect.damaged(err):
		err = fmt.Errorf("%w: %w", ErrDamaged, err)
	default:
		return false
	}
	err = unavailable(err)
	if j.damage.CompareAndSwap(nil, &err) && j.damaged != nil {
		j.damaged(err)
	}
	return true
}

// unsound is why the journal takes nothing any more, nil if it does.
func (j *Journal) unsound() error {
	if err := j.damage.Load(); err != nil {
		return *err
	}
	return nil
}
