package markdown

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestRenderGolden renders testdata/render/*.md and compares with the .txt
// beside it.
func TestRenderGolden(t *testing.T) {
	sources, err := filepath.Glob("testdata/render/*.md")
	if err != nil || len(sources) < 40 {
		t.Fatalf("%d sources, %v", len(sources), err)
	}
	for _, source := range sources {
		t.Run(strings.TrimSuffix(filepath.Base(source), ".md"), func(t *testing.T) {
			src, err := os.ReadFile(source)
			if err != nil {
				t.Fatal(err)
			}
			got := show(Render(string(src)))
			golden := strings.TrimSuffix(source, ".md") + ".txt"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

// show is pieces as the golden files have them: a line for each picture, texts
// behind a line of their own where one begins.
func show(pieces []Piece) string {
	var b strings.Builder
	for i, p := range pieces {
		if i > 0 {
			b.WriteString("\n=== ")
		}
		if p.ImageURL != "" {
			b.WriteString("image " + p.ImageURL + " " + p.Title)
			continue
		}
		if i > 0 {
			b.WriteString("text\n")
		}
		b.WriteString(p.Text)
	}
	return b.String()
}
