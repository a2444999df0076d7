package mediafile

import (
	"cmp"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"
)

const (
	// DefaultMaxSize is the largest file that is fetched unless configured: 20 MiB.
	DefaultMaxSize = 20 << 20
	// DefaultTimeout is how long fetching a file may take, one retry and the wait
	// for memory included.
	DefaultTimeout = 8 * time.Second

	maxRedirects = 3
	retryPause   = 200 * time.Millisecond
)

// Config says what a Fetcher may do. Zero values mean the defaults.
type Config struct {
	// Allow are the prefixes of addresses that are fetched from although they
	// are not public. Default none.
	Allow []netip.Prefix
	// MaxSize is the largest file, in bytes. Default DefaultMaxSize; at most what
	// Memory holds.
	MaxSize int64
	// Timeout is how long a Fetch may take in all. Default DefaultTimeout.
	Timeout time.Duration
	// UserAgent is sent as such. Default: Go's.
	UserAgent string
	// Memory bounds the files held at once, over all fetchers that share it.
	// Default: one of DefaultMemory bytes for this fetcher alone.
	Memory *Memory
	// Resolver looks names up. Default: the system's.
	Resolver *net.Resolver
}

// Fetcher gets the files that a bot's messages point to. The bot's author may
// not be the operator, and what the bot says may come from its users: addresses
// inside the operator's network are refused, whatever name or redirect leads
// there, unless they are allowed. It is safe for concurrent use.
type Fetcher struct {
	client    *http.Client
	memory    *Memory
	max       int64
	timeout   time.Duration
	userAgent string
}

// New returns a Fetcher. Close it when it is of no more use.
func New(c Config) *Fetcher {
	memory := c.Memory
	if memory == nil {
		memory = NewMemory(0)
	}
	maxSize := c.MaxSize
	if maxSize <= 0 {
		maxSize = DefaultMaxSize
	}
	return &Fetcher{
		client: &http.Client{
			Transport: &http.Transport{
				DialContext:            dialGuarded(c.Allow, c.Resolver), // and no proxy: it would dial for us, unguarded
				ForceAttemptHTTP2:      true,
				DisableCompression:     true,
				TLSHandshakeTimeout:    3 * time.Second,
				ResponseHeaderTimeout:  5 * time.Second, // leaves time to try again
				MaxResponseHeaderBytes: 64 << 10,
				MaxIdleConns:           64,
				MaxIdleConnsPerHost:    8,
				IdleConnTimeout:        30 * time.Second,
			},
			CheckRedirect: checkRedirect,
		},
		memory:    memory,
		max:       min(maxSize, memory.size),
		timeout:   cmp.Or(c.Timeout, DefaultTimeout),
		userAgent: c.UserAgent,
	}
}

// Close ends idle connections. Fetches under way go on.
func (f *Fetcher) Close() { f.client.CloseIdleConnections() }

func checkRedirect(req *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return fmt.Errorf("%w: too many redirects", ErrStatus)
	}
	req.Header.Del("Referer") // the query of the first address is none of the next server's business
	return checkURL(req.URL)
}

// Fetch gets a file. It tries a second time where that can help. Close the file
// as soon as its data has been dealt with: until then it keeps others waiting.
//
// The error is one of ErrAddress, ErrForbidden, ErrStatus, ErrTooLarge, ErrBusy,
// ctx's, or one of the network.
func (f *Fetcher) Fetch(ctx context.Context, from string) (*File, error) {
	u, err := url.Parse(from)
	if err != nil {
		return nil, fmt.Errorf("fetching file: %w: malformed", ErrAddress)
	}
	if err := checkURL(u); err != nil {
		return nil, fmt.Errorf("fetching file: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	file, err := f.get(ctx, u)
	if err != nil && mendable(err) && pause(ctx, retryPause) {
		file, err = f.get(ctx, u)
	}
	if err != nil {
		return nil, fmt.Errorf("fetching file: %w", err)
	}
	return file, nil
}

// pause tells whether ctx outlasted d.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

func (f *Fetcher) get(ctx context.Context, u *url.URL) (*File, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, ErrAddress
	}
	if f.userAgent != "" {
		req.Header.Set("User-Agent", f.userAgent)
	}
	req.Header.Set("Accept-Encoding", "identity")
	resp, err := f.client.Do(req)
	if err != nil {
		return nil, fault(ctx, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, statusError(resp.StatusCode)
	}
	body, size, err := decoded(resp)
	if err != nil {
		return nil, fault(ctx, err)
	}
	return f.read(ctx, body, size)
}

// decoded returns the body without its encoding, and its length or -1. Some
// stores encode whatever was asked for.
func decoded(resp *http.Response) (io.Reader, int64, error) {
	switch resp.Header.Get("Content-Encoding") {
	case "", "identity":
		return resp.Body, resp.ContentLength, nil
	case "gzip":
		z, err := gzip.NewReader(resp.Body)
		return z, -1, err
	}
	return nil, 0, fmt.Errorf("%w: the file is encoded", ErrFormat)
}

// read takes in a file of size bytes, or of unknown size if that is -1, once
// there is memory for it.
func (f *Fetcher) read(ctx context.Context, body io.Reader, size int64) (*File, error) {
	if size > f.max {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrTooLarge, f.max)
	}
	held := size
	if size < 0 {
		held = f.max
	}
	if err := f.memory.reserve(ctx, held); err != nil {
		return nil, err
	}
	data, err := readAll(body, size, f.max)
	if err != nil {
		f.memory.free.Release(held)
		if errors.Is(err, ErrTooLarge) {
			return nil, err
		}
		return nil, fault(ctx, err)
	}
	return f.memory.newFile(data, held), nil
}

// readAll reads to the end, at most limit bytes, into a slice of no more
// capacity than size, or limit where the size is not known.
func readAll(r io.Reader, size, limit int64) ([]byte, error) {
	if size >= 0 {
		data := make([]byte, size)
		_, err := io.ReadFull(r, data)
		return data, err
	}
	data := make([]byte, 0, min(limit, 64<<10))
	for {
		if len(data) == cap(data) {
			if int64(len(data)) == limit {
				return data, atEnd(r, limit)
			}
			data = append(make([]byte, 0, min(limit, 2*int64(cap(data)))), data...)
		}
		n, err := r.Read(data[len(data):cap(data)])
		data = data[:len(data)+n]
		if errors.Is(err, io.EOF) {
			return data, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// atEnd is an error unless r is at its end.
func atEnd(r io.Reader, limit int64) error {
	n, err := io.ReadFull(r, make([]byte, 1))
	switch {
	case n > 0:
		return fmt.Errorf("%w: more than %d bytes", ErrTooLarge, limit)
	case errors.Is(err, io.EOF):
		return nil
	}
	return err
}
