package wechat

import (
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// TestParsePushMemory: what a document takes to read is bounded by its length,
// whatever it holds.
func TestParsePushMemory(t *testing.T) {
	const size = 1 << 20
	fill := func(head, piece, tail string) string {
		return head + strings.Repeat(piece, (size-len(head)-len(tail))/len(piece)) + tail
	}
	const from = "<xml><FromUserName>o</FromUserName><MsgType>text</MsgType><Content>"
	attributes := "<xml"
	for i := 0; len(attributes) < size; i++ {
		attributes += " a" + strconv.Itoa(i) + `=""` + strings.Repeat(" ", 100)
	}
	for name, doc := range map[string]string{
		"text":                 fill(from, "a", "</Content></xml>"),
		"entities":             fill(from, "&lt;", "</Content></xml>"),
		"numbers":              fill(from, "&#x4e2d;", "</Content></xml>"),
		"control characters":   fill(from, "\x01\x02", "</Content></xml>"),
		"invalid UTF-8":        fill(from, "\xff\xfe", "</Content></xml>"),
		"CDATA":                fill(from, "<![CDATA[a]]>", "</Content></xml>"),
		"comments":             fill(from, "<!---->", "</Content></xml>"),
		"instructions":         fill(from, "<?a?>", "</Content></xml>"),
		"elements":             fill("<xml>", "<a/>", "</xml>"),
		"nested":               fill("<xml>", "<a>", ""),
		"namespaces":           fill("<xml>", `<a xmlns:b="c"/>`, "</xml>"),
		"nested namespaces":    fill("<xml>", `<a xmlns="`+strings.Repeat("b", 1000)+`">`, ""),
		"attributes":           attributes + "/>",
		"a long name":          fill("<xml><", "a", "/></xml>"),
		"a long namespace":     fill(`<xml xmlns="`, "a", `"/>`),
		"nothing but brackets": fill("", "<", ""),
		"a DOCTYPE":            fill("<!DOCTYPE a [", `<!ENTITY b "c">`, "]><xml/>"),
	} {
		t.Run(name, func(t *testing.T) {
			body := []byte(doc)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := ParsePush(body)
			runtime.ReadMemStats(&after)
			took := after.TotalAlloc - before.TotalAlloc
			t.Logf("%d KiB for %d KiB: %v", took>>10, len(body)>>10, err)
			if took > 8*size {
				t.Errorf("took %d bytes for %d", took, len(body))
			}
		})
	}
}
