package bridge

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/caddy-wechat/caddy-wechat/module/botpress"
	"github.com/caddy-wechat/caddy-wechat/module/bots"
	"github.com/caddy-wechat/caddy-wechat/module/internal/journal"
	"github.com/caddy-wechat/caddy-wechat/module/wechat"
)

// tapLasts is how long a tap on an option stands for its value.
const tapLasts = 24 * time.Hour

// offer records the choices that a message is about to show: the user's answer may
// come before WeChat's. It goes out in answer to a push, or to none, 0. It returns
// those of which nothing was shown before.
func (rt *Runtime) offer(t *table, m move, answers int64) (fresh []string, err error) {
	offered := -1
	for i := range m.n {
		at := t.from[i]
		if !at.part.offers || at.reply == offered {
			continue
		}
		offered = at.reply
		r := &t.q[at.reply]
		rd := t.ob.parts(t.c.Settings, r)
		c := journal.Choice{
			Account: r.Account, OpenID: r.OpenID, Ref: rd.ref, MessageID: r.MessageID,
			At: time.Now(), Answers: answers, Options: rd.options, Decided: t.now,
		}
		err := rt.persist(rt.calls, "recording choice", func(ctx context.Context, j *journal.Journal) error {
			return j.Offer(ctx, c)
		})
		if err != nil {
			return nil, err
		}
		if at.cut == 0 && !slices.ContainsFunc(rd.parts[:at.step], func(p part) bool { return p.offers }) {
			fresh = append(fresh, rd.ref)
		}
	}
	return fresh, nil
}

// withdraw takes back choices that a message was to show that did not reach the
// user: what is typed meanwhile is meant for what was shown before.
func (rt *Runtime) withdraw(openid string, refs []string) error {
	if len(refs) == 0 {
		return nil
	}
	return rt.persist(rt.calls, "withdrawing choice", func(ctx context.Context, j *journal.Journal) error {
		return j.Withdraw(ctx, rt.appid, openid, refs)
	})
}

// spoken tells whether a part goes out as a text. A menu does where it cannot be
// pushed, or of which some is out as a text already.
func (t *table) spoken(r *journal.Reply, step int, p *part) bool {
	if p.kind == partMenu {
		return !t.menus || !t.canPush() || step == r.Step && r.Cut > 0
	}
	return p.kind == partText
}

// shown is the bot's message id of the last reply of which a message shows
// something.
func (t *table) shown(m move) string { return t.q[t.from[m.n-1].reply].MessageID }

// choose makes a user's text the value of the option that it chooses, if it does
// so: by a tap, or typed while the choice was the last thing that the bot had said.
func (rt *Runtime) choose(t *bots.Turn, row journal.Push, p *wechat.Push) error {
	text, ok := p.Body.(*wechat.Text)
	if !ok {
		return nil
	}
	var c journal.Choice
	var found bool
	ref, number, tap := parseMenuID(text.MenuID)
	if text.MenuID != "" && !tap {
		return nil
	}
	err := rt.persist(rt.calls, "reading choice", func(ctx context.Context, j *journal.Journal) (err error) {
		if tap {
			c, found, err = j.Choice(ctx, rt.appid, row.OpenID, ref)
		} else {
			c, found, err = j.LatestChoice(ctx, rt.appid, row.OpenID, row.ReceivedAt, row.ID)
		}
		return err
	})
	if err != nil || !found || tap && row.ReceivedAt.Sub(c.At) >= tapLasts {
		return err
	}
	var o journal.Option
	if tap {
		o, ok = byNumber(c.Options, number)
	} else {
		o, ok = typed(c.Options, text.Content)
	}
	if ok {
		t.Message = encoded(botpress.TextPayload(o.Value))
		t.Metadata["label"] = o.Label
	}
	return nil
}

func byNumber(options []journal.Option, number int) (journal.Option, bool) {
	for _, o := range options {
		if o.Number == number {
			return o, true
		}
	}
	return journal.Option{}, false
}

// typed finds the option that a user means by a text: its label as it stands there,
// or else but for what does not matter, or else its number. A label that stands for
// different things means none of them.
func typed(options []journal.Option, text string) (found journal.Option, ok bool) {
	said := plain(text)
	if said == "" {
		return found, false
	}
	exactly := strings.TrimSpace(text)
	found, n := labelled(options, func(label string) bool { return strings.TrimSpace(label) == exactly }, nil)
	if n != 1 {
		found, n = labelled(options, func(label string) bool { return plain(label) == said }, &said)
	}
	if n > 0 {
		return found, n == 1
	}
	number, ok := ordinal(said)
	if !ok {
		return found, false
	}
	return byNumber(options, number)
}

// labelled is the first of the options whose label is meant, or is what was said with
// its number in front, and how many different things such labels stand for.
func labelled(options []journal.Option, meant func(label string) bool, said *string) (found journal.Option, things int) {
	for _, o := range options {
		if !meant(o.Label) && !meant(clip(o.Label, labelLimit)) && (said == nil || *said != strconv.Itoa(o.Number)+"."+plain(o.Label)) {
			continue
		}
		switch {
		case things == 0:
			found, things = o, 1
		case found.Value != o.Value:
			return found, 2
		}
	}
	return found, things
}

// plain is a text without what does not matter in a choice: case, width, white
// space, and what turns a digit into an emoji.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r), r == '\ufe0f', r == '\u20e3':
			return -1
		case r >= '！' && r <= '～':
			r -= '！' - '!'
		}
		return unicode.ToLower(r)
	}, s)
}

// ordinal reads a number as users type it: 2, 2., (2), 二, 第二个.
func ordinal(s string) (int, bool) {
	s = strings.Trim(s, "().,:;!。、：；#")
	if rest, ok := strings.CutPrefix(s, "第"); ok {
		s = strings.TrimRight(rest, "个個项項条條号號")
	}
	if n, err := strconv.Atoi(s); err == nil {
		return n, n > 0 && s[0] != '+'
	}
	return chineseNumber(s)
}

// chineseNumber reads a number from 一 to 九十九.
func chineseNumber(s string) (int, bool) {
	digit := func(s string) (int, bool) {
		i := strings.Index("一二三四五六七八九", s)
		return i/len("一") + 1, i >= 0 && len(s) == len("一")
	}
	tens, ones, ten := strings.Cut(s, "十")
	if !ten {
		return digit(s)
	}
	n, ok := 1, true
	if tens != "" {
		n, ok = digit(tens)
	}
	if ones == "" {
		return n * 10, ok
	}
	one, fine := digit(ones)
	return n*10 + one, ok && fine
}
