package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/caddy-wechat/caddy-wechat/caddytest/simulator"
)

const (
	keptDecisions = 5000
	traceRetry    = time.Second
)

// decisions are those the bridge has made, as its live trace told them, the newest of them.
type decisions struct {
	mu      sync.Mutex
	list    []simulator.Happening
	seq     int64 // our own: the bridge's begins anew with its process
	last    int64 // the bridge's, of the newest
	live    bool  // the trace has answered
	changed chan struct{}
}

func newDecisions() *decisions { return &decisions{changed: make(chan struct{})} }

// add keeps one decision, or one event of another kind that the trace sent.
func (d *decisions) add(kind string, data []byte) {
	var in struct {
		Seq    int64     `json:"seq"`
		Time   time.Time `json:"time"`
		OpenID string    `json:"openid"`
	}
	if json.Unmarshal(data, &in) != nil {
		return
	}
	if in.Time.IsZero() {
		in.Time = time.Now()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.seq++
	d.last = max(d.last, in.Seq)
	d.list = append(d.list, simulator.Happening{Seq: d.seq, At: in.Time, Kind: kind, OpenID: in.OpenID, Data: data})
	if len(d.list) > keptDecisions+keptDecisions/10 {
		d.list = append([]simulator.Happening(nil), d.list[len(d.list)-keptDecisions:]...)
	}
	close(d.changed)
	d.changed = make(chan struct{})
}

// after gives the decisions newer than seq, and a channel that the next one closes.
func (d *decisions) after(seq int64) ([]simulator.Happening, <-chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := min(max(d.seq-seq, 0), int64(len(d.list)))
	return append([]simulator.Happening(nil), d.list[len(d.list)-int(n):]...), d.changed
}

// known tells whether the bridge has a live trace.
func (d *decisions) known() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.live
}

// found notes, and tells once, that the bridge has a live trace.
func (d *decisions) found() {
	d.mu.Lock()
	before := d.live
	d.live = true
	d.mu.Unlock()
	if !before {
		d.add("live", []byte("{}"))
	}
}

// follow reads the live trace of the admin endpoint at base until ctx ends. Where there is
// none, or it ends, it asks again: Caddy starts after the page, and may be reloaded.
func (d *decisions) follow(ctx context.Context, client *http.Client, base string) {
	for {
		_ = d.read(ctx, client, base)
		t := time.NewTimer(traceRetry)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return
		}
	}
}

// read takes events off one connection.
func (d *decisions) read(ctx context.Context, client *http.Client, base string) error {
	d.mu.Lock()
	since := d.last
	d.mu.Unlock()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("%s/wechat/trace?since=%d", base, since), nil)
	if err != nil {
		return fmt.Errorf("asking for the trace: %w", err)
	}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("asking for the trace: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("asking for the trace: status %d", resp.StatusCode)
	}
	d.found()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	kind, data := "", ""
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case lines.Text() == "" && data != "":
			d.add(kind, []byte(data))
			kind, data = "", ""
		case name == "event":
			kind = value
		case name == "data":
			data += value
		}
	}
	return lines.Err()
}
