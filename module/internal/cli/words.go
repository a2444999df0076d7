package cli

import (
	"fmt"
	"time"

	"github.com/dustin/go-humanize"
)

// Ago says how long ago something was.
func Ago(at, now time.Time) string {
	if at.IsZero() {
		return "none known"
	}
	d := now.Sub(at)
	if d < time.Second {
		return "just now"
	}
	return Span(d) + " ago"
}

// Span is a duration in its largest two units.
func Span(d time.Duration) string {
	switch {
	case d < 0:
		return "-" + Span(-d)
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd%02dh", int(d.Hours())/24, int(d.Hours())%24)
}

// Size is a number of bytes.
func Size(n int64) string { return humanize.IBytes(uint64(max(n, 0))) }

func count(n int64, what string) string {
	many := what + "s"
	if what == "push" {
		many = "pushes"
	}
	return plural(n, what, many)
}

func plural(n int64, one, many string) string {
	switch n {
	case 0:
		return "no " + many
	case 1:
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
