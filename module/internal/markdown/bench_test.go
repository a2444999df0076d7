package markdown

import (
	"os"
	"strings"
	"testing"
)

// answer is what a language model writes, repeated up to n bytes.
func answer(b *testing.B, n int) string {
	b.Helper()
	var all strings.Builder
	for _, name := range []string{"answer-zh-refund", "answer-zh-nested-bold", "answer-zh-compare", "answer-en-code", "answer-zh-recipe"} {
		src, err := os.ReadFile("testdata/render/" + name + ".md")
		if err != nil {
			b.Fatal(err)
		}
		all.Write(src)
		all.WriteByte('\n')
	}
	return strings.ToValidUTF8(strings.Repeat(all.String(), n/all.Len()+1)[:n], "")
}

func BenchmarkRender(b *testing.B) {
	for _, bc := range []struct{ name, src string }{
		{"plain 1 kB", strings.Repeat("您好，请问有什么可以帮您？\n", 25)},
		{"answer 1 kB", answer(b, 1000)},
		{"answer 20 kB", answer(b, 20_000)},
		{"answer 100 kB", answer(b, 100_000)},
	} {
		b.Run(bc.name, func(b *testing.B) {
			b.SetBytes(int64(len(bc.src)))
			b.ReportAllocs()
			for b.Loop() {
				Render(bc.src)
			}
		})
	}
}
