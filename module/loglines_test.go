package module

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	loggedLine = regexp.MustCompile(`\.(?:Warn|Error|Log)\((?:level, )?"([^"]+)"`)
	documented = regexp.MustCompile("`([^`]+)`")
)

// TestLogLinesDocumented: the README says what each line at warn and error means, and
// names none that is not written.
func TestLogLinesDocumented(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, chapter, found := strings.Cut(string(readme), "\n## What the log says\n")
	if !found {
		t.Fatal("the README has no such chapter")
	}
	chapter, _, _ = strings.Cut(chapter, "\n## ")
	named := make(map[string]bool)
	for row := range strings.Lines(chapter) {
		first, _, _ := strings.Cut(strings.TrimPrefix(row, "| "), " | ")
		if !strings.HasPrefix(row, "| `") {
			continue
		}
		for _, m := range documented.FindAllStringSubmatch(first, -1) {
			named[strings.TrimSuffix(m[1], "…")] = false
		}
	}
	for line, where := range logLines(t) {
		known := strings.HasSuffix(line, "panicked")
		for name := range named {
			if name == line || strings.HasSuffix(name, " ") && strings.HasPrefix(line, name) {
				known, named[name] = true, true
			}
		}
		if !known {
			t.Errorf("%s logs %q, which the README does not explain", where, line)
		}
	}
	for name, written := range named {
		if !written {
			t.Errorf("the README explains %q, which nothing logs", name)
		}
	}
}

// logLines are the messages in the sources, and where they are.
func logLines(t *testing.T) map[string]string {
	t.Helper()
	lines := make(map[string]string)
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		src, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range loggedLine.FindAllStringSubmatch(string(src), -1) {
			lines[m[1]] = path
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return lines
}
