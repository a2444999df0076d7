package module

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/caddy-wechat/caddy-wechat/module/internal/bridge"
)

const (
	// traceBeat is how often a silent stream says that it is alive.
	traceBeat = 15 * time.Second

	// traceWrite bounds how long a reader of the stream may keep a write waiting.
	traceWrite = 10 * time.Second
)

// adminTrace streams decisions as server-sent events. The id of each event is its
// number, which since, or the Last-Event-ID of a reader that comes again, takes up.
func adminTrace(w http.ResponseWriter, r *http.Request) error {
	since, err := traceSince(r)
	if err != nil {
		return err
	}
	q := r.URL.Query()
	watch, err := bridge.WatchDecisions(bridge.Filter{AppID: q.Get("app_id"), OpenID: q.Get("openid")}, since)
	if err != nil {
		return adminStatus(http.StatusServiceUnavailable, "%w", err)
	}
	defer watch.Close()
	ctx, cancel := untilShutdown(r)
	defer cancel()

	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
	s := stream{w: w, ctl: http.NewResponseController(w)}
	s.write(": trace\n\n")
	for s.err == nil {
		s.next(ctx, watch)
		if ctx.Err() != nil {
			break
		}
	}
	return nil // the reader has gone, or the server goes
}

// stream is a response of server-sent events. Its error is that nobody reads it.
type stream struct {
	w   http.ResponseWriter
	ctl *http.ResponseController
	err error
}

// next waits for decisions and writes them, or a sign of life.
func (s *stream) next(ctx context.Context, watch *bridge.Watch) {
	ctx, cancel := context.WithTimeout(ctx, traceBeat)
	defer cancel()
	got, lost, err := watch.Next(ctx)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		s.write(": alive\n\n")
		return
	case err != nil:
		return
	case lost > 0:
		s.write(fmt.Sprintf("event: lost\ndata: {\"count\":%d}\n\n", lost))
	}
	for i := range got {
		data, err := json.Marshal(&got[i])
		if err != nil {
			s.err = err
			return
		}
		s.event(got[i].Seq, data)
	}
	s.flush()
}

func (s *stream) event(seq uint64, data []byte) {
	if s.err == nil {
		_ = s.ctl.SetWriteDeadline(time.Now().Add(traceWrite))
		_, s.err = fmt.Fprintf(s.w, "id: %d\nevent: decision\ndata: %s\n\n", seq, data) //nolint:gosec // JSON, and no page
	}
}

func (s *stream) write(text string) {
	if s.err == nil {
		_ = s.ctl.SetWriteDeadline(time.Now().Add(traceWrite))
		_, s.err = s.w.Write([]byte(text)) //nolint:gosec // our own words
		s.flush()
	}
}

func (s *stream) flush() {
	if s.err == nil {
		s.err = s.ctl.Flush()
	}
}

// traceSince says from where on a reader wants to see decisions.
func traceSince(r *http.Request) (bridge.Since, error) {
	text := r.Header.Get("Last-Event-ID")
	if text == "" {
		text = r.URL.Query().Get("since")
	}
	if text == "" {
		return bridge.Since{}, nil
	}
	seq, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return bridge.Since{}, adminStatus(http.StatusBadRequest, "since is not a number")
	}
	return bridge.Since{Kept: true, Seq: seq}, nil
}

// shutdowns are the admin servers that say when they shut down. Caddy replaces its
// admin server at each reload and waits for its requests, of which a stream would
// never end.
var shutdowns sync.Map // *http.Server -> chan struct{}

// untilShutdown is the request's context, which ends with its server as well.
func untilShutdown(r *http.Request) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(r.Context())
	srv, ok := ctx.Value(http.ServerContextKey).(*http.Server)
	if !ok {
		return ctx, cancel
	}
	v, known := shutdowns.LoadOrStore(srv, make(chan struct{}))
	over := v.(chan struct{})
	if !known {
		srv.RegisterOnShutdown(func() {
			shutdowns.Delete(srv)
			close(over)
		})
	}
	go func() {
		select {
		case <-over:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}
