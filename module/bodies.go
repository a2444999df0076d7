package module

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"slices"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"golang.org/x/sync/semaphore"
)

const (
	// bodyFree is what a request's body may take up without being counted. Nearly
	// all pushes are shorter, and get through whatever others send.
	bodyFree = 8 << 10

	// bodiesMost is how many bytes longer bodies take up at once, in all of the
	// process, until their push or webhook is answered.
	bodiesMost = 128 << 20
)

// errCrowded is that too many long bodies are on their way.
var errCrowded = caddyhttp.Error(http.StatusServiceUnavailable, errors.New("too many long bodies at once"))

// bodies is what is left of bodiesMost.
var bodies = semaphore.NewWeighted(bodiesMost)

// room is what one request's body takes up of the bodies' bytes. The zero value is
// ready.
type room struct{ held int64 }

// make makes room for so many bytes in all, if there is any.
func (m *room) make(total int) error {
	more := int64(total) - bodyFree - m.held
	if more <= 0 {
		return nil
	}
	if !bodies.TryAcquire(more) {
		return errCrowded
	}
	m.held += more
	return nil
}

// free gives the room back. It may be called again.
func (m *room) free() {
	bodies.Release(m.held)
	m.held = 0
}

// readAll is io.ReadAll into a buffer, as long as there is room.
func (m *room) readAll(r io.Reader, b []byte) ([]byte, error) {
	for {
		if len(b) == cap(b) {
			more := len(b) + bytes.MinRead
			if err := m.make(len(b) + more); err != nil {
				return nil, err
			}
			b = slices.Grow(b, more)
		}
		n, err := r.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		switch {
		case errors.Is(err, io.EOF):
			return b, nil
		case err != nil:
			return nil, err
		}
	}
}
