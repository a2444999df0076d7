package wechat

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
)

const (
	// keyChars is the length of an EncodingAESKey, 43 base64 characters
	// without their padding.
	keyChars = 43
	// randomBytes precede the length in the plain block, so that equal
	// messages do not encrypt equally under the fixed IV.
	randomBytes = 16
	lengthBytes = 4
	// padBlock is the PKCS#7 block of the protocol: 32, not AES's 16.
	padBlock = 32
)

// ErrDecrypt says that a push could not be opened: no cipher text, not base64,
// wrong key, wrong padding, or meant for another AppID. Which of them it was is
// not told, so that nothing can be learned by trying.
var ErrDecrypt = errors.New("push cannot be decrypted")

// Cipher encrypts and decrypts messages of one account under one EncodingAESKey.
// It does not change after NewCipher and is safe for concurrent use.
type Cipher struct {
	block cipher.Block
	iv    [aes.BlockSize]byte
	appID string
}

// NewCipher makes the cipher of an account from its EncodingAESKey, 43 characters
// of A-Z, a-z, 0-9, and its AppID. The error does not show the key.
func NewCipher(encodingAESKey, appID string) (*Cipher, error) {
	if len(encodingAESKey) != keyChars {
		return nil, fmt.Errorf("reading EncodingAESKey: it has %d characters, want %d", len(encodingAESKey), keyChars)
	}
	for i := range len(encodingAESKey) {
		if !isAlphanumeric(encodingAESKey[i]) {
			return nil, fmt.Errorf("reading EncodingAESKey: character %d is not a letter or digit", i+1)
		}
	}
	if appID == "" {
		return nil, errors.New("reading EncodingAESKey: no AppID to go with it")
	}
	// 43 characters carry 258 bits and the last two are often not zero:
	// StdEncoding lets that pass, Strict would not.
	key, err := base64.StdEncoding.DecodeString(encodingAESKey + "=")
	if err != nil || len(key) != 32 {
		return nil, errors.New("reading EncodingAESKey: it is not base64")
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, errors.New("reading EncodingAESKey: it is no AES key")
	}
	c := &Cipher{block: block, appID: appID}
	copy(c.iv[:], key)
	return c, nil
}

func isAlphanumeric(b byte) bool {
	return b >= '0' && b <= '9' || b >= 'A' && b <= 'Z' || b >= 'a' && b <= 'z'
}

// String names the account and hides the key.
func (c *Cipher) String() string { return "wechat.Cipher(" + c.appID + ")" }

// GoString is String, for %#v.
func (c *Cipher) GoString() string { return c.String() }

// Decrypt opens the base64 text of an Encrypt element and returns the message.
// Every failure is ErrDecrypt.
func (c *Cipher) Decrypt(b64 string) ([]byte, error) {
	buf, err := base64.StdEncoding.DecodeString(b64)
	if err != nil || len(buf) == 0 || len(buf)%padBlock != 0 {
		return nil, ErrDecrypt
	}
	cipher.NewCBCDecrypter(c.block, c.iv[:]).CryptBlocks(buf, buf)

	pad := int(buf[len(buf)-1])
	if pad < 1 || pad > padBlock {
		return nil, ErrDecrypt
	}
	plain, tail := buf[:len(buf)-pad], buf[len(buf)-pad:]
	for _, b := range tail {
		if int(b) != pad {
			return nil, ErrDecrypt
		}
	}
	if len(plain) < randomBytes+lengthBytes {
		return nil, ErrDecrypt
	}
	size := uint64(binary.BigEndian.Uint32(plain[randomBytes:]))
	rest := plain[randomBytes+lengthBytes:]
	if size > uint64(len(rest)) || string(rest[size:]) != c.appID {
		return nil, ErrDecrypt
	}
	return rest[:size:size], nil
}

// Encrypt returns msg as the base64 text of an Encrypt element, under fresh
// random bytes.
func (c *Cipher) Encrypt(msg []byte) (string, error) {
	var random [randomBytes]byte
	if _, err := rand.Read(random[:]); err != nil {
		return "", fmt.Errorf("encrypting reply: %w", err)
	}
	return c.encrypt(random, msg)
}

// encrypt is Encrypt with the random bytes given, for the published vectors.
func (c *Cipher) encrypt(random [randomBytes]byte, msg []byte) (string, error) {
	if uint64(len(msg)) > 1<<30 {
		return "", errors.New("encrypting reply: it is too long")
	}
	n := randomBytes + lengthBytes + len(msg) + len(c.appID)
	pad := padBlock - n%padBlock
	buf := make([]byte, 0, n+pad)
	buf = append(buf, random[:]...)
	buf = binary.BigEndian.AppendUint32(buf, uint32(len(msg)))
	buf = append(buf, msg...)
	buf = append(buf, c.appID...)
	buf = append(buf, bytes.Repeat([]byte{byte(pad)}, pad)...)
	cipher.NewCBCEncrypter(c.block, c.iv[:]).CryptBlocks(buf, buf)
	return base64.StdEncoding.EncodeToString(buf), nil
}
