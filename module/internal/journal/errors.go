package journal

import (
	"errors"
	"fmt"
)

var (
	// ErrLocked is returned by Open if another process, or another Journal of this one, has the
	// directory open. The error's text names the lock file.
	ErrLocked = errors.New("the journal is in use by another process")

	// ErrNewer is returned by Open if the database was written by a newer version of this module.
	// The database is left as it is.
	ErrNewer = errors.New("the journal was written by a newer version")

	// ErrDamaged is returned by Open if the file is not a journal or cannot be read as one. The
	// file is left as it is.
	ErrDamaged = errors.New("the journal file is damaged or is not a journal")

	// ErrMoved says that the file was moved, deleted or replaced while it was open.
	ErrMoved = errors.New("the journal file was moved or replaced while it was in use")

	// ErrFull says that the database has reached the size that it is given. What is known already, the
	// effects of what waits, and replies are recorded all the same.
	ErrFull = errors.New("the journal has reached its max_size")

	// ErrUnavailable is matched by errors of operations that found the storage unable to serve: disk
	// full, I/O error, database away. The operation had no effect, or its effect is unknown if the
	// connection to a database server broke in the act; the same call may succeed later.
	ErrUnavailable = errors.New("journal storage unavailable")

	// ErrClosed is returned by every call that comes after Close, and by those that Close did not
	// let in any more. They had no effect.
	ErrClosed = errors.New("journal closed")
)

// unavailable marks err as a fault of the storage and keeps it as the cause.
func unavailable(err error) error {
	if err == nil || errors.Is(err, ErrUnavailable) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}
