package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// stopWithin is how long a child gets to end by itself. Caddy's own calls that are
// under way get 10 s.
const stopWithin = 20 * time.Second

// holdLifeline ends a child when its parent is gone, however that came about.
func holdLifeline() {
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(exitFailed)
	}()
}

// child is this program as a process of another role.
type child struct {
	cmd   *exec.Cmd
	life  io.Closer
	log   *tail
	ended chan struct{} // closed when it has ended
}

// startChild starts one. Its output goes to its log, or where out says.
func startChild(role string, args, env []string, out io.Writer) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding this program: %w", err)
	}
	c := &child{cmd: exec.CommandContext(context.Background(), self, args...), log: new(tail), ended: make(chan struct{})}
	c.cmd.Env = append(os.Environ(), append(env, asRole+"="+role)...)
	c.cmd.Stdout, c.cmd.Stderr = c.log, c.log
	if out != nil {
		c.cmd.Stdout = out
	}
	if c.life, err = c.cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", role, err)
	}
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", role, err)
	}
	go func() {
		_ = c.cmd.Wait()
		close(c.ended)
	}()
	return c, nil
}

// stop ends the child as an operator would. Its error is that it had to be killed.
// It may be called again.
func (c *child) stop() error {
	defer c.life.Close()
	if err := c.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		_ = c.cmd.Process.Kill() // there are systems without signals
	}
	t := time.NewTimer(stopWithin)
	defer t.Stop()
	select {
	case <-c.ended:
		return nil
	case <-t.C:
		_ = c.cmd.Process.Kill()
		<-c.ended
		return fmt.Errorf("it did not end within %v and was killed", stopWithin)
	}
}

// tail keeps the end of what a process writes.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

const tailSize = 4096

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, b...)
	if over := len(t.buf) - tailSize; over > 0 {
		t.buf = append(t.buf[:0], t.buf[over:]...)
	}
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.buf)
}
