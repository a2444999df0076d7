package wechat

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// stricter tells that a refusal is one of those by which parseXML is documented
// to be stricter than encoding/xml.
func stricter(reason string) bool {
	switch reason {
	case "document type or other directive", // unless it has an end, the reference finds that missing
		fmt.Sprintf("more than %d attributes", maxAttributes),
		fmt.Sprintf("namespace of more than %d bytes", maxNamespace):
		return true
	}
	return false
}

var onLine = regexp.MustCompile(` on line \d+$`)

// reason returns why a body was refused, without the line, which the two decoders
// may count differently; empty if it was not.
func reason(t testing.TB, err error) string {
	t.Helper()
	var pe *ParseError
	if err != nil && !errors.As(err, &pe) {
		t.Fatalf("error %v, want a ParseError", err)
	}
	if pe == nil {
		return ""
	}
	return onLine.ReplaceAllString(pe.Reason, "")
}

// compareWithReference fails if the scanner makes anything else of a body than
// the reference.
func compareWithReference(t testing.TB, body []byte) {
	t.Helper()
	before := slices.Clone(body)
	got, err := parseXML(body)
	want, wantErr := referenceXML(slices.Clone(before))
	if !slices.Equal(body, before) {
		t.Fatalf("the body was written to: %q, now %q", before, body)
	}
	gotReason, wantReason := reason(t, err), reason(t, wantErr)
	if stricter(gotReason) {
		if got != nil || strings.Contains(gotReason, "directive") && wantErr == nil {
			t.Fatalf("parseXML of %q = %v, %v; reference error %v", body, got, err, wantErr)
		}
		return
	}
	if gotReason != wantReason {
		t.Fatalf("parseXML of %q: error %v, reference %v", body, err, wantErr)
	}
	if !reflect.DeepEqual(want, got) { // quicker than cmp, which shows where
		t.Fatalf("parseXML of %q (-reference +got):\n%s", body, cmp.Diff(want, got))
	}
	gotText, ok := textOfCipher(body)
	if wantText, wantOK := referenceCipherText(before); ok != wantOK || wantOK && gotText != wantText {
		t.Fatalf("cipher text of %q = %q, %v; reference %q, %v", body, gotText, ok, wantText, wantOK)
	}
}

// oddities are documents, and pieces of documents, at the borders of what is
// XML. They are compared as they are, and inside of an element.
var oddities = []string{
	// References.
	"&lt;&gt;&amp;&quot;&apos;", "&#123;&#x1F600;&#x1f600;&#0065;&#x0;", "&#0;", "&#8;", "&#9;&#10;&#13;", "&#13;\n", "\r&#10;",
	"&#xD800;", "&#55357;&#56832;", "&#xFFFE;", "&#xFFFF;", "&#xFFFD;", "&#x110000;", "&#x10FFFF;", "&#99999999999999999999;",
	"&#00000000000000000000000065;", "&#;", "&#x;", "&#X41;", "&#65", "&#6 5;", "&;", "&", "& ", "&lt", "&lt ;", "&LT;", "&nbsp;", "&a;", "&ltx;",
	"&amp;lt;", "&&lt;", "&#x1F600", "&#xg;", "&1;", "&é;", "&l\x00t;", "&#128;&#x80;&#2048;&#x800;&#65536;",
	// CDATA and its end.
	"<![CDATA[]]>", "<![CDATA[]>", "<![CDATA[]]]>", "<![CDATA[]]]]>", "<![CDATA[a]]]]><![CDATA[>b]]>", "<![CDATA[&lt;<a>]]>", "<![CDATA[", "<![CDATA[]]",
	"<![cdata[a]]>", "<![CDATA", "<![", "<![X[a]]>", "]]>", "]]", "]>", "]]&gt;", "]&#93;>", "&#93;]>", "a]]>b", "]\r]>", "]<!-- -->]>", "x<![CDATA[y]]>z",
	// Line ends.
	"\r", "\n", "\r\n", "\r\r\n", "\n\r", "a\rb\r\nc\n", "<![CDATA[\r\n\r]]>", "\r<![CDATA[\n]]>", "<![CDATA[\r]]>\n", "<b x='\r\n'/>\r",
	// Comments.
	"<!-- a -->", "<!---->", "<!--->", "<!-->", "<!-- -- -->", "<!-- --->", "<!--", "<!-", "<!- -->", "<!--&x;<a>-->", "a<!-- b -->c", "<!--\n\n-->",
	// Processing instructions and declarations.
	"<?a?>", "<?a b?>", "<?a", "<?a?", "<?", "<??>", "<? a?>", "<?1?>", "<?a:b:c?>", "<?é?>", "<?a ?b?>", "<?a?><b/>",
	`<?xml version="1.0"?>`, `<?xml version='1.1'?>`, `<?xml version="1.0" encoding="utf-8"?>`, `<?xml encoding="UTF-8"?>`, `<?xml encoding="GBK"?>`,
	`<?xml encoding='Utf-8'?>`, `<?xml version=1.1 version="1.0"?>`, `<?xml version=?>`, `<?xml version="?>`, `<?xml version="1.1?>`, `<?xml encoding=x encoding='y'?>`, `<?xml?>`, `<?XML encoding="GBK"?>`,
	// Directives.
	"<!DOCTYPE a>", `<!DOCTYPE a [<!ENTITY b "c">]>`, "<!DOCTYPE a", "<!", "<!>", "<!x", "<!ENTITY % a 'b'>",
	// Tags.
	"<b/>", "<b />", "<b/ >", "<b / >", "< b/>", "<b", "<", "<>", "</>", "</b>", "<b>", "<b></b>", "<b></b >", "<b></ b>", "<b></b/>", "<b></b", "<b></",
	"<b></B>", "<b><c></b></c>", "<b><c></b>", "</b><b>", "<1/>", "<-a/>", "<_/>", "<a.b-1/>", "<b\n></b\n>", "<b\x00/>", "<b<c/>", "<b/><b/><b>1</b>",
	"<é/>", "<é></é>", "<a\u0300/>", "<\u0300a/>", "<中文>1</中文>", "<a\u00b7/>", "<a×/>", "<😀/>", "<é></e>", "<a\u2028/>", "<\xff/>", "<a\xff></a\xff>",
	// Attributes.
	`<b c="d"/>`, `<b c='d'/>`, `<b c="d"e='f'/>`, `<b c = "d" />`, `<b c="d" c="d"/>`, `<b c/>`, `<b c=d/>`, `<b c="d/>`, `<b c="<"/>`, `<b c="]]>"/>`, `<b c=">'"/>`,
	`<b c="&lt;"/>`, `<b c="&x;"/>`, `<b c="&"/>`, `<b c="&#0;"/>`, `<b c="&#xD800;"/>`, `<b ="d"/>`, `<b c=/>`, `<b c="" d=""></b>`, `<b 1="2"/>`, `<b a:b:c="d"/>`, `<b é="1"/>`, `<b c="` + "\x01\xff\n" + `"/>`, `<b c='`, `<b c=`, `<b c`, `<b c="d" /`,
	// Namespaces.
	"<a:b/>", "<a:b></b>", "<a:b></a:b>", "<a:b></c:b>", "<:b/>", "<b:/>", "<:/>", "<a:b:c/>", "<xml:b/>", "<xmlns:b/>", "<xmlns/>", "<a:xmlns/>",
	`<b xmlns="u"><c/></b><c/>`, `<b xmlns=""/>`, `<a:b xmlns:a="u"><a:c/><c/></a:b><a:b/>`, `<a:b xmlns:a=""/>`, `<a:b xmlns:a="u" xmlns:a="v"/>`,
	`<b xmlns:a="u"><a:c xmlns:a="v"/><a:c/></b>`, `<b xmlns="u"><c xmlns=""><d/></c><e/></b>`, `<xml:b xmlns:xml="u"/>`, `<xmlns:b xmlns:xmlns="u"/>`, `<xmlns xmlns="u"/>`,
	`<:b xmlns="u"/>`, `<b xmlns="&lt;` + "\r\n" + `"><c/></b>`, `<b a:xmlns="u"><c/></b>`, `<b xmlns:="u"><c/></b>`, `<b :xmlns="u"><c/></b>`, `<b xmlns="` + strings.Repeat("u", maxNamespace) + `"/>`,
	`<b xmlns="u:v"><c/></b>`, `<b xmlns="你` + "\xff" + `"><c/></b>`, `<b xmlns:é="u"><é:c/></b>`,
	// Bytes that are no text.
	"\x00", "\x01\x1f\x7f", "\xff", "\xff\xfe", "\xe4\xbd", "\xe4\x00\xbd\xa0", "\xed\xa0\x80", "\ufffe\uffff\ufffd", "\ufeff", "\x00\ufeff", "\u0085\u00a0\u3000", "\v\f",
	"<\x00b/>", "<!\x00[CDATA[a]]>", "]\x00]\x01>", "\r\x00\n", "<b>\x00</b>\x00",
	// Text in pieces.
	"a<b/>c<b/>d", "\n <b>1</b>\n <b>2</b>\n", "a<!-- --><![CDATA[b]]>&amp;<?c?>d", "<b>1<c>2</c>3<d/>4</b>", "1<Encrypt>x</Encrypt>2<Encrypt/>",
}

// documents gives each oddity a place: alone, in an element, before, between and
// after elements, and as the document of an encrypted push.
func documents() [][]byte {
	var out [][]byte
	for _, o := range oddities {
		for _, around := range []string{"%s", "<xml>%s</xml>", "<xml><a>%s</a><b>1</b></xml>", "<xml><a>1%s2</a></xml>", "%s<xml><a/></xml>", "<xml><a/></xml>%s", "<xml><Encrypt>\n%s</Encrypt></xml>"} {
			out = append(out, []byte(strings.Replace(around, "%s", o, 1)))
		}
	}
	for _, body := range pushBodies() {
		out = append(out, body, []byte(strings.ReplaceAll(string(body), "><", ">\r\n  <")))
	}
	nest := func(n int) string { return strings.Repeat("<a>", n) + strings.Repeat("</a>", n) }
	for _, doc := range []string{
		"", "text", "<xml/>", "<xml></xml>", "<XML/>", "<xml/><xml/>", "\ufeff<xml/>", "\ufeff\ufeff<xml/>", " <xml/> ", "<a:xml/>", `<xml xmlns="u"/>`, `<a:xml xmlns:a=""/>`,
		"<xml>" + nest(maxDepth-1) + "</xml>", "<xml>" + nest(maxDepth) + "</xml>", nest(maxDepth + 1),
		"<xml>" + strings.Repeat("<a/>", maxElements-1) + "</xml>", "<xml>" + strings.Repeat("<a/>", maxElements) + "</xml>", strings.Repeat("<xml/>", maxElements+1),
		"<xml><a" + strings.Repeat(` b=""`, maxAttributes) + "/></xml>", "<xml><a" + strings.Repeat(` b=""`, maxAttributes+1) + "/></xml>",
		`<xml><a xmlns="` + strings.Repeat("u", maxNamespace+1) + `"/></xml>`,
	} {
		out = append(out, []byte(doc))
	}
	for _, v := range vectors {
		out = append(out, []byte(v.msg), safeBody(v.encrypt))
	}
	return out
}

func TestScannerLikeReference(t *testing.T) {
	accepted := 0
	for _, body := range documents() {
		compareWithReference(t, body)
		if _, err := parseXML(body); err == nil {
			accepted++
		}
	}
	if accepted < 500 {
		t.Errorf("only %d documents are accepted: the comparison says little", accepted)
	}
	// Cut anywhere.
	for _, body := range pushBodies() {
		for i := range min(len(body), 500) {
			compareWithReference(t, body[:i])
			compareWithReference(t, body[i:])
		}
	}
}

// TestScannerBounds: the bounds that the reference does not have.
func TestScannerBounds(t *testing.T) {
	attributes := func(n int) string { return "<a" + strings.Repeat(` b=""`, n) + "/>" }
	namespace := func(n int) string { return `<a xmlns:u="` + strings.Repeat("u", n) + `"/>` }
	for _, tt := range []struct{ name, in, want string }{
		{"attributes", attributes(maxAttributes), ""},
		{"too many attributes", attributes(maxAttributes + 1), "more than 64 attributes"},
		{"namespace", namespace(maxNamespace), ""},
		{"long namespace", namespace(maxNamespace + 1), "namespace of more than 1024 bytes"},
		{"directive without end", "<!DOCTYPE", "document type or other directive"},
		{"directive inside", "<a><!x></a>", "document type or other directive"},
		{"deep, a part of it closed", strings.Repeat("<a/>", maxDepth+1), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := parseXML([]byte("<xml>" + tt.in + "</xml>")); reason(t, err) != tt.want {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

func FuzzScannerLikeReference(f *testing.F) {
	for _, body := range documents() {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body []byte) { compareWithReference(t, body) })
}

func BenchmarkParseXML(b *testing.B) {
	body := []byte(textPush)
	for name, parse := range map[string]func([]byte) ([]Element, error){"scanner": parseXML, "reference": referenceXML} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := parse(body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// textOfCipher is the Encrypt text of an envelope, copied.
func textOfCipher(body []byte) (string, bool) {
	s, err := scan(body)
	if err != nil {
		return "", false
	}
	defer s.release()
	text, ok := s.cipherText()
	if !ok {
		return "", false
	}
	return string(text), true
}
