package bridge

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
)

// BenchmarkRender: what rendering adds to a reply's way.
func BenchmarkRender(b *testing.B) {
	choice := `{"type":"choice","text":"请选择一个:","options":["红","绿","蓝","黄","白"]}`
	for name, payload := range map[string]string{
		"short text":   `{"type":"text","text":"echo: hello, world"}`,
		"400 bytes":    encodedText(strings.Repeat("这是一句很长的中文。And in English. ", 8)),
		"128 KiB":      encodedText(strings.Repeat("这是一句很长的中文。And in English.\n", 2500)),
		"five options": choice,
	} {
		b.Run(name, func(b *testing.B) {
			s := contentSettings(ChoiceLinks)
			for b.Loop() {
				render(s, "msg_01", json.RawMessage(payload))
			}
		})
	}
}

func encodedText(text string) string {
	return string(encoded(map[string]any{"type": "text", "text": text}))
}

// BenchmarkLanes: from a wake to the end of the lane's work, of which there is none,
// and a wake of a user who is at work.
func BenchmarkLanes(b *testing.B) {
	for _, users := range []int{1, 100, 10_000} {
		b.Run(fmt.Sprintf("dispatch/users=%d", users), func(b *testing.B) {
			ctx, cancel := context.WithCancel(b.Context())
			defer cancel()
			var done sync.WaitGroup
			l := newLanes(ctx, &lanes{
				limit: func() int { return 1000 },
				work:  func(context.Context, string) bool { done.Done(); return false },
				scan:  func(context.Context, string, int) ([]string, error) { return nil, nil },
			})
			l.recall()
			names := make([]string, users)
			for i := range names {
				names[i] = fmt.Sprintf("oBench-%021d", i)
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				done.Add(1)
				l.wake(names[i%users])
				done.Wait()
			}
			cancel()
			l.wg.Wait()
		})
	}
	b.Run("at work", func(b *testing.B) {
		ctx, cancel := context.WithCancel(b.Context())
		l := newLanes(ctx, &lanes{
			limit: func() int { return 1000 },
			work:  func(ctx context.Context, _ string) bool { <-ctx.Done(); return false },
			scan:  func(context.Context, string, int) ([]string, error) { return nil, nil },
		})
		l.recall()
		b.ReportAllocs()
		for b.Loop() {
			l.wake("oBench")
		}
		cancel()
		l.wg.Wait()
	})
}
