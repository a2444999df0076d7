package journal

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestLimits: SQLite prepares a statement anew for each value that is bound to a bare
// parameter of LIMIT, which takes longer than most of the reads.
func TestLimits(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	bare := regexp.MustCompile(`LIMIT \$\d+( \+ 0)?`)
	n := 0
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		src, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range bare.FindAllString(string(src), -1) {
			if n++; !strings.HasSuffix(m, " + 0") {
				t.Errorf("%s: %q is to be %q", name, m, m+" + 0")
			}
		}
	}
	if n == 0 {
		t.Error("no limit was found")
	}
}
