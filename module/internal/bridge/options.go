package bridge

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"github.com/caddy-wechat/caddy-wechat/module/botpress"
	"github.com/caddy-wechat/caddy-wechat/module/internal/journal"
	"github.com/caddy-wechat/caddy-wechat/module/internal/markdown"
	"github.com/caddy-wechat/caddy-wechat/module/internal/mediafile"
	"github.com/caddy-wechat/caddy-wechat/module/wechat"
)

const (
	// menuItems is how many options a menu of WeChat's may have. WeChat names no
	// figure for Official Accounts; its other products allow ten.
	menuItems = 10

	// refDigits is how long a choice's ref is.
	refDigits = 12
)

// choiceRef tells the choices of one reply from those of others. Ids are looked up
// for one user only, and so need not be secret. They are digits, as in WeChat's
// examples, and the same each time the reply is rendered.
func choiceRef(messageID string) string {
	sum := sha256.Sum256([]byte(messageID))
	return fmt.Sprintf("%0*d", refDigits, binary.BigEndian.Uint64(sum[:])%1e12)
}

// menuID is the id of an option.
func menuID(ref string, number int) string { return ref + strconv.Itoa(number) }

// parseMenuID is menuID undone.
func parseMenuID(id string) (ref string, number int, ok bool) {
	if len(id) <= refDigits {
		return "", 0, false
	}
	number, err := strconv.Atoi(id[refDigits:])
	return id[:refDigits], number, err == nil
}

// list is what a user may choose from: a line each.
type list struct {
	lines   []string
	options []journal.Option
	menu    bool // all lines are options
}

// add adds another list behind a blank line.
func (l *list) add(o list) {
	if len(l.lines) > 0 && len(o.lines) > 0 {
		l.lines = append(l.lines, "")
	}
	l.lines = append(l.lines, o.lines...)
	l.options = append(l.options, o.options...)
}

// menuable tells whether a menu of WeChat's is asked for, and can show a list.
func (l *list) menuable(s *Settings) bool {
	return s.Choices == ChoiceMenu && s.Reply != ReplyPassive && l.menu && len(l.options) > 0 && len(l.options) <= menuItems
}

// option takes up an option, and returns its line.
func (r *renderer) option(l *list, label, value string) {
	o := journal.Option{Number: len(r.options) + 1, Label: oneLine(label), Value: value}
	if blank(o.Label) {
		o.Label = cmp.Or(oneLine(value), strconv.Itoa(o.Number))
	}
	if blank(o.Label) {
		o.Label = strconv.Itoa(o.Number)
	}
	r.options = append(r.options, o)
	l.options = append(l.options, o)
	line := strconv.Itoa(o.Number) + ". " + clip(o.Label, labelLimit)
	if r.s.Choices != ChoiceNumbers {
		line = tappable(menuID(r.ref, o.Number), clip(o.Label, labelLimit), line)
	}
	l.lines = append(l.lines, line)
}

// tappable is a link that has the user say something (WeChat: customer service
// messages).
func tappable(id, says, label string) string {
	return anchor("weixin://bizmsgmenu?msgmenucontent="+escape(says, "\"<>&%#+?='`\\")+"&msgmenuid="+id, label)
}

// list makes lines of actions. Those that open an address are links, of which the
// bot hears nothing.
func (r *renderer) list(actions []botpress.Action) list {
	l := list{menu: true}
	for _, a := range actions {
		if a.Action != botpress.ActionURL {
			r.option(&l, a.Label, a.Value)
			continue
		}
		label, value := a.Label, strings.TrimSpace(a.Value)
		text := link(label, value)
		if strings.HasPrefix(strings.ToLower(value), "weixin://") { // WeChat opens it, too
			text = linked(value, clip(cmp.Or(oneLine(label), value), labelLimit))
		}
		if !blank(text) {
			l.lines = append(l.lines, text)
			l.menu = false
		}
	}
	return l
}

// choice adds a question and its options.
func (r *renderer) choice(question string, options []botpress.Option) bool {
	l := list{menu: true}
	for _, o := range options {
		r.option(&l, o.Label, o.Value)
	}
	pieces := markdown.Render(question)
	var head string
	if n := len(pieces) - 1; n >= 0 && pieces[n].ImageURL == "" {
		head, pieces = pieces[n].Text, pieces[:n]
	}
	some := false
	for _, piece := range pieces {
		if piece.ImageURL != "" {
			some = r.file(partImage, piece.Title, piece.ImageURL) || some
		} else {
			some = r.say(piece.Text) || some
		}
	}
	return r.listed(head, l) || some
}

// listed adds a list under its head, in the style that is configured. It is false
// if there is neither.
func (r *renderer) listed(head string, l list) bool {
	body := strings.Join(l.lines, "\n")
	text := body
	if !blank(head) {
		text = strings.TrimRight(head, " \t\n")
		if body != "" {
			text += "\n" + body
		}
	}
	switch {
	case len(l.options) == 0:
		return r.say(text)
	case !l.menuable(r.s) || len(text) > textLimit:
		return r.offering(text)
	}
	p := part{kind: partMenu, text: text, head: head, offers: true}
	for _, o := range l.options {
		p.items = append(p.items, wechat.MenuItem{ID: menuID(r.ref, o.Number), Content: clip(o.Label, labelLimit)})
	}
	r.parts = append(r.parts, p)
	return true
}

// nameOf is what to call a card that has no text.
func nameOf(a wechat.Article) string {
	return cmp.Or(mediafile.Name(a.URL), mediafile.Name(a.PicURL), "链接")
}
