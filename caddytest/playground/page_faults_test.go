package main

import (
	"strconv"
	"testing"
)

// chatNotice: where all three answers are lost, WeChat tells the user so.
func chatNotice(b *tab) {
	b.run("pushing", `fetch("control/wechat/push", {method: "POST", body: JSON.stringify({openid: "oAlice", text: "lost", lose_answers: 3})})`)
	b.sees("Alice", "该公众号提供的服务出现故障")
	b.until(`document.querySelector(".group .chip.bad")`)
	b.shot("done")
}

// chatOutage: what is sent while Botpress is down is answered once it is back.
func chatOutage(b *tab) {
	b.flip("Botpress", "down")
	b.says("Alice", "are you there")
	b.until(`[...document.querySelectorAll(".step[data-tone=bad].of-botpress")].some((s) => s.textContent.includes("connection cut"))`)
	b.shot("down")
	b.flip("Botpress", "up")
	b.sees("Alice", "echo: are you there")
	b.shot("up")
}

// count is how many elements of a kind hold a text.
func (b *tab) count(selector, text string) int {
	b.t.Helper()
	return eval[int](b, `[...document.querySelectorAll(`+strconv.Quote(selector)+`)].filter((x) => x.textContent.includes(`+strconv.Quote(text)+`)).length`)
}

// chatDuplicates: a push that comes twice is one message of the user, with one answer.
func chatDuplicates(b *tab) {
	b.flip("Duplicates", "one")
	b.says("Alice", "only once")
	b.sees("Alice", "echo: only once")
	b.flip("Duplicates", "none")
	b.until(`[...document.querySelectorAll(".group summary")].filter((x) => x.textContent.includes("only once") && x.querySelector(".chip.good")).length === 2`)
	if mine, theirs := b.count(".mine", "only once"), b.count(".theirs", "only once"); mine != 1 || theirs != 1 {
		b.t.Errorf("%d said, %d answers", mine, theirs)
	}
}

// chatEvents: what becomes of an event stays with it, also when the user has done more
// before it is known.
func chatEvents(b *tab) {
	b.flip("Botpress", "down")
	b.run("acting", `(async () => {
		const at = Math.floor(Date.now() / 1000);
		for (const push of [{event: "SCAN", key: "first"}, {event: "CLICK", key: "second"}, {event: "CLICK", key: "third"}, {text: "fourth"}]) {
			await fetch("control/wechat/push", {method: "POST", body: JSON.stringify({openid: "oAlice", create_time: at, ...push})});
			const there = () => [...document.querySelectorAll(".group .what")].some((x) => x.textContent.endsWith(push.key ?? push.text));
			while (!there()) await new Promise((again) => setTimeout(again, 10)); // or one might overtake the other
		}
	})()`)
	b.until(`[...document.querySelectorAll(".group .what")].some((x) => x.textContent === "fourth")`)
	b.until(`document.querySelectorAll(".step[data-tone=bad].of-botpress").length > 0`)
	b.flip("Botpress", "up")
	b.sees("Alice", "echo: fourth")
	steps := `[...document.querySelectorAll(".group:not(.general)")].slice(0, 4).map((g) => g.querySelector("summary .what").textContent + ": " +
		[...g.querySelectorAll(".step.of-bridge, .step.of-botpress")].map((s) => s.textContent).filter((s) => /has given it|the bot gets: /.test(s))
			.map((s) => s.includes("given") ? "given" : s.slice(s.indexOf("gets: "))).sort().join(", ")).join("; ")`
	b.until(steps + `.split("given").length === 5`)
	want := "fourth: gets: fourth, given; CLICK third: gets: third, given; CLICK second: gets: second, given; SCAN first: gets: event SCAN first, given"
	if got := eval[string](b, steps); got != want {
		b.t.Errorf("the timeline has\n%s\nnot\n%s", got, want)
	}
}

// chatFault: what WeChat would not take waits until the user writes again.
func chatFault(b *tab) {
	b.run("choosing a code", `document.querySelector('select[aria-label="error code"]').value = "45015"`)
	b.press(`document.querySelector('select[aria-label="error code"]').parentElement`, "once")
	b.until(`document.querySelector(".faults").textContent.includes("error 45015")`)
	b.says("Alice", "twice")
	b.sees("Alice", "1/2")
	b.until(`[...document.querySelectorAll(".step")].some((s) => s.textContent.includes("custom/send → error 45015 (injected)"))`)
	b.until(`document.querySelector(".faults").textContent === "nothing"`)
	b.shot("parked")
	b.says("Alice", "and now")
	b.sees("Alice", "2/2")
	b.sees("Alice", "echo: and now")
}

// chatLostAnswer: an answer that is lost is given again to the next attempt.
func chatLostAnswer(b *tab) {
	b.run("choosing", `document.querySelector('select[aria-label="where the network is lost"]').value = "answer"`)
	b.press(`document.querySelector('select[aria-label="where the network is lost"]').parentElement`, "once")
	b.says("Alice", "mind the gap")
	b.sees("Alice", "echo: mind the gap")
	b.until(`[...document.querySelector(".group:not(.general)").querySelectorAll(".bar-of")].map((x) => x.className).join() === "bar-of timeout,bar-of reply"`)
	if n := b.count(".theirs", "mind the gap"); n != 1 {
		b.t.Errorf("%d answers", n)
	}
}

// TestPageSlowBot: with an account that may not push, a bot that takes twelve seconds is
// waited for through all three attempts.
func TestPageSlowBot(t *testing.T) {
	t.Parallel()
	b := browse(t, pageOf(t))
	b.says("Alice", "hello") // from here on there is a token, and a conversation
	b.sees("Alice", "echo: hello")
	b.flip("Account", "unverified")
	b.flip("Bot thinks", "12 s")
	b.says("Alice", "take your time")
	b.until(`document.querySelectorAll(".group .bar-of.timeout").length === 2`)
	b.shot("waiting")
	b.sees("Alice", "echo: take your time")
	b.until(`document.querySelector(".group:not(.general)").querySelector(".chip.good")?.textContent.startsWith("passive reply")`)
	if got := eval[string](b, `[...document.querySelector(".group:not(.general)").querySelectorAll(".bar-of")].map((x) => x.className.replace("bar-of ", "") + x.textContent).join()`); got != "timeout1,timeout2,reply3" {
		t.Errorf("the attempts are %s", got)
	}
	b.shot("answered")
	b.clean()
}
