package bridge

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestRender: what becomes of each payload, as "text" or "[picture address]".
func TestRender(t *testing.T) {
	t.Parallel()
	s := &Settings{Notices: Notices{Failed: "sorry"}}
	for _, tc := range []struct {
		name    string
		payload string
		want    []string
		unknown bool
	}{
		{"text", `{"type":"text","text":"hi"}`, []string{"hi"}, false},
		{"blank text", `{"type":"text","text":" \n"}`, nil, false},
		{"markdown", `{"type":"markdown","markdown":"*hi*"}`, []string{"*hi*"}, false},
		{"picture", `{"type":"image","imageUrl":"https://example.com/a.png","title":"A"}`, []string{"[https://example.com/a.png]"}, false},
		{"file", `{"type":"file","fileUrl":"https://example.com/a.pdf","title":"A"}`, []string{"A\nhttps://example.com/a.pdf"}, false},
		{"sound", `{"type":"audio","audioUrl":"https://example.com/a.mp3"}`, []string{"https://example.com/a.mp3"}, false},
		{"film", `{"type":"video","videoUrl":"https://example.com/a.mp4"}`, []string{"https://example.com/a.mp4"}, false},
		{"place", `{"type":"location","latitude":1.5,"longitude":-2,"title":"There"}`, []string{"There\n1.5,-2"}, false},
		{"choice", `{"type":"choice","text":"Which?","options":[{"label":"A","value":"a"},{"label":"B","value":"b"}]}`, []string{"Which?\n1. A\n2. B"}, false},
		{
			"card", `{"type":"card","title":"T","subtitle":"S","imageUrl":"https://example.com/a.png","actions":[{"action":"url","label":"Go","value":"https://example.com"},{"action":"say","label":"Yes","value":"y"}]}`,
			[]string{"[https://example.com/a.png]", "T\nS\n1. Go https://example.com\n2. Yes"},
			false,
		},
		{"carousel without types", `{"type":"carousel","items":[{"title":"A","actions":[]},{"title":"B","actions":[]}]}`, []string{"A", "B"}, false},
		{"bloc", `{"type":"bloc","items":[{"type":"text","text":"a"},{"type":"image","imageUrl":"https://example.com/b.png"},{"type":"text","text":"c"}]}`, []string{"a", "[https://example.com/b.png]", "c"}, false},
		{"of the future, with text", `{"type":"hologram","text":"see","depth":3}`, []string{"see"}, false},
		{"of the future", `{"type":"hologram","depth":3}`, []string{"sorry"}, true},
		{"not JSON", `{"type":`, []string{"sorry"}, true},
		{"no object", `[]`, []string{"sorry"}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			parts, known := render(s, []byte(tc.payload))
			var got []string
			for _, p := range parts {
				if p.kind == partImage {
					got = append(got, "["+p.url+"]")
				} else {
					got = append(got, p.text)
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" || known == tc.unknown {
				t.Errorf("known %v (-want +got):\n%s", known, diff)
			}
		})
	}
}

// TestFallBack: a picture that WeChat does not take becomes a link.
func TestFallBack(t *testing.T) {
	t.Parallel()
	picture := part{kind: partImage, url: "https://example.com/a.png", title: "A"}
	if !picture.fallBack() || picture.kind != partText || picture.text != "A\nhttps://example.com/a.png" {
		t.Errorf("fell back to %+v", picture)
	}
	if picture.fallBack() {
		t.Error("a text fell back")
	}
	if nowhere := (part{kind: partImage}); nowhere.fallBack() {
		t.Error("a picture without an address fell back")
	}
}
