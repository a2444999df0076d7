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
	for i, line := range lines {
		bare := strings.TrimLeft(line, " >\t")
		switch mark := fenceOf(bare); {
		case fence != "":
			if mark != "" && mark[0] == fence[0] && len(mark) >= len(fence) && strings.TrimSpace(bare) == mark {
				fence = ""
			}
			continue
		case mark != "":
			fence, columns = mark, 0
			continue
		case strings.TrimSpace(bare) == "":
			columns = 0
			continue
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
			lines[i-1], columns = head, n
		}
	}
	return strings.Join(lines, "\n")
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
	begin := len(row) - len(strings.TrimLeft(row, " >\t"))
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
