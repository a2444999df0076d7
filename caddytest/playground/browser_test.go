package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// browserVariable names the browser to test with. "required" looks for one as usual, and
// takes it for a failure that there is none.
const browserVariable = "CADDY_WECHAT_BROWSER"

// patience is how long the page may take for anything. Machines are busy.
const patience = 60 * time.Second

// findBrowser gives the path of a Chromium, or ends the test.
func findBrowser(t *testing.T) string {
	t.Helper()
	wanted := os.Getenv(browserVariable)
	if wanted != "" && wanted != "required" {
		return wanted
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if wanted != "" {
		t.Fatal("no Chromium found, but " + browserVariable + " says that there has to be one")
	}
	fmt.Println("no Chromium found: the page is not tested in a browser")
	t.Skip("no Chromium found")
	return ""
}

// shotsDir is where screenshots are left to be looked at.
var shotsDir = sync.OnceValues(func() (string, error) {
	if dir := os.Getenv("CADDY_WECHAT_SHOTS"); dir != "" {
		return dir, os.MkdirAll(dir, 0o755)
	}
	return os.MkdirTemp("", "caddy-wechat-page-")
})

// tab is the page in a browser of its own.
type tab struct {
	t    *testing.T
	ctx  context.Context
	base string

	mu    sync.Mutex
	wrong []string // what must not be: errors, requests to elsewhere
}

// browse opens the page at base.
func browse(t *testing.T, base string) *tab {
	t.Helper()
	path := findBrowser(t)
	// Chromium's last writes may come after its end.
	profile, err := os.MkdirTemp("", "caddy-wechat-chromium-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(profile) })
	opts := []chromedp.ExecAllocatorOption{chromedp.ExecPath(path), chromedp.UserDataDir(profile), chromedp.WSURLReadTimeout(patience)}
	for _, flag := range []string{
		"headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-background-networking",
		"disable-component-update", "disable-sync", "disable-dev-shm-usage", "hide-scrollbars",
		"use-fake-device-for-media-stream", "use-fake-ui-for-media-stream",
	} {
		opts = append(opts, chromedp.Flag(flag, true))
	}
	alloc, stop := chromedp.NewExecAllocator(t.Context(), opts...)
	t.Cleanup(stop)
	ctx, cancel := chromedp.NewContext(alloc)
	t.Cleanup(cancel)
	b := &tab{t: t, ctx: ctx, base: base}
	if err := chromedp.Listen(ctx, b.watch); err != nil {
		t.Fatalf("starting the browser: %v", err)
	}
	if _, err := chromedp.Call(ctx, network.Enable, network.EnableParams{}); err != nil {
		t.Fatalf("watching requests: %v", err)
	}
	b.do("opening", chromedp.EmulateViewport(1440, 900), chromedp.Navigate(base))
	b.until(`document.getElementById("live").textContent === "live"`)
	return b
}

// watch notes what must not be.
func (b *tab) watch(ev any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch ev := ev.(type) {
	case *runtime.EventExceptionThrown:
		b.wrong = append(b.wrong, "exception: "+fmt.Sprint(ev.ExceptionDetails))
	case *runtime.EventConsoleAPICalled:
		if ev.Type == runtime.ConsoleAPICalledTypeError || ev.Type == runtime.ConsoleAPICalledTypeAssert || ev.Type == runtime.ConsoleAPICalledTypeWarning {
			b.wrong = append(b.wrong, fmt.Sprintf("console %s: %+v", ev.Type, ev.Args))
		}
	case *log.EventEntryAdded:
		if ev.Entry.Level == log.EntryLevelError {
			b.wrong = append(b.wrong, "log: "+ev.Entry.Text+" "+ev.Entry.URL)
		}
	case *network.EventRequestWillBeSent:
		u, err := url.Parse(ev.Request.URL)
		if err != nil || u.Scheme != "data" && u.Scheme != "blob" && !strings.HasPrefix(ev.Request.URL, b.base+"/") {
			b.wrong = append(b.wrong, "request to "+ev.Request.URL)
		}
	}
}

// clean fails if anything was wrong so far.
func (b *tab) clean() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range b.wrong {
		b.t.Error(s)
	}
	b.wrong = nil
}

func (b *tab) do(what string, actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		b.t.Fatalf("%s: %v", what, err)
	}
}

// run runs JavaScript for its effect.
func (b *tab) run(what, js string) {
	b.t.Helper()
	b.do(what, chromedp.Evaluate[chromedp.Void](js))
}

// eval runs JavaScript and reads its value.
func eval[T any](b *tab, js string) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](js, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("%s: %v", js, err)
	}
	return v
}

// until waits for JavaScript to be true.
func (b *tab) until(js string) {
	b.t.Helper()
	for start := time.Now(); time.Since(start) < patience; time.Sleep(50 * time.Millisecond) {
		if eval[bool](b, "Boolean("+js+")") {
			return
		}
	}
	b.shot("failure")
	b.t.Fatalf("not so: %s\n%s", js, eval[string](b, `document.body.innerText`))
}

// phone is JavaScript that finds a user's phone.
func phone(user string) string {
	return `document.querySelector('.phone[aria-label="` + user + `"]')`
}

// sees waits until a row of the user's chat holds a text.
func (b *tab) sees(user, text string) {
	b.t.Helper()
	b.until(`[...` + phone(user) + `?.querySelectorAll(".theirs, .line") ?? []].some((r) => r.textContent.includes(` + strconv.Quote(text) + `))`)
}

// says writes a text as the user, and sends it by the key.
func (b *tab) says(user, text string) {
	b.t.Helper()
	field := chromedp.CSS(`.phone[aria-label="` + user + `"] textarea`)
	value := phone(user) + `.querySelector("textarea").value`
	before := eval[string](b, value)
	written := value + ` === ` + strconv.Quote(before+text)
	b.do("writing", chromedp.SendKeys(field, text))
	for try := 0; !eval[bool](b, written); try++ {
		if time.Sleep(50 * time.Millisecond); try == 20 { // the browser gave the keys to nobody
			b.t.Logf("written once more; the focus is on %s", eval[string](b, `document.activeElement.outerHTML.slice(0, 200)`))
			b.do("writing once more", chromedp.Evaluate[chromedp.Void](value+` = `+strconv.Quote(before)), chromedp.SendKeys(field, text))
			b.until(written)
		}
	}
	b.do("sending", chromedp.SendKeys(field, "\r"))
	// The page empties the field at once; but for that, see above.
	for try := 0; eval[bool](b, written); try++ {
		if time.Sleep(50 * time.Millisecond); try == 20 {
			b.t.Logf("sent once more; the focus is on %s", eval[string](b, `document.activeElement.outerHTML.slice(0, 200)`))
			b.do("sending once more", chromedp.SendKeys(field, "\r"))
			break
		}
	}
	b.until(`[...` + phone(user) + `.querySelectorAll(".mine")].some((r) => r.textContent.includes(` + strconv.Quote(text) + `))`)
}

// press clicks the button of that name, the first in the document or in what within finds.
func (b *tab) press(within, name string) {
	b.t.Helper()
	js := `(() => { const found = [...` + cmp.Or(within, "document") + `.querySelectorAll("button")]
		.find((x) => [x.getAttribute("aria-label") ?? x.textContent, x.lastElementChild?.textContent ?? ""].some((s) => s.trim().startsWith(` + strconv.Quote(name) + `)));
		found?.click(); return Boolean(found); })()`
	if !eval[bool](b, js) {
		b.shot("failure")
		b.t.Fatalf("no button %q", name)
	}
}

// flip sets a switch.
func (b *tab) flip(name, value string) {
	b.t.Helper()
	group := `document.querySelector('.segments[aria-label="` + name + `"]')`
	b.press(group, value)
	b.until(`[...` + group + `.querySelectorAll("[aria-pressed=true]")].some((x) => x.textContent === ` + strconv.Quote(value) + `)`)
}

// shot leaves a screenshot.
func (b *tab) shot(name string) {
	b.t.Helper()
	dir, err := shotsDir()
	if err != nil {
		b.t.Fatal(err)
	}
	time.Sleep(150 * time.Millisecond) // for transitions
	png, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		b.t.Fatalf("taking a screenshot: %v", err)
	}
	path := filepath.Join(dir, strings.ReplaceAll(b.t.Name(), "/", "-")+"-"+name+".png")
	if err := os.WriteFile(path, png, 0o644); err != nil {
		b.t.Fatal(err)
	}
	b.t.Log(path)
}

// scheme sets what the system prefers.
func (b *tab) scheme(value string) {
	b.t.Helper()
	_, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: value}},
	})
	if err != nil {
		b.t.Fatalf("changing colours: %v", err)
	}
}

// accessible runs axe, if there is one, and fails for what it calls serious or critical.
func (b *tab) accessible(when string) {
	b.t.Helper()
	path := os.Getenv("CADDY_WECHAT_AXE")
	if path == "" {
		if os.Getenv(browserVariable) == "required" {
			b.t.Error("CADDY_WECHAT_AXE is not set")
		}
		return
	}
	f, err := os.Open(path)
	if err != nil {
		b.t.Fatal(err)
	}
	defer f.Close()
	axe, err := io.ReadAll(f)
	if err != nil {
		b.t.Fatal(err)
	}
	b.run("loading axe", string(axe)+";void 0")
	found := eval[[]string](b, `axe.run(document, {resultTypes: ["violations"], runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}).then((r) => r.violations
		.filter((v) => v.impact === "serious" || v.impact === "critical")
		.flatMap((v) => v.nodes.map((n) => v.id + ": " + n.target.join(" ") + ": " + n.failureSummary)))`)
	for _, f := range found {
		b.t.Errorf("%s: %s", when, f)
	}
}
