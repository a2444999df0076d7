package bridge

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-wechat/caddy-wechat/caddytest/simulator"
)

// TestRefusedContent: what follows when WeChat does not take something.
func TestRefusedContent(t *testing.T) { // not in parallel: bubbles must not wait for each other to convert pictures
	f := newFiles(t)
	const sendPath = "/cgi-bin/message/custom/send"
	picture := map[string]any{"type": "image", "imageUrl": f.URL + "/a.webp", "title": "T"}
	video := map[string]any{"type": "video", "videoUrl": f.URL + "/a.mp4", "title": "T"}
	card := map[string]any{"type": "card", "title": "T", "subtitle": "S", "imageUrl": f.URL + "/a.webp", "actions": []any{}}
	linkTo := func(path string) string { return `text <a href="` + f.URL + path + `">T</a>` }
	for _, tc := range []struct {
		name    string
		payload map[string]any
		style   ChoiceStyle
		faults  []simulator.WeChatFault
		want    string
	}{
		{name: "busy", payload: picture, faults: []simulator.WeChatFault{{Path: uploadPath, Times: 2, Code: -1}}, want: "image "},
		{name: "too many calls", payload: picture, faults: []simulator.WeChatFault{{Path: uploadPath, Times: 1, Code: 45011}}, want: "image "},
		{name: "address not on the allow list", payload: picture, faults: []simulator.WeChatFault{{Path: uploadPath, Times: 2, Code: 40164}}, want: "image "},
		{name: "media id unknown", payload: picture, faults: []simulator.WeChatFault{{Path: sendPath, Times: 1, Code: 40007}}, want: "image "},
		{name: "media id unknown again", payload: picture, faults: []simulator.WeChatFault{{Path: sendPath, Times: 2, Code: 40007}}, want: linkTo("/a.webp")},
		{name: "media of a wrong type", payload: picture, faults: []simulator.WeChatFault{{Path: uploadPath, Times: 1, Code: 40005}}, want: linkTo("/a.webp")},
		{name: "uploads not allowed", payload: picture, faults: []simulator.WeChatFault{{Path: uploadPath, Times: 9, Code: 48001}}, want: "news T"},
		{name: "uploads of voice not allowed", payload: map[string]any{"type": "audio", "audioUrl": f.URL + "/a.mp3", "title": "T"}, faults: []simulator.WeChatFault{{Path: uploadPath, Times: 9, Code: 48001}}, want: linkTo("/a.mp3")},
		{name: "no thumbnail", payload: video, faults: []simulator.WeChatFault{{Path: uploadPath, Skip: 1, Times: 9, Code: 40006}}, want: linkTo("/a.mp4")},
		{name: "title too long", payload: card, faults: []simulator.WeChatFault{{Path: sendPath, Times: 1, Code: 45003}}, want: linkTo("/a.webp") + "|S"},
		{name: "cards not allowed", payload: card, faults: []simulator.WeChatFault{{Path: sendPath, Times: 1, Code: 48008}}, want: linkTo("/a.webp") + "|S"},
		{name: "menu of nothing", style: ChoiceMenu, payload: map[string]any{"type": "choice", "text": "?", "options": []any{}}, want: "text ?"},
		{name: "menu of a kind of account that has none", style: ChoiceMenu, payload: colours, faults: []simulator.WeChatFault{{Path: sendPath, Times: 1, Code: 40200}}, want: "text Which?|" + colourLinks},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := tempDir(t)
			synctest.Test(t, func(t *testing.T) {
				sc := mediaScene(t, dir, "", func(s *Settings) { s.Reply, s.Choices, s.Typing = ReplyPush, tc.style, false })
				defer sc.close()
				for _, fault := range tc.faults {
					sc.wechat.Fail(fault)
				}
				sc.bot.script = map[string][]bubble{"hi": {{after: s, payload: tc.payload}, {after: s, text: "end"}}}
				sc.play(hi)
				time.Sleep(5 * time.Minute)
				seen := sc.wechat.Seen(sceneUser)
				if len(seen) != 2 || seen[1].Text != "end" {
					t.Fatalf("the user saw %+v", seen)
				}
				if got := seen[0].Type + " " + strings.ReplaceAll(seen[0].Text, "\n", "|"); got != tc.want {
					t.Errorf("the user saw\n%s, want\n%s", got, tc.want)
				}
			})
		})
	}
}

var colourLinks = tappable(menuID(choiceRef("m00001"), 1), "Red", "1. Red") + "|" + tappable(menuID(choiceRef("m00001"), 2), "Blue", "2. Blue")

// TestLabelled: what a machine has written says so, media and cards by WeChat's own
// mark only.
func TestLabelled(t *testing.T) { // not in parallel: bubbles must not wait for each other to convert pictures
	f := newFiles(t)
	for _, mode := range []ReplyMode{ReplyAuto, ReplyPush} {
		for name, payload := range map[string]map[string]any{
			"choice": colours,
			"file":   {"type": "file", "fileUrl": f.URL + "/a.txt", "title": "T"},
			"image":  {"type": "image", "imageUrl": f.URL + "/a.webp", "title": "T"},
			"card":   {"type": "card", "title": "C", "imageUrl": f.URL + "/a.webp", "actions": []any{}},
		} {
			t.Run(string(mode)+" "+name, func(t *testing.T) {
				dir := tempDir(t)
				synctest.Test(t, func(t *testing.T) {
					sc := mediaScene(t, dir, "", func(s *Settings) { s.Reply, s.AILabel = mode, true })
					defer sc.close()
					sc.bot.script = map[string][]bubble{"hi": {{after: s, payload: payload}}}
					sc.play(hi)
					time.Sleep(10 * s)
					seen := sc.wechat.Seen(sceneUser)
					if len(seen) != 1 {
						t.Fatalf("the user saw %+v", seen)
					}
					pushed, text := mode == ReplyPush, seen[0].Type == "text"
					if seen[0].AI != pushed || strings.HasSuffix(seen[0].Text, "\n"+aiLabel) != (!pushed && text) {
						t.Errorf("the user saw %+v", seen[0])
					}
				})
			})
		}
	}
}
