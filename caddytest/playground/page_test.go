package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// testPage is the page's server in front of simulators and an admin endpoint.
func testPage(t *testing.T, admin http.HandlerFunc) (*page, *httptest.Server) {
	t.Helper()
	s, err := startSimulators()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.close)
	a := httptest.NewServer(admin)
	t.Cleanup(a.Close)
	p := newPage(s, strings.TrimPrefix(a.URL, "http://"))
	srv := httptest.NewServer(p.handler())
	t.Cleanup(func() {
		srv.CloseClientConnections()
		srv.Close()
	})
	return p, srv
}

func noAdmin(w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) }

func TestPageRequests(t *testing.T) {
	_, srv := testPage(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "admin %s %s origin=%q cookie=%q", r.Method, r.URL, r.Header.Get("Origin"), r.Header.Get("Cookie"))
	})
	for _, tc := range []struct {
		name, method, path, host, origin string
		status                           int
		body                             string
	}{
		{"page", "GET", "/", "", "", 200, "<!doctype html>"},
		{"module", "GET", "/main.js", "", "", 200, "import"},
		{"nothing", "GET", "/main.ts", "", "", 404, ""},
		{"by name", "GET", "/", "localhost:8083", "", 200, "<!doctype html>"},
		{"by IPv6", "GET", "/", "[::1]:8083", "", 200, "<!doctype html>"},
		{"rebound name", "GET", "/", "example.com", "", 403, ""},
		{"rebound name, control", "POST", "/control/wechat/reset", "example.com:8083", "", 403, ""},
		{"other address", "GET", "/", "192.0.2.1", "", 403, ""},
		{"control", "POST", "/control/wechat/reset", "", "", 200, `"app_id"`},
		{"control from a page elsewhere", "POST", "/control/wechat/reset", "", "https://example.com", 403, ""},
		{"state", "GET", "/control/botpress/state", "", "", 200, `"webhookId"`},
		{"API of WeChat", "GET", "/cgi-bin/token", "", "", 404, ""},
		{"accounts", "GET", "/wechat/accounts", "", "https://example.com", 200, `admin GET /wechat/accounts origin="" cookie=""`},
		{"trace", "GET", "/wechat/trace?since=5", "", "", 200, "admin GET /wechat/trace?since=5"},
		{"dead letters", "GET", "/wechat/dead", "", "", 404, ""},
		{"write to the admin endpoint", "POST", "/wechat/accounts", "", "", 404, ""},
		{"configuration", "GET", "/config/", "", "", 404, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), tc.method, srv.URL+tc.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Host = tc.host
			req.Header.Set("Cookie", "a=b")
			if tc.origin != "" {
				req.Header.Set("Origin", tc.origin)
			}
			resp, err := srv.Client().Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != tc.status || !strings.Contains(string(body), tc.body) {
				t.Errorf("status %d, not %d: %.200s", resp.StatusCode, tc.status, body)
			}
			if h := resp.Header; resp.StatusCode != http.StatusForbidden && (h.Get("Content-Security-Policy") != pagePolicy || h.Get("X-Content-Type-Options") != "nosniff") {
				t.Errorf("headers: %v", h)
			}
		})
	}
}

// TestPageSize keeps the page small, and free of anything from elsewhere.
func TestPageSize(t *testing.T) {
	total := 0
	err := fs.WalkDir(pageFiles, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := pageFiles.ReadFile(path)
		total += len(data)
		for _, word := range []string{"innerHTML", "insertAdjacentHTML", "document.write", "eval(", `src="http`, "url(http", "@import"} {
			if strings.Contains(string(data), word) {
				t.Errorf("%s has %s", path, word)
			}
		}
		return err
	})
	if err != nil || total >= 100_000 {
		t.Errorf("the page has %d bytes (%v)", total, err)
	}
}

// reader reads the page's events.
type reader struct {
	t     *testing.T
	lines *bufio.Scanner
	id    string
}

func readEvents(t *testing.T, base, last string) *reader {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	if last != "" {
		req.Header.Set("Last-Event-ID", last)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	return &reader{t: t, lines: lines}
}

// next gives the next event's data that is from source; "hello" for the first.
func (r *reader) next(source string) map[string]any {
	r.t.Helper()
	kind := ""
	for r.lines.Scan() {
		name, value, _ := strings.Cut(r.lines.Text(), ": ")
		switch name {
		case "":
			kind = ""
		case "id":
			r.id = value
		case "event":
			kind = value
		case "data":
			var m map[string]any
			if err := json.Unmarshal([]byte(value), &m); err != nil {
				r.t.Fatalf("%v in %s", err, value)
			}
			if kind == source || m["source"] == source {
				return m
			}
		}
	}
	r.t.Fatalf("no event of %s: %v", source, r.lines.Err())
	return nil
}

func TestPageEvents(t *testing.T) {
	p, srv := testPage(t, noAdmin)
	r := readEvents(t, srv.URL, "")
	if hello := r.next("hello"); hello["epoch"] != p.epoch || hello["bridge"] != false {
		t.Errorf("hello: %v", hello)
	}
	p.sims.wechat.SetCallbackURL("http://127.0.0.1:1/")
	w := p.sims.wechat
	push := w.Text("oAlice", "hello")
	push.Attempts = 1
	go w.Push(t.Context(), push)
	if e := r.next("wechat"); e["kind"] != "push" || e["openid"] != "oAlice" {
		t.Errorf("first: %v", e)
	}
	at := r.id
	for e := r.next("wechat"); e["kind"] != "delivery"; e = r.next("wechat") {
	}
	again := readEvents(t, srv.URL, at)
	again.next("hello")
	if e := again.next("wechat"); e["kind"] != "request" {
		t.Errorf("after %s came %v", at, e)
	}
	other := readEvents(t, srv.URL, "another."+strings.SplitN(at, ".", 2)[1])
	if e := other.next("wechat"); e["kind"] != "push" {
		t.Errorf("with the place of another run: %v", e)
	}
}

// TestPageTrace: decisions come from the admin endpoint, which comes later than the page,
// goes and comes back.
func TestPageTrace(t *testing.T) {
	asked := make(chan string, 10)
	var calls atomic.Int64
	p, srv := testPage(t, func(w http.ResponseWriter, r *http.Request) {
		asked <- r.URL.RequestURI()
		n := calls.Add(1)
		if n == 1 {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprintf(w, ":\n\nid: %[1]d\nevent: decision\ndata: {\"seq\":%[1]d,\"time\":\"2026-01-02T03:04:05.000000006Z\",\"openid\":\"oAlice\",\"stage\":\"append\",\"outcome\":\"ok\"}\n\n", n)
		_, _ = io.WriteString(w, "event: lost\ndata: {\"count\":2}\n\ndata: no JSON\n\n")
	})
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.trace.follow(ctx, srv.Client(), p.admin)
	}()
	defer func() { stop(); <-done }()
	for _, want := range []string{"/wechat/trace?since=0", "/wechat/trace?since=0", "/wechat/trace?since=2"} {
		if got := <-asked; got != want {
			t.Errorf("asked %s, not %s", got, want)
		}
	}
	r := readEvents(t, srv.URL, "")
	if hello := r.next("hello"); hello["bridge"] != true {
		t.Errorf("hello: %v", hello)
	}
	e := r.next("bridge") // in the order of time, and this decision is an old one
	if e["kind"] != "decision" || e["at"] != "2026-01-02T03:04:05.000000006Z" || e["openid"] != "oAlice" || e["data"].(map[string]any)["stage"] != "append" {
		t.Errorf("decision: %v", e)
	}
}

func TestDecisionsAreBounded(t *testing.T) {
	d := newDecisions()
	for i := range 2 * keptDecisions {
		d.add("decision", fmt.Appendf(nil, `{"seq":%d}`, i))
	}
	list, _ := d.after(0)
	if len(list) < keptDecisions || len(list) > keptDecisions*11/10 || list[len(list)-1].Seq != 2*keptDecisions {
		t.Errorf("%d kept, the last %d", len(list), list[len(list)-1].Seq)
	}
}

func TestParsePlace(t *testing.T) {
	for _, tc := range []struct {
		id   string
		want place
	}{
		{"e.1.2.3", place{1, 2, 3}},
		{"f.1.2.3", place{}},
		{"e.1.2", place{}},
		{"e.1.-2.3", place{}},
		{"e.1.x.3", place{}},
		{"", place{}},
	} {
		if got := parsePlace(tc.id, "e"); got != tc.want {
			t.Errorf("%q: %v, not %v", tc.id, got, tc.want)
		}
	}
	if got := parsePlace((place{4, 5, 6}).id("e"), "e"); got != (place{4, 5, 6}) {
		t.Errorf("back again: %v", got)
	}
}
