package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"time"
)

// answerWithin bounds one request. WeChat waits 5 s.
const answerWithin = 10 * time.Second

// client is one connection that is kept alive. It sends bytes as they are and costs
// little: it shares the machine with the server that is measured. It is for one
// goroutine.
type client struct {
	addr string
	conn net.Conn
	r    *bufio.Reader
	buf  []byte

	again int // how often a request had to be sent again on another connection
}

func newClient(addr string) *client {
	return &client{addr: addr, buf: make([]byte, 512)}
}

// connect makes the connection if there is none.
func (c *client) connect(ctx context.Context) error {
	if c.conn != nil {
		return nil
	}
	d := net.Dialer{Timeout: answerWithin}
	conn, err := d.DialContext(ctx, "tcp", c.addr)
	if err != nil {
		return fmt.Errorf("connecting: %w", err)
	}
	c.conn = conn
	if c.r == nil {
		c.r = bufio.NewReaderSize(conn, readerSize)
	} else {
		c.r.Reset(conn)
	}
	return nil
}

func (c *client) close() {
	if c.conn != nil {
		_ = c.conn.Close()
		c.conn = nil
	}
}

// do sends a request. Where a connection breaks, it is sent once more on another
// one, as WeChat does.
func (c *client) do(ctx context.Context, raw []byte) (answer, error) {
	a, err := c.try(ctx, raw)
	if err == nil || ctx.Err() != nil {
		return a, err
	}
	c.again++
	return c.try(ctx, raw)
}

func (c *client) try(ctx context.Context, raw []byte) (answer, error) {
	if err := c.connect(ctx); err != nil {
		return answer{}, err
	}
	a, err := c.exchange(raw)
	if err != nil || a.last {
		c.close()
	}
	return a, err
}

func (c *client) exchange(raw []byte) (answer, error) {
	if err := c.conn.SetDeadline(time.Now().Add(answerWithin)); err != nil {
		return answer{}, fmt.Errorf("sending request: %w", err)
	}
	if _, err := c.conn.Write(raw); err != nil {
		return answer{}, fmt.Errorf("sending request: %w", err)
	}
	a, err := readAnswer(c.r, c.buf)
	if cap(a.body) > cap(c.buf) {
		c.buf = a.body
	}
	return a, err
}
