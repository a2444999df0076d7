package doctor

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/caddy-wechat/caddy-wechat/module/internal/cli"
	"github.com/caddy-wechat/caddy-wechat/module/internal/journal"
)

const (
	fewBytes = 1 << 30   // of free disk: a warning
	noBytes  = 100 << 20 // too few
)

// journal looks at the journal's place, and at the journal itself if no Caddy has
// it. It changes nothing that stays.
func (x *examination) journal(ctx context.Context) {
	dir := x.JournalDir
	for i := range x.Accounts {
		if x.running {
			s := x.Accounts[i].reported
			if s != nil && s.Dir != "" {
				dir = s.Dir // whoever runs Caddy may have another data directory
			}
			if s != nil && !s.OK {
				x.found("journal.failing", dir, s.Error)
				return
			}
		}
	}
	if !x.running && !x.examineJournal(ctx, dir) {
		return
	}
	place := existing(dir)
	if err := writable(place); err != nil {
		if x.running && errors.Is(err, fs.ErrPermission) {
			x.found("journal.other_user", dir) // Caddy can write it
			return
		}
		x.found("journal.unwritable", place, err)
		return
	}
	free, ok := freeBytes(place)
	switch {
	case ok && free < noBytes:
		x.found("journal.full", place, cli.Size(free))
	case ok && free < fewBytes:
		x.found("journal.space", place, cli.Size(free))
	default:
		x.found("journal.ok", dir, cli.Size(free))
	}
}

// examineJournal looks into a journal that no Caddy has opened. It is false if
// something is wrong with it.
func (x *examination) examineJournal(ctx context.Context, dir string) bool {
	ctx, cancel := within(ctx)
	defer cancel()
	e, err := journal.Examine(ctx, dir)
	switch {
	case errors.Is(err, journal.ErrNewer):
		x.found("journal.newer", dir, e.Schema, e.Newest)
	case errors.Is(err, journal.ErrDamaged):
		x.found("journal.damaged", dir)
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.ENOTDIR):
		x.found("journal.unwritable", dir, err)
	case err != nil:
		x.found("journal.odd", dir, err)
	case e.InUse:
		x.found("journal.in_use", dir)
	case !e.Oldest.IsZero():
		x.found("journal.waits", cli.Span(x.now().Sub(e.Oldest)))
		return true
	default:
		return true
	}
	return false
}

// existing is the directory, or the nearest one above it that exists: the journal
// makes what is missing.
func existing(dir string) string {
	for {
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
			return dir
		}
		up := filepath.Dir(dir)
		if up == dir {
			return dir
		}
		dir = up
	}
}

// writable tries to write a file.
func writable(dir string) error {
	f, err := os.CreateTemp(dir, ".doctor-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }()
	_, err = f.Write(make([]byte, 4096))
	return errors.Join(err, f.Close())
}
