package doctor

import (
	"fmt"
	"strings"

	"github.com/caddy-wechat/caddy-wechat/module/internal/cli"
)

// Level is how bad a finding is.
type Level string

// The levels.
const (
	OK   Level = "ok"
	Note Level = "note" // could not be checked, or is worth knowing
	Warn Level = "warn" // something does not work as well as it could
	Fail Level = "fail" // something does not work
)

// Lang is the language of findings.
type Lang string

// The languages.
const (
	English Lang = "en"
	Chinese Lang = "zh"
)

// Languages are all of them.
var Languages = []Lang{English, Chinese}

// ID names what was found, the same in all languages.
type ID string

// Check is the name of the check that found it.
func (id ID) Check() string {
	check, _, _ := strings.Cut(string(id), ".")
	return check
}

// Finding is what one check has found.
type Finding struct {
	AppID string // empty for what concerns all accounts
	ID    ID
	Args  []any // for the words
}

// Level is how bad it is.
func (f Finding) Level() Level { return facts[f.ID].level }

// Text says what was found.
func (f Finding) Text(l Lang) string { return f.fill(facts[f.ID].words[l].text) }

// Fix says what to do about it, empty if there is nothing to be done.
func (f Finding) Fix(l Lang) string { return f.fill(facts[f.ID].words[l].fix) }

// fill puts the arguments into words. Words need not use all of them.
func (f Finding) fill(words string) string {
	for i, arg := range f.Args {
		words = strings.ReplaceAll(words, fmt.Sprintf("{%d}", i), cli.Clean(fmt.Sprint(arg)))
	}
	return words
}

// Title is the name of the check in a language.
func (f Finding) Title(l Lang) string { return titles[f.ID.Check()][l] }

// Print prints a finding as one line: what was found, and what to do.
func Print(out *cli.Out, l Lang, f Finding, named bool) {
	mark := map[Level]struct {
		sign  string
		style cli.Style
	}{OK: {"✓", cli.Good}, Note: {"·", cli.Faint}, Warn: {"!", cli.Warn}, Fail: {"✗", cli.Bad}}[f.Level()]
	line := f.Text(l)
	if fix := f.Fix(l); fix != "" {
		line += " → " + fix
	}
	who := ""
	if named && f.AppID != "" {
		who = cli.Clean(f.AppID) + " "
	}
	colon := ": "
	if l == Chinese {
		colon = "："
	}
	out.Line(out.Paint(mark.style, mark.sign), " ", who, out.Paint(cli.Bold, f.Title(l)), colon, line)
}

// Document is a finding as JSON.
type Document struct {
	AppID string `json:"app_id,omitempty"`
	Check string `json:"check"`
	ID    ID     `json:"id"`
	Level Level  `json:"level"`
	Text  string `json:"text"`
	Fix   string `json:"fix,omitempty"`
}

// Document makes JSON of a finding.
func (f Finding) Document(l Lang) Document {
	return Document{f.AppID, f.ID.Check(), f.ID, f.Level(), f.Text(l), f.Fix(l)}
}
