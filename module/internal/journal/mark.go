package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
)

// markName is the file that tells, from the first append until the journal is closed, up to which id
// pushes were on disk. If it is there at a start, the process before did not end as it should; and if it
// names a push that the database does not know, the write-ahead log was deleted or cut off since, which
// SQLite takes for a short log and says nothing about.
const markName = "journal.mark"

// mark keeps the highest id of a push that is on disk. It is not synced: it is for what happens to
// files, not for a loss of power, after which it tells at worst too little.
type mark struct {
	path string
	f    *os.File // nil until there is something to tell
	high int64
}

// note tells of a push that is on disk. That it cannot be told now is no reason to stop.
func (m *mark) note(id int64) {
	if m == nil || id <= m.high {
		return
	}
	m.high = id
	if m.f == nil {
		f, err := os.OpenFile(m.path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, fileMode)
		if err != nil {
			return
		}
		m.f = f
	}
	_, _ = m.f.WriteAt(fmt.Appendf(nil, "%020d\n", id), 0)
}

// clear takes the mark away: the journal was closed as it should be.
func (m *mark) clear() error {
	if m == nil {
		return nil
	}
	var err error
	if m.f != nil {
		err = m.f.Close()
	}
	return errors.Join(err, removeMark(m.path))
}

func removeMark(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) { //nolint:gosec // the operator's own path
		return err
	}
	return nil
}

// readMark returns the id in a mark, and whether there is a mark. What is not readable names no id.
func readMark(path string) (high int64, there bool) {
	text, err := os.ReadFile(path) //nolint:gosec // the operator's own path
	if err != nil {
		return 0, !errors.Is(err, fs.ErrNotExist)
	}
	high, _ = strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	return high, true
}

// missing tells how many pushes a mark names that the database does not know. Nothing was ever carried over
// into one that has no tables.
func missing(ctx context.Context, db *sql.DB, high int64) (int64, error) {
	if high == 0 {
		return 0, nil
	}
	var there bool
	err := db.QueryRowContext(ctx, "SELECT count(*) > 0 FROM sqlite_master WHERE name = 'pushes'").Scan(&there)
	if err != nil || !there {
		return high, err
	}
	var highest int64
	err = db.QueryRowContext(ctx, "SELECT COALESCE(max(id), 0) FROM pushes").Scan(&highest)
	return max(0, high-highest), err
}
