package bridge

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"

	"github.com/caddy-wechat/caddy-wechat/module/botpress"
	"github.com/caddy-wechat/caddy-wechat/module/internal/journal"
	"github.com/caddy-wechat/caddy-wechat/module/internal/markdown"
	"github.com/caddy-wechat/caddy-wechat/module/wechat"
)

const (
	// textLimit is how long one text may be, in bytes of UTF-8. WeChat refuses
	// texts beyond 2048 bytes.
	textLimit = 2000

	// titleLimit and subtitleLimit are how much of a card's texts stands on the
	// card, in bytes. WeChat names no figures; what a card does not hold follows it
	// as a text.
	titleLimit    = 192
	subtitleLimit = 360

	// labelLimit is how long the text of a link or of a tappable option may be, in
	// bytes.
	labelLimit = 240

	// linkLimit is how long a link may be, tags included, so that it stays whole in
	// any text.
	linkLimit = 1600

	// carouselCards is how many items of a carousel are shown as cards, a message
	// each. Of a longer one all items stand in one text.
	carouselCards = 3

	// maxNesting is how deep a bloc may lie in a bloc.
	maxNesting = 4
)

// rendered is a reply as WeChat messages. It is the same each time, for progress
// is kept as a number of parts and an offset into the next.
type rendered struct {
	parts   []part
	options []journal.Option // that its parts offer
	ref     string           // what the ids of these begin with
	dead    string           // why it is a dead letter in the end, empty if it is none
}

// renderer makes WeChat messages of one payload. Options are numbered throughout,
// so that a number means one of them wherever it stands.
type renderer struct {
	*rendered
	s *Settings
}

// render makes WeChat messages of a Botpress message. Of a payload that has
// nothing to show although it should, they tell the user that something is missing.
func render(s *Settings, messageID string, raw json.RawMessage) *rendered {
	r := renderer{&rendered{ref: choiceRef(messageID)}, s}
	p, err := botpress.ParsePayload(raw)
	if err != nil || !r.payload(p, 0) {
		r.dead = "payload of a kind that cannot be shown"
	}
	if r.dead != "" && len(r.parts) == 0 {
		r.say(s.Notices.Failed)
	}
	return r.rendered
}

// payload adds the parts of a payload. It is false if something of it cannot be
// shown at all.
func (r *renderer) payload(p botpress.Payload, depth int) bool {
	plainly(&p)
	switch p.Type {
	case botpress.TypeText, botpress.TypeMarkdown:
		src := p.Text
		if blank(src) {
			src = p.Markdown
		}
		return r.markdown(src) || r.odd(p)
	case botpress.TypeImage:
		return r.file(partImage, p.Title, p.ImageURL)
	case botpress.TypeAudio:
		return r.file(partVoice, p.Title, p.AudioURL)
	case botpress.TypeVideo:
		return r.file(partVideo, p.Title, p.VideoURL)
	case botpress.TypeFile:
		return r.say(link(p.Title, p.FileURL))
	case botpress.TypeLocation:
		return r.location(p)
	case botpress.TypeChoice, botpress.TypeDropdown:
		return r.choice(p.Text, p.Options) || r.odd(p)
	case botpress.TypeCard:
		return r.card(p)
	case botpress.TypeCarousel:
		for i := range p.Items {
			plainly(&p.Items[i])
		}
		return r.carousel(p.Items)
	case botpress.TypeBloc:
		return r.bloc(p.Items, depth)
	}
	return r.markdown(lines(p.Texts()...))
}

// odd adds what there is to read in a payload of a known kind that has nothing where
// it belongs. That it has nothing at all is no fault.
func (r *renderer) odd(p botpress.Payload) bool {
	r.markdown(lines(p.Texts()...))
	return true
}

// plainly takes the Markdown out of what stands where WeChat shows no markup, not
// even links.
func plainly(p *botpress.Payload) {
	p.Title, p.Address = markdown.Inline(p.Title), markdown.Inline(p.Address)
	for i := range p.Options {
		p.Options[i].Label = markdown.Inline(p.Options[i].Label)
	}
	for i := range p.Actions {
		p.Actions[i].Label = markdown.Inline(p.Actions[i].Label)
	}
}

func (r *renderer) bloc(items []botpress.Payload, depth int) bool {
	if depth >= maxNesting {
		return false
	}
	all := true
	for _, item := range items {
		all = r.payload(item, depth+1) && all
	}
	return all
}

// say adds a text. It is false if there is nothing to read.
func (r *renderer) say(text string) bool {
	parts := textParts(text)
	r.parts = append(r.parts, parts...)
	return len(parts) > 0
}

// offering is say for a text that shows options.
func (r *renderer) offering(text string) bool {
	parts := textParts(text)
	for i := range parts {
		parts[i].offers = true
	}
	r.parts = append(r.parts, parts...)
	return len(parts) > 0
}

// markdown adds texts and pictures. It is false if there are none.
func (r *renderer) markdown(src string) bool {
	some := false
	for _, piece := range markdown.Render(src) {
		if piece.ImageURL != "" {
			some = r.file(partImage, piece.Title, piece.ImageURL) || some
		} else {
			some = r.say(piece.Text) || some
		}
	}
	return some
}

// file adds a picture, voice or video.
func (r *renderer) file(kind partKind, title, address string) bool {
	if !isWeb(address) {
		return r.say(link(title, address))
	}
	r.parts = append(r.parts, part{kind: kind, url: strings.TrimSpace(address), title: title})
	return true
}

func (r *renderer) location(p botpress.Payload) bool {
	if !p.HasPosition {
		return r.say(lines(p.Title, p.Address))
	}
	text := mapLink(p.Latitude, p.Longitude, p.Title, p.Address)
	if !blank(p.Title) {
		text = lines(text, p.Address)
	}
	return r.say(text)
}

// card adds a card, and behind it what it cannot hold: actions other than the
// address that it opens, and texts that are too long for it. Where no second message
// can follow, all of it is one text.
func (r *renderer) card(p botpress.Payload) bool {
	a, behind := newArticle(p)
	if a != nil && r.s.Reply == ReplyPassive && (len(behind) > 0 || clipped(a, p)) {
		return r.catalogue([]botpress.Payload{p})
	}
	var text string
	if a == nil {
		text = lines(p.Title, flowing(p.Subtitle))
	} else {
		r.parts = append(r.parts, part{kind: partNews, article: *a})
		if clipped(a, p) {
			text = lines(p.Title, flowing(p.Subtitle))
		}
	}
	l := r.list(behind)
	if a != nil && text == "" && l.menuable(r.s) {
		text = a.Title // a menu has a head
	}
	return r.listed(text, l) || a != nil
}

// clipped tells whether a card shows less than all that the bot says of it: of what
// is long, and of links within the text.
func clipped(a *wechat.Article, p botpress.Payload) bool {
	said := lines(a.Title, a.Description)
	return len(said) < len(lines(p.Title, markdown.Inline(p.Subtitle))) && strings.Contains(said, ellipsis) ||
		strings.Contains(flowing(p.Subtitle), "</a>")
}

// flowing is Markdown as one text, with links.
func flowing(src string) string {
	var said []string
	for _, piece := range markdown.Render(src) {
		if piece.ImageURL != "" {
			said = append(said, link(piece.Title, piece.ImageURL))
		} else {
			said = append(said, piece.Text)
		}
	}
	return lines(said...)
}

// newArticle is a card as WeChat's, nil if a text says as much, and the actions
// that are left.
func newArticle(p botpress.Payload) (*wechat.Article, []botpress.Action) {
	a := wechat.Article{
		Title:       clip(oneLine(p.Title), titleLimit),
		Description: clip(strings.TrimSpace(markdown.Inline(p.Subtitle)), subtitleLimit),
	}
	behind := p.Actions
	var opens string
	for i, action := range p.Actions {
		if action.Action == botpress.ActionURL && isWeb(action.Value) {
			a.URL, opens = strings.TrimSpace(action.Value), oneLine(action.Label)
			behind = append(p.Actions[:i:i], p.Actions[i+1:]...)
			break
		}
	}
	if isWeb(p.ImageURL) {
		a.PicURL = strings.TrimSpace(p.ImageURL)
	}
	if a.URL == "" && a.PicURL == "" {
		return nil, p.Actions
	}
	if blank(a.Title) {
		a.Title, a.Description = clip(oneLine(markdown.Inline(p.Subtitle)), titleLimit), ""
	}
	if blank(a.Title) {
		a.Title = clip(cmp.Or(opens, nameOf(a)), titleLimit)
	}
	a.URL = cmp.Or(a.URL, a.PicURL)
	return &a, behind
}

// carousel adds cards, and behind them all their actions in one text; or all of it
// as one text, where there are many, where a card cannot hold its text, or where that
// would take more messages than a user may be sent.
func (r *renderer) carousel(items []botpress.Payload) bool {
	var cards []part
	var l list
	before := len(r.options)
	for _, p := range items {
		a, behind := newArticle(p)
		if a == nil || clipped(a, p) || len(items) > carouselCards || r.s.Reply == ReplyPassive && len(items) > 1 {
			r.options = r.options[:before]
			return r.catalogue(items)
		}
		cards = append(cards, part{kind: partNews, article: *a})
		if one := r.list(behind); len(one.lines) > 0 {
			if len(items) > 1 {
				one.lines = append([]string{a.Title}, one.lines...)
			}
			l.add(one)
		}
	}
	if n := r.s.Allowance.Message.Count; n > 0 && len(cards)+min(len(l.lines), 1) > n {
		r.options = r.options[:before]
		return r.catalogue(items)
	}
	r.parts = append(r.parts, cards...)
	l.menu = false // it would lose whose actions they are
	r.listed("", l)
	return true
}

// opens tells whether a card has an address to open.
func opens(p botpress.Payload) bool {
	return slices.ContainsFunc(p.Actions, func(a botpress.Action) bool { return a.Action == botpress.ActionURL && isWeb(a.Value) })
}

// catalogue adds the items of a carousel, or a card, as one text. A title leads to its
// picture where there is nothing else to open.
func (r *renderer) catalogue(items []botpress.Payload) bool {
	var l list
	for _, p := range items {
		block := r.list(p.Actions)
		title := oneLine(p.Title)
		if isWeb(p.ImageURL) && (title != "" && !opens(p) || blank(lines(title, p.Subtitle))) {
			title = link(title, p.ImageURL)
		}
		head := lines(title, flowing(p.Subtitle))
		if blank(head) && len(block.lines) == 0 {
			head = markdown.Inline(lines(p.Texts()...))
		}
		if !blank(head) {
			block.lines = append([]string{head}, block.lines...)
		}
		l.add(block)
	}
	l.menu = false
	return r.listed("", l) || len(items) == 0
}
