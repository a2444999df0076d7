package simulator

import (
	"encoding/hex"
	"strings"
	"testing"
)

// The vectors are WeChat's own (Message encryption, Message push), those of the SDKs that
// publish some, and two made for the edges.

const (
	wcKeyAbc = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
	wcV8     = "<xml><ToUserName><![CDATA[gh_0123456789ab]]></ToUserName><FromUserName><![CDATA[oTEST0000000000000000000000a]]></FromUserName><CreateTime>1700000000</CreateTime><MsgType><![CDATA[text]]></MsgType><Content><![CDATA[你好]]></Content><MsgId>24000000000000001</MsgId></xml>"
	wcV8Enc  = "Q3stYC6hdFzMh9T8HCvyDFYqp+WRA4JhXTSMyMJMcetdiNVcMrNQ+2F56y/mfUu346XuLdO3uRNCaHHHeD8eSnKv8MR2VST5AxWsQ6pzYRV5hIIzdl4G54ii8xp5Ncy9DuNd5GwVxxUlHGU/a7vQMl+txN9t2uLUryH9YgTLdAK8ADp7/0/LHBWGi8PHBwyuUXyx2q1lYV84daSSolwMt0gdH75pc3Ny6VdcmrAUkkuUSiNscr5Ivxel+cpJcGSsMUOLdZYbuWhHfcRSOymZxc0JxN5MTCwIFOnXjlie0/RDDXGoH4fe0QjTnXytM+KDFLYCaNblxWgyjw9goBWKLO2xMHdf8b6Ra7T8FPC//t2JcMNrWGz7z1A2vYunmHNWAWk/0vkoqG2C8ES/O1Xibjq3EHnUQHDCkBsUfME7xQs="
)

func TestWeChatSignVectors(t *testing.T) {
	for _, tc := range []struct {
		name  string
		parts []string
		want  string
	}{
		{"V1 verification", []string{"AAAAA", "1714036504", "1514711492"}, "f464b24fc39322e44b38aa78f5edd27bd1441696"},
		{"V1 second", []string{"AAAAA", "1714037059", "486452656"}, "899cf89e464efb63f54ddac96b0a0a235f53aa78"},
		{"V2 signature", []string{"AAAAA", "1714112445", "415670741"}, "6c5c811b55cc85e0e1b54100749188c20beb3f5d"},
		{"V6 signature", []string{"token1234567890", "1458864389", "2066297436"}, "f9c725922f6844701ba71e98031978e40023c09f"},
		{"V8 signature", []string{"testtoken", "1700000000", "123456789"}, "1224ee560df62329b43aeee20636a0defb583ee4"},
		{"V8 msg_signature", []string{"testtoken", "1700000000", "123456789", wcV8Enc}, "0dc90aef67688e130881702c8485a3f525388bbd"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := wcSign(tc.parts...); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

func TestWeChatCipherVectors(t *testing.T) {
	laravel := "<xml><URL><![CDATA[http://wechat.laravel.so/server]]></URL><ToUserName><![CDATA[asdasdasd]]></ToUserName><FromUserName><![CDATA[asdasdasdsadasd]]></FromUserName><CreateTime>1234567898</CreateTime><MsgType><![CDATA[text]]></MsgType><Content><![CDATA[hello]]></Content><MsgId>12345</MsgId></xml>"
	goSDK := strings.Join([]string{
		"<xml><ToUserName><![CDATA[gh_b1eb3f8bd6c6]]></ToUserName>", "<FromUserName><![CDATA[okPEat9FRX96xG8JQvTxHLpzDV64]]></FromUserName>",
		"<CreateTime>1458889120</CreateTime>", "<MsgType><![CDATA[text]]></MsgType>", "<Content><![CDATA[test text message]]></Content>",
		"<MsgId>6265881059295447969</MsgId>", "</xml>",
	}, "\n")
	for _, tc := range []struct {
		name, key, appID, random, msg, enc string
		sign                               []string // token, timestamp, nonce
		sig                                string
	}{
		{
			"V2 inbound", strings.Repeat("A", 43), "wxba5fad812f8e6fb9", "a8eedb185eb2fecf",
			`{"ToUserName":"gh_97417a04a28d","FromUserName":"o9AgO5Kd5ggOC-bXrbNODIiE3bGY","CreateTime":1714112445,"MsgType":"event","Event":"debug_demo","debug_str":"hello world"}`,
			"+qdx1OKCy+5JPCBFWw70tm0fJGb2Jmeia4FCB7kao+/Q5c/ohsOzQHi8khUOb05JCpj0JB4RvQMkUyus8TPxLKJGQqcvZqzDpVzazhZv6JsXUnnR8XGT740XgXZUXQ7vJVnAG+tE8NUd4yFyjPy7GgiaviNrlCTj+l5kdfMuFUPpRSrfMZuMcp3Fn2Pede2IuQrKEYwKSqFIZoNqJ4M8EajAsjLY2km32IIjdf8YL/P50F7mStwntrA2cPDrM1kb6mOcfBgRtWygb3VIYnSeOBrebufAlr7F9mFUPAJGj04=",
			[]string{"AAAAA", "1714112445", "415670741"},
			"046e02f8204d34f8ba5fa3b1db94908f3df2e9b3",
		},
		{
			"V3 reply", strings.Repeat("A", 43), "wxba5fad812f8e6fb9", "707722b803182950", `{"demo_resp":"good luck"}`,
			"ELGduP2YcVatjqIS+eZbp80MNLoAUWvzzyJxgGzxZO/5sAvd070Bs6qrLARC9nVHm48Y4hyRbtzve1L32tmxSQ==",
			[]string{"AAAAA", "1713424427", "415670741"},
			"1b9339964ed2e271e7c7b6ff2b0ef902fc94dea1",
		},
		{
			"V4 non-ASCII", wcKeyAbc, "wxb11529c136998cb6", "aaaabbbbccccdddd", "我是中文abcd123",
			"jn1L23DB+6ELqJ+6bruv21Y6MD7KeIfP82D6gU39rmkgczbWwt5+3bnyg5K55bgVtVzd832WzZGMhkP72vVOfg==",
			[]string{"pamtest", "1409304348", "xxxxxx"},
			"82c962d39941aa48552f90ef55aa323dc620cc10",
		},
		{
			"V5 XML", wcKeyAbc, "wxb11529c136998cb6", "d43123b161a4ba84", laravel,
			"rTNFcsut4LfGuAFKEUVVpwcaCOTJzOd9twZdIW910jb3k+iicx2uvhttIZ3Qg9Qgty3BEF2xbOrz6boTfb30dMomcgrkTqdFPwnhqbk+kIQ7rZiwny9D7NUrTgA5kpX3KsZvrXzUZyP2x9YOlxbgm572lmxKvM7HAQQhIQ/p6HBmoY30bGXFK0BtIu1pW9TjhOYrLQoU18nWYjWqDA1ynkmOytpv7QRI1P1+0NoxL0q2zO1DgeSvnE8CZGo/o5Ap/WHK5W2RAsinpzN4/LjPnmB6U01I5XCoJoC0GK/yMZycd2Oh8Nq6+wBkC1U85oy0ktOY4nLvsQMLrourmMGdZHuTbqpeJ8Ao/5PRYJ+WBvRUwPfGKBL2+2IKZF49vAJqkcGWSHGE76ZN2erXeuNazf/o9o3lIE3q739o4c8t9QGPe31GT2Go/rOz1BsrASwvauNulCh+++yz+CQzBIuikA==",
			[]string{"pamtest", "1458300676", "260774613"},
			"4f3ad57b6989f09f4eb392acce4f9e93942ed890",
		},
		{
			"V6 key with trailing bits", "AdiqDDDvUNCeE1ZW5XJmjf9fqNBJpGBs4vL4cHKmHBS", "wx45f133bf6fce646e", "cc9632a98304f81c", goSDK,
			"gsKjKVChgrDDifoOdfrL/MWujrKxnSR1jBopv0zEdHFQXcx5I0bf4UxIRjektLHEziRxpU5zTw0s+gYF3WOFjkIn30gzQl9XNKr2A+DCHVG05I2EcbOnnAR5EYgjGLAipra5nOfCPPIRFQTZ7SdanniXX73YOiCAKJlNH21+PApcYu4rPXxJ4eTXbBLwmfnSl7iojDX1LQIcC3FYmaapMQq/u+sJGsxshp4dLXJ6A5Ji3cSYAzXRVIxbNlHN1MWfdcZ0O5+ZtOU6dZiD8hJ4kkxh05EfOedWFjUy7ZhmXgrpZ4WpYPsrythXHE2Bg1Ohz8uf5h5X31yuU/3FPoa8rD21pfZnAjBT1QCkn6MxtL5lR+yoQReLwElVbtB6yJFPIZ+n9Qh/yKfIasxkzgIEo0pwPEbS17WCTyvRItJtU6tlo3rawJX+fsV63tKIfmLZjyZPDlV9/ka/nA/DT0KODw==",
			nil, "",
		},
		{
			"V7 full pad", wcKeyAbc, "wx0123456789abcdef", "0123456789abcdef", strings.Repeat("x", 26),
			"Q3stYC6hdFzMh9T8HCvyDHDxbrF7f8TfmYxXSN1y2Vbjja9RgRLcXPjzJF67v90Vr3HKiuEL04e7gdJi1DufsXo0wvTp5Iwc7Rt+04Oq4Q1t7yZ26HdYDJfk5lsZrMIt",
			[]string{"testtoken", "1700000001", "987654321"},
			"4ff23809e0ee6a736b68ed12606ce1045e7ae2f7",
		},
		{
			"V8 push", wcKeyAbc, "wx0123456789abcdef", "0123456789abcdef", wcV8, wcV8Enc,
			[]string{"testtoken", "1700000000", "123456789"},
			"0dc90aef67688e130881702c8485a3f525388bbd",
		},
		{
			"V9 echostr of WeCom", "kWxPEV2UEDyxWpmPdKC3F4dgPDmOvfKX1HGnEUDS1aR", "wx49f0ab532d5d035a", "2304fc2fe146f1f8", "5927782489442352469",
			"4ByGGj+sVCYcvGeQYhaKIk1o0pQRNbRjxybjTGblXrBaXlTXeOo1+bXFXDQQb1o6co6Yh9Bv41n7hOchLF6p+Q==",
			[]string{"123456", "1411443780", "437374425"},
			"dd6b9c95b495b3f7e2901bfbc76c664930ffdb96",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := mustWcCipher(tc.key)
			msg, appID, random, err := c.open(tc.enc)
			if err != nil || string(msg) != tc.msg || appID != tc.appID || string(random) != tc.random {
				t.Fatalf("open: %q %q %q %v", msg, appID, random, err)
			}
			if got := c.sealWith([]byte(tc.random), []byte(tc.msg), tc.appID, true); got != tc.enc {
				t.Errorf("seal: got %s", got)
			}
			if tc.sign != nil {
				if got := wcSign(append(tc.sign, tc.enc)...); got != tc.sig {
					t.Errorf("msg_signature: got %s, want %s", got, tc.sig)
				}
			}
		})
	}
	key := mustWcCipher(wcKeyAbc)
	if got := hex.EncodeToString(key.iv); got != "69b71d79f8218a39259a7a29aabb2dba" {
		t.Errorf("V4 key: its first half is %s", got)
	}
}

func TestWeChatCipherRefuses(t *testing.T) {
	c := mustWcCipher(wcKeyAbc)
	good := c.seal([]byte("hello"), "wx0123456789abcdef")
	for name, enc := range map[string]string{
		"empty":         "",
		"not base64":    "!!!!",
		"half a block":  good[:20],
		"bad pad":       c.sealWith(make([]byte, 16), []byte("hello"), "wx0123456789abcdef", false),
		"other key":     mustWcCipher(strings.Repeat("A", 43)).seal([]byte("hello"), "wx0123456789abcdef"),
		"length beyond": c.sealWith([]byte(strings.Repeat("r", 16)+"\xff\xff\xff\xff"), nil, "", true),
	} {
		t.Run(name, func(t *testing.T) {
			if msg, appID, _, err := c.open(enc); err == nil && appID == "wx0123456789abcdef" {
				t.Errorf("opened to %q", msg)
			}
		})
	}
	for _, key := range []string{"", "short", strings.Repeat("!", 43), strings.Repeat("A", 44)} {
		if _, err := newWcCipher(key); err == nil {
			t.Errorf("key %q was taken", key)
		}
	}
}

func FuzzWeChatCipherOpen(f *testing.F) {
	f.Add(wcV8Enc)
	f.Add("")
	c := mustWcCipher(wcKeyAbc)
	f.Fuzz(func(t *testing.T, enc string) {
		msg, appID, random, err := c.open(enc)
		if err != nil {
			return
		}
		again, gotID, _, err := c.open(c.sealWith(random, msg, appID, true))
		if err != nil || string(again) != string(msg) || gotID != appID {
			t.Errorf("does not survive a round trip: %v", err)
		}
	})
}
