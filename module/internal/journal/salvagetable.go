package journal

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"github.com/caddy-wechat/caddy-wechat/module/internal/journal/rawdb"
)

// salvageTable is a table of the new database, and what is known of it in the damaged one. Columns were
// only ever added, at the end, so a row of an older schema is the beginning of one of the newest.
type salvageTable struct {
	name    string
	columns []salvageColumn
	keyed   bool // without rowid
	keys    int  // columns of the primary key, which are the first
	least   int  // columns that every row has

	roots   []uint32
	damaged bool
	lostIDs []rawdb.Range // rowids that may have been on pages that cannot be read

	kept, lost, broken int64
	unsure             bool
}

type salvageColumn struct {
	name    string
	kind    string // BLOB, TEXT or a kind of integer
	notNull bool
	rowid   bool
}

// salvageTables reads from a new database what its tables look like. users comes before state.
func salvageTables(ctx context.Context, conn *sql.Conn) (tables []*salvageTable, err error) {
	rows, err := conn.QueryContext(ctx, `SELECT name, wr FROM pragma_table_list
		WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite~_%' ESCAPE '~' AND name <> $1 ORDER BY name = 'state', name`, versionTable)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		t := new(salvageTable)
		if err := rows.Scan(&t.name, &t.keyed); err != nil {
			return nil, err
		}
		tables = append(tables, t)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	for _, t := range tables {
		if err := t.describe(ctx, conn); err != nil {
			return nil, err
		}
	}
	return tables, nil
}

func (t *salvageTable) describe(ctx context.Context, conn *sql.Conn) error {
	rows, err := conn.QueryContext(ctx, `SELECT name, type, "notnull" OR pk > 0, pk > 0, dflt_value IS NOT NULL FROM pragma_table_info($1) ORDER BY cid`, t.name)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var c salvageColumn
		var key, standard bool
		if err := rows.Scan(&c.name, &c.kind, &c.notNull, &key, &standard); err != nil {
			return err
		}
		c.rowid = key && !t.keyed
		if key {
			t.keys++
		}
		t.columns = append(t.columns, c)
		if c.notNull && !standard {
			t.least = len(t.columns)
		}
	}
	return rows.Err()
}

// takes tells whether values can be a row of the table.
func (t *salvageTable) takes(values []any) bool {
	if len(values) < t.least || len(values) > len(t.columns) {
		return false
	}
	for i, v := range values {
		c := t.columns[i]
		ok := false
		switch v.(type) {
		case nil:
			ok = c.rowid || !c.notNull
		case int64:
			ok = c.kind != "TEXT" && c.kind != "BLOB" && !c.rowid
		case string:
			ok = c.kind == "TEXT" || c.kind == "BLOB"
		case []byte:
			ok = c.kind == "BLOB"
		}
		if !ok {
			return false
		}
	}
	return true
}

// missed tells whether a row may be one that no way leads to.
func (t *salvageTable) missed(r rawdb.Row) bool {
	if t.keyed {
		return len(t.lostIDs) > 0
	}
	return slices.ContainsFunc(t.lostIDs, func(g rawdb.Range) bool { return r.ID >= g.From && r.ID <= g.To })
}

// insertion is the statement for a row of n columns.
func (t *salvageTable) insertion(n int) string {
	var names, values []string
	for i, c := range t.columns[:n] {
		names, values = append(names, c.name), append(values, fmt.Sprintf("$%d", i+1))
	}
	return "INSERT INTO " + t.name + " (" + strings.Join(names, ", ") + ") VALUES (" + strings.Join(values, ", ") + ") ON CONFLICT DO NOTHING"
}

// row is what is inserted for a row.
func (t *salvageTable) row(r rawdb.Row) []any {
	values := slices.Clone(r.Values)
	for i := range values {
		if t.columns[i].rowid {
			values[i] = r.ID
		}
	}
	return values
}
