package bridge

import (
	"encoding/json"
	"strings"
	"testing"
)

// BenchmarkRender: what rendering adds to a reply's way.
func BenchmarkRender(b *testing.B) {
	choice := `{"type":"choice","text":"请选择一个:","options":["红","绿","蓝","黄","白"]}`
	for name, payload := range map[string]string{
		"short text":   `{"type":"text","text":"echo: hello, world"}`,
		"400 bytes":    encodedText(strings.Repeat("这是一句很长的中文。And in English. ", 8)),
		"128 KiB":      encodedText(strings.Repeat("这是一句很长的中文。And in English.\n", 2500)),
		"five options": choice,
	} {
		b.Run(name, func(b *testing.B) {
			s := contentSettings(ChoiceLinks)
			for b.Loop() {
				render(s, "msg_01", json.RawMessage(payload))
			}
		})
	}
}

func encodedText(text string) string {
	return string(encoded(map[string]any{"type": "text", "text": text}))
}
