package wechat

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
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

	encrypters, decrypters sync.Pool // of resettable
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
	r := takeRoom()
	defer r.giveBack()
	r.text = append(r.text[:0], b64...)
	return c.decrypt(r, r.text)
}

// decrypt is Decrypt with the room to do it in. text may be part of it, r.text.
func (c *Cipher) decrypt(r *room, text []byte) ([]byte, error) {
	r.block = slices.Grow(r.block[:0], base64.StdEncoding.DecodedLen(len(text)))
	buf := r.block[:cap(r.block)]
	n, err := base64.StdEncoding.Decode(buf, text)
	if err != nil || n == 0 || n%padBlock != 0 {
		return nil, ErrDecrypt
	}
	buf = buf[:n]
	c.crypt(&c.decrypters, cipher.NewCBCDecrypter, buf)

	// How long it takes must not tell what is wrong: the padding is no reason to
	// leave the rest unread.
	pad, padded := padding(buf[len(buf)-padBlock:])
	room := len(buf) - pad - randomBytes - lengthBytes - len(c.appID)
	if room < 0 {
		return nil, ErrDecrypt
	}
	size, rest := binary.BigEndian.Uint32(buf[randomBytes:]), buf[randomBytes+lengthBytes:]
	ours := subtle.ConstantTimeCompare(rest[room:room+len(c.appID)], []byte(c.appID))
	if padded&ours != 1 || uint64(size) != uint64(room) {
		return nil, ErrDecrypt
	}
	return append(make([]byte, 0, room), rest[:room]...), nil
}

// padding returns how many bytes at the end of a block are padding, and 1; or 0 and
// 0 if it is not as it should be. It takes the same time whatever the block holds.
func padding(block []byte) (pad, good int) {
	last := block[padBlock-1]
	pad = int(last)
	good = subtle.ConstantTimeLessOrEq(1, pad) & subtle.ConstantTimeLessOrEq(pad, padBlock)
	for i := range padBlock {
		within := subtle.ConstantTimeLessOrEq(i+1, pad)
		good &= subtle.ConstantTimeByteEq(block[padBlock-1-i], last) | (within ^ 1)
	}
	return pad & -good, good
}

// Encrypt returns msg as the base64 text of an Encrypt element, under fresh
// random bytes.
func (c *Cipher) Encrypt(msg []byte) (string, error) {
	r := takeRoom()
	defer r.giveBack()
	var err error
	r.text, err = c.appendEncrypt(r.text[:0], r, nil, msg)
	return string(r.text), err
}

// encryptedLen is the length of the Encrypt text of a message of n bytes.
func (c *Cipher) encryptedLen(n int) int {
	n += randomBytes + lengthBytes + len(c.appID)
	return base64.StdEncoding.EncodedLen(n + padBlock - n%padBlock)
}

// appendEncrypt adds the Encrypt text of msg to dst. random is what precedes it,
// for the published vectors; nil means fresh bytes.
func (c *Cipher) appendEncrypt(dst []byte, r *room, random, msg []byte) ([]byte, error) {
	if uint64(len(msg)) > 1<<30 {
		return dst, errors.New("encrypting reply: it is too long")
	}
	n := randomBytes + lengthBytes + len(msg) + len(c.appID)
	pad := padBlock - n%padBlock
	buf := slices.Grow(r.block[:0], n+pad)[:randomBytes]
	r.block = buf
	if random != nil {
		copy(buf, random)
	} else if _, err := rand.Read(buf); err != nil {
		return dst, fmt.Errorf("encrypting reply: %w", err)
	}
	buf = binary.BigEndian.AppendUint32(buf, uint32(len(msg)))
	buf = append(buf, msg...)
	buf = append(buf, c.appID...)
	for range pad {
		buf = append(buf, byte(pad))
	}
	c.crypt(&c.encrypters, cipher.NewCBCEncrypter, buf)
	return base64.StdEncoding.AppendEncode(dst, buf), nil
}

// resettable is a mode of AES that can start anew, as those of Go can.
type resettable interface {
	cipher.BlockMode
	SetIV(iv []byte)
}

// crypt takes buf through a mode from its start. A mode holds a copy of the
// expanded key: it is worth using again.
func (c *Cipher) crypt(modes *sync.Pool, fresh func(cipher.Block, []byte) cipher.BlockMode, buf []byte) {
	mode, ok := modes.Get().(resettable)
	if ok {
		mode.SetIV(c.iv[:])
	} else {
		made := fresh(c.block, c.iv[:])
		if mode, ok = made.(resettable); !ok {
			made.CryptBlocks(buf, buf)
			return
		}
	}
	mode.CryptBlocks(buf, buf)
	modes.Put(mode)
}

// room is memory that one call needs and the next can use again.
type room struct {
	block []byte // to encrypt or decrypt in
	text  []byte // base64, or a reply
}

var rooms = sync.Pool{New: func() any { return new(room) }}

func takeRoom() *room {
	r, _ := rooms.Get().(*room)
	return r
}

// giveBack keeps the room for the next, unless a rare giant made it large.
func (r *room) giveBack() {
	if r.small() {
		rooms.Put(r)
	}
}

func (r *room) small() bool { return cap(r.block) <= maxPooled && cap(r.text) <= maxPooled }
