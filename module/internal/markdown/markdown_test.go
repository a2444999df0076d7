package markdown

import (
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRenderEdges(t *testing.T) {
	for _, tc := range []struct {
		name, src string
		want      []Piece
	}{
		{"empty", "", nil},
		{"white space only", " \n\t\n　\n", nil},
		{"comment only", "<!-- x -->", nil},
		{"plain", "你好", texts("你好")},
		{"plain keeps its edges", "\n\n  a  \n\n", texts("\n\n  a  \n\n")},
		{"markup keeps its edges", "\n \n  **a**\n b \n\n", texts("\n \n  a\n b \n\n")},
		{"a sign alone", "-", texts("-")},
		{"a number alone", "1. ", texts("1. ")},
		{"hashes alone", "##", texts("##")},
		{"quote alone", ">", texts(">")},
		{"fence alone", "```", texts("```")},
		{"empty link alone", "[]()", texts("[]()")},
		{"CR LF", "a\r\n**b**\r\n\r\nc\r\n", texts("a\nb\n\nc\n")},
		{"CR", "a\rb\r\rc", texts("a\nb\n\nc")},
		{"control characters", "a\x00b\x07c\x1b[0m\td\x7f **e**", texts("abc[0m\td e")},
		{"invalid UTF-8", "a\xff\xfe **b** \xe4\xbd", texts("a\uFFFD b \uFFFD")},
		{"references to control characters", "a&#7;b&#x0;c&#xD800;d", texts("ab\uFFFDc\uFFFDd")},
		{"referenced line feed", "- a&#10;b", texts("• a\n  b")},
		{"picture at the edges", "\n![a](https://e.cn/a)\n", []Piece{{ImageURL: "https://e.cn/a", Title: "a"}}},
		{"picture in the head of a table without rows", "| ![a](https://e.cn/a) | b | c |\n|---|---|---|", append([]Piece{{ImageURL: "https://e.cn/a", Title: "a"}}, texts("b | c")...)},
		{"picture of another scheme", "![a](ftp://e.cn/a)", texts("a (ftp://e.cn/a)")},
		{"picture's URL is escaped", `![](<https://e.cn/a b">)`, []Piece{{ImageURL: "https://e.cn/a%20b%22"}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, Render(tc.src)); diff != "" {
				t.Errorf("Render(%q): -want +got\n%s", tc.src, diff)
			}
		})
	}
}

// TestKept: what stands in an odd place is shown.
func TestKept(t *testing.T) {
	for _, tc := range []struct{ name, src, want string }{
		{"code behind its fence", "运行：\n```npm install foo\n```\n即可", "运行：\nnpm install foo\n即可"},
		{"tags behind a fence", "```html <b>hi</b>", "html <b>hi</b>"},
		{"language of nothing", "甲\n```go\n```\n乙", "甲\n乙"},
		{"head of a table without rows", "结果：\n\n| 甲 | 乙 | 丙 |\n|---|---|---|\n以上。", "结果：\n\n甲 | 乙 | 丙\n\n以上。"},
		{"head of a table of empty rows", "| 甲 | 乙 | 丙 |\n|---|---|---|\n| | | |", "甲 | 乙 | 丙"},
		{"bars in a list below a table", "| 命令 | 说明 |\n|---|---|\n| ls | 列表 |\n- 统计：`ls | wc -l`", "命令：说明\nls：列表\n• 统计：ls | wc -l"},
		{"bars in a heading below a table", "| a | b |\n|---|---|\n| 1 | 2 |\n# `x | y`", "a: b\n1: 2\n\n【x | y】"},
		{"bars in a quote below a table", "| a | b |\n|---|---|\n| 1 | 2 |\n> `x | y | z`", "a: b\n1: 2\n│ x | y | z"},
		{"bars below a rule below a table", "| a | b |\n|---|---|\n| 1 | 2 |\n---\n`x | y | z`", "a: b\n1: 2\n——————\nx | y | z"},
		{"bars in code in a list", "1. ```md\n   | a | b |\n   |---|---|\n   | x | y | z |\n   ```", "1. | a | b |\n   |---|---|\n   | x | y | z |"},
		{"table in a list", "- | a | b |\n  |---|---|\n  | 1 | `p|q` |", "• a: b\n  1: p|q"},
		{"address before a word", "<https://e.cn/x>abc", `<a href="https://e.cn/x">https://e.cn/x</a>abc`},
		{"address before a number", "[https://e.cn/x](https://e.cn/x)2024", `<a href="https://e.cn/x">https://e.cn/x</a>2024`},
		{"address in bold before a path", "**<https://e.cn/x>**/abc", `<a href="https://e.cn/x">https://e.cn/x</a>/abc`},
		{"address before another", "[https://e.cn/a](https://e.cn/a)/<https://e.cn/b>", `<a href="https://e.cn/a">https://e.cn/a</a>/https://e.cn/b`},
		{"address before a blank", "<https://e.cn/x> abc，<https://e.cn/y>。\n<https://e.cn/z>\nabc", "https://e.cn/x abc，https://e.cn/y。\nhttps://e.cn/z\nabc"},
		{"address beyond ASCII", "见<https://e.cn/微信>。", `见<a href="https://e.cn/微信">https://e.cn/微信</a>。`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if diff := cmp.Diff(texts(tc.want), Render(tc.src)); diff != "" {
				t.Errorf("Render(%q): -want +got\n%s", tc.src, diff)
			}
		})
	}
}

func texts(s string) []Piece { return []Piece{{Text: s}} }

func TestRenderTooLong(t *testing.T) {
	src := "**a** " + strings.Repeat("x", maxSource)
	if diff := cmp.Diff(texts(src), Render(src)); diff != "" {
		t.Error("a text beyond the limit was read as Markdown")
	}
	src = src[:maxSource]
	if got := Render(src); len(got) != 1 || !strings.HasPrefix(got[0].Text, "a x") {
		t.Error("a text of the limit was not read as Markdown")
	}
}

func TestFlanks(t *testing.T) {
	for _, tc := range []struct {
		name, src, want string
	}{
		{"colon inside", "**你好：**世界", "你好：世界"},
		{"quotes inside", "这是**“引用”**的", "这是“引用”的"},
		{"colon outside", "**第一步**：做", "第一步：做"},
		{"brackets", "点**【确认】**吧", "点【确认】吧"},
		{"ASCII colon", "**Note:**文字**a:**b", "Note:文字a:b"},
		{"two in a row", "**甲：**乙，**丙：**丁", "甲：乙，丙：丁"},
		{"italics", "*注意：*斜体", "注意：斜体"},
		{"both", "***都要：***强", "都要：强"},
		{"struck", "~~原价：9~~现价", "原价：9现价"},
		{"Japanese", "これは**「大事」**です", "これは「大事」です"},
		{"names that begin with a dot", "编辑**.env**文件，支持**.NET**、**.gitignore**等，**C#**和**.NET**", "编辑.env文件，支持.NET、.gitignore等，C#和.NET"},
		{"commands that begin with a sign", "输入**:wq**退出，加**!important**即可", "输入:wq退出，加!important即可"},
		{"a word right behind a colon", "**注意**:abc **重点**", "注意:abc 重点"},
		{"unclosed", "**没有结束：内容", "**没有结束：内容"},
		{"unopened", "没有开始：**内容", "没有开始：**内容"},
		{"blanks inside", "** 重点 ** 内容", "** 重点 ** 内容"},
		{"masked number", "电话138****1234和139****5678", "电话138****1234和139****5678"},
		{"gaps to fill in", "****甲****，____乙____", "****甲****，____乙____"},
		{"masked names", "张**，李**。", "张**，李**。"},
		{"masked by three", "6222***888和6222***999", "6222***888和6222***999"},
		{"product", "3*4*5", "3*4*5"},
		{"brackets multiplied", "(a+b)*(c+d)*(e+f)", "(a+b)*(c+d)*(e+f)"},
		{"powers", "x**2 + y**2", "x**2 + y**2"},
		{"powers of numbers", "2**10和2**8", "2**10和2**8"},
		{"range", "10~20元，5~6个", "10~20元，5~6个"},
		{"faces", "^_^ a ^_^ (*^_^*) b (*^_^*)", "^_^ a ^_^ (*^_^*) b (*^_^*)"},
		{"within a word", "un**frigging**believable", "unfriggingbelievable"},
		{"underscores within words", "a_b_c 变量_甲_乙", "a_b_c 变量_甲_乙"},
		{"product in bold", "**a*b*c** *x**2*", "a*b*c x**2"},
		{"three", "abc***def***ghi ***a** b*", "abcdefghi a b"},
		{"underscores", "_a_ __b__, (_c_)", "a b, (c)"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if diff := cmp.Diff(texts(tc.want), Render(tc.src)); diff != "" {
				t.Errorf("Render(%q): -want +got\n%s", tc.src, diff)
			}
		})
	}
}

func TestLink(t *testing.T) {
	for _, tc := range []struct {
		name, url, label, want string
	}{
		{"web", "https://e.cn/?a=1&b=2", "甲", `<a href="https://e.cn/?a=1&b=2">甲</a>`},
		{"upper case", "HTTPS://e.cn", "甲", `<a href="HTTPS://e.cn">甲</a>`},
		{"label is the URL", "https://e.cn/x", "https://e.cn/x", "https://e.cn/x"},
		{"no label", "https://e.cn/x", "", "https://e.cn/x"},
		{"no scheme", "www.e.cn/x", "甲", `<a href="https://www.e.cn/x">甲</a>`},
		{"quick reply", "weixin://bizmsgmenu?msgmenucontent=不 好&msgmenuid=1", "不好", `<a href="weixin://bizmsgmenu?msgmenucontent=不 好&msgmenuid=1">不好</a>`},
		{"breaking out of the attribute", `https://e.cn/"><b>` + "\x01", "甲", `<a href="https://e.cn/%22%3E%3Cb%3E%01">甲</a>`},
		{"breaking out of the label", "https://e.cn/", "</a>", `<a href="https://e.cn/">＜/a＞</a>`},
		{"telephone", "tel:10086", "客服", "客服 (10086)"},
		{"telephone in the label", "tel:10086", "拨打10086", "拨打10086"},
		{"mail", "mailto:a@e.cn?subject=x", "邮箱", "邮箱 (a@e.cn)"},
		{"script", "javascript:alert(1)", "甲", "甲 (javascript:alert(1))"},
		{"data", "data:text/html,<b>", "甲", "甲 (data:text/html,<b>)"},
		{"relative", "/a", "甲", "甲 (/a)"},
		{"within the page", "#a", "甲", "甲"},
		{"nowhere", "", "甲", "甲"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := link(tc.url, tc.label); got != tc.want {
				t.Errorf("link(%q, %q) = %q, want %q", tc.url, tc.label, got, tc.want)
			}
		})
	}
}

func TestDecode(t *testing.T) {
	for _, tc := range []struct{ src, want string }{
		{`a\*b\_c`, "a*b_c"},
		{`C:\path\to`, `C:\path\to`},
		{`\\server`, `\server`},
		{`a\`, `a\`},
		{"&amp;&lt;&#20320;&#x597d;", "&<你好"},
		{`\&amp;`, "&amp;"},
		{"&amp;lt;", "&lt;"},
		{"AT&T; &; &unknown; &copy &ampx;", "AT&T; &; &unknown; &copy &ampx;"},
		{"&#59;&semi;", ";;"},
		{"&CounterClockwiseContourIntegral;", "∳"},
	} {
		if got := decode([]byte(tc.src)); got != tc.want {
			t.Errorf("decode(%q) = %q, want %q", tc.src, got, tc.want)
		}
	}
}

// TestRenderDefinitionsLikeText shows that brackets that are no links survive.
func TestRenderDefinitionsLikeText(t *testing.T) {
	for _, src := range []string{
		"[注意]: 明天放假",
		"[注意]: 明天放假\n[注意]",
		"[1]: https://e.cn/1",
		"[a][b] [c] ![d]",
		"[a]: ",
	} {
		if diff := cmp.Diff(texts(src), Render(src)); diff != "" {
			t.Errorf("Render(%q): -want +got\n%s", src, diff)
		}
	}
}

// TestBounds shows that what lies beyond the bounds is text.
func TestBounds(t *testing.T) {
	for _, tc := range []struct {
		name, src, want string
		n               int
	}{
		{"brackets", "[a](https://e.cn)", `<a href="https://e.cn">a</a>`, maxBrackets},
		{"angles", "<b>", "", maxAngles},
		{"delimiters", "*a* ", "a ", maxDelimiters / 2},
		{"nesting", "> ", "│ ", maxNesting},
	} {
		t.Run(tc.name, func(t *testing.T) {
			src := strings.Repeat(tc.src, tc.n) + tc.src + "z"
			want := strings.Repeat(tc.want, tc.n) + tc.src + "z"
			if diff := cmp.Diff(texts(want), Render(src)); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func TestRenderConcurrently(t *testing.T) {
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for _, src := range hostile(300) {
				Render(src)
			}
		})
	}
	all.Wait()
}
