package journal

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"go.uber.org/zap"
)

const (
	// watchEvery is how often the file is looked for in its place.
	watchEvery = 5 * time.Second

	// watchTwice is how soon it is looked for again before it is believed to be gone.
	watchTwice = time.Second
)

// watch sees to it that the database that is written to is the one that the next process will find. What
// goes into a file that was moved, deleted or replaced is lost with this process, and nothing else would
// tell.
func (j *Journal) watch(ctx context.Context, path string) {
	defer recovered(j.log, "watching the journal's file panicked")
	was, err := os.Stat(path)
	if err != nil {
		j.log.Warn("watching the journal's file", zap.Error(err))
		return
	}
	for pause := watchEvery; sleep(ctx, pause) == nil; {
		err := inPlace(path, was)
		switch {
		case err == nil:
			pause = watchEvery
		case pause == watchEvery:
			pause = watchTwice
		default:
			j.suspect(err)
			return
		}
	}
}

// inPlace is what is wrong if path is not the file that it was. That nothing can be told of it is no fault
// of the file's.
func inPlace(path string, was fs.FileInfo) error {
	is, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: %s is not there any more", ErrMoved, filepath.Base(path))
	case err == nil && !os.SameFile(is, was):
		return fmt.Errorf("%w: another file is in the place of %s", ErrMoved, filepath.Base(path))
	}
	return nil
}
