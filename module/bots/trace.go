package bots

import (
	"context"
	"net/http"

	"go.opentelemetry.io/otel/propagation"
)

// traceparent tells a bot which trace a call belongs to, if it belongs to one. (W3C:
// Trace Context.)
func traceparent(ctx context.Context, h http.Header) {
	propagation.TraceContext{}.Inject(ctx, propagation.HeaderCarrier(h))
}
