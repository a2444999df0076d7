package main

import (
	"os"
	"testing"

	capture "github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// TestScreenshot takes the picture in the README, into the file that
// CADDY_WECHAT_SCREENSHOT names.
func TestScreenshot(t *testing.T) {
	path := os.Getenv("CADDY_WECHAT_SCREENSHOT")
	if path == "" {
		t.Skip("CADDY_WECHAT_SCREENSHOT is not set")
	}
	b := browse(t, pageOf(t))
	b.do("sizing", chromedp.EmulateViewport(1280, 800))
	b.says("Alice", "card")
	b.until(`[...` + phone("Alice") + `.querySelectorAll("a.card img.cover")].at(-1)?.naturalWidth > 0`)
	b.sees("Alice", "Say it")
	b.says("Alice", "choice")
	b.sees("Alice", "Which one?")
	b.press(phone("Alice"), "2. Green")
	b.sees("Alice", "echo: option_2")
	b.flip("Account", "unverified")
	b.flip("Bot thinks", "12 s")
	b.says("Alice", "慢慢来，不着急")
	b.sees("Alice", "echo: 慢慢来")
	b.until(`document.querySelector(".group .chip.good")?.textContent.startsWith("passive reply")`)
	b.run("leaving the field", "document.activeElement.blur()")
	quality := int64(82)
	shot, err := chromedp.Call(b.ctx, capture.CaptureScreenshot, capture.CaptureScreenshotParams{Format: capture.CaptureScreenshotFormatWebp, Quality: &quality})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, shot.Data, 0o644); err != nil {
		t.Fatal(err)
	}
	b.shot("readme")
}
