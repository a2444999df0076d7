package bridge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"code.dny.dev/ssrf"
	"github.com/gabriel-vasile/mimetype"
)

const (
	// fetchTime is how long fetching a file may take, one retry included.
	fetchTime = 8 * time.Second

	// imageLimit is the largest picture that WeChat takes as temporary media.
	imageLimit = 10 << 20

	maxRedirects = 3
)

// imageNames are the pictures that WeChat takes, by type, with a file name of
// the extension it insists on.
var imageNames = map[string]string{
	"image/png":  "image.png",
	"image/jpeg": "image.jpg",
	"image/gif":  "image.gif",
}

// file is what was fetched.
type file struct {
	name string
	data []byte
}

// fetcher gets the files that a bot's messages point to. The bot's author may
// not be the operator, and what the bot says may come from its users: addresses
// inside the operator's network are refused, whatever name leads there, unless
// the configuration allows them.
type fetcher struct {
	client    *http.Client
	max       int64
	userAgent string
}

func newFetcher(m MediaSettings, userAgent string) *fetcher {
	opts := []ssrf.Option{ssrf.WithAnyPort()}
	var v4, v6 []netip.Prefix
	for _, p := range m.Allow {
		if p.Addr().Is4() {
			v4 = append(v4, p)
		} else {
			v6 = append(v6, p)
		}
	}
	opts = append(opts, ssrf.WithAllowedV4Prefixes(v4...), ssrf.WithAllowedV6Prefixes(v6...))
	// The guard looks at the address that is really dialled, so neither a name
	// that resolves to something else the second time nor a redirect gets past it.
	dialer := &net.Dialer{Timeout: 3 * time.Second, Control: ssrf.New(opts...).Safe}
	return &fetcher{
		client: &http.Client{
			Transport: &http.Transport{
				DialContext:           dialer.DialContext, // and no proxy: it would dial for us, unguarded
				ForceAttemptHTTP2:     true,
				TLSHandshakeTimeout:   3 * time.Second,
				ResponseHeaderTimeout: 5 * time.Second,
				MaxIdleConnsPerHost:   8,
				IdleConnTimeout:       30 * time.Second,
			},
			CheckRedirect: func(req *http.Request, via []*http.Request) error {
				if len(via) > maxRedirects {
					return errors.New("too many redirects")
				}
				return checkScheme(req.URL)
			},
		},
		max:       m.MaxSize,
		userAgent: userAgent,
	}
}

func (f *fetcher) close() { f.client.CloseIdleConnections() }

// image fetches a picture. Its type is told by its content. Errors tell no
// address: it may hold a user's data.
func (f *fetcher) image(ctx context.Context, from string) (file, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTime)
	defer cancel()
	data, err := f.get(ctx, from, min(f.max, imageLimit))
	if err != nil && ctx.Err() == nil && again(err) {
		data, err = f.get(ctx, from, min(f.max, imageLimit))
	}
	if err != nil {
		return file{}, err
	}
	kind := mimetype.Detect(data)
	name, ok := imageNames[kind.String()]
	if !ok {
		return file{}, fmt.Errorf("fetching picture: content is %s", kind.String())
	}
	return file{name: name, data: data}, nil
}

// errRefused marks what trying again does not change.
type errRefused struct{ why string }

func (e errRefused) Error() string { return "fetching file: " + e.why }

func again(err error) bool {
	var refused errRefused
	return !errors.As(err, &refused)
}

func checkScheme(u *url.URL) error {
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return errRefused{"not an http address"}
	}
	return nil
}

func (f *fetcher) get(ctx context.Context, from string, limit int64) ([]byte, error) {
	u, err := url.Parse(from)
	if err != nil {
		return nil, errRefused{"malformed address"}
	}
	if err := checkScheme(u); err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, errRefused{"malformed address"}
	}
	req.Header.Set("User-Agent", f.userAgent)
	resp, err := f.client.Do(req)
	if err != nil {
		return nil, fetchError(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		if resp.StatusCode < 500 {
			return nil, errRefused{"answered with status " + resp.Status[:3]}
		}
		return nil, fmt.Errorf("fetching file: answered with status %d", resp.StatusCode)
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err != nil {
		return nil, fetchError(err)
	}
	if int64(len(data)) > limit {
		return nil, errRefused{fmt.Sprintf("larger than %d bytes", limit)}
	}
	return data, nil
}

// fetchError strips the address off an error.
func fetchError(err error) error {
	if ue, ok := errors.AsType[*url.Error](err); ok {
		err = ue.Err
	}
	var refused errRefused
	switch {
	case errors.As(err, &refused):
		return refused
	case errors.Is(err, ssrf.ErrProhibitedIP), errors.Is(err, ssrf.ErrProhibitedNetwork), errors.Is(err, ssrf.ErrProhibitedPort):
		return errRefused{"address is not public and not allowed by media allow"}
	}
	return fmt.Errorf("fetching file: %w", err)
}
