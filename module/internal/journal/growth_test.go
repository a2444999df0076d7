package journal

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"
)

// BenchmarkGrowth: what a message costs with so many users known, as many pushes
// waiting, and as many remembered as handled. The cost must not grow with them, beyond
// what a deeper tree and a colder cache take. With -short it ends at 10 000.
func BenchmarkGrowth(b *testing.B) {
	sizes := []int{1000, 10_000, 100_000, 1_000_000}
	if testing.Short() {
		sizes = sizes[:2]
	}
	for _, n := range sizes {
		b.Run(fmt.Sprintf("n=%d", n), func(b *testing.B) { growth(b, n) })
	}
}

func growth(b *testing.B, n int) {
	ctx := context.Background()
	j := benchOpen(b, Full)
	benchFill(b, j, 2*n, n)
	benchHandle(b, j, n)
	next := int64(2 * n)
	var added, handled, repeated, looked atomic.Int64
	b.Run("append", func(b *testing.B) {
		benchRun(b, 64, func(int) error {
			i := int(next + added.Add(1))
			openid := benchOpenID(i * 7919 % n)
			_, fresh, err := appendPush(ctx, j, Push{Account: benchAccount, OpenID: openid, Kind: "text", Key: benchKey(i, openid), Body: benchBody})
			if err == nil && !fresh {
				err = errors.New("known already")
			}
			return err
		})
	})
	b.Run("duplicate", func(b *testing.B) { // of the oldest ones: none is in memory
		benchRun(b, 64, func(int) error {
			i := int(repeated.Add(1)) * 7919 % n
			openid := benchOpenID(i % n)
			_, fresh, err := appendPush(ctx, j, Push{Account: benchAccount, OpenID: openid, Kind: "text", Key: benchKey(i, openid), Body: benchBody})
			if err == nil && fresh {
				err = errors.New("forgotten")
			}
			return err
		})
	})
	b.Run("next", func(b *testing.B) {
		benchRun(b, 1, func(int) error {
			list, err := j.NextPushes(ctx, benchAccount, benchOpenID(int(looked.Add(1))*7919%n), 0, 1)
			if err == nil && len(list) != 1 {
				err = fmt.Errorf("%d pushes", len(list))
			}
			return err
		})
	})
	b.Run("handled", func(b *testing.B) { // the second half of what was there waits
		benchRun(b, 64, func(int) error {
			k := int(handled.Add(1)-1) % n
			return j.PushDone(ctx, PushDone{
				ID: int64(n + k + 1), Account: benchAccount, OpenID: benchOpenID(k), Active: true, Floor: Mark{At: time.UnixMilli(1)},
			})
		})
	})
}

// benchHandle makes the first n pushes handled ones, and their users known.
func benchHandle(b *testing.B, j *Journal, n int) {
	b.Helper()
	const each = 2000
	for i := 0; i < n; i += each {
		err := j.write(context.Background(), "filling", func(t *tx) error {
			for k := i; k < min(i+each, n); k++ {
				d := PushDone{ID: int64(k + 1), Account: benchAccount, OpenID: benchOpenID(k), Active: true, Floor: Mark{At: time.UnixMilli(1)}}
				if _, err := t.exec(finishPush, d.ID, j.now().UnixMilli()); err != nil {
					return err
				}
				if err := follow(t, &d, j.now().UnixMilli()); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}
