package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// pageOf starts a playground and gives the address it prints first.
func pageOf(t *testing.T) string {
	t.Helper()
	findBrowser(t)
	out := playground(t)
	base := out.find(t, `(http://[^\s/]+)`)[1]
	out.find(t, `serving initial configuration`)
	return base
}

// TestPage uses the page as its users do.
func TestPage(t *testing.T) {
	t.Parallel()
	b := browse(t, pageOf(t))
	b.each([]part{
		{"text", chatText},
		{"escaping", chatHostile},
		{"picture", chatPicture},
		{"voice", chatVoice},
		{"cards", chatCards},
		{"choice", chatChoice},
		{"msgmenu", chatMsgMenu},
		{"menu", chatMenu},
		{"typing", chatTyping},
		{"failure notice", chatNotice},
		{"place, link, scan", chatForms},
		{"following", chatFollowing},
		{"outage", chatOutage},
		{"duplicates", chatDuplicates},
		{"error of WeChat", chatFault},
		{"lost answer", chatLostAnswer},
		{"two users", chatTwoUsers},
		{"reload", chatReload},
		{"dark", chatDark},
		{"phone width", chatNarrow},
		{"export", chatExport},
		{"start over", chatStartOver},
	})
}

// part is one use of the page.
type part struct {
	name string
	run  func(b *tab)
}

// each runs the parts one after the other, up to the first that fails.
func (b *tab) each(parts []part) {
	t := b.t
	for _, p := range parts {
		ok := t.Run(p.name, func(t *testing.T) {
			sub := b.as(t)
			p.run(sub)
			sub.clean()
		})
		if !ok {
			return
		}
	}
}

func (b *tab) as(t *testing.T) *tab {
	b.t = t
	return b
}

func chatText(b *tab) {
	b.says("Alice", "hello")
	b.sees("Alice", "echo: hello")
	b.until(`document.querySelector(".group .chip.good")?.textContent.startsWith("passive reply")`)
	b.until(newest + `.querySelectorAll(".step.of-bridge").length > 4`)
	if at := eval[[]float64](b, `[...`+newest+`.querySelectorAll(".step .t")].map(({textContent: t}) => parseFloat(t.slice(1)) * (t.endsWith(" ms") ? 1 : 1000))`); !slices.IsSorted(at) {
		b.t.Errorf("not in the order of time: %v", at)
	}
	// The raw request is behind the row of the attempt.
	b.do("opening an entry", chromedp.Click(chromedp.CSS(".group .step.of-wechat summary")))
	b.until(`[...document.querySelectorAll(".raw pre")].some((p) => p.textContent.includes("msg_signature=") && p.textContent.includes("<Encrypt>"))`)
	b.until(`[...document.querySelectorAll(".raw pre")].some((p) => p.textContent.startsWith("<xml>") && p.textContent.includes("hello"))`)
	b.accessible("light")
	b.shot("done")
}

// chatHostile: nothing that a user or a bot writes becomes markup or a link to script.
func chatHostile(b *tab) {
	for _, text := range []string{
		`<img src=x onerror="document.title='taken'">`,
		`<a href="javascript:document.title='taken'">tap me</a>`,
		`<a href="data:text/html,hi">data</a>`,
		`<script>document.title='taken'</script>`,
		`<a href="weixin://bizmsgmenu?msgmenucontent=%zz&msgmenuid=1">odd</a>`,
	} {
		b.says("Alice", text)
	}
	b.until(`[...` + phone("Alice") + `.querySelectorAll(".theirs")].length > 6`)
	// The bridge takes the tags out of what bots say; the page does not count on it.
	b.run("saying", "for (const text of [`<img src=x onerror=\"document.title='taken'\">`, `<a href=\"javascript:document.title='taken'\">tap me</a>`,"+
		"`<a href='data:text/html,hi'>data</a>`, `<script>document.title='taken'</script>`, `<a href=\"weixin://bizmsgmenu?msgmenucontent=%zz&msgmenuid=1\">odd</a>`])"+
		`playground.model.take({source: "wechat", kind: "seen", openid: "oAlice", at: new Date().toISOString(), data: {type: "text", road: "push", text}})`)
	b.sees("Alice", "<script>document.title='taken'</script>")
	b.until(`[...document.querySelectorAll(".choice")].at(-1).textContent === "odd"`)
	if n := eval[int](b, `document.querySelectorAll(".chat img[src=x], .chat script, .chat a[href^=javascript], .chat a[href^=data]").length`); n > 0 {
		b.t.Errorf("%d elements were made of text", n)
	}
	got := eval[string](b, `import("/text.js").then(({parse}) => JSON.stringify(parse(
		"see https://example.com/a?b=1. <a href='HTTP://example.com/\"x'>A</a><a href=\"weixin://bizmsgmenu?msgmenucontent=a%26b&msgmenuid=7\">B</a><b>")))`)
	want := `[{"text":"see "},{"text":"https://example.com/a?b=1","href":"https://example.com/a?b=1"},{"text":". "},` +
		`{"text":"A","href":"http://example.com/%22x"},{"text":"B","tap":{"id":"7","content":"a&b"}},{"text":"<b>"}]`
	if got != want {
		b.t.Errorf("parsed:\n%s\nnot\n%s", got, want)
	}
	if title := eval[string](b, "document.title"); strings.Contains(title, "taken") {
		b.t.Error("a text was run")
	}
	// What is under way would come after the start.
	b.sees("Alice", "echo: odd")
	b.until(`document.querySelectorAll(".group .chip.warn").length === 0`)
	b.press("", "Start over") // what was never said does not come back
	b.until(`document.querySelectorAll(".row:not(.typing), .group:not(.general)").length === 0`)
}

// shows waits until the newest picture of one side has been loaded.
func (b *tab) shows(side string) {
	b.t.Helper()
	b.until(`[...` + phone("Alice") + `.querySelectorAll(".` + side + ` img.picture")].at(-1)?.naturalWidth > 0`)
}

func chatPicture(b *tab) {
	b.run("pasting", `(() => {
		const c = document.createElement("canvas"); c.width = 320; c.height = 220;
		const g = c.getContext("2d"); const s = g.createLinearGradient(0, 0, 320, 220);
		s.addColorStop(0, "#f6b26b"); s.addColorStop(1, "#6d4c9f"); g.fillStyle = s; g.fillRect(0, 0, 320, 220);
		g.fillStyle = "#fff"; g.beginPath(); g.arc(235, 66, 30, 0, 7); g.fill();
		c.toBlob((blob) => { const d = new DataTransfer(); d.items.add(new File([blob], "p.png", {type: "image/png"}));
			`+phone("Alice")+`.querySelector("textarea").dispatchEvent(new ClipboardEvent("paste", {clipboardData: d, bubbles: true, cancelable: true})); });
	})()`)
	b.shows("mine")
	b.sees("Alice", "image: http")
	b.says("Alice", "image")
	b.shows("theirs")
	b.says("Alice", "audio")
	b.until(phone("Alice") + `.querySelector(".theirs .voice .seconds")?.textContent.endsWith("″")`)
	b.shot("done")
}

// chatVoice records from the browser's make-believe microphone.
func chatVoice(b *tab) {
	b.press(phone("Alice"), "语音 voice")
	held := phone("Alice") + `.querySelector(".speak").dispatchEvent(new KeyboardEvent("keydown", {key: "Enter"}))`
	b.run("recording", held)
	b.until(phone("Alice") + `.querySelector(".speak.on")`)
	time.Sleep(1500 * time.Millisecond) // of speech
	b.run("sending", held)
	b.until(phone("Alice") + `.querySelector(".mine .voice")`)
	b.sees("Alice", "audio: http")
	b.press(phone("Alice"), "语音 voice")
}

func chatCards(b *tab) {
	b.says("Alice", "card")
	b.until(`[...` + phone("Alice") + `.querySelectorAll("a.card img.cover")].at(-1)?.naturalWidth > 0`)
	b.sees("Alice", "Say it")
	b.says("Alice", "video")
	b.until(phone("Alice") + `.querySelector(".theirs video.picture")?.readyState > 0`)
	b.says("Alice", "location")
	b.sees("Alice", "天安门")
	b.shot("done")
}

func chatChoice(b *tab) {
	b.says("Alice", "choice")
	b.sees("Alice", "Which one?")
	b.press(phone("Alice"), "2. Green")
	b.sees("Alice", "echo: option_2")
	b.until(`[...` + phone("Alice") + `.querySelectorAll(".mine .bubble")].at(-1).textContent === "Green 绿"`)
	b.shot("done")
}

// post calls the simulated API of WeChat, as another part of the account's software does.
func (b *tab) post(path, body string) map[string]any {
	b.t.Helper()
	api := eval[string](b, `playground.model.files[0]`)
	resp, err := http.Post(api+path, "application/json", strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	var out map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil {
		b.t.Fatal(err)
	}
	return out
}

// chatMsgMenu: a menu message of WeChat's, marked as made by AI.
func chatMsgMenu(b *tab) {
	token := b.post("/cgi-bin/stable_token", `{"grant_type":"client_credential","appid":"`+appID+`","secret":"`+appSecret+`"}`)["access_token"]
	out := b.post(fmt.Sprint("/cgi-bin/message/custom/send?access_token=", token), `{"touser":"oAlice","msgtype":"msgmenu",
		"msgmenu":{"head_content":"满意吗？","list":[{"id":"101","content":"满意"},{"id":"102","content":"不满意"}],"tail_content":"谢谢"},
		"aimsgcontext":{"is_ai_msg":1}}`)
	if out["errcode"] != 0.0 {
		b.t.Fatalf("sending: %v", out)
	}
	b.sees("Alice", "内容由AI生成")
	b.press(phone("Alice"), "不满意")
	b.sees("Alice", "echo: 不满意")
	b.until(`[...playground.model.pushes.values()].at(-1).fields.bizmsgmenuid === "102"`)
}

// chatTyping: dots show while the bot works, and go with its answer.
func chatTyping(b *tab) {
	b.says("Alice", "slow 10")
	b.until(phone("Alice") + `.querySelector(".typing:not([hidden])")`)
	b.shot("dots")
	b.sees("Alice", "echo: slow 10")
	b.until(phone("Alice") + `.querySelector(".typing[hidden]")`)
}

func chatMenu(b *tab) {
	b.flip("Menu", "sample")
	b.press(phone("Alice")+`.querySelector(".menu")`, "更多")
	b.shot("open")
	b.press(phone("Alice")+`.querySelector(".menu")`, "帮助")
	b.sees("Alice", "anything else: an echo")
	b.press(phone("Alice")+`.querySelector(".menu")`, "键盘")
	b.flip("Menu", "none")
}

// chatForms sends what is asked for in a form.
func chatForms(b *tab) {
	for _, tc := range []struct{ item, row, answer string }{
		{"位置", ".mine .place", "location: 39.9087,116.3975"},
		{"链接", `.mine a.card[href="https://example.com/"]`, "https://example.com/"},
		{"扫一扫", ".line", "event: SCAN"},
		{"动画表情", ".mine .sticker", "echo: [表情"},
	} {
		b.press(phone("Alice"), "更多 more")
		b.press(phone("Alice")+`.querySelector(".drawer")`, tc.item)
		if eval[bool](b, `Boolean(document.querySelector("dialog"))`) {
			b.press(`document.querySelector("dialog")`, "Send")
		}
		b.until(phone("Alice") + `.querySelector(` + strconv.Quote(tc.row) + `)`)
		b.sees("Alice", tc.answer)
	}
	b.shot("done")
}

func chatFollowing(b *tab) {
	b.press(phone("Alice"), "更多 more")
	b.shot("drawer")
	b.press(phone("Alice"), "取消关注")
	b.sees("Alice", "你已取消关注该公众号")
	b.until(phone("Alice") + `.querySelector(".input").hidden`)
	b.press(phone("Alice"), "关注公众号")
	b.sees("Alice", "event: subscribe")
}

func chatTwoUsers(b *tab) {
	b.press("", "Add a user")
	b.until(phone("Bob"))
	b.says("Bob", "I am Bob")
	b.says("Alice", "I am Alice")
	b.sees("Bob", "echo: I am Bob")
	b.sees("Alice", "echo: I am Alice")
	if eval[bool](b, phone("Bob")+`.textContent.includes("I am Alice") || `+phone("Alice")+`.textContent.includes("I am Bob")`) {
		b.t.Error("a user sees what another one wrote")
	}
	b.shot("done")
}

// chatReload: all is there again after a reload.
func chatReload(b *tab) {
	all := `JSON.stringify([...document.querySelectorAll(".chat")].map((c) => [...c.querySelectorAll("li")].map((r) => r.textContent.replace(/\d+″/, ""))))`
	b.until(`document.querySelectorAll(".group .chip.warn").length === 0`)
	before, groups := eval[string](b, all), eval[int](b, `document.querySelectorAll(".group:not(.general)").length`)
	b.do("reloading", chromedp.Reload())
	b.until(`document.getElementById("live").textContent === "live"`)
	b.until(fmt.Sprintf(`document.querySelectorAll(".group:not(.general)").length === %d`, groups))
	b.until(phone("Bob"))
	if after := eval[string](b, all); after != before {
		b.t.Errorf("before\n%s\nafter\n%s", before, after)
	}
	b.shot("done")
}

func chatDark(b *tab) {
	background := `getComputedStyle(document.body).backgroundColor`
	light := eval[string](b, background)
	b.scheme("dark")
	b.until(background + ` !== ` + fmt.Sprintf("%q", light))
	b.accessible("dark")
	b.shot("system")
	b.press("", "Colours: auto")
	b.until(background + ` === ` + fmt.Sprintf("%q", light))
	b.press("", "Colours: light")
	b.scheme("light")
	b.until(background + ` !== ` + fmt.Sprintf("%q", light))
	b.press("", "Colours: dark")
	b.until(background + ` === ` + fmt.Sprintf("%q", light))
}

func chatNarrow(b *tab) {
	b.do("narrowing", chromedp.EmulateViewport(390, 844, chromedp.EmulateMobile))
	b.press(`document.getElementById("users")`, "Alice")
	b.press(`document.getElementById("users")`, "Alice")
	b.until(`document.querySelectorAll(".phone").length === 1`)
	for _, view := range []string{"Chat", "Timeline", "Switches"} {
		b.press(`document.querySelector(".views")`, view)
		if wide := eval[int](b, `document.documentElement.scrollWidth`); wide > 390 {
			b.t.Errorf("%s is %d pixels wide", view, wide)
		}
		if view == "Timeline" { // the other two are in it, out of sight or not
			b.accessible("phone width")
		}
		b.shot(view)
	}
	b.press(`document.querySelector(".views")`, "Chat")
	b.do("widening", chromedp.EmulateViewport(1440, 900))
}

// chatExport: the file holds what happened at both simulators and in the bridge.
func chatExport(b *tab) {
	b.run("listening", `URL.createObjectURL = ((f) => (blob) => { globalThis.exported = blob.text(); return f.call(URL, blob); })(URL.createObjectURL)`)
	b.press("", "Export")
	got := eval[string](b, `exported.then((s) => [...new Set(JSON.parse(s).events.map((e) => e.source + " " + e.kind))].sort().join(", "))`)
	for _, want := range []string{"botpress message", "botpress turn", "bridge decision", "wechat answer", "wechat call", "wechat push", "wechat request", "wechat seen"} {
		if !strings.Contains(got, want) {
			b.t.Errorf("no %s among %s", want, got)
		}
	}
}

func chatStartOver(b *tab) {
	b.press("", "Start over")
	b.until(`document.querySelectorAll(".row:not(.typing), .group:not(.general)").length === 0`)
	b.says("Alice", "again")
	b.sees("Alice", "echo: again")
}
