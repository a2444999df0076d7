package wechat

import (
	"bytes"
	"errors"
	"testing"
)

func FuzzParsePush(f *testing.F) {
	for _, tt := range examples {
		f.Add(document(tt.xml))
	}
	f.Add([]byte(textPush))
	f.Add([]byte(`<!DOCTYPE a [<!ENTITY b "c">]><xml>&b;</xml>`))
	f.Add([]byte("\ufeff<xml>\x00<a:b>\xff</a:b></xml>"))
	f.Fuzz(func(t *testing.T, body []byte) {
		p, err := ParsePush(body)
		if err != nil {
			var pe *ParseError
			if !errors.As(err, &pe) || p != nil {
				t.Fatalf("ParsePush = %v, %v", p, err)
			}
			return
		}
		if p.Body == nil || p.FromUserName == "" || p.MsgType == "" {
			t.Fatalf("incomplete: %+v", p)
		}
		if again, err := ParsePush(body); err != nil || again.Key() != p.Key() {
			t.Fatalf("not the same twice: %v", err)
		}
		p.Fields()
		p.Opens()
		p.Unlocks()
	})
}

func FuzzOpen(f *testing.F) {
	ci := mustCipher(f, alphabetKey, madeAppID)
	enc, err := ci.Encrypt([]byte(textPush))
	if err != nil {
		f.Fatal(err)
	}
	f.Add("signature=a&timestamp=1&nonce=2&encrypt_type=aes&msg_signature=b", safeBody(enc), true)
	f.Add("timestamp=1&nonce=2&encrypt_type=raw", []byte(textPush), false)
	f.Add("nonce=%zz&nonce=1", []byte("<xml><Encrypt/></xml>"), true)
	f.Fuzz(func(t *testing.T, raw string, body []byte, sign bool) {
		q, err := ParseQuery(raw)
		if err != nil {
			return
		}
		for _, mode := range []Encryption{Plain, Compatible, Safe} {
			c := Callback{Tokens: []string{testToken}, Ciphers: []*Cipher{ci}, Encryption: mode}
			if text, ok := textOfCipher(body); ok && sign {
				q.MsgSignature = Sign(testToken, q.Timestamp, q.Nonce, text)
			}
			e, err := c.Open(q, body)
			if err != nil {
				if !errors.Is(err, ErrMode) && !errors.Is(err, ErrSignature) && !errors.Is(err, ErrDecrypt) {
					t.Fatalf("another error: %v", err)
				}
				continue
			}
			if mode == Safe && !e.Encrypted || mode == Plain && e.Encrypted {
				t.Fatalf("mode %s let through encrypted %v", mode, e.Encrypted)
			}
		}
	})
}

func FuzzDecrypt(f *testing.F) {
	c := mustCipher(f, alphabetKey, madeAppID)
	for _, v := range vectors {
		f.Add(v.encrypt, []byte(v.msg))
	}
	f.Add(seal(c, bytes.Repeat([]byte{32}, 32)), []byte{})
	f.Fuzz(func(t *testing.T, text string, plain []byte) {
		if got, err := c.Decrypt(text); err != nil {
			if !errors.Is(err, ErrDecrypt) || got != nil {
				t.Errorf("Decrypt = %q, %v", got, err)
			}
		}
		// The same bytes as a plain block, which random cipher text never
		// gives.
		plain = plain[:len(plain)/32*32]
		if got, err := c.Decrypt(seal(c, plain)); err == nil && !bytes.Contains(plain, append(got, madeAppID...)) {
			t.Errorf("%q does not come from %q", got, plain)
		}
	})
}
