package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	sqlite3 "modernc.org/sqlite/lib"

	"github.com/caddy-wechat/caddy-wechat/module/internal/journal/rawdb"
)

// copyBatch is how many rows are written in one transaction.
const copyBatch = 1000

// copier writes rows of a damaged database into a new one with the newest schema.
type copier struct {
	ctx     context.Context
	conn    *sql.Conn
	raw     *rawdb.File
	reader  *rawdb.Reader
	tables  []*salvageTable
	objects []rawdb.Object
	pending int // rows in the open transaction
}

func newCopier(ctx context.Context, db *sql.DB, raw *rawdb.File) (*copier, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	c := &copier{ctx: ctx, conn: conn, raw: raw, reader: rawdb.NewReader(raw)}
	c.tables, err = salvageTables(ctx, conn)
	return c, err
}

// copy copies all that can be read. high is the id of the last push that is known to have been there.
func (c *copier) copy(high int64) (err error) {
	defer func() { err = errors.Join(err, c.conn.Close()) }()
	var schema rawdb.Walk
	c.objects, schema = c.reader.Schema()
	for _, t := range c.tables {
		t.unsure = c.raw.LogDamaged > 0 // rows may be there as they were before
		for _, o := range c.objects {
			if o.Type == "table" && o.Name == t.name {
				t.roots = append(t.roots, o.Root)
			}
		}
	}
	c.discover()
	if err := c.exec("BEGIN"); err != nil {
		return err
	}
	for _, t := range c.tables {
		if err := c.copyTable(t); err != nil {
			return fmt.Errorf("reading %s: %w", t.name, err)
		}
	}
	if err := c.copyStrays(); err != nil {
		return err
	}
	if err := c.countLost(schema.Damaged > 0); err != nil {
		return err
	}
	if err := c.countAfter(high); err != nil {
		return err
	}
	return c.exec("COMMIT")
}

func (c *copier) exec(statement string, args ...any) error {
	_, err := c.conn.ExecContext(c.ctx, statement, args...)
	return err
}

// discover finds the trees of tables that the schema does not name any more. Single pages may be in no
// use and hold what was deleted: they count only where there is nothing else.
func (c *copier) discover() {
	known := make(map[uint32]bool)
	lost := false
	for _, o := range c.objects {
		known[o.Root] = true
	}
	for _, t := range c.tables {
		lost = lost || len(t.roots) == 0
	}
	if !lost {
		return
	}
	candidates := rawdb.Candidates(c.raw)
	for _, t := range c.tables {
		if len(t.roots) > 0 {
			continue
		}
		t.unsure = true
		var single []uint32
		for _, d := range candidates {
			switch {
			case known[d.Root] || c.tableOf(d.Keyed, d.Row.Values) != t:
			case d.Pages > 1:
				t.roots = append(t.roots, d.Root)
			default:
				single = append(single, d.Root)
			}
		}
		if len(t.roots) == 0 {
			t.roots = single
		}
	}
}

// copyTable copies what can be reached from the table's root.
func (c *copier) copyTable(t *salvageTable) error {
	for _, root := range t.roots {
		w, err := c.reader.Tree(root, t.keyed, func(r rawdb.Row) error { return c.insert(t, r) })
		if err != nil {
			return err
		}
		t.damaged = t.damaged || w.Damaged > 0
		t.lostIDs = append(t.lostIDs, w.Lost...)
	}
	return nil
}

// copyStrays copies rows from pages to which no way leads any more, where one is missing.
func (c *copier) copyStrays() error {
	wanted := false
	for _, t := range c.tables {
		wanted = wanted || len(t.lostIDs) > 0
	}
	if !wanted {
		return nil
	}
	for _, o := range c.objects {
		if o.Type == "index" {
			_, _ = c.reader.Tree(o.Root, true, func(rawdb.Row) error { return nil })
		}
	}
	c.reader.Free()
	return c.reader.Strays(func(keyed bool, r rawdb.Row) error {
		if t := c.tableOf(keyed, r.Values); t != nil && t.missed(r) {
			return c.insert(t, r)
		}
		return nil
	})
}

// tableOf is the table to which a row of an unknown one belongs by what it looks like, nil if there is
// none: the one of which it lacks the fewest columns.
func (c *copier) tableOf(keyed bool, values []any) (best *salvageTable) {
	for _, t := range c.tables {
		// Entries of the index of what waits look like leavers, and would have files deleted. No table has doubled its columns yet, so what has fewer than half is something else.
		if t.keyed != keyed || t.name == "leavers" || 2*len(values) <= len(t.columns) || !t.takes(values) || t.name == "state" && ofUsersIndex(values) {
			continue
		}
		if best == nil || len(t.columns) < len(best.columns) {
			best = t
		}
	}
	return best
}

// insert writes a row, unless it is there or cannot be one of the table.
func (c *copier) insert(t *salvageTable, r rawdb.Row) error {
	if !t.takes(r.Values) {
		t.broken++
		t.damaged = true
		return nil
	}
	if t.name == "state" {
		if index, err := c.found(`SELECT 1 FROM users WHERE account = $1 AND conversation = $2 AND openid = $3`, r.Values...); err != nil || index {
			return err
		}
	}
	res, err := c.conn.ExecContext(c.ctx, t.insertion(len(r.Values)), t.row(r)...)
	if sqliteCode(err) == sqlite3.SQLITE_CONSTRAINT || sqliteCode(err) == sqlite3.SQLITE_MISMATCH {
		t.broken++
		t.damaged = true
		return nil
	}
	if err != nil {
		return err
	}
	n, err := res.RowsAffected()
	t.kept += n
	if c.pending++; err == nil && c.pending >= copyBatch {
		c.pending = 0
		if err = c.exec("COMMIT"); err == nil {
			err = c.exec("BEGIN")
		}
	}
	return err
}

// ofUsersIndex tells whether what looks like a row of state is an entry of the index of users by
// conversation, which looks the same: conversations are named after their users.
func ofUsersIndex(values []any) bool {
	name, _ := values[1].(string)
	openid, _ := values[2].(string)
	return openid != "" && strings.Contains(name, "-"+openid)
}

// found tells whether a query yields a row.
func (c *copier) found(query string, args ...any) (bool, error) {
	var one int
	err := c.conn.QueryRowContext(c.ctx, query, args...).Scan(&one)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

func (c *copier) report() []SalvagedTable {
	var all []SalvagedTable
	for _, t := range c.tables {
		all = append(all, SalvagedTable{t.name, t.kept, max(t.lost, t.broken), t.unsure})
	}
	return all
}
