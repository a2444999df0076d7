package journal

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const benchAccount = "wx0123456789abcdef"

// benchBody is as long as a usual text push.
var benchBody = []byte(strings.Repeat("<x>push</x>", 36))

func benchOpenID(i int) string { return fmt.Sprintf("oBench-%021d", i) }

// benchKey is like the key of a message, whose id grows with time.
func benchKey(i int, openid string) string {
	return fmt.Sprintf("m/%d/%s", 7_000_000_000_000_000+i, openid)
}

func benchOpen(b *testing.B, s Sync) *Journal {
	b.Helper()
	j, err := Open(context.Background(), Config{Dir: b.TempDir(), Sync: s})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = j.Close() })
	return j
}

// benchRun shares b.N calls among some goroutines and reports calls per second and latencies.
func benchRun(b *testing.B, writers int, call func(i int) error) {
	b.Helper()
	var next atomic.Int64
	latencies := make([][]time.Duration, writers)
	var wg sync.WaitGroup
	b.ReportAllocs()
	b.ResetTimer()
	for w := range writers {
		wg.Go(func() {
			for i := int(next.Add(1)); i <= b.N; i = int(next.Add(1)) {
				start := time.Now()
				if err := call(i); err != nil {
					b.Error(err)
					return
				}
				latencies[w] = append(latencies[w], time.Since(start))
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	all := slices.Concat(latencies...)
	slices.Sort(all)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
	b.ReportMetric(float64(all[len(all)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(all[len(all)*99/100].Microseconds()), "p99-µs")
}

func BenchmarkAppendPush(b *testing.B) {
	for _, s := range []Sync{Full, Normal} {
		for _, writers := range []int{1, 16, 64, 256} {
			b.Run(fmt.Sprintf("%s/writers=%d", s, writers), func(b *testing.B) {
				j := benchOpen(b, s)
				benchRun(b, writers, func(i int) error {
					_, _, err := appendPush(context.Background(), j, Push{
						Account: benchAccount, OpenID: benchOpenID(i % 5000), Kind: "text",
						Key: benchKey(i, benchOpenID(i%5000)), Body: benchBody,
					})
					return err
				})
			})
		}
	}
}

func BenchmarkAppendDuplicate(b *testing.B) {
	for _, writers := range []int{1, 64} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			j := benchOpen(b, Full)
			benchRun(b, writers, func(int) error {
				_, _, err := appendPush(context.Background(), j, Push{
					Account: benchAccount, OpenID: benchOpenID(1), Kind: "text", Key: "the same", Body: benchBody,
				})
				return err
			})
		})
	}
}

// benchFill appends n pushes of users users, as fast as it goes.
func benchFill(b *testing.B, j *Journal, n, users int) {
	b.Helper()
	const each = 2000
	for i := 0; i < n; i += each {
		err := j.write(context.Background(), "filling", func(t *tx) error {
			for k := i; k < min(i+each, n); k++ {
				openid := benchOpenID(k % users)
				if _, _, err := j.dialect.insert(t, insertPush, benchAccount, openid, benchKey(k, openid), "text", 1, benchBody); err != nil {
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

func backlog() int {
	if testing.Short() {
		return 20_000
	}
	return 1_000_000
}

func BenchmarkBacklog(b *testing.B) {
	n, users := backlog(), backlog()/100
	dir := b.TempDir()
	j, err := Open(context.Background(), Config{Dir: dir, Sync: Normal})
	if err != nil {
		b.Fatal(err)
	}
	benchFill(b, j, n, users)
	if err := j.Close(); err != nil {
		b.Fatal(err)
	}
	b.Run("Open", func(b *testing.B) {
		for range b.N {
			j, err := Open(context.Background(), Config{Dir: dir})
			if err != nil {
				b.Fatal(err)
			}
			if _, err := j.WaitingUsers(context.Background(), benchAccount, Pushes, "", 1000); err != nil {
				b.Fatal(err)
			}
			if err := j.Close(); err != nil {
				b.Fatal(err)
			}
		}
	})
	j, err = Open(context.Background(), Config{Dir: dir})
	if err != nil {
		b.Fatal(err)
	}
	defer j.Close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	b.Run("NextPushes", func(b *testing.B) {
		benchRun(b, 1, func(i int) error {
			list, err := j.NextPushes(ctx, benchAccount, benchOpenID(i*7919%users), 0, 1)
			if err == nil && len(list) != 1 {
				err = fmt.Errorf("%d pushes", len(list))
			}
			return err
		})
	})
	b.Run("WaitingUsers1000", func(b *testing.B) {
		benchRun(b, 1, func(i int) error {
			list, err := j.WaitingUsers(ctx, benchAccount, Pushes, "", min(1000, users))
			if err == nil && len(list) != min(1000, users) {
				err = fmt.Errorf("%d users", len(list))
			}
			return err
		})
	})
	b.Run("CountWaiting", func(b *testing.B) {
		benchRun(b, 1, func(i int) error {
			_, _, _, err := j.CountWaiting(ctx, benchAccount)
			return err
		})
	})
	var fresh atomic.Int64
	fresh.Store(int64(n))
	b.Run("AppendPush/writers=64", func(b *testing.B) {
		benchRun(b, 64, func(i int) error {
			openid := benchOpenID(i * 7919 % users)
			_, _, err := appendPush(ctx, j, Push{Account: benchAccount, OpenID: openid, Kind: "text", Key: benchKey(int(fresh.Add(1)), openid), Body: benchBody})
			return err
		})
	})
	var taken atomic.Int64
	for _, writers := range []int{1, 64, 256} {
		b.Run(fmt.Sprintf("PushDone/writers=%d", writers), func(b *testing.B) {
			benchRun(b, writers, func(int) error {
				k := taken.Add(1)
				return j.PushDone(ctx, PushDone{ID: k, Account: benchAccount, OpenID: benchOpenID(int(k-1) % users), Active: true, Floor: Mark{At: time.UnixMilli(1)}})
			})
		})
	}
}
