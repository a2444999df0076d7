package doctor

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

var holes = regexp.MustCompile(`\{\d\}`)

// TestWords: each fact is told in each language, with the same arguments, and what
// wants mending has a fix.
func TestWords(t *testing.T) {
	if len(facts) < 80 {
		t.Errorf("there are %d facts", len(facts))
	}
	for id, f := range facts {
		if f.level != OK && f.level != Note && f.level != Warn && f.level != Fail {
			t.Errorf("%s: level %q", id, f.level)
		}
		en, zh := f.words[English], f.words[Chinese]
		for _, l := range Languages {
			if titles[id.Check()][l] == "" || f.words[l].text == "" {
				t.Errorf("%s: no words in %s", id, l)
			}
		}
		switch {
		case (f.level == Warn || f.level == Fail) && (en.fix == "" || zh.fix == ""):
			t.Errorf("%s: nothing to be done about it", id)
		case (en.fix == "") != (zh.fix == ""):
			t.Errorf("%s: only one language has a fix", id)
		case !strings.ContainsFunc(zh.text+zh.fix, isHan):
			t.Errorf("%s: that is not Chinese: %s", id, zh.text)
		case strings.ContainsFunc(strings.NewReplacer("服务器配置", "", "消息加解密方式", "", "令牌", "", "素材管理", "").Replace(en.text+en.fix), isHan):
			t.Errorf("%s: that is not English: %s %s", id, en.text, en.fix)
		}
		if a, b := args(en), args(zh); !slices.Equal(a, b) {
			t.Errorf("%s: the languages take %v and %v", id, a, b)
		}
	}
	for check := range titles {
		if !slices.ContainsFunc(slices.Collect(ids()), func(id ID) bool { return id.Check() == check }) {
			t.Errorf("no fact is of the check %s", check)
		}
	}
}

func ids() func(func(ID) bool) {
	return func(yield func(ID) bool) {
		for id := range facts {
			if !yield(id) {
				return
			}
		}
	}
}

func isHan(r rune) bool { return unicode.Is(unicode.Han, r) }

func args(s saying) []string {
	all := holes.FindAllString(s.text+s.fix, -1)
	slices.Sort(all)
	return slices.Compact(all)
}

// TestFill: arguments come from outside, and are printed on a terminal.
func TestFill(t *testing.T) {
	f := Finding{ID: "token.address", Args: []any{"192.0.2.7\x1b[2J"}}
	if got := f.Text(English); got != "WeChat refuses the address 192.0.2.7[2J (error 40164)" {
		t.Error(got)
	}
	if got := f.Fix(Chinese); !strings.Contains(got, "192.0.2.7") || strings.Contains(got, "{0}") {
		t.Error(got)
	}
}
