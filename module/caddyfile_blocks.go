package module

import (
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-wechat/caddy-wechat/module/bots"
	"github.com/caddy-wechat/caddy-wechat/module/internal/bridge"
	"github.com/caddy-wechat/caddy-wechat/module/internal/option"
)

// unmarshalRotated takes a secret and, if given, the previous one.
func unmarshalRotated(d *caddyfile.Dispenser, dst *[]string, parse func(string) (string, error)) error {
	name := d.Val()
	args, err := option.Args(d, name+" <current> [<previous>]", 1, 2)
	if err != nil {
		return err
	}
	*dst = args
	for _, a := range args {
		if err := option.Check(a, parse); err != nil {
			return d.Errf("%s: %v", name, err)
		}
	}
	return nil
}

// unmarshal takes the one or two pairs of the allowance.
func (a *Allowance) unmarshal(d *caddyfile.Dispenser) error {
	args, err := option.Args(d, "allowance <count> <duration> [<count> <duration>]", 2, 4)
	if err != nil {
		return err
	}
	if len(args) == 3 {
		return d.Err("wrong argument count: allowance takes a duration after each count")
	}
	a.Message = Grant{Count: args[0], For: args[1]}
	if len(args) == 4 {
		a.Action = Grant{Count: args[2], For: args[3]}
	}
	for i, arg := range args {
		err := option.Check(arg, option.Count)
		if i%2 == 1 {
			err = option.Check(arg, option.PositiveDuration)
		}
		if err != nil {
			return d.Errf("allowance '%s': %v", arg, err)
		}
	}
	return nil
}

// unmarshalEvent takes one rule: names, an action, and its text. The action is
// the first argument that is an action's word, but never the first of all, so
// that an event may be named like an action.
func (h *Handler) unmarshalEvent(d *caddyfile.Dispenser, seen option.Seen) error {
	const usage = "event <name>[:<key>]... text [<text>]|event|reply <text>|ignore"
	args, err := option.Args(d, usage, 2, -1)
	if err != nil {
		return err
	}
	at := 1 + slices.IndexFunc(args[1:], func(a string) bool {
		return slices.Contains(eventActions, bridge.EventAction(a))
	})
	if at == 0 {
		return d.Errf("event '%s': the action is missing: the syntax is '%s'", args[0], usage)
	}
	rule := EventRule{On: args[:at], Action: args[at]}
	for _, on := range rule.On {
		if err := option.Check(on, parseEvent); err != nil {
			return d.Errf("event '%s': %v", on, err)
		}
		if err := seen.Add(d, "event '"+on+"'"); err != nil {
			return err
		}
	}
	text := args[at+1:]
	if len(text) > 1 {
		return d.Errf("wrong argument count: the syntax is '%s'; a text with spaces is put in quotes", usage)
	}
	if err := checkEventAction(bridge.EventAction(rule.Action), len(text) > 0); err != nil {
		return d.Errf("event: %v", err)
	}
	if len(text) > 0 {
		rule.Text = text[0]
		if err := option.Check(rule.Text, parseText); err != nil {
			return d.Errf("event: %v", err)
		}
	}
	h.Events = append(h.Events, rule)
	return nil
}

// unmarshalNotice takes one notice.
func (h *Handler) unmarshalNotice(d *caddyfile.Dispenser, seen option.Seen) error {
	args, err := option.Args(d, "notice thinking|more|failed <text>", 2, 2)
	if err != nil {
		return err
	}
	var dst *string
	switch args[0] {
	case "thinking":
		dst = &h.Notices.Thinking
	case "more":
		dst = &h.Notices.More
	case "failed":
		dst = &h.Notices.Failed
	default:
		return d.Errf("notice '%s': must be one of thinking, more, failed", args[0])
	}
	if err := seen.Add(d, "notice "+args[0]); err != nil {
		return err
	}
	*dst = args[1]
	if err := option.Check(args[1], parseText); err != nil {
		return d.Errf("notice %s: %v", args[0], err)
	}
	return nil
}

func parseText(s string) (string, error) { return s, option.Text(s) }

func (l *Limits) unmarshal(d *caddyfile.Dispenser) error {
	return option.Walk(d, nil, func(name string) error {
		switch name {
		case "windows":
			return option.Arg(d, &l.Windows, option.Count)
		case "lanes":
			return option.Arg(d, &l.Lanes, option.Count)
		case "user":
			return option.Arg(d, &l.User, parseRate)
		default:
			return option.Unknown(d)
		}
	})
}

func (m *Media) unmarshal(d *caddyfile.Dispenser) error {
	return option.Walk(d, nil, func(name string) error {
		switch name {
		case "allow":
			return option.ListArgs(d, &m.Allow, "allow none|<cidr...>", parseMediaAllow)
		case "max_size":
			return option.Arg(d, &m.MaxSize, option.Size)
		case "keep":
			return option.Arg(d, &m.Keep, option.PositiveDuration)
		case "store":
			return option.Arg(d, &m.Store, option.Size)
		default:
			return option.Unknown(d)
		}
	})
}

func (j *Journal) unmarshal(d *caddyfile.Dispenser) error {
	return option.Walk(d, nil, func(name string) error {
		switch name {
		case "dir":
			return option.Arg(d, &j.Dir, parseDir)
		case "sync":
			return option.Arg(d, &j.Sync, parseSync)
		case "keep":
			return option.Arg(d, &j.Keep, option.PositiveDuration)
		case "max_size":
			return option.Arg(d, &j.MaxSize, parseJournalSize)
		default:
			return option.Unknown(d)
		}
	})
}

// unmarshalBot hands the rest of the line and the block to the bot's module.
func (h *Handler) unmarshalBot(d *caddyfile.Dispenser) error {
	modules := caddy.GetModules(bots.Namespace)
	known := make([]string, 0, len(modules))
	for _, m := range modules {
		known = append(known, m.ID.Name())
	}
	if !d.NextArg() {
		return d.Errf("wrong argument count: the syntax is 'bot <name> ...', with a name of: %s", strings.Join(known, ", "))
	}
	name := d.Val()
	if !slices.Contains(known, name) {
		return d.Errf("unknown bot '%s', must be one of: %s", name, strings.Join(known, ", "))
	}
	bot, err := caddyfile.UnmarshalModule(d, bots.Namespace+"."+name)
	if err != nil {
		return err
	}
	h.BotRaw = caddyconfig.JSONModuleObject(bot, "name", name, nil)
	return nil
}
