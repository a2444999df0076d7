package module

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
)

const (
	// writing is how long it may take to write a passive reply.
	writing = 2 * time.Second

	// reading is how long it may take to write any other answer. What is left of the
	// request's body is waited for meanwhile.
	reading = sending + writing
)

// answer writes a whole answer. Who does not read it in time is cut off: the
// connection, and what belongs to it, would be held for as long as they like. The
// deadline ends with the request. So does the error, for nearly all.
func answer(w http.ResponseWriter, status int, contentType string, body []byte, within time.Duration) error {
	header := w.Header()
	// header.Set makes a list for each.
	v := []string{contentType, strconv.Itoa(len(body)), "nosniff"}
	header["Content-Length"] = v[1:2:2]
	if contentType != "" {
		header["Content-Type"], header["X-Content-Type-Options"] = v[0:1:1], v[2:3:3]
	}
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(within))
	w.WriteHeader(status)
	if len(body) == 0 {
		return nil
	}
	_, err := w.Write(body) //nolint:gosec // text or XML, and said to be nothing else
	return err
}

// text answers 200 and a text. Caddy is not told of an answer that nobody has read.
func text(w http.ResponseWriter, body []byte) error {
	_ = answer(w, http.StatusOK, "text/plain; charset=utf-8", body, reading)
	return nil
}

// bare answers with a status and nothing else. Whatever the status, Caddy is given no
// error: it would log the request with it, and for as long as the query of a callback
// is fresh, or the webhook's header the same, whoever reads the log could make
// requests of their own by it.
func bare(w http.ResponseWriter, status int) error {
	_ = answer(w, status, "", nil, reading)
	return nil
}

// turnDown answers a callback that is not taken, if there is an error. A refused one
// was told of where the reason is known.
func (h *Handler) turnDown(w http.ResponseWriter, err error) error {
	if err == nil {
		return nil
	}
	status := http.StatusInternalServerError
	if he, ok := errors.AsType[caddyhttp.HandlerError](err); ok {
		status, err = he.StatusCode, he.Err
	}
	switch {
	case status >= http.StatusInternalServerError:
		h.crowded.Do(func() { h.logger.Warn("push turned away", zap.Int("status", status), zap.Error(err)) })
	case status != http.StatusForbidden:
		h.logger.Debug("callback turned away", zap.Int("status", status), zap.Error(err))
	}
	return bare(w, status)
}
