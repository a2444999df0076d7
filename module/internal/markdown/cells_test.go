package markdown

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestCellsKeep: no row of a table loses a word, however many cells it has.
func TestCellsKeep(t *testing.T) {
	word := rapid.StringMatching(`[a-z]{3,9}`)
	cell := rapid.Custom(func(t *rapid.T) string {
		w := word.Draw(t, "word")
		switch rapid.IntRange(0, 3).Draw(t, "as") {
		case 0:
			return "`" + w + " | " + word.Draw(t, "other") + "`"
		case 1:
			return "[" + w + "](https://example.com/" + w + ")"
		case 2:
			return w + ` \| ` + w
		}
		return w
	})
	row := rapid.SliceOfN(cell, 1, 7)
	rapid.Check(t, func(t *rapid.T) {
		columns := rapid.IntRange(1, 5).Draw(t, "columns")
		src := "|" + strings.Repeat(" head |", columns) + "\n|" + strings.Repeat("---|", columns) + "\n"
		var words []string
		for range rapid.IntRange(1, 4).Draw(t, "rows") {
			line := "| " + strings.Join(row.Draw(t, "row"), " | ") + rapid.SampledFrom([]string{" |", ""}).Draw(t, "end")
			words = append(words, strings.FieldsFunc(line, func(r rune) bool { return r < 'a' || r > 'z' })...)
			src += line + "\n"
		}
		var got strings.Builder
		for _, p := range Render(src) {
			got.WriteString(p.Text)
		}
		for _, w := range words {
			if !strings.Contains(got.String(), w) {
				t.Fatalf("%q is lost:\n%s\nof\n%s", w, got.String(), src)
			}
		}
		if strings.Contains(got.String(), "`") {
			t.Fatalf("backticks:\n%s\nof\n%s", got.String(), src)
		}
	})
}
