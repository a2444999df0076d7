package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"strings"

	sqlite3 "modernc.org/sqlite/lib"
)

// Remedy says what an operator can do about an error of the journal in dir, empty if that is not known.
// open says that this process has the journal open: whoever wants to mend it has to stop the process.
func Remedy(err error, dir string, open bool) string {
	switch {
	case errors.Is(err, ErrNewer):
		return "Run the version that wrote it, or a newer one; or give this one another journal dir."
	case errors.Is(err, ErrMoved):
		return "Stop Caddy, put the file and what belongs to it back into " + dir + ", and start Caddy. Copies are made and put back as the README says."
	case errors.Is(err, ErrDamaged) && open:
		return fmt.Sprintf("Stop Caddy, run: %s and start Caddy. It keeps what can be read, and the damaged files under another name.", salvageCommand(dir))
	case errors.Is(err, ErrDamaged):
		return fmt.Sprintf("Run: %s It keeps what can be read, and the damaged files under another name; the journal is opened by itself then.", salvageCommand(dir))
	case errors.Is(err, ErrFull):
		return "Raise journal max_size if the disk of " + dir + " has room, or see why so much waits. What was handled is deleted after journal keep; it goes on by itself then."
	case errors.Is(err, fs.ErrPermission):
		return "Let the user that runs Caddy read and write " + dir + " and the files in it: nobody else needs to."
	}
	switch sqliteCode(err) {
	case sqlite3.SQLITE_FULL:
		return "Make room on the disk of " + dir + "; it goes on by itself then."
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM:
		return "Let the user that runs Caddy read and write " + dir + " and the files in it, and see that the disk is not mounted read-only."
	case sqlite3.SQLITE_IOERR:
		return "See whether the disk of " + dir + " is full or failing; it goes on by itself once it can be written."
	}
	return ""
}

// salvageCommand is the command line, ready to be copied.
func salvageCommand(dir string) string { return "caddy wechat journal salvage --dir " + quoted(dir) }

// quoted is a word as a shell takes it.
func quoted(word string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(`/._-\:+,@%`, r)
	}
	if strings.IndexFunc(word, func(r rune) bool { return !plain(r) }) < 0 && (runtime.GOOS == "windows" || !strings.Contains(word, `\`)) {
		return word
	}
	if runtime.GOOS == "windows" {
		return `"` + word + `"`
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
