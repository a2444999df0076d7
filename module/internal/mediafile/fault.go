package mediafile

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"syscall"

	"code.dny.dev/ssrf"
)

// passing marks an error that may be gone at the next try.
type passing struct{ error }

func (p passing) Unwrap() error { return p.error }

func mendable(err error) bool {
	_, ok := errors.AsType[passing](err)
	return ok
}

func statusError(code int) error {
	err := fmt.Errorf("%w: status %d", ErrStatus, code)
	if code >= 500 || code == http.StatusTooManyRequests || code == http.StatusRequestTimeout {
		return passing{err}
	}
	return err
}

// fault turns an error of the HTTP client into one that may be logged. The
// client's own hold the address, and quote what the server said, so only what is
// known to be harmless is let through.
func fault(ctx context.Context, err error) error {
	if ue, ok := errors.AsType[*url.Error](err); ok {
		err = ue.Err
	}
	switch {
	case errors.Is(err, ssrf.ErrProhibitedIP), errors.Is(err, ssrf.ErrProhibitedNetwork), errors.Is(err, ssrf.ErrInvalidHostPort):
		return ErrForbidden
	case errors.Is(err, ErrForbidden), errors.Is(err, ErrAddress), errors.Is(err, ErrStatus), errors.Is(err, ErrFormat):
		return err
	case ctx.Err() != nil:
		return ctx.Err()
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		if dns.IsNotFound {
			return errors.New("no such host")
		}
		return passing{errors.New("looking up the host is not possible")}
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return errors.New("the server's certificate is not trusted")
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return passing{errors.New("the server takes too long")}
	}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return passing{fmt.Errorf("connecting: %w", errno)}
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return passing{io.ErrUnexpectedEOF}
	}
	return passing{errors.New("the server's answer cannot be read")}
}
