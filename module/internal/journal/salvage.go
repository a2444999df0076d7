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

	"github.com/caddy-wechat/caddy-wechat/module/internal/journal/rawdb"
)

// salvagedName is what a database is called while what can be read is written into it.
const salvagedName = ".salvaged"

// lockFor is how long Salvage waits for the journal: a Caddy that cannot open it tries now and then.
const lockFor = 5 * time.Second

// ErrOccupied is returned by Salvage if there is a journal already where the new one is to go.
var ErrOccupied = errors.New("there is a journal already")

// Salvaged tells what became of one database of a journal.
type Salvaged struct {
	// Name is the file's.
	Name string

	// Sound says that nothing is wrong with it. It was left as it is.
	Sound bool

	// Fault says what is wrong with it.
	Fault string

	// Kept is where the damaged file lies now, with what belonged to it beside it.
	Kept string

	// Tables tells what was read of each table.
	Tables []SalvagedTable
}

// SalvagedTable counts the rows of a table.
type SalvagedTable struct {
	Name string

	// Kept rows are in the new database.
	Kept int64

	// Lost rows are known to have been there, from indexes for instance, and cannot be read.
	Lost int64

	// Unsure says that there may have been others, of which nothing is known.
	Unsure bool
}

// Salvage writes what can be read of the journal in dir into a new one. With an empty out that takes
// the place of the damaged one, whose files are kept under other names; else it is written into the
// directory out, and nothing in dir is changed. Databases with which nothing is wrong are left alone.
//
// Pushes and replies that waited, and of which nothing is left but that they were there, become dead
// letters without a body.
//
// ErrLocked is that a process has the journal open, ErrNewer that a newer version has written it.
func Salvage(ctx context.Context, dir, out string) (_ []Salvaged, err error) {
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, fmt.Errorf("locating the journal: %w", err)
	}
	if _, err := os.Stat(filepath.Join(dir, databaseName)); err != nil {
		return nil, fmt.Errorf("there is no journal: %w", err)
	}
	target := dir
	if out != "" {
		if target, err = outDir(out); err != nil {
			return nil, err
		}
	}
	lock, err := acquireWithin(ctx, filepath.Join(dir, lockName))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, lock.Unlock()) }()

	high, _ := readMark(filepath.Join(dir, markName))
	s := salvage{from: dir, to: target, stamp: time.Now().UTC().Format("20060102T150405Z")}
	var all []Salvaged
	for _, b := range []struct {
		name string
		d    *dialect
		high int64
	}{{databaseName, sqliteDialect(), high}, {mediaName, mediaDialect(), 0}} {
		if _, err := os.Stat(filepath.Join(dir, b.name)); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		one, err := s.database(ctx, b.name, b.d, b.high)
		if err != nil {
			return all, fmt.Errorf("salvaging %s: %w", filepath.Join(dir, b.name), err)
		}
		all = append(all, one)
	}
	if out == "" {
		err = removeMark(filepath.Join(dir, markName))
	}
	return all, err
}

// outDir is a directory that holds no journal.
func outDir(out string) (string, error) {
	out, err := filepath.Abs(out)
	if err != nil {
		return "", fmt.Errorf("locating the new journal: %w", err)
	}
	if err := os.MkdirAll(out, dirMode); err != nil {
		return "", fmt.Errorf("creating the new journal's directory: %w", err)
	}
	for _, name := range []string{databaseName, mediaName} {
		if _, err := os.Lstat(filepath.Join(out, name)); !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("%s: %w", filepath.Join(out, name), ErrOccupied)
		}
	}
	return out, nil
}

// acquireWithin is acquire that waits a while.
func acquireWithin(ctx context.Context, path string) (*flock.Flock, error) {
	for began := time.Now(); ; {
		lock, err := acquire(path)
		if !errors.Is(err, ErrLocked) || time.Since(began) > lockFor {
			return lock, err
		}
		if err := sleep(ctx, 50*time.Millisecond); err != nil {
			return nil, err
		}
	}
}

// salvage is one run of it.
type salvage struct {
	from, to string
	stamp    string // in the names of damaged files
}

// database salvages one of the databases.
func (s salvage) database(ctx context.Context, name string, d *dialect, high int64) (one Salvaged, err error) {
	one.Name = name
	path := filepath.Join(s.from, name)
	fault := examine(ctx, d, path, high)
	switch {
	case errors.Is(fault, ErrNewer), ctx.Err() != nil:
		return one, fault
	case fault == nil:
		one.Sound = true
		return one, nil
	}
	one.Fault = fault.Error()
	fresh := filepath.Join(s.to, name+salvagedName)
	if err := removeDatabase(fresh); err != nil { // of a run that was ended
		return one, err
	}
	if one.Tables, err = s.copyTo(ctx, d, path, fresh, high); err != nil {
		return one, errors.Join(err, removeDatabase(fresh))
	}
	final := filepath.Join(s.to, name)
	if s.to == s.from {
		if one.Kept, err = setAside(path, s.stamp); err != nil {
			return one, err
		}
	}
	return one, os.Rename(fresh, final)
}

// examine looks for whatever is wrong with a database. It looks at all of it, however long that takes.
func examine(ctx context.Context, d *dialect, path string, high int64) error {
	version, newest, err := inspect(ctx, d, path, func(ctx context.Context, db *sql.DB) error {
		if _, err := d.checkFile(ctx, db); err != nil {
			return err
		}
		n, err := missing(ctx, db, high)
		if err == nil && n > 0 {
			err = fmt.Errorf("%w: %d pushes that were on disk are gone", ErrDamaged, n)
		}
		return err
	})
	switch {
	case err == nil && version > newest:
		return fmt.Errorf("%w: schema %d, this version knows %d", ErrNewer, version, newest)
	case err == nil && version == 0:
		return fmt.Errorf("%w: it holds nothing", ErrDamaged)
	}
	return err
}

// copyTo writes what can be read of the database at path into a new one.
func (s salvage) copyTo(ctx context.Context, d *dialect, path, fresh string, high int64) (_ []SalvagedTable, err error) {
	raw, err := rawdb.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, raw.Close()) }()
	db, err := openDatabase(ctx, d, fresh, nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	c, err := newCopier(ctx, db, raw)
	if err != nil {
		return nil, err
	}
	if err := c.copy(high); err != nil {
		return nil, err
	}
	if _, err := db.ExecContext(ctx, d.compact); err != nil {
		return nil, err
	}
	return c.report(), nil
}

// setAside gives a damaged database another name, with what belongs to it, and makes room for a new one.
// First all of it has two names, so that nothing is missing should it end half-way.
func setAside(path, stamp string) (kept string, err error) {
	kept = path + ".damaged-" + stamp
	suffixes := []string{"", "-wal", "-shm"}
	for _, suffix := range suffixes {
		if err := alsoName(path+suffix, kept+suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("keeping the damaged file: %w", err)
		}
	}
	// A log that is left beside a new database would be read as that one's.
	for _, suffix := range []string{"-wal", "-shm"} {
		if err := os.Remove(path + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
	}
	return kept, nil
}

// alsoName gives a file a second name; where the file system cannot, the file is moved.
func alsoName(old, name string) error {
	err := os.Link(old, name)
	if err == nil || errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrExist) {
		return err
	}
	return os.Rename(old, name)
}

// removeDatabase removes a database with what belongs to it.
func removeDatabase(path string) error {
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(path + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) { //nolint:gosec // the operator's own path
			return err
		}
	}
	return nil
}
