package markdown

import "strings"

// cells keeps together what belongs into one cell of a table. Markdown ends a cell
// at any bar, even within code, and drops the cells for which there is no column;
// language models write both. The bars that end no cell are escaped.
func cells(src string) string {
	if !strings.Contains(src, "|") {
		return src
	}
	lines := strings.Split(src, "\n")
	fence := ""
	columns := 0 // of the table that the line may belong to, 0 outside of any
	quotes := 0  // that this table stands in
	for i, line := range lines {
		bare := line[leading(line):]
		if fence != "" {
			code := strings.TrimLeft(line, " >\t")
			if mark := fenceOf(code); mark != "" && mark[0] == fence[0] && len(mark) >= len(fence) && strings.TrimSpace(code) == mark {
				fence = ""
			}
			continue
		}
		if fence = fenceOf(bare); fence != "" {
			columns = 0
			continue
		}
		if columns > 0 && (begins(line) || quotesOf(line) > quotes) {
			columns = 0
		}
		if columns > 0 {
			lines[i] = fitted(line, columns)
			continue
		}
		n := announced(bare)
		if n == 0 || i == 0 || !strings.Contains(lines[i-1], "|") {
			continue
		}
		if head := barsInCode(lines[i-1]); len(bars(head))+1 == n {
			lines[i-1], columns, quotes = head, n, quotesOf(line)
		}
	}
	return strings.Join(lines, "\n")
}

// leading is the length of what may stand before a block's own text: blanks, and the
// signs of quotes and of items of lists.
func leading(line string) (n int) {
	for {
		n = len(line) - len(strings.TrimLeft(line[n:], " >\t"))
		size := marker(line[n:])
		if size == 0 {
			return n
		}
		n += size
	}
}

// marker is the length of the sign of an item that a line begins with, 0 if there is
// none.
func marker(s string) int {
	digits := len(s) - len(strings.TrimLeft(s, "0123456789"))
	signs := "-*+"
	if digits > 0 {
		signs = ".)"
	}
	if digits > 9 || len(s) < digits+2 || strings.IndexByte(signs, s[digits]) < 0 || s[digits+1] != ' ' && s[digits+1] != '\t' {
		return 0
	}
	return digits + 2
}

// begins tells whether a line begins a block of its own, or ends one: it is no row of
// a table.
func begins(line string) bool {
	bare := strings.TrimSpace(strings.TrimLeft(line, " >\t"))
	if bare == "" || marker(bare) > 0 {
		return true
	}
	text := strings.TrimLeft(bare, "#")
	if n := len(bare) - len(text); n > 0 && n <= 6 && (text == "" || text[0] == ' ' || text[0] == '\t') {
		return true
	}
	signs := strings.NewReplacer(" ", "", "\t", "").Replace(bare)
	return len(signs) >= 3 && strings.IndexByte("-*_", signs[0]) >= 0 && strings.Trim(signs, signs[:1]) == ""
}

// quotesOf is how many quotes a line stands in.
func quotesOf(line string) int {
	return strings.Count(line[:len(line)-len(strings.TrimLeft(line, " >\t"))], ">")
}

// fenceOf is the run of marks that a fenced block of code begins or ends with, empty
// if the line has none.
func fenceOf(line string) string {
	for _, mark := range "`~" {
		if run := line[:len(line)-len(strings.TrimLeft(line, string(mark)))]; len(run) >= 3 {
			return run
		}
	}
	return ""
}

// announced is how many columns the line below a table's head announces, 0 if it is
// none.
func announced(line string) (n int) {
	if !strings.Contains(line, "-") || strings.Trim(line, "|-: \t") != "" || !strings.Contains(line, "|") {
		return 0
	}
	return len(bars(line)) + 1
}

// bars are the places of the bars between the cells of a row.
func bars(row string) (at []int) {
	end := len(strings.TrimRight(row, " \t"))
	begin := leading(row)
	for i := begin; i < end; i++ {
		switch {
		case row[i] == '\\':
			i++
		case row[i] == '|' && i > begin && i < end-1:
			at = append(at, i)
		}
	}
	return at
}

// fitted is a row with no more cells than there are columns: the last one holds the
// rest.
func fitted(row string, columns int) string {
	row = barsInCode(row)
	if at := bars(row); len(at) >= columns {
		row = escaped(row, at[columns-1:])
	}
	return row
}

// barsInCode escapes the bars between backticks.
func barsInCode(row string) string {
	var inside []int
	for i := 0; i < len(row); {
		switch row[i] {
		case '\\':
			i += 2
			continue
		case '`':
			run := len(row[i:]) - len(strings.TrimLeft(row[i:], "`"))
			end := runAgain(row, i+run, run)
			if end < 0 {
				i += run
				continue
			}
			for j := i + run; j < end; j++ {
				if row[j] == '|' && row[j-1] != '\\' {
					inside = append(inside, j)
				}
			}
			i = end + run
			continue
		}
		i++
	}
	return escaped(row, inside)
}

// runAgain is where a run of so many backticks begins again, -1 if it does not.
func runAgain(row string, from, run int) int {
	for i := from; i < len(row); {
		if row[i] != '`' {
			i++
			continue
		}
		n := len(row[i:]) - len(strings.TrimLeft(row[i:], "`"))
		if n == run {
			return i
		}
		i += n
	}
	return -1
}

// escaped puts a backslash before some places.
func escaped(row string, places []int) string {
	if len(places) == 0 {
		return row
	}
	var b strings.Builder
	last := 0
	for _, i := range places {
		b.WriteString(row[last:i])
		b.WriteByte('\\')
		last = i
	}
	b.WriteString(row[last:])
	return b.String()
}
