package bridge

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-wechat/caddy-wechat/module/internal/mediafile"
)

// inside are hosts that lead into the operator's network. That names do not either is
// tested where they are resolved.
var inside = []struct{ name, host string }{
	{"loopback", "127.0.0.1"},
	{"IPv6 loopback", "[::1]"},
	{"name of loopback", "localhost"},
	{"metadata", "169.254.169.254"},
	{"private", "10.0.0.1"},
	{"CGNAT", "100.64.0.1"},
	{"IPv6 unique local", "[fc00::1]"},
	{"IPv6 link local", "[fe80::1]"},
	{"this host", "0.0.0.0"},
	{"mapped", "[::ffff:127.0.0.1]"},
	{"mapped metadata", "[::ffff:a9fe:a9fe]"},
	{"decimal", "2130706433"},
	{"octal", "0177.0.0.1"},
	{"hex", "0x7f.1"},
}

// refusalsNow are the files that became links so far, by reason, as the metric has them.
func refusalsNow() map[string]int64 {
	all := make(map[string]int64)
	countersOf(sceneAppID).measure(sceneAppID, func(s Sample) {
		if s.Metric == metricRefusals {
			all[s.Labels[1]] = int64(s.Value)
		}
	})
	return all
}

// TestForbiddenFiles: of a file that lies inside the network, or that a redirect leads to there, the user
// gets the link, or reads that something is missing where there is none, and it is counted.
// It runs alone: the metric counts for all accounts of the name.
func TestForbiddenFiles(t *testing.T) {
	var reached atomic.Int32
	inner := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if to := r.URL.Query().Get("to"); strings.HasPrefix(r.Host, "127.0.0.2:") && to != "" {
			http.Redirect(w, r, to, http.StatusFound)
			return
		}
		reached.Add(1)
	}))
	l, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = inner.Listener.Close()
	inner.Listener = l
	inner.Config.SetKeepAlivesEnabled(false)
	inner.Start()
	defer inner.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())

	kinds := []string{"image", "audio", "video"}
	dir := tempDir(t)
	_, _ = net.DefaultResolver.LookupHost(t.Context(), "localhost") // what a resolver makes once is to belong to no bubble
	synctest.Test(t, func(t *testing.T) {
		sc := mediaScene(t, dir, "", func(s *Settings) {
			s.Reply, s.Typing, s.Settle, s.Media.Allow = ReplyPush, false, 0, []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")}
		})
		defer sc.close()
		n := refusalsNow()["forbidden"]
		for i, tc := range inside {
			direct := "http://" + tc.host + ":" + port + "/secret.png"
			for how, from := range map[string]string{"direct": direct, "redirect": "http://127.0.0.2:" + port + "/?to=" + url.QueryEscape(direct)} {
				n++
				kind, before := kinds[i%3], len(sc.wechat.Seen(sceneUser))
				text := fmt.Sprint(tc.name, how)
				sc.bot.mu.Lock()
				sc.bot.script = map[string][]bubble{text: {{after: s, payload: map[string]any{"type": kind, kind + "Url": from, "title": "T"}}}}
				sc.bot.mu.Unlock()
				sc.play([]say{{text: text}})
				time.Sleep(20 * s)
				seen := sc.wechat.Seen(sceneUser)[before:]
				if want := anchor(from, "T"); len(seen) != 1 || seen[0].Text != want {
					t.Errorf("%s, %s: the user saw %+v, want %s", tc.name, how, seen, want)
				}
				if got := refusalsNow()["forbidden"]; got != n {
					t.Errorf("%s, %s: %d refusals are counted, want %d", tc.name, how, got, n)
				}
			}
		}
		if reached.Load() > 0 {
			t.Error("what lies inside was reached")
		}
	})
}

// TestRefusals: why a file became a link is counted, and one that could not even become a link is announced.
// It runs alone: the metric counts for all accounts of the name.
func TestRefusals(t *testing.T) {
	f := newFiles(t)
	dir := tempDir(t)
	synctest.Test(t, func(t *testing.T) {
		sc := mediaScene(t, dir, "", func(s *Settings) { s.Reply, s.Typing, s.Settle = ReplyPush, false, 0 })
		defer sc.close()
		image := func(address string) map[string]any {
			return map[string]any{"type": "image", "imageUrl": address, "title": "T"}
		}
		before := refusalsNow()
		for i, payload := range []map[string]any{
			image("http://10.0.0.1/a.png"), image(f.URL + "/nowhere.png"), image(f.URL + "/a.txt"), image(f.URL + "/big.webp"), image("http://user:password@example.com/a.png"),
			{"type": "video", "videoUrl": f.URL + "/a.webp", "title": "T"},
			{"type": "image", "imageUrl": "data:image/png;base64,AA"},
		} {
			text := fmt.Sprint("say ", i)
			sc.bot.mu.Lock()
			sc.bot.script = map[string][]bubble{text: {{after: s, payload: payload}}}
			sc.bot.mu.Unlock()
			sc.play([]say{{text: text}})
			time.Sleep(20 * s)
		}
		want := map[string]int64{"forbidden": 1, "status": 1, "format": 2, "size": 1, "address": 1, "time": 0, "busy": 0, "network": 0}
		got := refusalsNow()
		for reason := range got {
			got[reason] -= before[reason]
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("refusals (-want +got):\n%s", diff)
		}
		seen := sc.wechat.Seen(sceneUser)
		for i, m := range seen {
			if link := strings.HasPrefix(m.Text, "<a href="); link != (i < 6) || i == 6 && m.Text != "FAILED" {
				t.Errorf("message %d: the user saw %q", i, m.Text)
			}
		}
		if len(seen) != 7 {
			t.Errorf("the user saw %d messages", len(seen))
		}
	})
}

// TestRefusalOf: each error has one reason.
func TestRefusalOf(t *testing.T) {
	t.Parallel()
	for err, want := range map[error]string{
		mediafile.ErrForbidden:   "forbidden",
		mediafile.ErrAddress:     "address",
		mediafile.ErrStatus:      "status",
		mediafile.ErrTooLarge:    "size",
		mediafile.ErrTooLong:     "size",
		mediafile.ErrDimensions:  "size",
		mediafile.ErrFormat:      "format",
		context.DeadlineExceeded: "time",
		fmt.Errorf("reserving: %w: %w", mediafile.ErrBusy, context.DeadlineExceeded): "busy",
		errors.New("no such host"): "network",
	} {
		if got := refusalNames[refusalOf(fmt.Errorf("fetching file: %w", err))]; got != want {
			t.Errorf("%v: %s, want %s", err, got, want)
		}
	}
}
