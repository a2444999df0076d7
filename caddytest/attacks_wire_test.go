package caddytest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-wechat/caddy-wechat/caddytest/simulator"
)

// raw sends bytes on a connection of their own and returns the status of what is
// answered; 0 if the connection is closed without an answer.
func (w *world) raw(bytes string, wait time.Duration) (status int, took time.Duration) {
	w.t.Helper()
	conn, err := net.Dial("tcp", w.site)
	if err != nil {
		w.t.Fatal(err)
	}
	defer conn.Close()
	began := time.Now()
	_ = conn.SetDeadline(began.Add(wait))
	_, _ = io.WriteString(conn, bytes) // it may be refused before its end
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	took = time.Since(began)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return -1, took
	case err != nil:
		return 0, took
	}
	resp.Body.Close()
	return resp.StatusCode, took
}

// TestAttackXML sends documents that are meant to take up time or memory. All of
// them have a good signature: they are success, and dead letters.
func TestAttackXML(t *testing.T) {
	t.Parallel()
	const from = "<FromUserName>oMallory</FromUserName><MsgType>text</MsgType><MsgId>1</MsgId><CreateTime>1</CreateTime>"
	wrap := func(inner string) string { return "<xml>" + from + inner + "</xml>" }
	laughs := `<!DOCTYPE xml [<!ENTITY a0 "let me in">`
	for i := range 30 {
		laughs += fmt.Sprintf(`<!ENTITY a%d "&a%d;&a%d;&a%d;&a%d;">`, i+1, i, i, i, i)
	}
	bombs := map[string]string{
		"a billion laughs":   laughs + "]>" + wrap("<Content>&a30;</Content>"),
		"quadratic blow-up":  `<!DOCTYPE xml [<!ENTITY a "` + strings.Repeat("a", 100_000) + `">]>` + wrap("<Content>"+strings.Repeat("&a;", 100_000)+"</Content>"),
		"an external entity": `<!DOCTYPE xml [<!ENTITY a SYSTEM "file:///etc/passwd">]>` + wrap("<Content>&a;</Content>"),
		"an external DTD":    `<!DOCTYPE xml SYSTEM "http://127.0.0.1:1/a.dtd">` + wrap("<Content>x</Content>"),
		"a parameter entity": `<!DOCTYPE xml [<!ENTITY % a SYSTEM "http://127.0.0.1:1/a"> %a;]>` + wrap("<Content>x</Content>"),
		"an unknown entity":  wrap("<Content>&nbsp;</Content>"),
		"100000 levels":      "<xml>" + strings.Repeat("<a>", 100_000) + strings.Repeat("</a>", 100_000) + "</xml>",
		"200000 elements":    wrap(strings.Repeat("<a/>", 200_000)),
		"100000 attributes":  "<xml" + attributes(100_000) + ">" + from + "</xml>",
		"nothing but <":      strings.Repeat("<", 1_000_000),
		"no end":             wrap("<Content>")[:100],
		"another encoding":   `<?xml version="1.0" encoding="UTF-7"?>` + wrap("<Content>x</Content>"),
		"another root":       "<html>" + from + "</html>",
		"two roots":          wrap("") + wrap("") + "<",
		"UTF-16":             utf16(wrap("<Content>let me in</Content>")),
	}
	for _, mode := range []string{inTheClear, sealed} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			account := map[string]string{inTheClear: simulator.ModePlain, sealed: simulator.ModeSafe}[mode]
			g := guardedBy(t, setup{mode: account, options: "max_body 8MiB"})
			for name, bomb := range bombs {
				began := time.Now()
				g.try(name, simulator.SimPush{OpenID: mallory, MsgType: "text", Mode: mode, Raw: []byte(bomb)}, dead)
				if took := time.Since(began); took > 10*time.Second {
					t.Errorf("%s took %v", name, took)
				}
			}
			// Nothing is wrong with that, save that it says nothing.
			long := simulator.SimPush{OpenID: mallory, MsgType: "text", Mode: mode, Raw: []byte(wrap("<" + strings.Repeat("a", 1_000_000) + "/>"))}
			g.try("a name of a megabyte", long, taken)
			g.checkLog()
		})
	}
}

func attributes(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, ` a%d="1"`, i)
	}
	return b.String()
}

func utf16(s string) string {
	var b strings.Builder
	for _, c := range []byte("\xfe\xff" + s) {
		b.Write([]byte{0, c})
	}
	return b.String()
}

// TestAttackShapes makes requests that a proxy in front may understand in another
// way, or that say that they come from elsewhere. Those with the query would be good
// pushes otherwise.
func TestAttackShapes(t *testing.T) {
	t.Parallel()
	g := guardedBy(t, setup{mode: simulator.ModePlain})
	chunked := fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(malloryXML), malloryXML)
	length := fmt.Sprintf("Content-Length: %d\r\n", len(malloryXML))
	for _, tc := range []struct {
		name   string
		head   string // behind the request line and Host
		body   string
		status []int // 0: hung up on
	}{
		{"two lengths", length + "Content-Length: 1\r\n", malloryXML, []int{400}},
		{"two lengths in one line", "Content-Length: 5, 6\r\n", malloryXML, []int{400}},
		{"a signed length", "Content-Length: +5\r\n", malloryXML, []int{400}},
		{"a negative length", "Content-Length: -5\r\n", malloryXML, []int{400}},
		{"a length in hex", "Content-Length: 0x10\r\n", malloryXML, []int{400}},
		{"a length beyond all numbers", "Content-Length: 99999999999999999999\r\n", malloryXML, []int{400}},
		{"a space before the colon", "Content-Length : 5\r\n", malloryXML, []int{400}},
		{"a folded line", "X-A: b\r\n Content-Length: 5\r\n" + length, malloryXML[:20], []int{400, 408}},
		{"an unknown encoding", "Transfer-Encoding: xchunked\r\n", chunked, []int{400, 501}},
		{"two encodings", "Transfer-Encoding: chunked, identity\r\n", chunked, []int{400, 501}},
		{"twice chunked", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", chunked, []int{400, 501}},
		{"a vertical tab before chunked", "Transfer-Encoding: \x0bchunked\r\n", chunked, []int{400, 501}},
		{"a chunk beyond all numbers", "Transfer-Encoding: chunked\r\n", "fffffffffffffffff\r\n" + malloryXML, []int{400}},
		{"a chunk with a sign", "Transfer-Encoding: chunked\r\n", "+5\r\nhello\r\n0\r\n\r\n", []int{400}},
		{"a chunk without its line break", "Transfer-Encoding: chunked\r\n", "5\r\nhello0\r\n\r\n", []int{400}},
		{"two hosts", "Host: evil.example\r\n" + length, malloryXML, []int{400}},
		{"a null in a header", "X-A: a\x00b\r\n" + length, malloryXML, []int{400}},
		{"a header without a name", ": x\r\n" + length, malloryXML, []int{400}},
	} {
		if status, _ := g.w.raw(fmt.Sprintf("POST /wechat?%s HTTP/1.1\r\nHost: %s\r\n%s\r\n%s", signedQuery(), g.w.site, tc.head, tc.body), 20*time.Second); !slices.Contains(tc.status, status) {
			t.Errorf("%s: answered %d, want one of %v", tc.name, status, tc.status)
		}
		g.unharmed(tc.name)
	}
	for name, line := range map[string]string{
		"no version":              "POST /wechat?" + signedQuery(),
		"HTTP/2 in words":         "POST /wechat?" + signedQuery() + " HTTP/2.0",
		"a space in the path":     "POST /wechat ?" + signedQuery() + " HTTP/1.1",
		"an address of elsewhere": "CONNECT 127.0.0.1:1 HTTP/1.1",
		"an encoded slash":        "POST /wechat%2fbotpress HTTP/1.1",
		"a null in the path":      "POST /wechat%00?" + signedQuery() + " HTTP/1.1",
	} {
		status, _ := g.w.raw(line+"\r\nHost: "+g.w.site+"\r\n"+length+"\r\n"+malloryXML, 20*time.Second)
		// Caddy's other handler answers what is nothing of ours.
		if !slices.Contains([]int{0, 200, 400, 401, 404, 405, 505}, status) {
			t.Errorf("%s: answered %d", name, status)
		}
		g.unharmed(name)
	}
	g.checkLog()
}

// TestAttackAddress claims to come from an address that callback_ips allows.
func TestAttackAddress(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{options: "callback_ips 192.0.2.1"})
	for _, name := range []string{"X-Forwarded-For", "X-Real-Ip", "Forwarded", "X-Client-Ip", "Client-Ip", "True-Client-Ip", "Cf-Connecting-Ip"} {
		value := "192.0.2.1"
		if name == "Forwarded" {
			value = "for=192.0.2.1"
		}
		w.do(request{name: name, method: "POST", path: "/wechat", query: signedQuery(), body: malloryXML, header: http.Header{name: {value}}, status: 403})
	}
	if n := w.botpress.CountTurns(); n != 0 {
		t.Errorf("the bot had %d turns", n)
	}
	if n := len(w.caddy.log.await(1, "callback refused: it is signed, but callback_ips does not allow its address")); n != 1 {
		t.Errorf("%d lines tell of it, want 1 a minute", n)
	}
}

// TestAttackName sends a captured push again under another host name. The bot
// must not be told to fetch users' files there.
func TestAttackName(t *testing.T) {
	t.Parallel()
	a := newArena(t, setup{mode: simulator.ModeSafe, idle: true})
	_, port, err := net.SplitHostPort(a.w.site)
	if err != nil {
		t.Fatal(err)
	}
	// The site answers to every name, and trusts whoever is in front of it.
	config := strings.Replace(a.w.config(), "http://"+a.w.site+" {", "http://:"+port+" {", 1)
	config = strings.Replace(config, "persist_config off", "persist_config off\n\tservers {\n\t\ttrusted_proxies static 127.0.0.0/8\n\t}", 1)
	a.w.caddy.start(config)
	heard := a.overheard("heard")
	a.unharmed("what was heard")
	a.w.botpress.SetDown(true)
	a.w.push(a.w.wechat.Text(mallory, "is anybody there?"))
	a.w.push(a.w.wechat.Image(mallory)) // has its turn when the bot is back
	for _, header := range []string{"Host: evil.example\r\n", "Host: " + a.w.site + "\r\nX-Forwarded-Host: evil.example\r\nX-Forwarded-Proto: https\r\n"} {
		status, _ := a.w.raw(fmt.Sprintf("POST /wechat?%s HTTP/1.1\r\n%sContent-Length: %d\r\n\r\n%s", heard.query, header, len(heard.body), heard.body), 20*time.Second)
		if status != http.StatusOK {
			t.Errorf("answered %d, want 200", status)
		}
	}
	a.w.botpress.SetDown(false)
	turns, err := a.w.botpress.WaitTurns(a.ctx, conversation(mallory), 3)
	if err != nil {
		t.Fatal(err)
	}
	if address := fileAddress.FindString(string(turns[2].Payload)); !strings.HasPrefix(address, "http://"+a.w.site+"/") {
		t.Errorf("the bot is told to ask at %q", address)
	}
}

// TestAttackSize sends too much of everything.
func TestAttackSize(t *testing.T) {
	t.Parallel()
	g := guardedBy(t, setup{mode: simulator.ModePlain})
	long := strings.Repeat("a", 8000)
	mega := strings.Repeat("a", 1<<20+1)
	head := func(path, headers string) string {
		return "POST " + path + " HTTP/1.1\r\nHost: " + g.w.site + "\r\n" + headers
	}
	for _, tc := range []struct {
		name, bytes string
		status      []int
	}{
		{"a long nonce", head("/wechat?signature=1&timestamp=1&nonce="+long, "Content-Length: 0\r\n\r\n"), []int{403}},
		{"2000 parameters", head("/wechat?"+strings.Repeat("a=1&", 2000)+signedQuery()+"&nonce=1", "Content-Length: 0\r\n\r\n"), []int{403}},
		{"a query of two megabytes", head("/wechat?"+mega+mega, "Content-Length: 0\r\n\r\n"), []int{0, 414, 431}},
		{"headers of two megabytes", head("/wechat?"+signedQuery(), "X-A: "+mega+"\r\nX-B: "+mega+"\r\nContent-Length: 0\r\n\r\n"), []int{0, 431}},
		{"100000 headers", head("/wechat?"+signedQuery(), strings.Repeat("A: b\r\n", 300_000)+"Content-Length: 0\r\n\r\n"), []int{0, 431}},
		{"a body said to be large", head("/wechat?"+signedQuery(), "Content-Length: 9999999999\r\n\r\n"+mega+mega), []int{0, 413}},
		{"a body in chunks", head("/wechat?"+signedQuery(), "Transfer-Encoding: chunked\r\n\r\n100002\r\n"+mega+"a\r\n0\r\n\r\n"), []int{0, 413}},
		{"a large body, not signed", head("/wechat", "Content-Length: 9999999999\r\n\r\n"+mega+mega), []int{0, 403}},
		{"a long name of a file", "GET /wechat/media/" + long + ".png HTTP/1.1\r\nHost: " + g.w.site + "\r\n\r\n", []int{404}},
		{"a long secret", head("/wechat/botpress", "X-Secret-Key: "+long+"\r\nContent-Length: 0\r\n\r\n"), []int{401}},
	} {
		if status, _ := g.w.raw(tc.bytes, 20*time.Second); !slices.Contains(tc.status, status) {
			t.Errorf("%s: answered %d, want one of %v", tc.name, status, tc.status)
		}
		g.unharmed(tc.name)
	}
	g.checkLog()
}

// TestAttackSlow sends the beginning of a body, and no more.
func TestAttackSlow(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{mode: simulator.ModePlain, options: "reply passive\nready on"})
	for _, tc := range []struct {
		name, request, header string
		status                int
	}{
		{"push", "POST /wechat?" + signedQuery(), "", 408},
		{"push, not signed", "POST /wechat", "", 403},
		{"webhook", "POST /wechat/botpress", "X-Secret-Key: " + webhookSecret + "\r\n", 408},
		{"webhook without the secret", "POST /wechat/botpress", "", 401},
		{"a file, posted to", "POST /wechat/media/x.png", "", 405},
		{"verification", "GET /wechat?echostr=1&" + signedQuery(), "", 200},
		{"readiness", "GET /wechat/ready", "", 200},
		{"a file", "GET /wechat/media/x.png", "", 404},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			status, took := w.raw(fmt.Sprintf("%s HTTP/1.1\r\nHost: %s\r\n%sContent-Length: 1000\r\n\r\n<xml>", tc.request, w.site, tc.header), 30*time.Second)
			if status != tc.status || took > 15*time.Second {
				t.Errorf("answered %d after %v, want %d after 5 s", status, took, tc.status)
			}
		})
	}
	t.Run("a push that is there", func(t *testing.T) { // is held for longer than that
		t.Parallel()
		w.botpress.SetDown(true)
		query, body := signedQuery(), strings.Replace(malloryXML, "1700000000", fmt.Sprint(time.Now().Unix()), 1)
		status, took := w.raw(fmt.Sprintf("POST /wechat?%s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n\r\n%s", query, w.site, len(body), body), 7*time.Second)
		if status != -1 {
			t.Errorf("answered %d after %v, want silence", status, took)
		}
	})
}
