package wechat

import (
	"strings"
	"testing"
	"time"
)

// vector is one published or recomputed example of the message encryption: what
// came in the query, the cipher text, and what is inside.
type vector struct {
	name             string
	token, timestamp string
	nonce            string
	key, appID       string
	random           string
	msg              string
	encrypt          string
	signature        string // of token, timestamp, nonce; empty if unknown
	msgSignature     string // with encrypt; empty if unknown
}

const (
	alphabetKey = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
	madeAppID   = "wx0123456789abcdef"
)

var vectors = []vector{
	{
		name: "V2 inbound, official", token: "AAAAA", timestamp: "1714112445", nonce: "415670741",
		key: strings.Repeat("A", 43), appID: "wxba5fad812f8e6fb9", random: "a8eedb185eb2fecf",
		msg:          `{"ToUserName":"gh_97417a04a28d","FromUserName":"o9AgO5Kd5ggOC-bXrbNODIiE3bGY","CreateTime":1714112445,"MsgType":"event","Event":"debug_demo","debug_str":"hello world"}`,
		encrypt:      "+qdx1OKCy+5JPCBFWw70tm0fJGb2Jmeia4FCB7kao+/Q5c/ohsOzQHi8khUOb05JCpj0JB4RvQMkUyus8TPxLKJGQqcvZqzDpVzazhZv6JsXUnnR8XGT740XgXZUXQ7vJVnAG+tE8NUd4yFyjPy7GgiaviNrlCTj+l5kdfMuFUPpRSrfMZuMcp3Fn2Pede2IuQrKEYwKSqFIZoNqJ4M8EajAsjLY2km32IIjdf8YL/P50F7mStwntrA2cPDrM1kb6mOcfBgRtWygb3VIYnSeOBrebufAlr7F9mFUPAJGj04=",
		signature:    "6c5c811b55cc85e0e1b54100749188c20beb3f5d",
		msgSignature: "046e02f8204d34f8ba5fa3b1db94908f3df2e9b3",
	},
	{
		name: "V3 reply, official", token: "AAAAA", timestamp: "1713424427", nonce: "415670741",
		key: strings.Repeat("A", 43), appID: "wxba5fad812f8e6fb9", random: "707722b803182950",
		msg:          `{"demo_resp":"good luck"}`,
		encrypt:      "ELGduP2YcVatjqIS+eZbp80MNLoAUWvzzyJxgGzxZO/5sAvd070Bs6qrLARC9nVHm48Y4hyRbtzve1L32tmxSQ==",
		msgSignature: "1b9339964ed2e271e7c7b6ff2b0ef902fc94dea1",
	},
	{
		name: "V4 not ASCII, official sample code", token: "pamtest", timestamp: "1409304348", nonce: "xxxxxx",
		key: alphabetKey, appID: "wxb11529c136998cb6", random: "aaaabbbbccccdddd",
		msg:          "我是中文abcd123",
		encrypt:      "jn1L23DB+6ELqJ+6bruv21Y6MD7KeIfP82D6gU39rmkgczbWwt5+3bnyg5K55bgVtVzd832WzZGMhkP72vVOfg==",
		msgSignature: "82c962d39941aa48552f90ef55aa323dc620cc10",
	},
	{
		name: "V5 XML, from an SDK", token: "pamtest", timestamp: "1458300676", nonce: "260774613",
		key: alphabetKey, appID: "wxb11529c136998cb6", random: "d43123b161a4ba84",
		msg:          `<xml><URL><![CDATA[http://wechat.laravel.so/server]]></URL><ToUserName><![CDATA[asdasdasd]]></ToUserName><FromUserName><![CDATA[asdasdasdsadasd]]></FromUserName><CreateTime>1234567898</CreateTime><MsgType><![CDATA[text]]></MsgType><Content><![CDATA[hello]]></Content><MsgId>12345</MsgId></xml>`,
		encrypt:      "rTNFcsut4LfGuAFKEUVVpwcaCOTJzOd9twZdIW910jb3k+iicx2uvhttIZ3Qg9Qgty3BEF2xbOrz6boTfb30dMomcgrkTqdFPwnhqbk+kIQ7rZiwny9D7NUrTgA5kpX3KsZvrXzUZyP2x9YOlxbgm572lmxKvM7HAQQhIQ/p6HBmoY30bGXFK0BtIu1pW9TjhOYrLQoU18nWYjWqDA1ynkmOytpv7QRI1P1+0NoxL0q2zO1DgeSvnE8CZGo/o5Ap/WHK5W2RAsinpzN4/LjPnmB6U01I5XCoJoC0GK/yMZycd2Oh8Nq6+wBkC1U85oy0ktOY4nLvsQMLrourmMGdZHuTbqpeJ8Ao/5PRYJ+WBvRUwPfGKBL2+2IKZF49vAJqkcGWSHGE76ZN2erXeuNazf/o9o3lIE3q739o4c8t9QGPe31GT2Go/rOz1BsrASwvauNulCh+++yz+CQzBIuikA==",
		msgSignature: "4f3ad57b6989f09f4eb392acce4f9e93942ed890",
	},
	{
		name: "V6 key with trailing bits, from an SDK", token: "token1234567890", timestamp: "1458864389", nonce: "2066297436",
		key: "AdiqDDDvUNCeE1ZW5XJmjf9fqNBJpGBs4vL4cHKmHBS", appID: "wx45f133bf6fce646e", random: "cc9632a98304f81c",
		msg: "<xml><ToUserName><![CDATA[gh_b1eb3f8bd6c6]]></ToUserName>\n" +
			"<FromUserName><![CDATA[okPEat9FRX96xG8JQvTxHLpzDV64]]></FromUserName>\n" +
			"<CreateTime>1458889120</CreateTime>\n" +
			"<MsgType><![CDATA[text]]></MsgType>\n" +
			"<Content><![CDATA[test text message]]></Content>\n" +
			"<MsgId>6265881059295447969</MsgId>\n" +
			"</xml>",
		encrypt:   "gsKjKVChgrDDifoOdfrL/MWujrKxnSR1jBopv0zEdHFQXcx5I0bf4UxIRjektLHEziRxpU5zTw0s+gYF3WOFjkIn30gzQl9XNKr2A+DCHVG05I2EcbOnnAR5EYgjGLAipra5nOfCPPIRFQTZ7SdanniXX73YOiCAKJlNH21+PApcYu4rPXxJ4eTXbBLwmfnSl7iojDX1LQIcC3FYmaapMQq/u+sJGsxshp4dLXJ6A5Ji3cSYAzXRVIxbNlHN1MWfdcZ0O5+ZtOU6dZiD8hJ4kkxh05EfOedWFjUy7ZhmXgrpZ4WpYPsrythXHE2Bg1Ohz8uf5h5X31yuU/3FPoa8rD21pfZnAjBT1QCkn6MxtL5lR+yoQReLwElVbtB6yJFPIZ+n9Qh/yKfIasxkzgIEo0pwPEbS17WCTyvRItJtU6tlo3rawJX+fsV63tKIfmLZjyZPDlV9/ka/nA/DT0KODw==",
		signature: "f9c725922f6844701ba71e98031978e40023c09f",
	},
	{
		name: "V7 full block of padding", token: "testtoken", timestamp: "1700000001", nonce: "987654321",
		key: alphabetKey, appID: madeAppID, random: "0123456789abcdef",
		msg:          strings.Repeat("x", 26),
		encrypt:      "Q3stYC6hdFzMh9T8HCvyDHDxbrF7f8TfmYxXSN1y2Vbjja9RgRLcXPjzJF67v90Vr3HKiuEL04e7gdJi1DufsXo0wvTp5Iwc7Rt+04Oq4Q1t7yZ26HdYDJfk5lsZrMIt",
		msgSignature: "4ff23809e0ee6a736b68ed12606ce1045e7ae2f7",
	},
	{
		name: "V8 text push", token: "testtoken", timestamp: "1700000000", nonce: "123456789",
		key: alphabetKey, appID: madeAppID, random: "0123456789abcdef",
		msg:          `<xml><ToUserName><![CDATA[gh_0123456789ab]]></ToUserName><FromUserName><![CDATA[oTEST0000000000000000000000a]]></FromUserName><CreateTime>1700000000</CreateTime><MsgType><![CDATA[text]]></MsgType><Content><![CDATA[你好]]></Content><MsgId>24000000000000001</MsgId></xml>`,
		encrypt:      "Q3stYC6hdFzMh9T8HCvyDFYqp+WRA4JhXTSMyMJMcetdiNVcMrNQ+2F56y/mfUu346XuLdO3uRNCaHHHeD8eSnKv8MR2VST5AxWsQ6pzYRV5hIIzdl4G54ii8xp5Ncy9DuNd5GwVxxUlHGU/a7vQMl+txN9t2uLUryH9YgTLdAK8ADp7/0/LHBWGi8PHBwyuUXyx2q1lYV84daSSolwMt0gdH75pc3Ny6VdcmrAUkkuUSiNscr5Ivxel+cpJcGSsMUOLdZYbuWhHfcRSOymZxc0JxN5MTCwIFOnXjlie0/RDDXGoH4fe0QjTnXytM+KDFLYCaNblxWgyjw9goBWKLO2xMHdf8b6Ra7T8FPC//t2JcMNrWGz7z1A2vYunmHNWAWk/0vkoqG2C8ES/O1Xibjq3EHnUQHDCkBsUfME7xQs=",
		signature:    "1224ee560df62329b43aeee20636a0defb583ee4",
		msgSignature: "0dc90aef67688e130881702c8485a3f525388bbd",
	},
	{
		name: "V9 WeCom, the same primitives", token: "123456", timestamp: "1411443780", nonce: "437374425",
		key: "kWxPEV2UEDyxWpmPdKC3F4dgPDmOvfKX1HGnEUDS1aR", appID: "wx49f0ab532d5d035a", random: "2304fc2fe146f1f8",
		msg:          "5927782489442352469",
		encrypt:      "4ByGGj+sVCYcvGeQYhaKIk1o0pQRNbRjxybjTGblXrBaXlTXeOo1+bXFXDQQb1o6co6Yh9Bv41n7hOchLF6p+Q==",
		msgSignature: "dd6b9c95b495b3f7e2901bfbc76c664930ffdb96",
	},
}

func mustCipher(t testing.TB, key, appID string) *Cipher {
	t.Helper()
	c, err := NewCipher(key, appID)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestVectorsSign(t *testing.T) {
	// V1: URL verification, official.
	for _, tt := range []struct{ timestamp, nonce, want string }{
		{"1714036504", "1514711492", "f464b24fc39322e44b38aa78f5edd27bd1441696"},
		{"1714037059", "486452656", "899cf89e464efb63f54ddac96b0a0a235f53aa78"},
	} {
		if got := Sign("AAAAA", tt.timestamp, tt.nonce); got != tt.want {
			t.Errorf("V1 Sign(%s) = %s, want %s", tt.timestamp, got, tt.want)
		}
		c := Callback{Tokens: []string{"AAAAA"}, Encryption: Safe}
		if err := c.Verify(Query{Signature: tt.want, Timestamp: tt.timestamp, Nonce: tt.nonce}); err != nil {
			t.Errorf("V1 Verify(%s): %v", tt.timestamp, err)
		}
	}
	for _, v := range vectors {
		t.Run(v.name, func(t *testing.T) {
			if got := Sign(v.token, v.timestamp, v.nonce); v.signature != "" && got != v.signature {
				t.Errorf("signature = %s, want %s", got, v.signature)
			}
			if got := Sign(v.token, v.timestamp, v.nonce, v.encrypt); v.msgSignature != "" && got != v.msgSignature {
				t.Errorf("msg_signature = %s, want %s", got, v.msgSignature)
			}
		})
	}
}

func TestVectorsCipher(t *testing.T) {
	for _, v := range vectors {
		t.Run(v.name, func(t *testing.T) {
			c := mustCipher(t, v.key, v.appID)
			for range 2 { // the second time with what the first left behind
				got, err := c.Decrypt(v.encrypt)
				if err != nil {
					t.Fatal(err)
				}
				if string(got) != v.msg {
					t.Errorf("Decrypt = %q, want %q", got, v.msg)
				}
				enc, err := c.appendEncrypt(nil, new(room), []byte(v.random), []byte(v.msg))
				if err != nil {
					t.Fatal(err)
				}
				if string(enc) != v.encrypt {
					t.Errorf("appendEncrypt = %s, want %s", enc, v.encrypt)
				}
			}
		})
	}
}

// TestVectorsOpen takes the vectors through the callback as a push would come.
func TestVectorsOpen(t *testing.T) {
	for _, v := range vectors {
		if v.msgSignature == "" {
			continue
		}
		t.Run(v.name, func(t *testing.T) {
			c := Callback{
				Tokens: []string{v.token}, Ciphers: []*Cipher{mustCipher(t, v.key, v.appID)}, Encryption: Safe,
				Freshness: time.Minute, Now: func() time.Time { return unixText(t, v.timestamp).Add(30 * time.Second) },
			}
			q := Query{
				Signature: Sign(v.token, v.timestamp, v.nonce), Timestamp: v.timestamp, Nonce: v.nonce,
				EncryptType: "aes", MsgSignature: v.msgSignature,
			}
			if err := c.Verify(q); err != nil {
				t.Fatal(err)
			}
			e, err := c.Open(q, safeBody(v.encrypt))
			if err != nil {
				t.Fatal(err)
			}
			if string(e.XML) != v.msg || !e.Encrypted {
				t.Errorf("Open = %q, encrypted %v; want %q", e.XML, e.Encrypted, v.msg)
			}
		})
	}
}

func TestVectorPush(t *testing.T) {
	for _, v := range vectors {
		if !strings.HasPrefix(v.msg, "<xml>") {
			continue
		}
		p, err := ParsePush([]byte(v.msg))
		if err != nil {
			t.Errorf("%s: %v", v.name, err)
			continue
		}
		if _, ok := p.Body.(*Text); !ok || p.MsgID == "" {
			t.Errorf("%s: got %T with MsgID %q, want a text with one", v.name, p.Body, p.MsgID)
		}
	}
}
