package wechat

import (
	"bytes"
	"crypto/rand"
	"errors"
	"slices"
	"strconv"
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
	s, err := scan(body)
	if err != nil {
		return nil, ErrDecrypt
	}
	defer s.release()
	text, ok := s.cipherText()
	if !ok {
		return nil, ErrDecrypt
	}
	i, ok := matchToken(c.Tokens, q.MsgSignature, q.Timestamp, q.Nonce, text)
	if !ok {
		return nil, ErrSignature
	}
	r := takeRoom()
	defer r.giveBack()
	for _, ci := range c.Ciphers {
		if ci == nil {
			continue
		}
		msg, err := ci.decrypt(r, text)
		if err != nil {
			continue
		}
		return &Envelope{XML: msg, Encrypted: true, token: c.Tokens[i], cipher: ci, nonce: q.Nonce}, nil
	}
	return nil, ErrDecrypt
}

// cipherText finds the one Encrypt element below the root. It points into the
// scanner; no tree is made for it.
func (s *scanner) cipherText() ([]byte, bool) {
	found := none
	for i := range s.nodes {
		n := &s.nodes[i]
		if n.parent != 0 || !s.is(n.name, "Encrypt") {
			continue
		}
		if found != none {
			return nil, false
		}
		found = i
	}
	if found == none {
		return nil, false
	}
	text := bytes.TrimSpace(s.textOf(&s.nodes[found]))
	return text, len(text) > 0
}

// textOf returns the text of a node. One in several pieces is put together behind
// the document.
func (s *scanner) textOf(n *node) []byte {
	if n.text == n.tail {
		if n.text == none {
			return nil
		}
		p := s.pieces[n.text]
		return s.doc[p.from:p.to]
	}
	s.owned()
	from := len(s.doc)
	for p := n.text; p != none; p = s.pieces[p].next {
		s.doc = append(s.doc, s.doc[s.pieces[p].from:s.pieces[p].to]...)
	}
	s.own = s.doc
	return s.doc[from:]
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
	r := takeRoom()
	defer r.giveBack()
	nonce := replyNonce(e.nonce)
	var digits [20]byte
	timestamp := string(strconv.AppendInt(digits[:0], now.Unix(), 10))

	// Neither text, signature nor nonce holds anything that XML would take
	// amiss.
	const (
		head      = "<xml><Encrypt><![CDATA["
		signed    = "]]></Encrypt><MsgSignature><![CDATA["
		stamped   = "]]></MsgSignature><TimeStamp>"
		withNonce = "</TimeStamp><Nonce><![CDATA["
		tail      = "]]></Nonce></xml>"
		markup    = len(head) + len(signed) + len(stamped) + len(withNonce) + len(tail)
	)
	b := make([]byte, 0, markup+e.cipher.encryptedLen(len(reply))+signatureSize+len(timestamp)+len(nonce))
	b, err := e.cipher.appendEncrypt(append(b, head...), r, nil, reply)
	if err != nil {
		return nil, err
	}
	r.text = slices.Grow(r.text[:0], len(b)+len(e.token)+len(timestamp)+len(nonce))
	signature := sign(r.text, e.token, timestamp, nonce, b[len(head):])
	b = append(append(b, signed...), signature[:]...)
	b = append(append(b, stamped...), timestamp...)
	b = append(append(b, withNonce...), nonce...)
	return append(b, tail...), nil
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
