package markdown

import (
	"bytes"
	"strings"

	"github.com/yuin/goldmark/ast"
	east "github.com/yuin/goldmark/extension/ast"
)

// maxLabels is how many bytes the labels of one table may take, written again
// in every row. Beyond it the rows are written without.
const maxLabels = 16 << 10

// table writes a table for a narrow screen: one or two columns line by line,
// more of them as a paragraph for each row, a line for each cell.
func (w *writer) table(n *east.Table) {
	header := n.FirstChild()
	if header == nil {
		return
	}
	full := w.colons(header)
	if len(n.Alignments) <= 2 {
		for r := header; r != nil; r = r.NextSibling() {
			w.lineBreak()
			w.row(r, full)
		}
		return
	}
	var labels []string
	size := 0
	for c := header.FirstChild(); c != nil; c = c.NextSibling() {
		w.pictures(c)
		l := w.flatten(c.FirstChild(), nil)
		if l != "" {
			l += colon(l, full)
		}
		labels = append(labels, l)
		size += len(l)
	}
	if size*n.ChildCount() > maxLabels {
		w.head(header, full)
		for r := header.NextSibling(); r != nil; r = r.NextSibling() {
			w.lineBreak()
			w.row(r, full)
		}
		return
	}
	written, named := false, false // something; the labels
	for r := header.NextSibling(); r != nil; r = r.NextSibling() {
		text := r.Pos() >= 0 && bytes.IndexByte(lineAt(w.src, r.Pos()), '|') < 0 // right below the table
		if text && !named {
			w.head(header, full)
			written, named = true, true
		}
		if written {
			w.gap(1)
		}
		if text {
			w.row(r, full)
			continue
		}
		named = w.record(r, labels) || named
		written = written || named
	}
	if !named {
		w.head(header, full)
	}
}

// head writes a header whose pictures are written already.
func (w *writer) head(header ast.Node, full bool) {
	outer := w.pictured
	w.pictured = true
	w.row(header, full)
	w.pictured = outer
}

// colons reports whether a table takes Chinese colons.
func (w *writer) colons(header ast.Node) bool {
	for c := header.FirstChild(); c != nil; c = c.NextSibling() {
		if strings.ContainsFunc(w.flatten(c.FirstChild(), nil), wide) {
			return true
		}
	}
	return false
}

// row writes the cells of a row in one line.
func (w *writer) row(r ast.Node, full bool) {
	between := " | "
	if r.ChildCount() == 2 {
		between = ""
	}
	before := "" // what the cell before says
	for c := r.FirstChild(); c != nil; c = c.NextSibling() {
		text := w.flatten(c.FirstChild(), nil)
		if before != "" && text != "" && w.open {
			if between == "" {
				w.text(colon(before, full))
			} else {
				w.text(between)
			}
		}
		if text != "" {
			before = text
		}
		w.inlines(c)
	}
}

// record writes a row as lines of label and value, false if it is empty.
func (w *writer) record(r ast.Node, labels []string) bool {
	written, i := false, 0
	for c := r.FirstChild(); c != nil; c = c.NextSibling() {
		w.lineBreak()
		if w.flatten(c.FirstChild(), nil) != "" {
			if i < len(labels) {
				w.text(labels[i])
			}
			written = true
		}
		w.inlines(c)
		i++
	}
	return written
}

// colon is what stands between a label and its value; full means a Chinese one.
func colon(label string, full bool) string {
	switch {
	case strings.HasSuffix(label, "："):
		return ""
	case strings.HasSuffix(label, ":"):
		return " "
	case full:
		return "："
	default:
		return ": "
	}
}
