package journal

import (
	"context"
	"database/sql"
	"sync"
)

// readers is how many queries read at the same time.
const readers = 4

// reader runs queries on a small pool of connections that cannot write.
type reader struct {
	db         *sql.DB
	statements sync.Map // query -> *sql.Stmt
}

func (r *reader) prepared(ctx context.Context, query string) (*sql.Stmt, error) {
	if s, ok := r.statements.Load(query); ok {
		return s.(*sql.Stmt), nil
	}
	s, err := r.db.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	if other, loaded := r.statements.LoadOrStore(query, s); loaded {
		_ = s.Close() //nolint:sqlclosecheck // the other one is kept until the pool is closed
		return other.(*sql.Stmt), nil
	}
	return s, nil
}

func (r *reader) each(ctx context.Context, query string, scan func(*sql.Rows) error, args ...any) error {
	s, err := r.prepared(ctx, query) //nolint:sqlclosecheck // kept until the pool is closed
	if err != nil {
		return err
	}
	rows, err := s.QueryContext(ctx, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

func (r *reader) close() error {
	r.statements.Range(func(_, s any) bool {
		_ = s.(*sql.Stmt).Close()
		return true
	})
	return r.db.Close()
}
