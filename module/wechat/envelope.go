package wechat

import (
	"crypto/rand"
	"errors"
	"strconv"
	"strings"
	"time"
)

// Envelope is a push that has been verified and, if need be, opened. It remembers
// by which token and cipher, so that the reply goes out in the same form.
type Envelope struct {
	// XML is the plaintext push, for ParsePush.
	XML []byte
	// Encrypted says that the push came as cipher text.
	Encrypted bool

	token  string
	cipher *Cipher
	nonce  string
}

// String hides what is inside: a token, and a user's words.
func (e Envelope) String() string { return "wechat.Envelope" }

// GoString is String, for %#v.
func (e Envelope) GoString() string { return e.String() }

// Open applies the rules of the encryption mode to the body of a push that has
// passed Verify, checks `msg_signature` and decrypts. It returns ErrMode,
// ErrSignature or ErrDecrypt. A plaintext push is not parsed here; of an
// encrypted one nothing but the decrypted copy is used.
func (c *Callback) Open(q Query, body []byte) (*Envelope, error) {
	switch q.EncryptType {
	case "", "raw":
		if c.Encryption != Plain && c.Encryption != Compatible {
			return nil, ErrMode
		}
		return &Envelope{XML: body}, nil
	case "aes":
		if c.Encryption != Safe && c.Encryption != Compatible {
			return nil, ErrMode
		}
		return c.openEncrypted(q, body)
	}
	return nil, ErrMode
}

func (c *Callback) openEncrypted(q Query, body []byte) (*Envelope, error) {
	if q.MsgSignature == "" || q.Timestamp == "" || q.Nonce == "" {
		return nil, ErrSignature
	}
	text, ok := cipherText(body)
	if !ok {
		return nil, ErrDecrypt
	}
	i, ok := matchToken(c.Tokens, q.MsgSignature, q.Timestamp, q.Nonce, text)
	if !ok {
		return nil, ErrSignature
	}
	for _, ci := range c.Ciphers {
		if ci == nil {
			continue
		}
		msg, err := ci.Decrypt(text)
		if err != nil {
			continue
		}
		return &Envelope{XML: msg, Encrypted: true, token: c.Tokens[i], cipher: ci, nonce: q.Nonce}, nil
	}
	return nil, ErrDecrypt
}

// cipherText finds the one Encrypt element below the root.
func cipherText(body []byte) (string, bool) {
	root, err := parseXML(body)
	if err != nil {
		return "", false
	}
	text, found := "", false
	for _, e := range root {
		if e.Name != "Encrypt" {
			continue
		}
		if found {
			return "", false
		}
		text, found = strings.TrimSpace(e.Text), true
	}
	return text, found && text != ""
}

// Seal puts a passive reply into the form of the request: plaintext as it is, or
// encrypted and signed with the cipher and token that opened the push. The
// acknowledgements `success` and the empty body are never encrypted (WeChat:
// Message encryption). now becomes the TimeStamp of the envelope.
func (e *Envelope) Seal(reply []byte, now time.Time) ([]byte, error) {
	if !e.Encrypted || len(reply) == 0 || string(reply) == "success" {
		return reply, nil
	}
	if e.cipher == nil {
		return nil, errors.New("sealing reply: the envelope was not opened by a callback")
	}
	text, err := e.cipher.Encrypt(reply)
	if err != nil {
		return nil, err
	}
	nonce := replyNonce(e.nonce)
	timestamp := strconv.FormatInt(now.Unix(), 10)

	var b []byte
	b = append(b, "<xml>"...)
	b = appendCDATA(b, "Encrypt", text)
	b = appendCDATA(b, "MsgSignature", Sign(e.token, timestamp, nonce, text))
	b = append(b, "<TimeStamp>"...)
	b = append(b, timestamp...)
	b = append(b, "</TimeStamp>"...)
	b = appendCDATA(b, "Nonce", nonce)
	return append(b, "</xml>"...), nil
}

// replyNonce echoes the nonce of the request, as WeChat's own samples do, unless
// it holds anything that would not survive XML unchanged: the signature covers it.
func replyNonce(nonce string) string {
	plain := nonce != "" && len(nonce) <= 64
	for i := 0; plain && i < len(nonce); i++ {
		plain = isAlphanumeric(nonce[i])
	}
	if plain {
		return nonce
	}
	return rand.Text()[:16]
}
