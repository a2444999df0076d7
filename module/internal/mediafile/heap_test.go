package mediafile

import (
	"runtime"
	"runtime/metrics"
	"sync"
	"testing"
	"time"
)

// BenchmarkPictures brings fifty pictures of 10 MiB at once, and reports how far
// the heap grows above what it was: garbage included, and what is live after a
// collection. The pictures themselves, which the caller holds, are not counted.
func BenchmarkPictures(b *testing.B) {
	for _, tc := range []struct {
		name string
		data []byte
	}{
		{"png", encoded(b, "png", noise(1870, 1870, 255))},
		{"jpeg", encoded(b, "jpeg", noise(2450, 2450, 255))},
		{"webp", losslessWebP(noise(1620, 1620, 255))},
		{"bmp", encoded(b, "bmp", noise(1870, 1870, 255))},
	} {
		b.Run(tc.name, func(b *testing.B) {
			for b.Loop() {
				heap, live := peaks(func() {
					var all sync.WaitGroup
					for range 50 {
						all.Go(func() {
							if _, _, err := Picture(b.Context(), tc.data, 0); err != nil {
								b.Error(err)
							}
						})
					}
					all.Wait()
				})
				b.ReportMetric(heap, "peak-heap-MiB")
				b.ReportMetric(live, "peak-live-MiB")
				b.ReportMetric(float64(len(tc.data))/(1<<20), "picture-MiB")
			}
		})
	}
}

// peaks runs f and tells how far heap and live heap rose meanwhile, in MiB.
func peaks(f func()) (heap, live float64) {
	runtime.GC()
	read := func() (uint64, uint64) {
		s := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/gc/heap/live:bytes"}}
		metrics.Read(s)
		return s[0].Value.Uint64(), s[1].Value.Uint64()
	}
	heap0, live0 := read()
	maxHeap, maxLive := heap0, live0
	done := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				h, l := read()
				maxHeap, maxLive = max(maxHeap, h), max(maxLive, l)
			}
		}
	})
	f()
	close(done)
	watching.Wait()
	return float64(maxHeap-heap0) / (1 << 20), float64(maxLive-live0) / (1 << 20)
}
