package botpress

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var payloads = map[string]struct {
	raw  string
	want Payload
}{
	"text":     {`{"type":"text","text":"Hello"}`, Payload{Type: "text", Text: "Hello"}},
	"markdown": {`{"type":"markdown","markdown":"**x**"}`, Payload{Type: "markdown", Markdown: "**x**"}},
	"image":    {`{"type":"image","imageUrl":"https://i","title":"t"}`, Payload{Type: "image", ImageURL: "https://i", Title: "t"}},
	"audio":    {`{"type":"audio","audioUrl":"https://a"}`, Payload{Type: "audio", AudioURL: "https://a"}},
	"video":    {`{"type":"video","videoUrl":"https://v"}`, Payload{Type: "video", VideoURL: "https://v"}},
	"file":     {`{"type":"file","fileUrl":"https://f","title":"f.pdf"}`, Payload{Type: "file", FileURL: "https://f", Title: "f.pdf"}},
	"location": {
		`{"type":"location","latitude":0,"longitude":-180,"address":"","title":"Sea"}`,
		Payload{Type: "location", Longitude: -180, HasPosition: true, Title: "Sea"},
	},
	"location in text":    {`{"type":"location","latitude":" 31.2","longitude":"121.5"}`, Payload{Type: "location", Latitude: 31.2, Longitude: 121.5, HasPosition: true}},
	"location, half":      {`{"type":"location","latitude":31.2}`, Payload{Type: "location", Latitude: 31.2}},
	"location, off earth": {`{"type":"location","latitude":91,"longitude":"NaN"}`, Payload{Type: "location"}},
	"card": {
		`{"type":"card","title":"T","subtitle":"S","imageUrl":"https://i","actions":[{"action":"url","label":"Open","value":"https://u"},{"action":"say","label":"Yes","value":"y"},{"action":"postback","label":"P","value":"p"}]}`,
		Payload{Type: "card", Title: "T", Subtitle: "S", ImageURL: "https://i", Actions: []Action{{"url", "Open", "https://u"}, {"say", "Yes", "y"}, {"postback", "P", "p"}}},
	},
	"carousel, items without type": {
		`{"type":"carousel","items":[{"title":"A","actions":[]},{"type":"card","title":"B"}]}`,
		Payload{Type: "carousel", Items: []Payload{{Type: "card", Title: "A"}, {Type: "card", Title: "B"}}},
	},
	"choice": {
		`{"type":"choice","text":"?","options":[{"label":"A","value":"a"},{"label":"B","value":"b"}]}`,
		Payload{Type: "choice", Text: "?", Options: []Option{{"A", "a"}, {"B", "b"}}},
	},
	"dropdown, sloppy options": {
		`{"type":"dropdown","text":"?","options":[{"label":1,"value":true},{"label":"B"},{"value":"c"},"D",{},null,7]}`,
		Payload{Type: "dropdown", Text: "?", Options: []Option{{"1", "true"}, {"B", "B"}, {"c", "c"}, {"D", "D"}}},
	},
	"bloc": {
		`{"type":"bloc","items":[{"type":"text","text":"x"},{"type":"image","payload":{"imageUrl":"https://i"}},{"type":"sticker","id":1}]}`,
		Payload{Type: "bloc", Items: []Payload{{Type: "text", Text: "x"}, {Type: "image", ImageURL: "https://i"}, {Type: "sticker"}}},
	},
	"unknown":     {`{"type":"poll","question":"?","text":"t"}`, Payload{Type: "poll", Text: "t"}},
	"no type":     {`{"text":"t"}`, Payload{Text: "t"}},
	"odd members": {`{"type":["text"],"text":{"a":1},"title":null,"items":{"a":1},"options":"x","actions":7}`, Payload{}},
	"nested blocs": {
		strings.Repeat(`{"type":"bloc","items":[`, 6) + strings.Repeat(`]}`, 6),
		Payload{Type: "bloc", Items: []Payload{{Type: "bloc", Items: []Payload{{Type: "bloc", Items: []Payload{{Type: "bloc", Items: []Payload{{Type: "bloc"}}}}}}}}},
	},
}

func TestParsePayload(t *testing.T) {
	for name, tc := range payloads {
		t.Run(name, func(t *testing.T) {
			got, err := ParsePayload([]byte(tc.raw))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got, cmpopts.IgnoreUnexported(Payload{})); diff != "" {
				t.Errorf("payload (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParsePayloadRefuses(t *testing.T) {
	for _, raw := range []string{"", "null", `"hunter2"`, `["hunter2"]`, `{"text":"hunter2`, `{} x`, `{}{}`, `{}}`, `{"a":` + nested(maxDepth) + `}`} {
		p, err := ParsePayload([]byte(raw))
		if err == nil {
			t.Errorf("%.30q: got %+v", raw, p)
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("error quotes the payload: %v", err)
		}
	}
}

func TestKnown(t *testing.T) {
	for typ := range strings.FieldsSeq("text markdown image audio video file location card carousel choice dropdown bloc") {
		if !(Payload{Type: typ}).Known() {
			t.Errorf("%s is not known", typ)
		}
	}
	for _, typ := range []string{"", "Text", "voice", "poll"} {
		if (Payload{Type: typ}).Known() {
			t.Errorf("%q is known", typ)
		}
	}
}

func TestTexts(t *testing.T) {
	many := make([]string, 200)
	for i := range many {
		many[i] = fmt.Sprintf(`{"text":"t%d"}`, i)
	}
	for name, tc := range map[string]struct {
		raw  string
		want []string
	}{
		"reading order": {
			`{"type":"rich","url":"https://u","caption":"C","text":"T","title":"A","markdown":"M","subtitle":"S","stickerUrl":"http://s","footer":"F"}`,
			[]string{"A", "S", "T", "M", "C", "F", "http://s", "https://u"},
		},
		"inside": {
			`{"type":"poll","title":"Q","options":[{"label":"A","value":"a"},{"label":"B"}],"extra":{"body":"x"}}`,
			[]string{"Q", "x", "A", "B"},
		},
		"buttons' addresses": {
			`{"type":"buttons","buttons":[{"label":"Open","value":"https://v"},{"label":"Say","value":"yes"}]}`,
			[]string{"Open", "https://v", "Say"},
		},
		"each once, trimmed":   {`{"title":" A ","text":"A","items":[{"text":"A"}]}`, []string{"A"}},
		"metadata is not read": {`{"text":"A","metadata":{"text":"B"}}`, []string{"A"}},
		"not a web address":    {`{"url":"javascript:alert(1)","fileUrl":"/local","imageId":"https://not-a-link-by-name"}`, nil},
		"nothing":              {`{"type":"typing","value":true,"text":"  "}`, nil},
		"too deep":             {`{"a":{"a":{"a":{"a":{"a":{"a":{"a":{"text":"x"}}}}}}}}`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := ParsePayload([]byte(tc.raw))
			if err != nil {
				t.Fatal(err)
			}
			for range 3 { // maps come in any order
				if diff := cmp.Diff(tc.want, p.Texts()); diff != "" {
					t.Fatalf("texts (-want +got):\n%s", diff)
				}
			}
		})
	}
	p, err := ParsePayload([]byte(`{"items":[` + strings.Join(many, ",") + `]}`))
	if err != nil || len(p.Texts()) != maxTexts {
		t.Errorf("%d texts, %v", len(p.Texts()), err)
	}
	if got := (Payload{}).Texts(); got != nil {
		t.Errorf("texts of nothing: %q", got)
	}
	p, _ = ParsePayload([]byte(`{"type":"bloc","items":[{"type":"poll","text":"inner"}]}`))
	if diff := cmp.Diff([]string{"inner"}, p.Items[0].Texts()); diff != "" {
		t.Errorf("an item's texts (-want +got):\n%s", diff)
	}
}

func TestOutgoing(t *testing.T) {
	for want, o := range map[string]Outgoing{
		`{"text":"x","type":"text"}`:                                                  TextPayload("x"),
		`{"imageUrl":"u","type":"image"}`:                                             ImagePayload("u"),
		`{"audioUrl":"u","type":"audio"}`:                                             AudioPayload("u"),
		`{"type":"video","videoUrl":"u"}`:                                             VideoPayload("u"),
		`{"fileUrl":"u","title":"t","type":"file"}`:                                   FilePayload("u", "t"),
		`{"fileUrl":"u","type":"file"}`:                                               FilePayload("u", ""),
		`{"latitude":0,"longitude":0,"type":"location"}`:                              LocationPayload(0, 0, "", ""),
		`{"address":"a","latitude":1.5,"longitude":-2,"title":"t","type":"location"}`: LocationPayload(1.5, -2, "a", "t"),
	} {
		got, err := json.Marshal(o)
		if err != nil || string(got) != want {
			t.Errorf("got %s, want %s (%v)", got, want, err)
		}
		if p, err := ParsePayload(got); err != nil || !p.Known() {
			t.Errorf("%s comes back as %+v, %v", got, p, err)
		}
	}
}

func FuzzParsePayload(f *testing.F) {
	for _, p := range payloads {
		f.Add([]byte(p.raw))
	}
	f.Add([]byte(`{"type":"carousel","items":["x",{"items":[{"items":[]}]}]}`))
	f.Add([]byte(`{"latitude":1e999,"longitude":-1e-999}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		p, err := ParsePayload(raw)
		if err != nil {
			return
		}
		if !json.Valid(raw) {
			t.Errorf("took what is not JSON: %q", raw)
		}
		if p.HasPosition && !(p.Latitude >= -90 && p.Latitude <= 90 && p.Longitude >= -180 && p.Longitude <= 180) {
			t.Errorf("off earth: %v, %v", p.Latitude, p.Longitude)
		}
		for _, o := range p.Options {
			if o.Label == "" || o.Value == "" {
				t.Errorf("half an option: %+v", o)
			}
		}
		if texts := p.Texts(); len(texts) > maxTexts {
			t.Errorf("%d texts", len(texts))
		}
	})
}
