package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http/httputil"
	"strconv"
)

const (
	readerSize = 4096    // also the longest line of a header
	maxHeaders = 64      // lines
	maxBody    = 1 << 20 // bytes
)

// answer is what a server said to a request.
type answer struct {
	status int
	body   []byte // valid until the next answer is read
	last   bool   // the server closes the connection
}

// readAnswer reads one HTTP/1.1 answer to a GET or POST, and nothing beyond it.
// The body goes into buf if it fits. It knows what servers say to this client:
// interim answers are none of it.
func readAnswer(r *bufio.Reader, buf []byte) (answer, error) {
	var a answer
	line, err := readLine(r)
	if err != nil {
		return a, err
	}
	if a.status, err = parseStatus(line); err != nil {
		return a, err
	}
	length, chunked := int64(-1), false
	for n := 0; ; n++ {
		if n > maxHeaders {
			return a, errors.New("reading answer: too many headers")
		}
		if line, err = readLine(r); err != nil {
			return a, err
		}
		if len(line) == 0 {
			break
		}
		name, value, ok := bytes.Cut(line, []byte(":"))
		if !ok {
			return a, errors.New("reading answer: a header without a colon")
		}
		value = bytes.TrimSpace(value)
		switch {
		case bytes.EqualFold(name, []byte("Content-Length")):
			if length, err = strconv.ParseInt(string(value), 10, 64); err != nil || length < 0 || length > maxBody {
				return a, errors.New("reading answer: bad Content-Length")
			}
		case bytes.EqualFold(name, []byte("Transfer-Encoding")):
			chunked = bytes.EqualFold(value, []byte("chunked"))
			if !chunked {
				return a, errors.New("reading answer: unknown Transfer-Encoding")
			}
		case bytes.EqualFold(name, []byte("Connection")):
			a.last = bytes.EqualFold(value, []byte("close"))
		}
	}
	a.body, err = readBody(r, buf, a.status, length, chunked)
	return a, err
}

// readLine is a line without its end.
func readLine(r *bufio.Reader) ([]byte, error) {
	line, err := r.ReadSlice('\n')
	if err != nil {
		return nil, fmt.Errorf("reading answer: %w", err)
	}
	return bytes.TrimSuffix(line[:len(line)-1], []byte("\r")), nil
}

// parseStatus reads a line such as "HTTP/1.1 200 OK".
func parseStatus(line []byte) (int, error) {
	const version, digits = len("HTTP/1.1 "), 3
	if !bytes.HasPrefix(line, []byte("HTTP/1.1 ")) || len(line) < version+digits ||
		len(line) > version+digits && line[version+digits] != ' ' {
		return 0, errors.New("reading answer: not HTTP/1.1")
	}
	status, err := strconv.Atoi(string(line[version : version+digits]))
	if err != nil || status < 200 || status > 599 {
		return 0, errors.New("reading answer: bad status")
	}
	return status, nil
}

func readBody(r *bufio.Reader, buf []byte, status int, length int64, chunked bool) ([]byte, error) {
	switch {
	case status == 204 || status == 304:
		return buf[:0], nil
	case chunked:
		body, err := io.ReadAll(io.LimitReader(httputil.NewChunkedReader(r), maxBody+1))
		if err == nil && len(body) > maxBody {
			err = errors.New("too long")
		}
		if err == nil { // the chunked reader leaves the line behind the last chunk
			var line []byte
			if line, err = readLine(r); err == nil && len(line) > 0 {
				err = errors.New("trailers")
			}
		}
		if err != nil {
			return nil, fmt.Errorf("reading answer's body: %w", err)
		}
		return body, nil
	case length < 0:
		return nil, errors.New("reading answer: it tells no length")
	}
	if int64(cap(buf)) < length {
		buf = make([]byte, length)
	}
	buf = buf[:length]
	if _, err := io.ReadFull(r, buf); err != nil {
		return nil, fmt.Errorf("reading answer's body: %w", err)
	}
	return buf, nil
}
