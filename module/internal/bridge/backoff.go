package bridge

import (
	"context"
	"math/rand/v2"
	"time"
)

const (
	firstWait = 250 * time.Millisecond
	lastWait  = 30 * time.Second
)

// backoff gives growing times to wait, each a little off, so that many who
// failed together do not come back together. The zero value is ready.
type backoff struct {
	d time.Duration
}

func (b *backoff) next() time.Duration {
	if b.d == 0 {
		b.d = firstWait
	} else {
		b.d = min(2*b.d, lastWait)
	}
	return b.d*3/4 + rand.N(b.d/2)
}

func (b *backoff) reset() { b.d = 0 }

// sleep waits for a time, or until early is closed, or until the context ends,
// whose error it returns. A nil channel is never closed.
func sleep(ctx context.Context, d time.Duration, early <-chan struct{}) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-early:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
