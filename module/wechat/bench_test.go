package wechat

import (
	"strings"
	"testing"
	"time"
)

func BenchmarkSign(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		Sign(testToken, "1700000000", "123456789")
	}
}

func BenchmarkVerify(b *testing.B) {
	c := Callback{Tokens: []string{testToken, oldToken}, Encryption: Plain}
	q := signed(oldToken, "")
	b.ReportAllocs()
	for b.Loop() {
		if err := c.Verify(q); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecrypt(b *testing.B) {
	v := vectors[6]
	c := mustCipher(b, v.key, v.appID)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Decrypt(v.encrypt); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncrypt(b *testing.B) {
	c := mustCipher(b, alphabetKey, madeAppID)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Encrypt([]byte(textPush)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	v := vectors[6]
	c := Callback{Tokens: []string{v.token}, Ciphers: []*Cipher{mustCipher(b, v.key, v.appID)}, Encryption: Safe}
	q, body := signed(v.token, v.encrypt), safeBody(v.encrypt)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Open(q, body); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParsePush(b *testing.B) {
	body := []byte(textPush)
	b.ReportAllocs()
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if _, err := ParsePush(body); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkKey(b *testing.B) {
	p := mustPush(b, "<MsgType>text</MsgType><MsgId>24000000000000001</MsgId>")
	b.ReportAllocs()
	for b.Loop() {
		p.Key()
	}
}

func BenchmarkEncodeReply(b *testing.B) {
	p := mustPush(b, "<MsgType>text</MsgType><MsgId>1</MsgId>")
	r := TextReply{strings.Repeat("你好 hello ", 50)}
	now := time.Unix(1700000001, 0)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := EncodeReply(p, r, now); err != nil {
			b.Fatal(err)
		}
	}
}
