package wechat

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// stall is for how long a download may stand still: nothing arrives, or no access
// token. A whole file may take longer than any one call, so that it is not the
// whole that is bounded here.
const stall = 4 * time.Second

var (
	// ErrTooLarge is what reading a Download ends with if the file is larger than
	// was asked for.
	ErrTooLarge = errors.New("the file is too large")

	errStalled = errors.New("nothing arrives")
)

// Download is a file on its way from WeChat. It must be closed. The error of Read
// is ErrTooLarge, or a *TransportError; in both cases what was read is no whole
// file.
type Download struct {
	io.Reader
	close func()
}

// Close ends the download, whether or not it was read to its end.
func (d *Download) Close() error {
	d.close()
	return nil
}

// Download begins to fetch the temporary media of an id, of at most limit bytes:
// what a user sent within the last MediaLife. What the file is, only its content
// tells: WeChat says amr also of what is not. It ends with ctx, and when nothing has
// arrived for 4 s.
//
// Videos lie elsewhere: WeChat answers with an address (video_url), at which no token is
// asked for. That address is WeChat's own word, got from the configured API, so it is
// as good as that, and the request goes the same way, through the same proxy. A redirect is
// refused here as everywhere: the address is plain http, and whoever stands in
// between could send us anywhere.
func (c *Client) Download(ctx context.Context, mediaID string, limit int64) (*Download, error) {
	if mediaID == "" {
		return nil, fmt.Errorf("downloading media: %w: no media id", ErrMessage)
	}
	rq := request{
		method:     http.MethodGet,
		path:       pathDownload,
		query:      url.Values{"media_id": {mediaID}},
		repeatable: true,
	}
	var d *Download
	err := c.withToken(ctx, c.tokenSoon, func(token string) error {
		hr, err := c.newRequest(ctx, rq, token)
		if err != nil {
			return &TransportError{API: rq.path, reason: "the request cannot be made"}
		}
		var elsewhere string
		d, elsewhere, err = c.receive(hr, rq, token, limit)
		if err != nil || elsewhere == "" {
			return err
		}
		if hr, err = c.videoRequest(ctx, elsewhere); err != nil {
			return err
		}
		d, elsewhere, err = c.receive(hr, rq, token, limit)
		if err == nil && elsewhere != "" {
			return &TransportError{API: rq.path, reason: "the address of a video leads to another address"}
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return d, nil
}

// tokenSoon is Token for a caller who waits no longer than stall.
func (c *Client) tokenSoon(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, stall)
	defer cancel()
	return c.Token(ctx)
}

func (c *Client) videoRequest(ctx context.Context, address string) (*http.Request, error) {
	bad := &TransportError{API: pathDownload, reason: "the address of the video is malformed"}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil {
		return nil, bad
	}
	hr, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, bad
	}
	hr.Header.Set("User-Agent", c.userAgent)
	return hr, nil
}

// receive makes a request that is answered with a file or, under the same status
// 200 and whatever content type, with JSON: an error, or the address where the file
// is. No picture, recording or video begins with a brace.
func (c *Client) receive(hr *http.Request, rq request, token string, limit int64) (_ *Download, elsewhere string, err error) {
	ctx, cancel := context.WithCancelCause(hr.Context())
	watch := time.AfterFunc(stall, func() { cancel(errStalled) })
	end := func() {
		watch.Stop()
		cancel(nil)
	}
	defer func() {
		if err != nil || elsewhere != "" {
			end()
		}
	}()
	failed := func(err error) error {
		if context.Cause(ctx) == errStalled {
			err = context.DeadlineExceeded
		}
		return c.transportError(rq, token, err, false)
	}
	hr.Header.Set("Accept", "*/*")
	resp, err := c.http.Do(hr.WithContext(ctx))
	if err != nil {
		return nil, "", failed(err)
	}
	defer func() {
		if err != nil || elsewhere != "" {
			_ = resp.Body.Close()
		}
	}()
	body := bufio.NewReaderSize(&progress{resp.Body, watch}, 4096)
	first, err := firstByte(body)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, "", failed(err)
	}
	if resp.StatusCode != http.StatusOK || err != nil || first == '{' {
		elsewhere, err = c.judgeNoFile(body, rq, token, resp.StatusCode, failed)
		return nil, elsewhere, err
	}
	return &Download{
		Reader: &bounded{r: body, left: limit, failed: failed},
		close: func() {
			end()
			_ = resp.Body.Close()
		},
	}, "", nil
}

// firstByte is the first byte that is not white space; none of what it looks at is
// taken.
func firstByte(r *bufio.Reader) (byte, error) {
	for n := 1; n <= 64; n++ {
		b, err := r.Peek(n)
		if err != nil {
			return 0, err
		}
		if c := b[n-1]; !bytes.ContainsRune([]byte(" \t\r\n"), rune(c)) {
			return c, nil
		}
	}
	return 0, nil
}

// judgeNoFile reads an answer that is JSON, or an error.
func (c *Client) judgeNoFile(r io.Reader, rq request, token string, status int, failed func(error) error) (elsewhere string, err error) {
	b, err := io.ReadAll(io.LimitReader(r, maxAnswer+1))
	if err != nil {
		return "", failed(err)
	}
	var answer struct {
		VideoURL string `json:"video_url"`
	}
	if err := c.judge(rq, token, status, b, &answer); err != nil {
		return "", err
	}
	if answer.VideoURL == "" {
		return "", &TransportError{API: rq.path, Status: status, reason: "the answer is neither a file nor an address of one"}
	}
	return answer.VideoURL, nil
}

// progress puts off the end of a download that stands still.
type progress struct {
	r     io.Reader
	watch *time.Timer
}

func (p *progress) Read(b []byte) (int, error) {
	n, err := p.r.Read(b)
	if n > 0 && p.watch.Stop() {
		p.watch.Reset(stall)
	}
	return n, err
}

// bounded reads no more than it may, and tells of failures without addresses.
type bounded struct {
	r      io.Reader
	left   int64
	failed func(error) error
}

func (b *bounded) Read(p []byte) (int, error) {
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.r.Read(p)
	b.left -= int64(n)
	switch {
	case b.left < 0:
		return 0, ErrTooLarge
	case err != nil && err != io.EOF:
		return n, b.failed(err)
	}
	return n, err
}
