package bridge

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	otel "go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"

	"github.com/caddy-wechat/caddy-wechat/module/internal/journal"
	"github.com/caddy-wechat/caddy-wechat/module/wechat"
)

const (
	// tracer is the name of what makes the spans.
	tracer = "github.com/caddy-wechat/caddy-wechat"

	// turnKept is how long a reply counts as one to the message before it.
	turnKept = 10 * time.Minute

	// turnsMost bounds how many messages are remembered for that. Of others, what the
	// journal knows counts.
	turnsMost = 20_000
)

// spans tell of a message's way in OpenTelemetry's terms. The directive tracing of
// Caddy configures it; its provider comes with the first request that it traces, and
// without one all this costs a look into the request's context. What has to be known
// after a restart lies in the journal, beside the message and its user; but until a
// request of the new process is traced, nobody can be told of it.
type spans struct {
	from atomic.Pointer[otel.TracerProvider]

	mu    sync.Mutex
	turns map[string]turnTrace // by openid
	older map[string]turnTrace // those before them, which are the next to be forgotten
}

// turnTrace is the trace of what the bot was last told by a user.
type turnTrace struct {
	parent string
	at     time.Time
}

// untraced is a span of no trace.
var untraced = otel.SpanFromContext(context.Background())

// received begins the span of a push's way to its answer. The context is the
// request's.
func (s *spans) received(ctx context.Context) (context.Context, otel.Span) {
	outer := s.meet(ctx)
	if !outer.SpanContext().IsSampled() {
		return ctx, untraced
	}
	return outer.TracerProvider().Tracer(tracer).Start(ctx, "wechat.push", otel.WithSpanKind(otel.SpanKindInternal))
}

// meet is the span that a request came with. Whoever made it is told of what follows:
// also if it was not chosen to be kept itself, for others were.
func (s *spans) meet(ctx context.Context) otel.Span {
	span := otel.SpanFromContext(ctx)
	if sc := span.SpanContext(); sc.IsValid() && !sc.IsRemote() {
		provider := span.TracerProvider()
		s.from.Store(&provider)
	}
	return span
}

// parentOf is the trace that a context belongs to, as in the header traceparent; empty
// for none.
func parentOf(ctx context.Context) string {
	if !otel.SpanContextFromContext(ctx).IsSampled() {
		return ""
	}
	carrier := make(propagation.MapCarrier, 1)
	propagation.TraceContext{}.Inject(ctx, carrier)
	return carrier["traceparent"]
}

// within is a context that belongs to a trace. It is false for none, or while there
// is nobody to tell of it.
func (s *spans) within(parent string) (context.Context, otel.Tracer, bool) {
	provider := s.from.Load()
	if parent == "" || provider == nil {
		return nil, nil, false
	}
	ctx := propagation.TraceContext{}.Extract(context.Background(), propagation.MapCarrier{"traceparent": parent})
	return ctx, (*provider).Tracer(tracer), otel.SpanContextFromContext(ctx).IsValid()
}

// calling begins the span of an attempt to hand a push to the bot. What the bot says
// from here on is taken for its answer.
func (s *spans) calling(d *delivery) {
	d.span = untraced
	if d.row.Trace == "" {
		return
	}
	s.told(d.row.OpenID, d.row.Trace, time.Now())
	if ctx, t, ok := s.within(d.row.Trace); ok {
		_, d.span = t.Start(ctx, "wechat.bot", otel.WithSpanKind(otel.SpanKindClient),
			otel.WithAttributes(attribute.String("wechat.kind", d.row.Kind)))
	}
}

// told remembers the trace of what the bot is told by a user. Where there are too many,
// those that wrote last stay.
func (s *spans) told(openid, parent string, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.turns == nil || len(s.turns) >= turnsMost/2 {
		s.older, s.turns = s.turns, make(map[string]turnTrace)
	}
	delete(s.older, openid)
	s.turns[openid] = turnTrace{parent: parent, at: at}
}

// traced is a context that belongs to the span of the attempt under way.
func (d *delivery) traced(ctx context.Context) context.Context {
	if d.span == untraced {
		return ctx
	}
	return otel.ContextWithSpan(ctx, d.span)
}

// turnOf is the trace that a user's next reply belongs to: that of the message before
// it. What an earlier process has told the bot is known from the user's row.
func (s *spans) turnOf(u journal.User) string {
	s.mu.Lock()
	turn, ok := s.turns[u.OpenID]
	if !ok {
		turn, ok = s.older[u.OpenID]
	}
	s.mu.Unlock()
	if !ok {
		turn = turnTrace{parent: u.Trace, at: u.TracedAt}
	}
	if turn.parent == "" || time.Since(turn.at) > turnKept {
		return ""
	}
	return turn.parent
}

// heard tells of a reply that came with a request, or was found.
func (s *spans) heard(ctx context.Context, u journal.User, id string) {
	webhook := s.meet(ctx).SpanContext()
	in, t, ok := s.within(s.turnOf(u))
	if !ok {
		return
	}
	opts := []otel.SpanStartOption{otel.WithAttributes(attribute.String("wechat.message_id", id))}
	if webhook.IsValid() {
		opts = append(opts, otel.WithLinks(otel.Link{SpanContext: webhook}))
	}
	_, span := t.Start(in, "wechat.reply", opts...)
	span.End()
}

// sent tells of a message to WeChat.
func (s *spans) sent(parent, kind string, on road, began time.Time, err error) {
	ctx, t, ok := s.within(parent)
	if !ok {
		return
	}
	_, span := t.Start(ctx, "wechat.send", otel.WithTimestamp(began), otel.WithSpanKind(otel.SpanKindClient),
		otel.WithAttributes(attribute.String("wechat.kind", kind), attribute.String("wechat.road", roadNames[on])))
	if e, ok := errors.AsType[*wechat.Error](err); ok {
		span.SetAttributes(attribute.Int("wechat.errcode", e.Code))
	}
	finish(span, err)
}

// finish ends a span. Errors hold no secret, and nothing that anybody wrote.
func finish(span otel.Span, err error) {
	if err != nil {
		span.SetStatus(codes.Error, err.Error())
	}
	span.End()
}

// traceID is the field of a log line that names the trace it belongs to.
func traceID(parent string) zap.Field {
	if _, rest, ok := strings.Cut(parent, "-"); ok {
		id, _, _ := strings.Cut(rest, "-")
		return zap.String("trace_id", id)
	}
	return zap.Skip()
}
