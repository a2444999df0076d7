package simulator

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	crand "crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"slices"
)

// wcBlock is the padding block of WeChat's message encryption. It is 32, not AES's 16.
const wcBlock = 32

var errWcCipher = errors.New("cipher text does not open")

// wcSign is WeChat's signature: the lower-case hex SHA-1 of the sorted parts.
func wcSign(parts ...string) string {
	sorted := slices.Clone(parts)
	slices.Sort(sorted)
	h := sha1.New()
	for _, p := range sorted {
		h.Write([]byte(p))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// wcCipher is the account's message encryption (AES-256-CBC, the IV taken from the key).
type wcCipher struct {
	block cipher.Block
	iv    []byte
}

func newWcCipher(encodingAESKey string) (*wcCipher, error) {
	if len(encodingAESKey) != 43 {
		return nil, errors.New("an EncodingAESKey has 43 characters")
	}
	// The last character carries two unused bits which are often set: the decoder must be
	// the lenient one.
	key, err := base64.StdEncoding.DecodeString(encodingAESKey + "=")
	if err != nil {
		return nil, errors.New("an EncodingAESKey is base64 without its last character")
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return &wcCipher{block: block, iv: key[:aes.BlockSize]}, nil
}

func mustWcCipher(key string) *wcCipher {
	c, err := newWcCipher(key)
	if err != nil {
		panic("simulator: " + err.Error())
	}
	return c
}

// seal encrypts msg for appID with fresh random bytes.
func (c *wcCipher) seal(msg []byte, appID string) string {
	var random [16]byte
	crand.Read(random[:])
	return c.sealWith(random[:], msg, appID, true)
}

// sealWith encrypts with the given 16 random bytes. With goodPad false the last byte of
// the padding is one that no padding can have.
func (c *wcCipher) sealWith(random, msg []byte, appID string, goodPad bool) string {
	var b bytes.Buffer
	b.Grow(len(msg) + len(appID) + 20 + wcBlock)
	b.Write(random)
	var size [4]byte
	binary.BigEndian.PutUint32(size[:], uint32(len(msg)))
	b.Write(size[:])
	b.Write(msg)
	b.WriteString(appID)
	n := wcBlock - b.Len()%wcBlock
	b.Write(bytes.Repeat([]byte{byte(n)}, n))
	buf := b.Bytes()
	if !goodPad {
		buf[len(buf)-1] = wcBlock + 1
	}
	cipher.NewCBCEncrypter(c.block, c.iv).CryptBlocks(buf, buf)
	return base64.StdEncoding.EncodeToString(buf)
}

// open decrypts, and returns the message, the AppID behind it and the random bytes before it.
func (c *wcCipher) open(b64 string) (msg []byte, appID string, random []byte, err error) {
	buf, err := base64.StdEncoding.DecodeString(b64)
	if err != nil || len(buf) == 0 || len(buf)%wcBlock != 0 {
		return nil, "", nil, errWcCipher
	}
	cipher.NewCBCDecrypter(c.block, c.iv).CryptBlocks(buf, buf)
	pad := int(buf[len(buf)-1])
	if pad < 1 || pad > wcBlock {
		return nil, "", nil, errWcCipher
	}
	for _, b := range buf[len(buf)-pad:] {
		if int(b) != pad {
			return nil, "", nil, errWcCipher
		}
	}
	buf = buf[:len(buf)-pad]
	if len(buf) < 20 {
		return nil, "", nil, errWcCipher
	}
	size := uint64(binary.BigEndian.Uint32(buf[16:20]))
	if 20+size > uint64(len(buf)) {
		return nil, "", nil, errWcCipher
	}
	return buf[20 : 20+size], string(buf[20+size:]), buf[:16], nil
}
