package module

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

const (
	// mediaWait bounds how long a request for media waits for the account to start.
	mediaWait = 5 * time.Second

	// crawl is how long a client may take for what is read of a file at once, some
	// 32 KiB. Whoever is slower is cut off.
	crawl = 30 * time.Second
)

// errNoMedia is all that anybody learns of what is not there for them.
var errNoMedia = errors.New("no such media")

// media serves a file that a user sent, to whoever has its address. The bot hands
// that on to whatever is to look at the file, so no more can be asked for.
func (h *Handler) media(w http.ResponseWriter, r *http.Request, name string) error {
	hurry(w, r)
	if strings.HasSuffix(r.URL.Path, "/") { // it was cut off
		return caddyhttp.Error(http.StatusNotFound, errNoMedia)
	}
	ctx, cancel := context.WithTimeout(r.Context(), mediaWait)
	defer cancel()
	rt, done, err := h.account.enter(ctx)
	if err != nil {
		return caddyhttp.Error(http.StatusServiceUnavailable, err)
	}
	defer done()
	f, found, err := rt.File(ctx, name)
	switch {
	case err != nil:
		return caddyhttp.Error(http.StatusServiceUnavailable, err)
	case !found:
		return caddyhttp.Error(http.StatusNotFound, errNoMedia)
	}
	// A user chose the bytes: nothing that looks at them may run them.
	disposition := "attachment"
	if f.Inline {
		disposition = "inline"
	}
	header := w.Header()
	header.Set("Content-Type", f.Type)
	header.Set("Content-Disposition", disposition)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	header.Set("Cache-Control", "private, max-age="+strconv.Itoa(max(0, int(time.Until(f.Until).Seconds()))))
	header.Set("Etag", f.ETag)
	ctl := http.NewResponseController(w)
	http.ServeContent(w, r, "", f.At, steady{f, ctl})
	if f.Err() != nil {
		panic(http.ErrAbortHandler) // or a part might be taken for the whole
	}
	_ = ctl.Flush()
	_ = ctl.SetWriteDeadline(time.Time{}) // it is not for the connection's next answer
	return nil
}

// steady gives a client time for each piece of what it gets, not for the whole.
type steady struct {
	io.ReadSeeker
	w *http.ResponseController
}

// Read implements io.Reader.
func (s steady) Read(b []byte) (int, error) {
	_ = s.w.SetWriteDeadline(time.Now().Add(crawl))
	return s.ReadSeeker.Read(b)
}

// arrived is the address under which a request has arrived: scheme and host as
// Caddy sees them, or as a proxy says that Caddy trusts, and what an earlier
// directive has cut off the path.
type arrived struct{ scheme, host, prefix string }

func arrivedAt(r *http.Request) arrived {
	a := arrived{scheme: "http", host: r.Host}
	if r.TLS != nil {
		a.scheme = "https"
	}
	if trusted, _ := caddyhttp.GetVar(r.Context(), caddyhttp.TrustedProxyVarKey).(bool); trusted {
		if proto := r.Header.Get("X-Forwarded-Proto"); proto == "http" || proto == "https" {
			a.scheme = proto
		}
		if host := r.Header.Get("X-Forwarded-Host"); host != "" {
			a.host = host
		}
	}
	if original, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok && original.URL != nil {
		if prefix, cut := strings.CutSuffix(original.URL.Path, r.URL.Path); cut {
			a.prefix = prefix
		}
	}
	return a
}

// reached is the base of the address under which a request has arrived, empty if
// that makes none. It is most often the same as the last time.
func (h *Handler) reached(r *http.Request) string {
	a := arrivedAt(r)
	if had := h.arrived.Load(); had != nil && had.arrived == a {
		return had.url
	}
	known := &based{a, a.base()}
	h.arrived.Store(known)
	return known.url
}

// based is an address and its base.
type based struct {
	arrived
	url string
}

// base is the address as a URL, empty if it does not make one.
func (a arrived) base() string {
	u := url.URL{Scheme: a.scheme, Host: a.host, Path: a.prefix}
	base := u.String()
	if again, err := url.Parse(base); err != nil || u.Host == "" || again.Host != u.Host || again.User != nil {
		return ""
	}
	return base
}
