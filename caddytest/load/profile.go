package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"time"
)

// profiling is a CPU profile that Caddy is taking of itself.
type profiling struct {
	done chan error
}

// profile has Caddy take a CPU profile for so long, into a file that does not exist
// yet.
func (s *server) profile(ctx context.Context, path string, d time.Duration) profiling {
	p := profiling{done: make(chan error, 1)}
	go func() {
		err := s.fetchProfile(ctx, path, d)
		if err != nil {
			err = fmt.Errorf("taking a CPU profile: %w", err)
		}
		p.done <- err
	}()
	return p
}

func (p profiling) wait() error { return <-p.done }

func (s *server) fetchProfile(ctx context.Context, path string, d time.Duration) error {
	seconds := int(math.Ceil(d.Seconds()))
	ctx, cancel := context.WithTimeout(ctx, d+15*time.Second)
	defer cancel()
	url := fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", s.admin, seconds)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, resp.Status)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	const most = 64 << 20
	_, err = io.Copy(f, io.LimitReader(resp.Body, most))
	if err2 := f.Close(); err == nil {
		err = err2
	}
	return err
}
