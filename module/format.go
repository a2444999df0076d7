package module

import (
	"errors"
	"fmt"
	"net/netip"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/caddy-wechat/caddy-wechat/module/internal/bridge"
	"github.com/caddy-wechat/caddy-wechat/module/internal/option"
	"github.com/caddy-wechat/caddy-wechat/module/wechat"
)

// The functions below parse one resolved value each; the Caddyfile parser uses
// them on literals. Their errors do not repeat the value.

var (
	parseEncryption = option.OneOf(wechat.Plain, wechat.Compatible, wechat.Safe)
	parseReply      = option.OneOf(bridge.ReplyAuto, bridge.ReplyPassive, bridge.ReplyPush)
	parseChoices    = option.OneOf(bridge.ChoiceLinks, bridge.ChoiceNumbers, bridge.ChoiceMenu)
	parseSync       = option.OneOf("full", "normal")
)

var (
	appIDForm  = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)
	aesKeyForm = regexp.MustCompile(`^[A-Za-z0-9]{43}$`)
	pathForm   = regexp.MustCompile(`^/[A-Za-z0-9._~!$&'()+,;=:@/-]*$`)
	eventForm  = regexp.MustCompile(`^[A-Za-z0-9_.-]+$`)
)

func parseAppID(s string) (string, error) {
	if !appIDForm.MatchString(s) {
		return "", errors.New("not an AppID, which is of letters and digits")
	}
	return s, nil
}

func parseToken(s string) (string, error) {
	if n := utf8.RuneCountInString(s); n < 3 || n > 32 || strings.ContainsFunc(s, unicode.IsSpace) {
		return "", errors.New("not a token, which has 3 to 32 characters and no space")
	}
	return s, nil
}

func parseAESKey(s string) (string, error) {
	if !aesKeyForm.MatchString(s) {
		return "", errors.New("not an EncodingAESKey, which has 43 letters and digits")
	}
	return s, nil
}

// parsePath parses the path of the handler. The root of the site is empty, so
// that what is below can be appended.
func parsePath(s string) (string, error) {
	switch {
	case !strings.HasPrefix(s, "/"):
		return "", errors.New("must start with a slash")
	case !pathForm.MatchString(s):
		return "", errors.New("must be a plain path of letters, digits and marks that a URL takes as they are")
	}
	s = strings.TrimSuffix(s, "/")
	if s != "" && (s == "/" || path.Clean(s) != s) {
		return "", errors.New("has empty or dotted segments")
	}
	return s, nil
}

// maxWait leaves room within the 5 s that WeChat waits for an answer.
const maxWait = 4800 * time.Millisecond

func parseWait(s string) (time.Duration, error) {
	v, err := option.Duration(s)
	if err == nil && v > maxWait {
		err = fmt.Errorf("must be at most %s, since WeChat gives up after 5s", maxWait)
	}
	return v, err
}

// parseRate parses a number of messages within a time: 20/1m.
func parseRate(s string) (bridge.Grant, error) {
	count, per, ok := strings.Cut(s, "/")
	if !ok {
		return bridge.Grant{}, errors.New("not a rate such as 20/1m")
	}
	n, err := option.Count(count)
	if err != nil {
		return bridge.Grant{}, fmt.Errorf("the count: %w", err)
	}
	d, err := option.PositiveDuration(per)
	if err != nil {
		return bridge.Grant{}, fmt.Errorf("the duration: %w", err)
	}
	return bridge.Grant{Count: n, For: d}, nil
}

// callbackIPs says from which addresses callbacks are accepted.
type callbackIPs struct {
	wechat   bool           // from those that WeChat publishes
	closed   bool           // with wechat: refuse while that list is unknown
	prefixes []netip.Prefix // without wechat: from these; from any if there are none
}

func parseCallbackIPs(words []string) (callbackIPs, error) {
	var c callbackIPs
	if len(words) > 1 && words[len(words)-1] == "closed" {
		if words[0] != "wechat" || len(words) != 2 {
			return c, errors.New("'closed' goes with 'wechat' only, whose list may be unknown")
		}
		return callbackIPs{wechat: true, closed: true}, nil
	}
	if len(words) == 1 && words[0] == "any" {
		return c, nil
	}
	if len(words) == 1 && words[0] == "wechat" {
		return callbackIPs{wechat: true}, nil
	}
	prefixes, err := option.Prefixes(words)
	if err != nil || len(prefixes) == 0 {
		return c, errors.New("must be 'any', 'wechat', 'wechat closed', or addresses and CIDRs")
	}
	return callbackIPs{prefixes: prefixes}, nil
}

func parseMediaAllow(words []string) ([]netip.Prefix, error) {
	if len(words) == 1 && words[0] == "none" {
		return nil, nil
	}
	prefixes, err := option.Prefixes(words)
	if err != nil || len(prefixes) == 0 {
		return nil, errors.New("must be 'none', or addresses and CIDRs")
	}
	return prefixes, nil
}

// event is what stands before the action of an event rule.
type event struct{ name, key string }

// eventNames are the events of WeChat's documentation, as WeChat writes them.
// Others may be configured too; the list is for those who mistake the case.
var eventNames = []string{
	"subscribe", "unsubscribe", "SCAN", "LOCATION", "CLICK", "VIEW", "view_miniprogram",
	"scancode_push", "scancode_waitmsg", "pic_sysphoto", "pic_photo_or_album", "pic_weixin", "location_select",
	"TEMPLATESENDJOBFINISH", "MASSSENDJOBFINISH", "PUBLISHJOBFINISH",
}

// parseEvent parses <name>[:<key>]. A key may hold colons itself.
func parseEvent(s string) (event, error) {
	name, key, keyed := strings.Cut(s, ":")
	if !eventForm.MatchString(name) {
		return event{}, errors.New("not an event, which is <name> or <name>:<key>")
	}
	if keyed && key == "" {
		return event{}, errors.New("the key after the colon is missing")
	}
	for _, n := range eventNames {
		if n != name && strings.EqualFold(n, name) {
			return event{}, fmt.Errorf("no such event: WeChat writes it '%s'", n)
		}
	}
	return event{name, key}, nil
}

var eventActions = []bridge.EventAction{bridge.EventText, bridge.EventEvent, bridge.EventReply, bridge.EventIgnore}

// checkEventAction checks an action and whether it has the text it takes.
func checkEventAction(action bridge.EventAction, hasText bool) error {
	switch {
	case !slices.Contains(eventActions, action):
		return errors.New("the action must be one of text, event, reply, ignore")
	case hasText && (action == bridge.EventEvent || action == bridge.EventIgnore):
		return fmt.Errorf("the action '%s' takes no text", action)
	case !hasText && action == bridge.EventReply:
		return errors.New("the action 'reply' needs a text")
	}
	return nil
}
