package simulator

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
)

// check tells why the settings cannot work.
func (s *wcSettings) check() error {
	switch s.mode {
	case ModePlain:
	case ModeCompatible, ModeSafe:
		if s.cipher == nil {
			return errors.New("mode " + s.mode + " needs an AESKey")
		}
	default:
		return fmt.Errorf("unknown mode %q", s.mode)
	}
	if !slices.Contains([]string{KindVerified, KindIndividual, KindSandbox}, s.kind) {
		return fmt.Errorf("unknown kind %q", s.kind)
	}
	return nil
}

// change publishes a changed copy of the settings, if it can work.
func (w *WeChat) change(f func(*wcSettings)) error {
	w.setting.Lock()
	defer w.setting.Unlock()
	s := *w.settings.Load()
	f(&s)
	if err := s.check(); err != nil {
		return err
	}
	w.settings.Store(&s)
	return nil
}

// mustChange is change for the Go methods, whose caller is a test.
func (w *WeChat) mustChange(f func(*wcSettings)) {
	if err := w.change(f); err != nil {
		panic("simulator: " + err.Error())
	}
}

// SetMode changes the encryption mode, from the next attempt on. It panics on a mode that
// does not exist or needs an AESKey that was not given.
func (w *WeChat) SetMode(mode string) { w.mustChange(func(s *wcSettings) { s.mode = mode }) }

// SetKind changes the account's kind. It panics on a kind that does not exist.
func (w *WeChat) SetKind(kind string) { w.mustChange(func(s *wcSettings) { s.kind = kind }) }

// SetSecret changes the AppSecret. Tokens got with the old one end at once (40001).
func (w *WeChat) SetSecret(secret string) {
	w.mustChange(func(s *wcSettings) { s.secret = secret })
	w.tokens.kill(wcTokenRetired)
}

// SetToken changes the token that signs pushes.
func (w *WeChat) SetToken(token string) { w.mustChange(func(s *wcSettings) { s.token = token }) }

// SetAESKey changes the EncodingAESKey. It panics on one that is malformed.
func (w *WeChat) SetAESKey(key string) {
	w.mustChange(func(s *wcSettings) { s.cipher = mustWcCipher(key) })
}

// SetCallbackURL changes where pushes go, from the next attempt on.
func (w *WeChat) SetCallbackURL(u string) { w.mustChange(func(s *wcSettings) { s.callback = u }) }

// SetPublicURL tells the base URL under which this handler is reached. Without one, and
// before the first request, PicUrl and video_url point to a host that does not exist.
func (w *WeChat) SetPublicURL(u string) {
	w.mustChange(func(s *wcSettings) { s.public = strings.TrimRight(u, "/") })
}

// SetAllowedIPs switches the IP allowlist on: token calls from any other address are 40164,
// save on a sandbox account. No addresses at all switches it off.
func (w *WeChat) SetAllowedIPs(ips ...string) {
	w.mustChange(func(s *wcSettings) { s.allowed = slices.Clone(ips) })
}

// SetCallbackIPs changes what getcallbackip answers, addresses and CIDRs. Pushes come from
// loopback all the same.
func (w *WeChat) SetCallbackIPs(ips ...string) {
	w.mustChange(func(s *wcSettings) { s.sources = append([]string{}, ips...) })
}

// SetDown makes every API call end in a closed connection, unanswered, until it is
// switched off again.
func (w *WeChat) SetDown(down bool) { w.mustChange(func(s *wcSettings) { s.down = down }) }

// publicBase is the base of the URLs the simulator hands out.
func (w *WeChat) publicBase() string {
	if public := w.settings.Load().public; public != "" {
		return public
	}
	if base := w.learned.Load(); base != nil {
		return *base
	}
	return "http://simulator.invalid"
}

// wcRemoteIP is the address a request came from.
func wcRemoteIP(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// ipAllowed applies the allowlist.
func (s *wcSettings) ipAllowed(r *http.Request) bool {
	return len(s.allowed) == 0 || s.kind == KindSandbox || slices.Contains(s.allowed, wcRemoteIP(r))
}
