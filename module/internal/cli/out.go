// Package cli is what the commands print, and how they talk to the running Caddy.
package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"

	"github.com/rivo/uniseg"
)

// Out is where a command prints to. Whatever came from outside is printed without
// control characters, which a terminal would obey.
type Out struct {
	W io.Writer
	// JSON prints what the running Caddy answered, one document per line or
	// indented, in place of words.
	JSON bool
	// Color says that the reader is a terminal that wants colours.
	Color bool
}

// Style is how a text looks where there are colours.
type Style string

// The styles, by what they say.
const (
	Plain Style = ""
	Good  Style = "32"
	Warn  Style = "33"
	Bad   Style = "31"
	Faint Style = "2"
	Bold  Style = "1"
)

// Colors tells whether a file is a terminal that wants colours: not with NO_COLOR
// in the environment (no-color.org), nor on a dumb terminal.
func Colors(f *os.File) bool {
	if os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// Paint gives a text its style.
func (o *Out) Paint(s Style, text string) string {
	if !o.Color || s == Plain || text == "" {
		return text
	}
	return "\x1b[" + string(s) + "m" + text + "\x1b[0m"
}

// Line prints one line.
func (o *Out) Line(parts ...string) {
	fmt.Fprintln(o.W, strings.Join(parts, ""))
}

// Document prints a JSON document as it came, indented.
func (o *Out) Document(v any) error {
	e := json.NewEncoder(o.W)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// Cell is one field of a table.
type Cell struct {
	Text  string
	Style Style
}

// Cells makes plain fields of texts.
func Cells(texts ...string) []Cell {
	row := make([]Cell, len(texts))
	for i, t := range texts {
		row[i] = Cell{Text: t}
	}
	return row
}

// Table prints rows below a heading, in columns as wide as their widest field.
func (o *Out) Table(heading []string, rows [][]Cell) {
	head := make([]Cell, len(heading))
	for i, h := range heading {
		head[i] = Cell{h, Bold}
	}
	all := append([][]Cell{head}, rows...)
	widths := make([]int, len(heading))
	for _, row := range all {
		for i := range row {
			row[i].Text = Clean(row[i].Text)
			if i < len(widths) {
				widths[i] = max(widths[i], uniseg.StringWidth(row[i].Text))
			}
		}
	}
	for _, row := range all {
		var b strings.Builder
		for i, c := range row {
			b.WriteString(o.Paint(c.Style, c.Text))
			if i < len(row)-1 {
				b.WriteString(strings.Repeat(" ", widths[i]-uniseg.StringWidth(c.Text)+2))
			}
		}
		fmt.Fprintln(o.W, strings.TrimRight(b.String(), " "))
	}
}

// Clean makes one line of a text, without what a terminal would obey or would show
// in another order.
func Clean(s string) string {
	if !strings.ContainsFunc(s, obeyed) {
		return s
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case obeyed(r):
			return -1
		}
		return r
	}, s)
}

func obeyed(r rune) bool {
	return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029'
}
