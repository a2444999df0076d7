package journal

import (
	"context"
	"database/sql"
)

// tx is what an operation works with: the writer's connection, in a transaction that the writer
// ends. Statements are prepared when first used and kept as long as the connection.
//
// They run without their caller's context: a transaction belongs to all who share it, and watching a
// context costs the driver a goroutine per statement.
type tx struct {
	conn       *sql.Conn
	statements map[string]*sql.Stmt

	appended int64 // the highest id of a push in this transaction
	high     int64 // and of all that were committed
}

func (t *tx) prepared(statement string) (*sql.Stmt, error) {
	if s, ok := t.statements[statement]; ok {
		return s, nil
	}
	s, err := t.conn.PrepareContext(context.Background(), statement)
	if err != nil {
		return nil, err
	}
	t.statements[statement] = s
	return s, nil
}

// exec runs a statement and tells how many rows it touched.
func (t *tx) exec(statement string, args ...any) (int64, error) {
	s, err := t.prepared(statement) //nolint:sqlclosecheck // kept as long as the connection
	if err != nil {
		return 0, err
	}
	r, err := s.ExecContext(context.Background(), args...)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// row runs a statement that yields at most one row into dest. Without a row it is sql.ErrNoRows.
func (t *tx) row(statement string, dest []any, args ...any) error {
	s, err := t.prepared(statement) //nolint:sqlclosecheck // kept as long as the connection
	if err != nil {
		return err
	}
	return s.QueryRowContext(context.Background(), args...).Scan(dest...)
}

// plain runs a statement that has neither arguments nor a result.
func (t *tx) plain(statement string) error {
	s, err := t.prepared(statement) //nolint:sqlclosecheck // kept as long as the connection
	if err != nil {
		return err
	}
	_, err = s.ExecContext(context.Background())
	return err
}
