// Package option reads the values of configuration options. A value is text
// that may hold placeholders: the Caddyfile side of this package takes it in
// strictly and checks what is literal at once, with file and line; a [Reader]
// resolves the placeholders when the configuration is provisioned and checks
// the rest.
//
// Errors show what the configuration says, never what a placeholder resolved
// to, and of a secret neither.
package option

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/caddyserver/caddy/v2"
)

var (
	errNothing = errors.New("resolves to nothing")
	errEmpty   = errors.New("is empty")
)

// Literal tells whether a value holds no placeholder, so that what it comes to
// is known before anything is resolved.
func Literal(raw string) bool { return !strings.Contains(raw, "{") }

// Reader resolves values. It keeps the first error; what is read after that is
// of no use, so that a caller may read everything and ask for the error once.
type Reader struct {
	repl *caddy.Replacer
	err  error
}

// NewReader returns a Reader that resolves placeholders with repl.
func NewReader(repl *caddy.Replacer) *Reader { return &Reader{repl: repl} }

// Err is the first error of all that was read.
func (r *Reader) Err() error { return r.err }

// Fail records an error unless there is one already. A nil error is ignored.
func (r *Reader) Fail(err error) {
	if r.err == nil && err != nil {
		r.err = err
	}
}

// Read resolves and parses one value. An empty raw value is one that was not
// given: it yields def. One that resolves to nothing is an error, since the
// operator meant to say something.
func Read[T any](r *Reader, name, raw string, def T, parse func(string) (T, error)) T {
	if raw == "" || r.err != nil {
		return def
	}
	s, err := r.repl.ReplaceOrErr(raw, true, true)
	if err == nil {
		s, err = strings.TrimSpace(s), errNothing
		if s != "" {
			var v T
			if v, err = parse(s); err == nil {
				return v
			}
		}
	}
	r.Fail(fmt.Errorf("%s '%s': %w", name, raw, err))
	return def
}

// Require is Read for a value without which nothing works.
func Require[T any](r *Reader, name, raw string, parse func(string) (T, error)) T {
	var none T
	if raw == "" {
		r.Fail(fmt.Errorf("%s is required", name))
		return none
	}
	return Read(r, name, raw, none, parse)
}

// ReadList is Read for a list. A placeholder in it may resolve to several
// values with spaces between them.
func ReadList[T any](r *Reader, name string, raw []string, def T, parse func([]string) (T, error)) T {
	if len(raw) == 0 || r.err != nil {
		return def
	}
	var words []string
	for _, w := range raw {
		s, err := r.repl.ReplaceOrErr(w, true, true)
		if err == nil && strings.TrimSpace(s) == "" {
			err = errNothing
		}
		if err != nil {
			r.Fail(fmt.Errorf("%s '%s': %w", name, w, err))
			return def
		}
		words = append(words, strings.Fields(s)...)
	}
	v, err := parse(words)
	if err != nil {
		r.Fail(fmt.Errorf("%s '%s': %w", name, strings.Join(raw, " "), err))
		return def
	}
	return v
}

// Secret resolves a secret. One that was not given, or resolves to nothing, is
// empty; if it is required that is an error. Space around it, such as the end
// of a line in a file, is not part of it.
func (r *Reader) Secret(name, raw string, required bool) string {
	if r.err != nil {
		return ""
	}
	if raw == "" {
		if required {
			r.Fail(fmt.Errorf("%s is required", name))
		}
		return ""
	}
	s, err := r.repl.ReplaceOrErr(raw, required, true)
	s = strings.TrimSpace(s)
	switch {
	case err == nil && (s != "" || !required):
		return s
	case placeholder.MatchString(raw):
		r.Fail(fmt.Errorf("%s: %s is not set or empty", name, raw))
	default:
		// The replacer's own error would quote the part of a literal secret that
		// stands in braces.
		r.Fail(fmt.Errorf("%s: it is empty, or holds a placeholder that is unknown or empty", name))
	}
	return ""
}

// placeholder matches a value that is one placeholder of a kind made for
// secrets, and therefore not itself a secret.
var placeholder = regexp.MustCompile(`^\{(env|file)\.[^{}]*\}$`)

// CheckSecret parses a secret that was resolved; an empty one was not given. The
// error names the option alone.
func CheckSecret[T any](r *Reader, name, secret string, parse func(string) (T, error)) T {
	var none T
	if secret == "" || r.err != nil {
		return none
	}
	v, err := parse(secret)
	if err != nil {
		r.Fail(fmt.Errorf("%s: %w", name, err))
		return none
	}
	return v
}

// Text resolves words for the user to read. What stands in braces and is no
// placeholder stays as it is.
func (r *Reader) Text(name, raw, def string) string {
	if raw == "" || r.err != nil {
		return def
	}
	s := strings.TrimSpace(r.repl.ReplaceKnown(raw, ""))
	if s == "" {
		r.Fail(fmt.Errorf("%s: the text %w", name, errEmpty))
		return def
	}
	if err := Text(s); err != nil {
		r.Fail(fmt.Errorf("%s: %w", name, err))
		return def
	}
	return s
}
