package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-wechat/caddy-wechat/caddytest/simulator"
)

// told is what the page is told of one happening.
type told struct {
	Source string `json:"source"` // wechat, botpress, bridge
	simulator.Happening
}

// place is how far a reader of the events has come.
type place struct {
	wechat, botpress, bridge int64
}

// id is the place as an event's id. It carries the run it belongs to.
func (p place) id(epoch string) string {
	return fmt.Sprintf("%s.%d.%d.%d", epoch, p.wechat, p.botpress, p.bridge)
}

// parsePlace reads an event's id; one of another run is the beginning.
func parsePlace(id, epoch string) place {
	parts := strings.Split(id, ".")
	if len(parts) != 4 || parts[0] != epoch {
		return place{}
	}
	var n [3]int64
	for i, s := range parts[1:] {
		v, err := strconv.ParseInt(s, 10, 64)
		if err != nil || v < 0 {
			return place{}
		}
		n[i] = v
	}
	return place{n[0], n[1], n[2]}
}

// serveEvents streams what happens at both simulators and in the bridge, in the order of
// time. A reader that comes back with the id of the last event it had gets what it missed.
// The first event, "hello", tells how things stand.
func (p *page) serveEvents(w http.ResponseWriter, r *http.Request) {
	last := r.Header.Get("Last-Event-ID")
	if last == "" {
		last = r.URL.Query().Get("since")
	}
	at := parsePlace(last, p.epoch)
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	rc := http.NewResponseController(w)
	if _, err := fmt.Fprintf(w, "retry: 1000\nevent: hello\ndata: %s\n\n", p.hello()); err != nil {
		return
	}
	tick := time.NewTicker(15 * time.Second)
	defer tick.Stop()
	for {
		news, wechat, botpress, bridge := p.collect(at)
		for _, n := range news {
			at.pass(n)
			if err := writeEvent(w, at.id(p.epoch), n); err != nil {
				return
			}
		}
		if rc.Flush() != nil {
			return
		}
		select {
		case <-wechat:
		case <-botpress:
		case <-bridge:
		case <-tick.C:
			if _, err := io.WriteString(w, ":\n\n"); err != nil {
				return
			}
		case <-r.Context().Done():
			return
		}
	}
}

func writeEvent(w io.Writer, id string, t told) error {
	data, err := json.Marshal(t)
	if err != nil {
		return fmt.Errorf("encoding an event: %w", err)
	}
	_, err = fmt.Fprintf(w, "id: %s\ndata: %s\n\n", id, data)
	return err
}

// collect gives what is newer than a place, and what to wait for next.
func (p *page) collect(at place) (news []told, wechat, botpress, bridge <-chan struct{}) {
	var list []simulator.Happening
	add := func(source string) {
		for _, h := range list {
			news = append(news, told{source, h})
		}
	}
	list, wechat = p.sims.wechat.Happenings(at.wechat)
	add("wechat")
	list, botpress = p.sims.botpress.Happenings(at.botpress)
	add("botpress")
	list, bridge = p.trace.after(at.bridge)
	add("bridge")
	slices.SortStableFunc(news, func(a, b told) int { return a.At.Compare(b.At) })
	return news, wechat, botpress, bridge
}

// pass moves the place behind an event. Sorting by time keeps each source's own order,
// save for decisions, whose times are the bridge's.
func (p *place) pass(t told) {
	switch t.Source {
	case "wechat":
		p.wechat = max(p.wechat, t.Seq)
	case "botpress":
		p.botpress = max(p.botpress, t.Seq)
	case "bridge":
		p.bridge = max(p.bridge, t.Seq)
	}
}

// hello tells how things stand. The addresses are those in files the bot and users sent,
// which the page asks this server for.
func (p *page) hello() []byte {
	data, err := json.Marshal(map[string]any{
		"epoch":    p.epoch,
		"wechat":   p.sims.wechat.State(),
		"botpress": p.sims.botpress.State(),
		"menu":     p.sims.wechat.Menu(),
		"files":    []string{p.sims.wechatAt, p.sims.botAt},
		"real_bot": p.sims.realBot,
		"bridge":   p.trace.known(),
	})
	if err != nil {
		return []byte("{}")
	}
	return data
}
