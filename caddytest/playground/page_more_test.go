package main

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// newest is JavaScript that finds the newest push in the timeline.
const newest = `document.querySelector(".group:not(.general)")`

// TestPageMore is more of what TestPage does, with a playground of its own: a user who says
// more than twenty things a minute is slowed.
func TestPageMore(t *testing.T) {
	t.Parallel()
	browse(t, pageOf(t)).each([]part{
		{"files, emoji", chatFiles},
		{"modes", chatModes},
		{"sandbox", chatKinds},
		{"reply window", chatWindow},
		{"keyboard", chatKeyboard},
		{"events", chatEvents},
	})
}

// chatFiles sends files that the user chooses, and puts an emoji into a text.
func chatFiles(b *tab) {
	b.run("choosing", `HTMLInputElement.prototype.click = async function () {
		const name = {image: "picture.png", video: "clip.mp4", audio: "sound.mp3"}[this.accept.slice(0, 5)];
		const d = new DataTransfer();
		d.items.add(new File([await (await fetch("media/" + name)).blob()], name));
		this.files = d.files;
		this.dispatchEvent(new Event("change"));
	}`)
	for _, tc := range []struct{ item, row, answer string }{
		{"照片", ".mine a.frame img", "image: http"},
		{"视频", ".mine video", "video: http"},
		{"语音", ".mine .voice", "audio: http"},
	} {
		before := eval[int](b, phone("Alice")+`.querySelectorAll(`+strconv.Quote(tc.row)+`).length`)
		b.press(phone("Alice"), "更多 more")
		b.press(phone("Alice")+`.querySelector(".drawer")`, tc.item)
		b.until(fmt.Sprintf(phone("Alice")+`.querySelectorAll(%q).length === %d`, tc.row, before+1))
		b.sees("Alice", tc.answer)
	}
	b.run("choosing by hand again", "delete HTMLInputElement.prototype.click")
	b.press(phone("Alice"), "表情 emoji")
	b.press(phone("Alice")+`.querySelector(".drawer")`, "🐼")
	b.says("Alice", "!")
	b.sees("Alice", "echo: 🐼!")
}

// chatModes: what is on the wire is as the mode says.
func chatModes(b *tab) {
	for _, tc := range []struct {
		mode             string
		encrypted, plain bool
	}{{"plain", false, true}, {"safe", true, false}, {"compatible", true, true}} {
		b.flip("Mode", tc.mode)
		b.says("Alice", "in mode "+tc.mode)
		b.sees("Alice", "echo: in mode "+tc.mode)
		b.until(newest + `.querySelector(".chip.good")`)
		body := eval[string](b, `playground.model.all.findLast((e) => e.kind === "request").data.body`)
		if enc, plain := strings.Contains(body, "<Encrypt>"), strings.Contains(body, "<Content>"); enc != tc.encrypted || plain != tc.plain {
			b.t.Errorf("mode %s: encrypted %v, plain %v", tc.mode, enc, plain)
		}
	}
}

// chatKinds: a test account is not told which link was tapped, and the bot still is.
func chatKinds(b *tab) {
	b.flip("Account", "sandbox")
	b.says("Alice", "choice")
	b.until(`[...` + phone("Alice") + `.querySelectorAll(".theirs")].filter((r) => r.textContent.includes("Which one?")).length > 0`)
	b.run("tapping", `[...`+phone("Alice")+`.querySelectorAll(".choice")].filter((x) => x.textContent.startsWith("1. ")).at(-1).click()`)
	b.sees("Alice", "echo: option_1")
	if id := eval[string](b, `[...playground.model.pushes.values()].at(-1).fields.bizmsgmenuid ?? ""`); id != "" {
		b.t.Errorf("the test account was told %s", id)
	}
	b.flip("Account", "verified")
}

// chatWindow: with the reply window over, what the bot says waits for the user.
func chatWindow(b *tab) {
	b.says("Alice", "so far")
	b.sees("Alice", "echo: so far")
	b.until(newest + `.querySelector(".chip.good")`)
	if n := b.count(".group:not(.general) .chip", " left"); n == 0 {
		b.t.Error("the allowance is not shown")
	}
	b.press("", "ends now")
	b.until(`document.getElementById("toast").textContent.includes("until the user acts")`)
	b.run("saying", `fetch("control/botpress/say", {method: "POST", body: JSON.stringify({conversation: "wx-`+appID+`-oAlice", text: "by the way"})})`)
	b.until(`[...` + newest + `.querySelectorAll(".step")].some((s) => s.textContent.includes("error 45015"))`)
	b.until(`[...` + newest + `.querySelectorAll(".step.of-bridge")].some((s) => s.textContent.includes("parked"))`)
	if n := b.count(".theirs", "by the way"); n != 0 {
		b.t.Error("it reached the user")
	}
	b.shot("parked")
	b.says("Alice", "I am back")
	b.sees("Alice", "by the way")
	b.sees("Alice", "echo: I am back")
}

// chatKeyboard: a choice is taken, a form sent and an entry opened by the keyboard alone.
func chatKeyboard(b *tab) {
	b.says("Alice", "choice")
	b.until(`[...` + phone("Alice") + `.querySelectorAll(".row:not(.typing)")].at(-1).textContent.includes("Which one?")`)
	b.reach("Shift", `a.textContent.startsWith("3. ")`)
	b.do("choosing", chromedp.KeyEvent(kb.Enter))
	b.sees("Alice", "echo: option_3")
	b.reach("", `a.getAttribute("aria-label") === "更多 more"`)
	b.do("opening", chromedp.KeyEvent(kb.Enter))
	b.reach("", `a.textContent.includes("Scan")`)
	b.do("asking", chromedp.KeyEvent(kb.Enter))
	b.until(`document.querySelector("dialog[open]")`)
	before := b.count(".line", "扫描了二维码")
	b.do("sending", chromedp.KeyEvent(kb.Enter))
	b.until(fmt.Sprintf(`[...document.querySelectorAll(".line")].filter((x) => x.textContent.includes("扫描了二维码")).length === %d`, before+1))
	b.reach("", `a.matches(".step summary")`)
	b.do("opening an entry", chromedp.KeyEvent(kb.Enter))
	b.until(`document.activeElement.parentElement.querySelector(".raw pre")?.textContent`)
}

// reach presses Tab until the element in focus, a, is the one that js is true of.
func (b *tab) reach(modifier, js string) {
	b.t.Helper()
	var with []chromedp.KeyOption
	if modifier == "Shift" {
		with = append(with, chromedp.KeyModifiers(8))
	}
	for range 120 {
		if eval[bool](b, `((a) => `+js+`)(document.activeElement)`) {
			return
		}
		b.do("tabbing", chromedp.KeyEvent(kb.Tab, with...))
	}
	b.shot("failure")
	b.t.Fatalf("Tab does not reach %s", js)
}
