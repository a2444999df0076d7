package journal

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/caddy-wechat/caddy-wechat/module/internal/journal/rawdb"
)

const lostReason = "lost in damage of the journal; its text cannot be read any more"

// lostRow is what indexes tell of a row that could not be read: the columns that are in them.
type lostRow map[string]any

// countLost counts, with the help of the indexes, the rows of damaged tables that could not be read, and
// makes dead letters of those that waited. unknown says that there may be indexes that are not known.
func (c *copier) countLost(unknown bool) error {
	reader := rawdb.NewReader(c.raw)
	for _, t := range c.tables {
		if !t.damaged && !t.unsure {
			continue
		}
		lost := make(map[string]lostRow)
		indexes := 0
		for _, o := range c.objects {
			if o.Type != "index" || o.Table != t.name {
				continue
			}
			w, err := c.readIndex(reader, t, o, lost)
			if err != nil {
				return err
			}
			if w.Damaged == 0 {
				indexes++
			}
		}
		t.lost = int64(len(lost))
		t.unsure = t.unsure || t.damaged && (indexes == 0 || unknown)
		if err := c.buryLost(t, lost); err != nil {
			return err
		}
	}
	return nil
}

// readIndex notes the rows that an index names and the new database does not have.
func (c *copier) readIndex(reader *rawdb.Reader, t *salvageTable, o rawdb.Object, lost map[string]lostRow) (w rawdb.Walk, err error) {
	columns, err := c.indexColumns(o.Name)
	if err != nil || len(columns) == 0 {
		return w, err
	}
	key := t.key()
	var conditions []string
	for i, name := range key {
		conditions = append(conditions, fmt.Sprintf("%s = $%d", name, i+1))
	}
	query := "SELECT 1 FROM " + t.name + " WHERE " + strings.Join(conditions, " AND ")
	return reader.Tree(o.Root, true, func(r rawdb.Row) error {
		if len(r.Values) != len(columns) {
			return nil
		}
		row := make(lostRow)
		for i, name := range columns {
			if name == "" {
				name = key[0] // the rowid
			}
			row[name] = r.Values[i]
		}
		var args []any
		for _, name := range key {
			args = append(args, row[name])
		}
		there, err := c.found(query, args...)
		if err != nil || there {
			return err
		}
		id := fmt.Sprintf("%q", args)
		if known := lost[id]; known != nil {
			maps.Copy(known, row)
			row = known
		}
		row[o.Name] = true
		lost[id] = row
		return nil
	})
}

// key are the columns that name a row.
func (t *salvageTable) key() (names []string) {
	for _, c := range t.columns {
		if c.rowid {
			return []string{c.name}
		}
	}
	for _, c := range t.columns[:t.keys] {
		names = append(names, c.name)
	}
	return names
}

// indexColumns are the columns of an index of the new database, in order, those that it takes from the
// key of its table included; the rowid is "".
func (c *copier) indexColumns(index string) (names []string, err error) {
	rows, err := c.conn.QueryContext(c.ctx, `SELECT COALESCE(name, '') FROM pragma_index_xinfo($1) ORDER BY seqno`, index)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, rows.Err()
}

// waitingIndexes name the indexes that hold what waits, and what such a row was known by.
var waitingIndexes = map[string]struct{ kind, ref string }{
	"pushes_waiting":  {"push", "dedup"},
	"replies_waiting": {"reply", "message_id"},
	"replies_parked":  {"reply", "message_id"},
}

// buryLost makes dead letters of lost rows that waited: an operator finds in them whom to ask.
func (c *copier) buryLost(t *salvageTable, lost map[string]lostRow) error {
	for _, row := range lost {
		for index, w := range waitingIndexes {
			if row[index] == nil || row["account"] == nil || row["openid"] == nil {
				continue
			}
			ref, _ := row[w.ref].(string)
			err := c.exec(`INSERT INTO dead (account, openid, kind, ref, reason, at) VALUES ($1, $2, $3, $4, $5, $6)`,
				row["account"], row["openid"], w.kind, ref, lostReason, millis(time.Now()))
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// unsure says of all tables that rows may be lost of which nothing is known.
func (c *copier) unsure() {
	for _, t := range c.tables {
		t.unsure = true
	}
}

// countAfter counts the pushes that were on disk and are in nothing that is left; and files of users that
// are not whole count as unfinished.
func (c *copier) countAfter(high int64) error {
	for _, t := range c.tables {
		switch t.name {
		case "pushes":
			var highest int64
			if err := c.conn.QueryRowContext(c.ctx, `SELECT COALESCE(max(id), 0) FROM pushes`).Scan(&highest); err != nil {
				return err
			}
			if high > highest {
				t.lost = max(t.lost, high-highest)
				c.unsure() // the log is gone, and whatever else was in it
			}
		case "media":
			err := c.exec(`UPDATE media SET done = 0 WHERE size <> (SELECT COALESCE(sum(length(body)), 0) FROM chunks WHERE media = media.id)`)
			if err != nil {
				return err
			}
		}
	}
	slices.SortFunc(c.tables, func(a, b *salvageTable) int { return strings.Compare(a.name, b.name) })
	return nil
}
