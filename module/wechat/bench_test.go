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

func BenchmarkParseQuery(b *testing.B) {
	const push = "signature=f464b24fc39322e44b38aa78f5edd27bd1441696&timestamp=1714036504&nonce=1514711492&openid=oTEST0000000000000000000000a"
	for name, raw := range map[string]string{
		"plain":   push,
		"safe":    push + "&encrypt_type=aes&msg_signature=046e02f8204d34f8ba5fa3b1db94908f3df2e9b3",
		"escaped": push + "&echostr=a%2Bb%3D",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := ParseQuery(raw); err != nil {
					b.Fatal(err)
				}
			}
		})
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
	c := Callback{Tokens: []string{v.token}, Ciphers: []*Cipher{mustCipher(b, v.key, v.appID)}, Encryption: Compatible}
	open := func(q Query, body []byte) func(*testing.B) {
		return func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.Open(q, body); err != nil {
					b.Fatal(err)
				}
			}
		}
	}
	b.Run("plain", open(signed(v.token, ""), []byte(textPush)))
	b.Run("safe", open(signed(v.token, v.encrypt), safeBody(v.encrypt)))
	both := strings.Replace(textPush, "</xml>", "<Encrypt><![CDATA["+v.encrypt+"]]></Encrypt></xml>", 1)
	b.Run("compatible", open(signed(v.token, v.encrypt), []byte(both)))
}

// pushBodies are the bodies that parsing is measured with: each kind, and a text
// in other dress.
func pushBodies() map[string][]byte {
	bodies := map[string][]byte{
		"pretty-printed": []byte(strings.ReplaceAll(textPush, "><", ">\n  <")),
		"escaped":        []byte(strings.Replace(textPush, "<![CDATA[你好]]>", "a &lt; b &amp;&#x1F600;\r\n", 1)),
		"dirty":          []byte(strings.Replace(textPush, "你好", "a\x08b", 1)),
		"long":           []byte(strings.Replace(textPush, "你好", strings.Repeat("你好，hello ", 120), 1)),
	}
	for _, tt := range examples {
		bodies[strings.ReplaceAll(tt.name, " ", "_")] = document(tt.xml)
	}
	return bodies
}

func BenchmarkParsePush(b *testing.B) {
	for name, body := range pushBodies() {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := ParsePush(body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkKey(b *testing.B) {
	for name, rest := range map[string]string{
		"message":     "<MsgType>text</MsgType><MsgId>24000000000000001</MsgId>",
		"event":       "<Event>CLICK</Event><EventKey>HELP</EventKey>",
		"escaped":     "<Event>VIEW</Event><EventKey>https://example.com/</EventKey>",
		"no MsgId":    "<MsgType>file</MsgType><Title>a.pdf</Title>",
		"sent result": "<Event>subscribe_msg_sent_event</Event><SubscribeMsgSentEvent><List><MsgID>1700827132819554304</MsgID></List></SubscribeMsgSentEvent>",
	} {
		b.Run(name, func(b *testing.B) {
			p := mustPush(b, rest)
			b.ReportAllocs()
			for b.Loop() {
				p.Key()
			}
		})
	}
}

func BenchmarkEncodeReply(b *testing.B) {
	p := mustPush(b, "<MsgType>text</MsgType><MsgId>1</MsgId>")
	now := time.Unix(1700000001, 0)
	for name, r := range map[string]Reply{
		"text":  TextReply{strings.Repeat("你好 hello ", 50)},
		"ascii": TextReply{strings.Repeat("hello, hello. ", 50)},
		"image": ImageReply{"media-id-0123456789"},
		"news":  NewsReply{[]Article{{"T", "D", "https://example.com?a=1&b=2", "https://example.com/p.png"}}},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := EncodeReply(p, r, now); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkSeal(b *testing.B) {
	e := &Envelope{Encrypted: true, token: testToken, cipher: mustCipher(b, alphabetKey, madeAppID), nonce: "123456789"}
	reply, now := []byte(textPush), time.Unix(1700000001, 0)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := e.Seal(reply, now); err != nil {
			b.Fatal(err)
		}
	}
}
