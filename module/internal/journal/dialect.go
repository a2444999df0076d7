package journal

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// dialect holds what one database does differently from another. All other statements of the package
// are written in what SQLite and PostgreSQL have in common.
type dialect struct {
	goose      goose.Dialect
	migrations string            // folder of the schema's steps
	columns    *strings.Replacer // fills in the column types of the migrations
	writing    int               // access mode of the writer

	begin, commit, rollback string

	// insert runs an INSERT ... ON CONFLICT DO NOTHING and tells the new row's id, or that there is none.
	insert func(t *tx, statement string, args ...any) (id int64, inserted bool, err error)

	sync    func(Sync) string // statement that makes commits of the connection as durable as asked
	tables  string            // statement listing the names of all tables
	compact string            // statement run before the database is closed; empty = none

	size       string // statement yielding how many bytes are in use
	check      string // statement that looks through the whole file and says "ok"; empty = none
	checkpoint string // statement run beside the writer now and then; empty = none

	unavailable func(error) bool // is it the storage's fault, not the statement's?
	damaged     func(error) bool // does it say that the file cannot be read as a database?
}

// sqliteDialect is SQLite in WAL mode.
//
// A new id is the highest one there is plus one, so ids are never given twice as long as the row with
// the highest is never deleted; pruning sees to that. AUTOINCREMENT would promise the same, but writes
// its counter, and so syncs, even where an insert finds a duplicate.
func sqliteDialect() *dialect {
	return &dialect{
		goose:      goose.DialectSQLite3,
		migrations: "migrations",
		writing:    accessWrite,
		columns: strings.NewReplacer(
			"{id}", "INTEGER PRIMARY KEY",
			"{bytes}", "BLOB",
			"{text}", "TEXT",
			"{keyed}", " WITHOUT ROWID",
		),
		// IMMEDIATE: a deferred transaction that starts reading cannot wait for the write lock.
		begin: "BEGIN IMMEDIATE", commit: "COMMIT", rollback: "ROLLBACK",
		insert: insertSQLite,
		sync: func(s Sync) string {
			if s == Normal {
				return "PRAGMA synchronous = NORMAL"
			}
			return "PRAGMA synchronous = FULL"
		},
		tables:      "SELECT name FROM sqlite_master WHERE type = 'table'",
		compact:     "PRAGMA wal_checkpoint(TRUNCATE)",
		size:        "SELECT (p.page_count - f.freelist_count) * s.page_size FROM pragma_page_count p, pragma_freelist_count f, pragma_page_size s",
		check:       "PRAGMA quick_check(1)",
		checkpoint:  "PRAGMA wal_checkpoint(PASSIVE)",
		unavailable: sqliteUnavailable,
		damaged: func(err error) bool {
			switch sqliteCode(err) {
			case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
				return true
			}
			return false
		},
	}
}

// insertSQLite takes the id from the connection: reading a RETURNING clause costs a fifth of an append.
func insertSQLite(t *tx, statement string, args ...any) (id int64, inserted bool, err error) {
	s, err := t.prepared(statement) //nolint:sqlclosecheck // kept as long as the connection
	if err != nil {
		return 0, false, err
	}
	r, err := s.ExecContext(context.Background(), args...)
	if err != nil {
		return 0, false, err
	}
	n, err := r.RowsAffected()
	if err != nil || n == 0 {
		return 0, false, err
	}
	id, err = r.LastInsertId()
	return id, err == nil, err
}

// sqliteCode returns the primary result code behind err, -1 if it is not SQLite's.
func sqliteCode(err error) int {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return -1
	}
	return e.Code() & 0xff
}

func sqliteUnavailable(err error) bool {
	switch sqliteCode(err) {
	case sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB,
		sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_NOMEM,
		sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL:
		return true
	}
	return errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone)
}

// Access modes of openSQLite.
const (
	accessInspect = iota // reads the file and never changes it, not even by a checkpoint
	accessRead           // reads beside the writer
	accessCheckpoint
	accessWrite
	accessMedia // writes files of users
)

// walPages is where SQLite carries the write-ahead log over by itself: 64 MiB in pages of 4096 bytes.
// A longer log is cut to that once it begins anew.
const walPages = 16_384

// openSQLite returns a pool of at most conns connections to the database at path. Nothing is opened
// before its first use.
func openSQLite(path string, access, conns int) (*sql.DB, error) {
	q := url.Values{}
	// How long a statement waits for a lock that somebody else (an operator's sqlite3) holds.
	q.Add("_pragma", "busy_timeout(5000)")
	switch access {
	case accessInspect:
		q.Set("mode", "ro")
	case accessRead:
		q.Set("mode", "rw")
		q.Add("_pragma", "query_only(1)")
	case accessCheckpoint:
		q.Set("mode", "rw")
	case accessWrite, accessMedia:
		q.Set("mode", "rw")
		if access == accessMedia { // before anything is written: what is deleted can be given back
			q.Add("_pragma", "auto_vacuum(2)")
		}
		q.Add("_pragma", "journal_mode(WAL)")
		q.Add("_pragma", fmt.Sprintf("wal_autocheckpoint(%d)", walPages))
		q.Add("_pragma", fmt.Sprintf("journal_size_limit(%d)", walPages*4096))
		q.Add("_pragma", "cache_size(-8000)")
	}
	u := url.URL{Scheme: "file", OmitHost: true, Path: filepath.ToSlash(path), RawQuery: q.Encode()}
	c, err := sqlite.NewConnector(u.String())
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(c)
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	return db, nil
}
