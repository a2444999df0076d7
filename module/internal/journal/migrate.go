package journal

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"github.com/pressly/goose/v3"
)

//go:embed migrations/*.sql mediamigrations/*.sql
var migrationFiles embed.FS

// versionTable is where goose records which migrations a database has had.
const versionTable = goose.DefaultTablename

// migrations returns the steps of d's schema, their column types filled in for d, and the number of the
// newest.
func migrations(d *dialect) (steps []*goose.Migration, newest int64, err error) {
	names, err := fs.Glob(migrationFiles, d.migrations+"/*.sql") // sorted by name
	if err != nil {
		return nil, 0, err
	}
	for _, name := range names {
		text, err := migrationFiles.ReadFile(name)
		if err != nil {
			return nil, 0, err
		}
		number, _, _ := strings.Cut(path.Base(name), "_")
		newest, err = strconv.ParseInt(number, 10, 64)
		if err != nil {
			return nil, 0, fmt.Errorf("reading the number of migration %s: %w", name, err)
		}
		statements := d.columns.Replace(string(text))
		steps = append(steps, goose.NewGoMigration(newest, &goose.GoFunc{
			RunTx: func(ctx context.Context, tx *sql.Tx) error {
				_, err := tx.ExecContext(ctx, statements)
				return err
			},
		}, nil))
	}
	return steps, newest, nil
}

// schemaVersion tells which migration db has had last, 0 if it is empty. It only reads.
func schemaVersion(ctx context.Context, d *dialect, db *sql.DB) (int64, error) {
	rows, err := db.QueryContext(ctx, d.tables)
	if err != nil {
		return 0, err
	}
	defer func() { _ = rows.Close() }()
	var known, others bool
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return 0, err
		}
		known = known || name == versionTable
		others = true
	}
	if err := rows.Err(); err != nil {
		return 0, err
	}
	switch {
	case known:
	case others:
		return 0, fmt.Errorf("%w: it holds other tables", ErrDamaged)
	default:
		return 0, nil
	}
	var version sql.NullInt64
	err = db.QueryRowContext(ctx, "SELECT max(version_id) FROM "+versionTable+" WHERE is_applied = 1").Scan(&version)
	return version.Int64, err
}

// migrate brings db up to the newest schema.
func migrate(ctx context.Context, d *dialect, db *sql.DB) error {
	steps, _, err := migrations(d)
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(d.goose, db, nil,
		goose.WithGoMigrations(steps...),
		goose.WithDisableGlobalRegistry(true),
		goose.WithLogger(goose.NopLogger()),
	)
	if err != nil {
		return err
	}
	_, err = p.Up(ctx)
	return err
}
