package option

import (
	"fmt"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// Seen remembers where in a Caddyfile something was given.
type Seen map[string]string

// Add notes that name is given at the current token. If it was given before,
// the error says where.
func (s Seen) Add(d *caddyfile.Dispenser, name string) error {
	if at, ok := s[name]; ok {
		return d.Errf("%s already specified at %s", name, at)
	}
	s[name] = fmt.Sprintf("%s:%d", d.File(), d.Line())
	return nil
}

// Walk goes over the block of the current token and calls each with the
// subdirectives in it. There must be a block, and no argument before it. A
// subdirective given twice is an error unless it is one of repeatable.
func Walk(d *caddyfile.Dispenser, repeatable []string, each func(name string) error) error {
	title := d.Val()
	if d.NextArg() {
		return d.Errf("%s takes no argument, only a block", title)
	}
	if err := WalkBlock(d, repeatable, each); err != nil {
		return err
	}
	if d.Val() == title { // after a block it is the closing brace
		return d.Errf("%s needs a block", title)
	}
	return nil
}

// WalkBlock is Walk for a directive whose arguments have been taken and whose
// block may be left out.
func WalkBlock(d *caddyfile.Dispenser, repeatable []string, each func(name string) error) error {
	seen := make(Seen)
	nesting := d.Nesting()
	for d.NextBlock(nesting) {
		name := d.Val()
		if !slices.Contains(repeatable, name) {
			if err := seen.Add(d, name); err != nil {
				return err
			}
		}
		if err := each(name); err != nil {
			return err
		}
	}
	if d.Nesting() != nesting {
		return d.EOFErr()
	}
	return nil
}

// End refuses what follows a directive that is complete.
func End(d *caddyfile.Dispenser, title string) error {
	if d.Next() {
		return d.Errf("unexpected token after %s", title)
	}
	return nil
}

// Unknown is the error for a subdirective that does not exist.
func Unknown(d *caddyfile.Dispenser) error {
	return d.Errf("unrecognized subdirective '%s'", d.Val())
}

// Args takes the arguments of the current subdirective: no fewer than least and, if
// most is not negative, at most most. The error does not repeat them: they may
// be secret.
func Args(d *caddyfile.Dispenser, usage string, least, most int) ([]string, error) {
	args := d.RemainingArgs()
	if len(args) < least || most >= 0 && len(args) > most {
		return nil, d.Errf("wrong argument count: the syntax is '%s'", usage)
	}
	return args, nil
}

// Arg takes the one argument of the current subdirective into dst. A literal
// must pass parse.
func Arg[T any](d *caddyfile.Dispenser, dst *string, parse func(string) (T, error)) error {
	name := d.Val()
	args, err := Args(d, name+" <value>", 1, 1)
	if err != nil {
		return err
	}
	*dst = args[0]
	if err := Check(args[0], parse); err != nil {
		return d.Errf("%s '%s': %v", name, args[0], err)
	}
	return nil
}

// SecretArg is Arg for a value that must not be shown.
func SecretArg[T any](d *caddyfile.Dispenser, dst *string, parse func(string) (T, error)) error {
	name := d.Val()
	args, err := Args(d, name+" <value>", 1, 1)
	if err != nil {
		return err
	}
	*dst = args[0]
	if err := Check(args[0], parse); err != nil {
		return d.Errf("%s: %v", name, err)
	}
	return nil
}

// ListArgs takes one or more arguments into dst. If all are literals they must
// pass parse.
func ListArgs[T any](d *caddyfile.Dispenser, dst *[]string, usage string, parse func([]string) (T, error)) error {
	name := d.Val()
	args, err := Args(d, usage, 1, -1)
	if err != nil {
		return err
	}
	*dst = args
	if slices.ContainsFunc(args, func(a string) bool { return !Literal(a) }) {
		return nil
	}
	if _, err := parse(strings.Fields(strings.Join(args, " "))); err != nil {
		return d.Errf("%s '%s': %v", name, strings.Join(args, " "), err)
	}
	return nil
}

// Check parses a value if it is a literal. Nothing at all is an error: it could
// not be told from an option that was left out.
func Check[T any](raw string, parse func(string) (T, error)) error {
	if !Literal(raw) {
		return nil
	}
	s := strings.TrimSpace(raw)
	if s == "" {
		return errEmpty
	}
	_, err := parse(s)
	return err
}
