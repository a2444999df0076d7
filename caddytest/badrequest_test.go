package caddytest

import (
	"bufio"
	"bytes"
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-wechat/caddy-wechat/caddytest/simulator"
)

// request is an HTTP request and what is expected of its answer.
type request struct {
	name   string
	method string // default GET
	path   string
	query  string
	header http.Header
	body   string

	status int
	allow  string // of 405
	want   string // the body
}

// do makes a request and compares the answer.
func (w *world) do(rq request) {
	w.t.Helper()
	url := "http://" + w.site + rq.path
	if rq.query != "" {
		url += "?" + rq.query
	}
	hr, err := http.NewRequestWithContext(within(w.t, 30*time.Second), rq.method, url, strings.NewReader(rq.body))
	if err != nil {
		w.t.Fatal(err)
	}
	maps.Copy(hr.Header, rq.header)
	hr.Close = true
	resp, err := http.DefaultTransport.RoundTrip(hr) // follows no redirects
	if err != nil {
		w.t.Errorf("%s: %v", rq.name, err)
		return
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	got := []string{strconv.Itoa(resp.StatusCode), resp.Header.Get("Allow"), string(body)}
	if diff := cmp.Diff([]string{strconv.Itoa(rq.status), rq.allow, rq.want}, got); diff != "" {
		w.t.Errorf("%s: status, Allow and body (-want +got, %v):\n%s", rq.name, err, diff)
	}
	if resp.StatusCode == http.StatusOK && rq.want == echo {
		if h := resp.Header; h.Get("Content-Type") != "text/plain; charset=utf-8" || h.Get("X-Content-Type-Options") != "nosniff" {
			w.t.Errorf("%s: the echo could be taken for something else: %v", rq.name, h)
		}
	}
}

const (
	echo     = "<script>1&2</script>" // raw, whatever it looks like
	echoed   = "echostr=%3Cscript%3E1%262%3C%2Fscript%3E"
	elsewhat = "not the bridge" // the next handler
)

// signedQuery is what WeChat adds to the URL of a request, with more behind it.
func signedQuery(more ...string) string {
	stamp, nonce := strconv.FormatInt(time.Now().Unix(), 10), "1234567890"
	parts := []string{token, stamp, nonce}
	slices.Sort(parts)
	sum := sha1.Sum([]byte(strings.Join(parts, "")))
	all := []string{"signature=" + hex.EncodeToString(sum[:]), "timestamp=" + stamp, "nonce=" + nonce}
	return strings.Join(append(all, more...), "&")
}

// take takes a parameter out of a query.
func take(name, query string) (pair, rest string) {
	all := strings.Split(query, "&")
	i := slices.IndexFunc(all, func(p string) bool { return strings.HasPrefix(p, name+"=") })
	pair = all[i]
	return pair, strings.Join(slices.Delete(all, i, i+1), "&")
}

// verifications are requests for the echo.
func verifications() []request {
	good := signedQuery(echoed)
	get := func(name, query string, status int) request {
		rq := request{name: name, path: "/wechat", query: query, status: status}
		if status == http.StatusOK {
			rq.want = echo
		}
		return rq
	}
	list := []request{
		get("good", good, 200),
		get("with parameters of others", good+"&from=here&from=there&%zz=1", 200),
		get("without any", "", 403),
		get("malformed timestamp", strings.Replace(good, "timestamp=", "timestamp=+", 1), 403),
		get("signature that cannot be decoded", good+"&%73ignature=%zz", 403),
		get("upper-case names", strings.ToUpper(good), 403),
	}
	for _, name := range []string{"signature", "timestamp", "nonce", "echostr"} {
		pair, rest := take(name, good)
		list = append(list,
			get("without "+name, rest, 403),
			get("empty "+name, rest+"&"+name+"=", 403),
			get("the same "+name+" twice", good+"&"+pair, 403),
			get("two of "+name, name+"=1&"+good, 403),
		)
	}
	for _, name := range []string{"msg_signature", "encrypt_type"} {
		list = append(list, get("two of "+name, good+"&"+name+"=&"+name+"=", 403))
	}
	trailing := get("trailing slash", good, 200)
	trailing.path = "/wechat/"
	return append(list, trailing)
}

// strays are requests with a wrong method, and such that are not ours.
func strays() []request {
	var list []request
	for _, e := range []struct{ path, allow string }{
		{"/wechat", "GET, POST"},
		{"/wechat/", "GET, POST"},
		{"/wechat/botpress", "POST"},
		{"/wechat/botpress/", "POST"},
		{"/wechat/media/x", "GET, HEAD"},
	} {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "FOO"} {
			if !slices.Contains(strings.Split(e.allow, ", "), method) {
				list = append(list, request{
					name: method + " " + e.path, method: method, path: e.path, query: signedQuery(echoed), body: malloryXML,
					status: 405, allow: e.allow,
				})
			}
		}
	}
	for _, path := range []string{"/wechat/media/x", "/wechat/media/", "/wechat/media", "/wechat/media/a/b.png"} {
		list = append(list,
			request{name: "GET " + path, path: path, status: 404},
			request{name: "HEAD " + path, method: "HEAD", path: path, status: 404})
	}
	for _, path := range []string{
		"/", "/wechatx", "/WeChat", "/wechat//", "//wechat", "/wechat/ready", "/wechat/other", "/wechat/botpress/x",
		"/wechat/mediax", "/x/wechat", "/wechat/../wechat", "/wechat/./botpress", "/wechat/media/../botpress",
	} {
		for _, method := range []string{"GET", "POST"} {
			list = append(list, request{
				name: method + " " + path, method: method, path: path, query: signedQuery(echoed), body: malloryXML,
				status: 200, want: elsewhat,
			})
		}
	}
	return list
}

// TestBadRequests makes requests of all kinds but pushes.
func TestBadRequests(t *testing.T) {
	t.Parallel()
	g := newGuarded(t, simulator.ModePlain)
	for _, rq := range slices.Concat(verifications(), strays()) {
		g.w.do(rq)
	}
	g.unharmed("stray requests")

	g.w.do(request{
		name: "push with two timestamps", method: "POST", path: "/wechat", query: signedQuery("timestamp=1"), body: malloryXML,
		status: 403,
	})
	g.unharmed("a repeated parameter")
	g.w.do(request{
		name: "push with a trailing slash", method: "POST", path: "/wechat/", query: signedQuery(), body: malloryXML,
		status: 200, want: "success",
	})
	g.turns++
	g.unharmed("a trailing slash")
	g.checkLog()
}

// TestBadWebhooks posts to the bot's endpoint what Botpress would not. All of it
// is about a conversation of ours, and would be read by its user if it was taken.
func TestBadWebhooks(t *testing.T) {
	t.Parallel()
	g := newGuarded(t, simulator.ModePlain)
	secret := http.Header{"X-Secret-Key": {webhookSecret}}
	good := signal(conversation("oAlice"), "m-good", "from the bot")
	for _, rq := range []request{
		{name: "without secret", body: good, status: 401},
		{name: "empty secret", header: http.Header{"X-Secret-Key": {""}}, body: good, status: 401},
		{name: "wrong secret", header: http.Header{"X-Secret-Key": {webhookSecret[1:]}}, body: good, status: 401},
		{name: "wrong secret, malformed body", header: http.Header{"X-Secret-Key": {"x"}}, body: "{", status: 401},
		{name: "empty body", header: secret, status: 400},
		{name: "no JSON", header: secret, body: "<xml></xml>", status: 400},
		{name: "cut", header: secret, body: good[:len(good)-2], status: 400},
		{name: "two in one", header: secret, body: good + good, status: 400},
		{name: "list", header: secret, body: "[" + good + "]", status: 400},
		{name: "null", header: secret, body: "null", status: 400},
		{name: "without type", header: secret, body: strings.Replace(good, `"type":"message_created"`, `"typ":"message_created"`, 1), status: 400},
		{name: "without message id", header: secret, body: strings.Replace(good, `"id":`, `"di":`, 1), status: 400},
		{name: "nested too deeply", header: secret, body: strings.Repeat("[", 1<<19) + strings.Repeat("]", 1<<19), status: 400},
		{name: "huge", header: secret, body: good + strings.Repeat(" ", 2<<20), status: 413},
		{name: "of a kind not yet known", header: secret, body: `{"type":"weather_changed","data":{"rain":true}}`, status: 200},
		{name: "of a stranger", header: secret, body: signal(conversation(mallory), "m-1", "who?"), status: 200},
		{name: "of another bot", header: secret, body: signal("conv_01ABCDEF", "m-2", "who?"), status: 200},
		{name: "said by the user", header: secret, body: strings.Replace(good, `"isBot":true`, `"isBot":false`, 1), status: 200},
	} {
		rq.method = "POST"
		for _, rq.path = range []string{"/wechat/botpress", "/wechat/botpress/"} {
			g.w.do(rq)
		}
		g.unharmed("webhook " + rq.name)
	}
	if n := g.w.metrics()["replies_foreign_total"]; n != 4 {
		t.Errorf("%v replies were for conversations of others, want 4", n)
	}
	g.w.do(request{name: "good", method: "POST", path: "/wechat/botpress", header: secret, body: good, status: 200})
	g.read = append(g.read, "from the bot")
	if _, err := g.w.wechat.Wait(g.ctx, "oAlice", len(g.read)); err != nil {
		t.Fatal(err)
	}
	g.unharmed("a good webhook")
	g.checkLog()
}

// signal is what Botpress posts when the bot has said something.
func signal(conversation, id, text string) string {
	var b bytes.Buffer
	json.NewEncoder(&b).Encode(map[string]any{
		"type": "message_created",
		"data": map[string]any{
			"id": id, "conversationId": conversation, "userId": "bot", "createdAt": time.Now().UTC(), "isBot": true,
			"payload": map[string]any{"type": "text", "text": text},
		},
	})
	return b.String()
}

// cut sends a request that ends too early, and gives the status of the answer.
func (w *world) cut(raw string) int {
	w.t.Helper()
	conn, err := net.Dial("tcp", w.site)
	if err != nil {
		w.t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	io.WriteString(conn, raw)
	conn.(*net.TCPConn).CloseWrite()
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}
