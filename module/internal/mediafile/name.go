package mediafile

import (
	"net/url"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rivo/uniseg"
)

// nameLength is how long a Name may be, in characters as people see them.
const nameLength = 60

// Name is what to call a link that has no title: the last segment of the
// address's path, decoded, or else its host. It is empty for what is no address
// at all. It never shows the query, where tokens are, nor anything that does not
// print, and is one line of at most 60 characters; a long name keeps its
// extension.
func Name(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	// Some stores keep a whole path, escaped, in the last segment.
	name := path.Base("/" + strings.ReplaceAll(u.Path, `\`, "/"))
	if i := strings.IndexByte(name, ';'); i >= 0 && strings.Contains(name[i:], "=") {
		name = name[:i] // parameters such as ;jsessionid=
	}
	if name = printable(name); strings.Trim(name, "./ ") == "" {
		name = printable(u.Hostname())
	}
	return shorten(name, nameLength)
}

// printable drops what does not print and turns runs of white space into one
// blank. It keeps the joiners that emoji and some scripts are written with.
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == utf8.RuneError:
			return -1
		case unicode.IsSpace(r):
			return ' '
		case r == '\u200c', r == '\u200d', unicode.IsPrint(r):
			return r
		}
		return -1
	}, s)
	return strings.Join(strings.Fields(s), " ")
}

// shorten cuts s to at most n characters, keeping an extension.
func shorten(s string, n int) string {
	if len(s) <= 16*n && uniseg.GraphemeClusterCount(s) <= n {
		return s
	}
	ext := path.Ext(s)
	if len(ext) > 10 {
		ext = ""
	}
	n -= uniseg.GraphemeClusterCount(ext) + 1
	var b strings.Builder
	for g := uniseg.NewGraphemes(strings.TrimSuffix(s, ext)); n > 0 && g.Next(); n-- {
		// A character can be made of any number of code points.
		if cluster := g.Str(); len(cluster) <= 64 {
			b.WriteString(cluster)
		}
	}
	return b.String() + "…" + ext
}
