package wechat

import (
	"bytes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/binary"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

func TestNewCipher(t *testing.T) {
	tests := []struct {
		name, key, appID string
		ok               bool
	}{
		{"good", alphabetKey, madeAppID, true},
		{"trailing bits", strings.Repeat("z", 43), madeAppID, true},
		{"short", alphabetKey[:42], madeAppID, false},
		{"with padding", alphabetKey + "=", madeAppID, false},
		{"long", alphabetKey + "A", madeAppID, false},
		{"empty", "", madeAppID, false},
		{"blank at the end", alphabetKey[:42] + " ", madeAppID, false},
		{"line break inside", alphabetKey[:20] + "\n" + alphabetKey[21:], madeAppID, false},
		{"not a letter or digit", alphabetKey[:42] + "-", madeAppID, false},
		{"no AppID", alphabetKey, "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := NewCipher(tt.key, tt.appID)
			if (err == nil) != tt.ok {
				t.Fatalf("error = %v, want ok %v", err, tt.ok)
			}
			if err != nil && len(tt.key) > 9 && strings.Contains(err.Error(), tt.key[:10]) {
				t.Errorf("the error shows the key: %v", err)
			}
		})
	}
}

// seal encrypts a plain block of any make, to build what Decrypt must refuse.
func seal(c *Cipher, plain []byte) string {
	out := make([]byte, len(plain))
	cipher.NewCBCEncrypter(c.block, c.iv[:]).CryptBlocks(out, plain)
	return base64.StdEncoding.EncodeToString(out)
}

// block is a plain block with every part of it to be chosen.
func block(size uint32, msg, appID string, pad ...byte) []byte {
	b := []byte("0123456789abcdef")
	b = binary.BigEndian.AppendUint32(b, size)
	b = append(b, msg...)
	b = append(b, appID...)
	return append(b, pad...)
}

func TestDecryptRefuses(t *testing.T) {
	c := mustCipher(t, alphabetKey, madeAppID)
	pad := func(n int, b byte) []byte { return bytes.Repeat([]byte{b}, n) }
	// 16 + 4 + 4 + 18 = 42, so a pad of 22 makes 64.
	good := seal(c, block(4, "abcd", madeAppID, pad(22, 22)...))
	if got, err := c.Decrypt(good); err != nil || string(got) != "abcd" {
		t.Fatalf("the sound block: %q, %v", got, err)
	}
	bad := pad(22, 22)
	bad[3] = 21
	tests := map[string]string{
		"empty":                            "",
		"not base64":                       "%%%%",
		"no padding of base64":             strings.TrimRight(good, "="),
		"URL alphabet":                     "-_-_" + good[4:],
		"one AES block":                    seal(c, pad(16, 16)),
		"sound, but for AES's own padding": seal(c, block(6, "abcdef", madeAppID, pad(4, 4)...)),
		"not a multiple of 32":             base64.StdEncoding.EncodeToString(make([]byte, 48)),
		"not a multiple of 16":             base64.StdEncoding.EncodeToString(make([]byte, 33)),
		"pad of 0":                         seal(c, block(4, "abcd", madeAppID, pad(22, 0)...)),
		"pad of 33":                        seal(c, block(4, "abcd", madeAppID, pad(22, 33)...)),
		"pad of 255":                       seal(c, block(4, "abcd", madeAppID, pad(22, 255)...)),
		"pad not uniform":                  seal(c, block(4, "abcd", madeAppID, bad...)),
		"nothing but pad":                  seal(c, pad(32, 32)),
		"no room for the length":           seal(c, append(pad(19, 'a'), pad(13, 13)...)),
		"length too large":                 seal(c, block(40, "abcd", madeAppID, pad(22, 22)...)),
		"length of 2^32-1":                 seal(c, block(1<<32-1, "abcd", madeAppID, pad(22, 22)...)),
		"length over the AppID":            seal(c, block(5, "abcd", madeAppID, pad(22, 22)...)),
		"length short":                     seal(c, block(3, "abcd", madeAppID, pad(22, 22)...)),
		"AppID missing":                    seal(c, block(22, "abcd", madeAppID, pad(22, 22)...)),
		"AppID of another":                 seal(c, block(4, "abcd", "wx0123456789abcdee", pad(22, 22)...)),
		"AppID and more":                   seal(c, block(4, "abcd", madeAppID+"x", pad(21, 21)...)),
		"AppID in other case":              seal(c, block(4, "abcd", strings.ToUpper(madeAppID), pad(22, 22)...)),
		"cut in the middle":                good[:44],
		"one bit off":                      "A" + good[1:],
	}
	for name, text := range tests {
		t.Run(name, func(t *testing.T) {
			if text == good {
				t.Fatal("the case is the sound block")
			}
			got, err := c.Decrypt(text)
			if err != ErrDecrypt || got != nil { // the bare error: no detail
				t.Errorf("Decrypt = %q, %v; want ErrDecrypt", got, err)
			}
		})
	}
}

func TestEncryptIsFresh(t *testing.T) {
	c := mustCipher(t, alphabetKey, madeAppID)
	a, err1 := c.Encrypt([]byte("same"))
	b, err2 := c.Encrypt([]byte("same"))
	if err1 != nil || err2 != nil || a == b {
		t.Errorf("two encryptions: equal %v, %v, %v", a == b, err1, err2)
	}
}

func TestDecryptOfEncrypt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.StringMatching(`[A-Za-z0-9]{43}`).Draw(t, "key")
		appID := rapid.StringMatching(`wx[0-9a-f]{16}`).Draw(t, "appID")
		msg := rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(t, "msg")
		c, err := NewCipher(key, appID)
		if err != nil {
			t.Fatal(err)
		}
		text, err := c.Encrypt(msg)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := base64.StdEncoding.DecodeString(text)
		if err != nil || len(raw)%32 != 0 {
			t.Fatalf("%d bytes, %v; want a multiple of 32", len(raw), err)
		}
		if got, err := c.Decrypt(text); err != nil || !bytes.Equal(got, msg) {
			t.Fatalf("Decrypt = %x, %v; want %x", got, err, msg)
		}
	})
}

func TestCipherConcurrently(t *testing.T) {
	c := mustCipher(t, alphabetKey, madeAppID)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 100 {
				msg := strings.Repeat("m", i)
				text, err := c.Encrypt([]byte(msg))
				if err != nil {
					t.Error(err)
					return
				}
				if got, err := c.Decrypt(text); err != nil || string(got) != msg {
					t.Errorf("%q, %v", got, err)
				}
			}
		})
	}
	wg.Wait()
}
