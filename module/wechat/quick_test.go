package wechat

import (
	"bytes"
	"fmt"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// anyPush draws a push whose parts are whatever anyText gives.
func anyPush() *rapid.Generator[*Push] {
	return rapid.Custom(func(t *rapid.T) *Push {
		part := rapid.OneOf(rapid.SampledFrom([]string{"", "a/b", "a%2Fb", "你好", "#", "(a)", strings.Repeat("k", maxKeyPart), strings.Repeat("k", maxKeyPart+1)}), anyText())
		element := func(depth int, self func(int) Element) Element {
			e := Element{Name: rapid.SampledFrom([]string{"MsgID", "a", "b:c"}).Draw(t, "name"), Text: part.Draw(t, "text")}
			for range rapid.IntRange(0, depth).Draw(t, "children") {
				e.Children = append(e.Children, self(depth-1))
			}
			return e
		}
		var tree func(int) Element
		tree = func(depth int) Element { return element(depth, tree) }
		p := &Push{
			FromUserName: part.Draw(t, "from"), CreateTime: rapid.Int64().Draw(t, "time"),
			MsgType: rapid.SampledFrom([]string{"event", "text"}).Draw(t, "type"), MsgID: part.Draw(t, "id"),
			Event: part.Draw(t, "event"), EventKey: part.Draw(t, "key"), Body: &Unknown{},
			Elements: []Element{tree(2), tree(2)},
		}
		if n := rapid.IntRange(-1, 2).Draw(t, "results"); n >= 0 {
			p.Body = &SubscribeMsgSent{Results: make([]SubscribeResult, n)}
			for i := range n {
				p.Body.(*SubscribeMsgSent).Results[i].MsgID = part.Draw(t, "result")
			}
		}
		return p
	})
}

func TestKeyLikeReference(t *testing.T) {
	for _, tt := range examples {
		p := mustPush(t, tt.xml)
		if got, want := p.Key(), referenceKey(p); got != want {
			t.Errorf("%s: Key = %q, want %q", tt.name, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		p := anyPush().Draw(t, "push")
		if got, want := p.Key(), referenceKey(p); got != want {
			t.Fatalf("Key = %q, want %q", got, want)
		}
	})
}

func TestIsCleanLikeReference(t *testing.T) {
	check := func(t interface{ Fatalf(string, ...any) }, s string) {
		if got, want := isClean(s), isReferenceCleanText(s); got != want {
			t.Fatalf("isClean(%q) = %v, want %v", s, got, want)
		}
		if got, want := cleanXML([]byte(s)), referenceClean([]byte(s)); !bytes.Equal(got, want) {
			t.Fatalf("cleanXML(%q) = %q, want %q", s, got, want)
		}
		if got, want := isCleanXML([]byte(s)), bytes.Equal(referenceClean([]byte("a"+s)), []byte("a"+s)); got != want {
			t.Fatalf("isCleanXML(%q) = %v, want %v", s, got, want)
		}
	}
	// Every character, and every pair of bytes at the start of one, between
	// what takes eight bytes at once.
	for r := range rune(0x11000) {
		check(t, "12345678"+string(r)+"12345678")
	}
	for i := range 1 << 16 {
		check(t, string([]byte{byte(i >> 8), byte(i), 0x80}))
	}
	for i := range 8 {
		for b := range 256 {
			s := []byte("12345678")
			s[i] = byte(b)
			check(t, string(s))
		}
	}
	rapid.Check(t, func(t *rapid.T) { check(t, anyText().Draw(t, "text")) })
}

func TestSignInPieces(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		part := rapid.OneOf(rapid.StringN(0, 40, -1), rapid.SampledFrom([]string{"", "1", "1700000000", strings.Repeat("A", 2*signedRoom)}))
		token, timestamp, nonce := "t"+part.Draw(t, "token"), part.Draw(t, "timestamp"), part.Draw(t, "nonce")
		text := part.Draw(t, "text")
		if i, ok := matchToken([]string{"other", token}, Sign(token, timestamp, nonce, text), timestamp, nonce, []byte(text)); token != "other" && (i != 1 || !ok) {
			t.Fatalf("matchToken = %d, %v", i, ok)
		}
		if i, ok := matchToken([]string{token}, Sign(token, timestamp, nonce, text+"x"), timestamp, nonce, []byte(text)); ok {
			t.Fatalf("matchToken of another text = %d, %v", i, ok)
		}
	})
}

// TestRoomIsNotShared lets calls use the same room at once, and looks at what
// they returned after it has been used again.
func TestRoomIsNotShared(t *testing.T) {
	ci := mustCipher(t, alphabetKey, madeAppID)
	cb := Callback{Tokens: []string{testToken}, Ciphers: []*Cipher{mustCipher(t, strings.Repeat("A", 43), madeAppID), ci}, Encryption: Safe}
	now := time.Unix(testTime, 0)
	round := func(id string) error {
		plain := strings.Replace(textPush, "你好", id+"]]>&amp;"+"\r\n<![CDATA["+id, 1)
		text, err := ci.Encrypt([]byte(plain))
		if err != nil {
			return err
		}
		env, err := cb.Open(signed(testToken, text), bytes.Replace(safeBody(text), []byte("]]>"), []byte("]]>\r\n<!-- -->\r"), 2))
		if err != nil {
			return err
		}
		p, err := ParsePush(env.XML)
		if err != nil {
			return err
		}
		reply, err := EncodeReply(p, TextReply{id}, now)
		if err != nil {
			return err
		}
		sealed, err := env.Seal(reply, now)
		if err != nil {
			return err
		}
		key := p.Key()
		runtime.Gosched()
		again, ok := textOfCipher(sealed)
		inside, err := ci.Decrypt(again)
		if !ok || err != nil || !bytes.Equal(inside, reply) || !bytes.Contains(reply, []byte("<![CDATA["+id+"]]>")) {
			return fmt.Errorf("reply %q, sealed %q: %w", reply, sealed, err)
		}
		if string(env.XML) != plain || p.Body.(*Text).Content != id+"&\n"+id || p.Key() != key {
			return fmt.Errorf("push %q, content %q", env.XML, p.Body.(*Text).Content)
		}
		return nil
	}
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 200 {
				if err := round(fmt.Sprintf("%d-%d-%s", g, i, strings.Repeat("x", i))); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// TestMemory measures what hostile bodies cost and what is kept of large ones.
func TestMemory(t *testing.T) {
	const size = 1 << 20
	around := func(s string) []byte { return []byte("<xml>" + common + "<MsgType>text</MsgType>" + s + "</xml>") }
	fill := func(s string) string { return strings.Repeat(s, size/len(s)) }
	namespaces := `<a xmlns="` + strings.Repeat("u", maxNamespace) + `">` + strings.Repeat("<b/>", maxElements-10) + "</a>"
	for name, body := range map[string][]byte{
		"comment":          around("<!--" + fill("x") + "-->&amp;"),
		"text":             around("<a>" + fill("x") + "</a>"),
		"pieces":           around("<a>" + fill("x<?x?>") + "</a>"),
		"references":       around("<a>" + fill("&#1234;") + "</a>"),
		"attributes":       around(strings.Repeat("<a "+strings.Repeat(`é=""`, maxAttributes)+"/>", size/(7*maxAttributes))),
		"long name":        around("<" + fill("x") + "/>"),
		"long namespace":   around(`<a xmlns="` + fill("x") + `">` + strings.Repeat("<b/>", 1000) + "</a>"),
		"many namespaced":  around(namespaces),
		"namespace each":   around(strings.Repeat(`<a xmlns:a="`+strings.Repeat("u", 500)+`"/>`, maxElements-10)),
		"elements":         around(fill("<a>")),
		"side by side":     around(fill("<a/>")),
		"invalid UTF-8":    around("<a>" + fill("\xffx") + "</a>"),
		"nothing but open": []byte(fill("<")),
		"not ended":        []byte("<xml><![CDATA[" + fill("x")),
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := ParsePush(body)
			runtime.ReadMemStats(&after)
			if used := after.TotalAlloc - before.TotalAlloc; used > 40*size {
				t.Errorf("%d MiB were allocated for a body of %d KiB (%v)", used>>20, len(body)>>10, err)
			}
		})
	}
	t.Run("kept", func(t *testing.T) {
		var kept []*Push
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		for range 20 {
			p, err := ParsePush(around("<!--" + fill("x") + "--><Content>&amp;</Content>"))
			if err != nil {
				t.Fatal(err)
			}
			kept = append(kept, p)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > size/2 {
			t.Errorf("%d pushes keep %d KiB", len(kept), grown>>10)
		}
		runtime.KeepAlive(kept)
	})
}

func TestSealForm(t *testing.T) {
	e := &Envelope{Encrypted: true, token: testToken, cipher: mustCipher(t, alphabetKey, madeAppID), nonce: "123456789"}
	out, err := e.Seal([]byte("<xml></xml>"), time.Unix(testTime, 0))
	if err != nil {
		t.Fatal(err)
	}
	form := regexp.MustCompile(`^<xml><Encrypt><!\[CDATA\[[A-Za-z0-9+/]+=*\]\]></Encrypt><MsgSignature><!\[CDATA\[[0-9a-f]{40}\]\]></MsgSignature>` +
		`<TimeStamp>1700000000</TimeStamp><Nonce><!\[CDATA\[123456789\]\]></Nonce></xml>$`)
	if !form.Match(out) {
		t.Errorf("Seal = %s", out)
	}
}

// TestTreeIsNotShared: all elements lie side by side, and yet adding to one leaves
// the others alone.
func TestTreeIsNotShared(t *testing.T) {
	p := mustPush(t, "<MsgType>text</MsgType><a><b/><c/></a><d><e/></d>")
	before := fmt.Sprint(p.Elements)
	for _, es := range [][]Element{p.Elements, p.Elements[4].Children, p.Elements[5].Children} {
		_ = append(es, Element{Name: "added"})
	}
	if after := fmt.Sprint(p.Elements); after != before {
		t.Errorf("%s became %s", before, after)
	}
}

func TestGiantsAreNotKept(t *testing.T) {
	giant := strings.Repeat("x", 2*maxPooled)
	for name, tt := range map[string]struct {
		in   string
		keep bool
	}{
		"ordinary":        {"&amp;", true},
		"large, as it is": {giant, true},
		"large, copied":   {giant + "&amp;", false},
		"many elements":   {strings.Repeat("<a/>", maxElements-2), false},
		"many pieces":     {strings.Repeat("x<?x?>", 2*maxPooledItems), false},
	} {
		t.Run(name, func(t *testing.T) {
			s := new(scanner)
			if err := s.read([]byte("<xml><a>" + tt.in + "</a></xml>")); err != nil {
				t.Fatal(err)
			}
			if s.small() != tt.keep {
				t.Errorf("small = %v, want %v", s.small(), tt.keep)
			}
		})
	}
	ci, r := mustCipher(t, alphabetKey, madeAppID), new(room)
	if _, err := ci.appendEncrypt(nil, r, nil, []byte("ordinary")); err != nil || !r.small() {
		t.Errorf("small = %v, %v; want true", r.small(), err)
	}
	text, err := ci.appendEncrypt(nil, r, nil, []byte(giant))
	if err != nil || r.small() || (&room{text: text}).small() {
		t.Errorf("small after a giant, %v", err)
	}
}

func TestNoAllocations(t *testing.T) {
	c := Callback{Tokens: []string{testToken, oldToken}, Encryption: Plain}
	q := signed(oldToken, "")
	raw := "signature=" + q.Signature + "&timestamp=" + q.Timestamp + "&nonce=" + q.Nonce + "&openid=o&encrypt_type=raw"
	p := mustPush(t, "<MsgType>text</MsgType><MsgId>1</MsgId>")
	for name, tt := range map[string]struct {
		most float64
		call func()
	}{
		"ParseQuery": {0, func() { ParseQuery(raw) }},
		"Verify":     {0, func() { c.Verify(q) }},
		"Key":        {1, func() { p.Key() }},
		"Sign":       {1, func() { Sign("a", "b", "c") }},
	} {
		if got := testing.AllocsPerRun(100, tt.call); got > tt.most {
			t.Errorf("%s: %v allocations, want %v", name, got, tt.most)
		}
	}
}
