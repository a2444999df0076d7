package simulator

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"
)

// bpKeys is how user keys are signed.
type bpKeys struct {
	personal bool // by the client
	secret   []byte
}

// SetEncryptionKey changes the integration's encryption key: clients sign the user keys with it, or,
// where it is empty, createUser issues them, with a secret that was not there before. The keys from
// before are refused; users and conversations stay.
func (b *Botpress) SetEncryptionKey(key string) {
	if key == "" {
		b.keys.Store(&bpKeys{secret: []byte(bpRandomHex(32))})
		return
	}
	b.keys.Store(&bpKeys{personal: true, secret: []byte(key)})
}

// bpSignKey issues a user key as Botpress does in shared mode: HS256 over {"id":...,"iat":...}.
func bpSignKey(secret []byte, id string, now time.Time) string {
	claims, _ := json.Marshal(struct {
		ID  string `json:"id"`
		IAT int64  `json:"iat"`
	}{id, now.Unix()})
	signed := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`)) +
		"." + base64.RawURLEncoding.EncodeToString(claims)
	return signed + "." + base64.RawURLEncoding.EncodeToString(bpMAC(secret, signed))
}

// bpVerifyKey gives the user id in a key. Only HS256 is taken; exp and nbf count if present; other
// claims do not.
func bpVerifyKey(secret []byte, key string, now time.Time) (id string, ok bool) {
	header, rest, ok1 := strings.Cut(key, ".")
	payload, mac, ok2 := strings.Cut(rest, ".")
	if !ok1 || !ok2 {
		return "", false
	}
	var h struct {
		Alg string `json:"alg"`
	}
	if !bpDecodePart(header, &h) || h.Alg != "HS256" {
		return "", false
	}
	got, err := base64.RawURLEncoding.DecodeString(mac)
	if err != nil || !hmac.Equal(got, bpMAC(secret, header+"."+payload)) {
		return "", false
	}
	var c struct {
		ID  string   `json:"id"`
		Exp *float64 `json:"exp"`
		Nbf *float64 `json:"nbf"`
	}
	if !bpDecodePart(payload, &c) || c.ID == "" {
		return "", false
	}
	at := float64(now.UnixMilli()) / 1000
	if (c.Exp != nil && at >= *c.Exp) || (c.Nbf != nil && at < *c.Nbf) {
		return "", false
	}
	return c.ID, true
}

func bpDecodePart(part string, v any) bool {
	raw, err := base64.RawURLEncoding.DecodeString(part)
	return err == nil && json.Unmarshal(raw, v) == nil
}

func bpMAC(secret []byte, s string) []byte {
	m := hmac.New(sha256.New, secret)
	m.Write([]byte(s))
	return m.Sum(nil)
}
