package module

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
)

const (
	// mediaWait bounds how long a request for media waits for the account to start.
	mediaWait = 5 * time.Second

	// crawl is how long a client may take for what is read of a file at once, some
	// 32 KiB. Whoever is slower is cut off.
	crawl = 30 * time.Second

	// piecesMost is how many pieces of a file may be asked for at once. Each is looked
	// up by itself.
	piecesMost = 8
)

// media serves a file that a user sent, to whoever has its address. The bot hands
// that on to whatever is to look at the file, so no more can be asked for.
func (h *Handler) media(w http.ResponseWriter, r *http.Request, name string) error {
	hurry(w, r)
	if strings.HasSuffix(r.URL.Path, "/") { // it was cut off
		return bare(w, http.StatusNotFound)
	}
	ctx, cancel := context.WithTimeout(r.Context(), mediaWait)
	defer cancel()
	rt, done, err := h.account.enter(ctx)
	if err != nil {
		return bare(w, http.StatusServiceUnavailable)
	}
	defer done()
	f, found, err := rt.File(ctx, name)
	switch {
	case err != nil:
		h.logger.Debug("file of a user cannot be read", zap.Error(err))
		return bare(w, http.StatusServiceUnavailable)
	case !found:
		return bare(w, http.StatusNotFound)
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
	serve(w, r, f.At, f)
	if f.Err() != nil {
		panic(http.ErrAbortHandler) // or a part might be taken for the whole
	}
	return nil
}

// serve writes a file, or what is asked for of it, as long as the client takes it in.
func serve(w http.ResponseWriter, r *http.Request, at time.Time, file io.ReadSeeker) {
	if strings.Count(r.Header.Get("Range"), ",") >= piecesMost {
		r = r.Clone(r.Context())
		r.Header.Del("Range") // as HTTP lets us
	}
	ctl := http.NewResponseController(w)
	_ = ctl.SetWriteDeadline(time.Now().Add(crawl))
	http.ServeContent(w, r, "", at, steady{file, ctl})
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
