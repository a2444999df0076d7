package main

import (
	"bytes"
	"fmt"
	"iter"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-wechat/caddy-wechat/module/wechat"
)

// The credentials of the account and the bot. They open nothing.
const (
	appID         = "wx0123456789abcdef"
	appSecret     = "10ad0000000000000000000000000000"
	token         = "loadtoken"
	aesKey        = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
	originalID    = "gh_0123456789ab"
	webhookID     = "11111111-2222-4333-8444-555555555555"
	encryptionKey = "load-encryption-key"
	webhookSecret = "load-webhook-secret"
)

const (
	callbackPath = "/wechat"

	// digits is how long a user's number and a message's are, so that every
	// message is as long as every other.
	digits = 7

	// Where the numbers go in a template.
	userMark = "@USER@@"
	seqMark  = "@SEQ@@@"

	// A message carries its own name: load-<user>-<seq>.
	nameStart = "load-"

	// openIDStart makes an openid of WeChat's 28 characters.
	openIDStart = "oLoadLoadLoadLoadLoad"
)

// message names one message of one user; both count from 0.
type message struct{ user, seq int }

func openID(user int) string { return fmt.Sprintf("%s%0*d", openIDStart, digits, user) }

// messagesIn are the messages whose names stand in whatever has become of them:
// texts are quoted, encoded and merged on their way.
func messagesIn(b []byte) iter.Seq[message] {
	const length = len(nameStart) + digits + 1 + digits
	return func(yield func(message) bool) {
		for {
			i := bytes.Index(b, []byte(nameStart))
			if i < 0 || len(b) < i+length {
				return
			}
			name := b[i+len(nameStart) : i+length]
			user, ok1 := number(name[:digits])
			seq, ok2 := number(name[digits+1:])
			if ok1 && ok2 && name[digits] == '-' && !yield(message{user, seq}) {
				return
			}
			b = b[i+1:]
		}
	}
}

func number(b []byte) (int, bool) {
	n := 0
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, true
}

// template is a request with places for the numbers of a message.
type template struct {
	raw   []byte
	users []int // where the user's number goes
	seqs  []int
}

func newTemplate(raw string) *template {
	return &template{[]byte(raw), places(raw, userMark), places(raw, seqMark)}
}

func places(s, mark string) []int {
	var at []int
	for from := 0; ; {
		i := strings.Index(s[from:], mark)
		if i < 0 {
			return at
		}
		at = append(at, from+i)
		from += i + len(mark)
	}
}

// clone is for another goroutine to fill.
func (t *template) clone() *template {
	return &template{bytes.Clone(t.raw), t.users, t.seqs}
}

// fill puts the numbers in. What it returns is valid until it is called again.
func (t *template) fill(m message) []byte {
	for _, at := range t.users {
		put(t.raw[at:at+digits], m.user)
	}
	for _, at := range t.seqs {
		put(t.raw[at:at+digits], m.seq)
	}
	return t.raw
}

func put(b []byte, n int) {
	for i := len(b) - 1; i >= 0; i-- {
		b[i] = byte('0' + n%10)
		n /= 10
	}
}

// signer makes the requests that WeChat would make, signed when it was made.
type signer struct {
	host, timestamp, nonce string
}

func newSigner(host string) *signer {
	return &signer{host, strconv.FormatInt(time.Now().Unix(), 10), strconv.Itoa(100_000_000 + rand.IntN(900_000_000))}
}

// query is what WeChat adds to the URL. (WeChat: access guide, Message Push.)
func (s *signer) query() string {
	return "signature=" + wechat.Sign(token, s.timestamp, s.nonce) + "&timestamp=" + s.timestamp + "&nonce=" + s.nonce
}

// verification is WeChat's check of the URL, and its answer.
func (s *signer) verification() (raw, want string) {
	const echo = "6190000000000000001"
	return "GET " + callbackPath + "?" + s.query() + "&echostr=" + echo + " HTTP/1.1\r\n" + s.headers() + "\r\n", echo
}

func (s *signer) headers() string {
	return "User-Agent: Mozilla/4.0\r\nAccept: */*\r\nHost: " + s.host + "\r\nPragma: no-cache\r\n"
}

func (s *signer) post(query, body string) string {
	return "POST " + callbackPath + "?" + query + " HTTP/1.1\r\n" + s.headers() +
		"Content-Type: text/xml\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body
}

// text is a text message of a user. (WeChat: receiving standard messages.) Its MsgId
// grows with time, as WeChat's do: the upper half of a long one is its CreateTime.
func (s *signer) text() string {
	return "<xml><ToUserName><![CDATA[" + originalID + "]]></ToUserName>\n" +
		"<FromUserName><![CDATA[" + openIDStart + userMark + "]]></FromUserName>\n" +
		"<CreateTime>" + s.timestamp + "</CreateTime>\n<MsgType><![CDATA[text]]></MsgType>\n" +
		"<Content><![CDATA[" + nameStart + userMark + "-" + seqMark + ". 请问这件衣服还有大号的吗？我想买两件，一件蓝色，一件白色，什么时候能发货？]]></Content>\n" +
		"<MsgId>24" + seqMark + userMark + "00</MsgId>\n</xml>"
}

// plain makes plaintext pushes.
func (s *signer) plain() *template {
	return newTemplate(s.post(s.query()+"&openid="+openIDStart+userMark, s.text()))
}

// sealer makes encrypted pushes. (WeChat: message encryption.)
type sealer struct {
	*signer
	inner  *template
	cipher *wechat.Cipher
}

func (s *signer) safe() (*sealer, error) {
	cipher, err := wechat.NewCipher(aesKey, appID)
	if err != nil {
		return nil, err
	}
	return &sealer{s, newTemplate(s.text()), cipher}, nil
}

func (s *sealer) seal(m message) ([]byte, error) {
	text, err := s.cipher.Encrypt(s.inner.fill(m))
	if err != nil {
		return nil, fmt.Errorf("preparing push: %w", err)
	}
	query := s.query() + "&openid=" + openID(m.user) +
		"&encrypt_type=aes&msg_signature=" + wechat.Sign(token, s.timestamp, s.nonce, text)
	body := "<xml>\n    <ToUserName><![CDATA[" + originalID + "]]></ToUserName>\n    <Encrypt><![CDATA[" + text + "]]></Encrypt>\n</xml>\n"
	return []byte(s.post(query, body)), nil
}
