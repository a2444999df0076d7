package caddytest

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-wechat/caddy-wechat/caddytest/simulator"
)

// TestContent: each kind of message a bot sends, as the user sees it, in safe mode.
func TestContent(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{mode: simulator.ModeSafe})
	for i, tc := range []struct {
		says string
		want []string // types
		text string   // somewhere in it
	}{
		{"hello", []string{"text"}, "echo: hello"},
		{"long", []string{"text", "text", "text"}, "👩‍👩‍👧"},
		{"markdown", []string{"text", "image"}, `<a href="https://example.com/a?b=1&c=2">link</a>`},
		{"image", []string{"image"}, ""},
		{"audio", []string{"voice"}, ""},
		{"video", []string{"video"}, "A film"},
		{"file", []string{"text"}, ">文件.pdf</a>"},
		{"location", []string{"text"}, "marker=coord:39.9087,116.3975;title:%E5%A4%A9%E5%AE%89%E9%97%A8"},
		{"choice", []string{"text"}, `">2. Green 绿</a>`},
		{"dropdown", []string{"text"}, `">7. Sunday</a>`},
		{"card", []string{"news", "text"}, `">2. Choose</a>`},
		{"carousel", []string{"news", "news", "news", "text"}, `">6. Choose</a>`},
		{"bloc", []string{"text", "image", "text"}, "last"},
		{"unknown", []string{"text"}, "picture.png"},
	} {
		t.Run(tc.says, func(t *testing.T) {
			t.Parallel()
			user := fmt.Sprintf("oUser%d", i)
			go w.wechat.Push(within(t, 60*time.Second), w.wechat.Text(user, tc.says))
			seen, err := w.wechat.Wait(within(t, 60*time.Second), user, len(tc.want))
			var types []string
			for _, s := range seen {
				types = append(types, s.Type)
			}
			if diff := cmp.Diff(tc.want, types); diff != "" || err != nil {
				t.Fatalf("types (-want +got, %v):\n%s", err, diff)
			}
			if all := strings.Join(texts(seen), "\n"); !strings.Contains(all, tc.text) {
				t.Errorf("the user read %q, want %q in it", all, tc.text)
			} else if strings.Contains(all, "**") || strings.Contains(all, "`") || strings.Contains(all, "|--") {
				t.Errorf("the user read markup: %q", all)
			}
		})
	}
}

var menuLink = regexp.MustCompile(`msgmenuid=(\d+)">2\.`)

// TestChoice: an option that is tapped, numbered or named comes to the bot as its
// value, and what was tapped before still does after a restart.
func TestChoice(t *testing.T) {
	t.Parallel()
	for _, style := range []string{"links", "numbers", "menu"} {
		t.Run(style, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, setup{mode: simulator.ModeSafe, options: bulk + "\nchoices " + style})
			const alice = "oAlice"
			ask := func(n int) string {
				t.Helper()
				w.push(w.wechat.Text(alice, "choice"))
				seen, err := w.wechat.Wait(within(t, 30*time.Second), alice, n)
				if err != nil {
					t.Fatal(err)
				}
				last := seen[n-1]
				if id := menuLink.FindStringSubmatch(last.Text); id != nil {
					return id[1]
				}
				if last.Type == "msgmenu" {
					return last.Object()["list"].([]any)[1].(map[string]any)["id"].(string)
				}
				return ""
			}
			heard := func(n int, label string) {
				t.Helper()
				seen, err := w.wechat.Wait(within(t, 30*time.Second), alice, n)
				if err != nil || seen[n-1].Text != "echo: option_2" {
					t.Fatalf("the user read %q (%v)", texts(seen), err)
				}
				turns := w.botpress.Turns(conversation(alice))
				if got := turns[len(turns)-1].Metadata["label"]; got != label {
					t.Errorf("with the value came %v, want the label %q", got, label)
				}
			}
			const green = "Green 绿"
			ask(1)
			w.push(w.wechat.Text(alice, "２."))
			heard(2, green)
			ask(3)
			w.push(w.wechat.Text(alice, "green绿"))
			heard(4, green)
			id := ask(5)
			if style == "numbers" {
				if id != "" {
					t.Error("there is something to tap")
				}
				return
			}
			w.push(w.wechat.MenuTap(alice, id, green))
			heard(6, green)
			w.restart()
			w.push(w.wechat.MenuTap(alice, id, green))
			heard(7, green)
			w.push(w.wechat.MenuTap("oBob", id, green)) // it was not offered to him
			w.expect("oBob", "echo: "+green)
		})
	}
}

// TestLargePicture: a WebP of 12 MiB arrives as a picture that WeChat takes, and one
// that lies inside the network as a link.
func TestLargePicture(t *testing.T) {
	t.Parallel()
	side, least := 1790, 12<<20
	if raced { // everything takes ten times as long, and converting has eight seconds
		side, least = 900, 3<<20
	}
	picture := webP(side, side)
	if len(picture) < least {
		t.Fatalf("the picture has only %d bytes", len(picture))
	}
	files := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { _, _ = rw.Write(picture) }))
	defer files.Close()
	w := newWorld(t, setup{mode: simulator.ModeSafe, options: bulk})
	w.push(w.wechat.Text("oAlice", "hello"))
	w.expect("oAlice", "echo: hello")
	image := func(url string) map[string]any {
		return map[string]any{"type": "image", "imageUrl": url, "title": "Large"}
	}
	w.botpress.Say(conversation("oAlice"), image(files.URL+"/large.webp"))
	w.botpress.Say(conversation("oAlice"), image("http://10.0.0.1/secret.png?k=s3cret"))
	seen, err := w.wechat.Wait(within(t, 60*time.Second), "oAlice", 3)
	if err != nil {
		t.Fatal(err)
	}
	if m := seen[1].Media; seen[1].Type != "image" || m == nil || m.Size > 2_000_000 || m.ContentType != "image/jpeg" {
		t.Errorf("the user saw %+v", seen[1])
	}
	if want := `<a href="http://10.0.0.1/secret.png?k=s3cret">Large</a>`; seen[2].Text != want {
		t.Errorf("the user read %q, want %q", seen[2].Text, want)
	}
	if n := len(w.caddy.log.await(1, "inside the network", "refused_so_far")); n != 1 {
		t.Errorf("%d lines say why", n)
	}
	if strings.Contains(w.caddy.log.String(), "s3cret") {
		t.Error("the log holds the address")
	}
}

// webP is noise as lossless WebP: each channel of each pixel in a Huffman code of 8
// bits, which is the value itself. (WebP lossless bitstream specification.)
func webP(width, height int) []byte {
	var out []byte
	var have uint64
	n := 0
	put := func(v uint64, width int) {
		have |= v << n
		for n += width; n >= 8; n -= 8 {
			out = append(out, byte(have))
			have >>= 8
		}
	}
	put(0x2f, 8)
	put(uint64(width-1), 14)
	put(uint64(height-1), 14)
	put(0, 7) // no alpha, version 0; no transform, no colour cache, one group of codes
	for _, lengthCodes := range []int{24, 0, 0, 0} {
		put(0, 1) // a normal code,
		put(8, 4) // its lengths coded by 12 lengths:
		put(0, 6)
		put(1, 3) // "0"
		put(0, 24)
		put(1, 3) // and "8",
		put(0, 1)
		for range 256 {
			put(1, 1)
		}
		put(0, lengthCodes)
	}
	put(1, 4) // one distance, 0
	random := rand.New(rand.NewPCG(1, 2))
	for range width * height {
		v := random.Uint64()
		for i := range 4 {
			put(uint64(bits.Reverse8(byte(v>>(8*i)))), 8)
		}
	}
	put(0, 7)
	out = append(out, make([]byte, len(out)%2)...)
	head := binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(len(out)+12))
	head = binary.LittleEndian.AppendUint32(append(head, "WEBPVP8L"...), uint32(len(out)))
	return append(head, out...)
}
