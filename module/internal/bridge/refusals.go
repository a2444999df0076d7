package bridge

import (
	"context"
	"errors"
	"sync/atomic"

	"go.uber.org/zap"

	"github.com/caddy-wechat/caddy-wechat/module/internal/mediafile"
)

// refusal is why a file that a bot's message points to was not made one of WeChat's.
// The user gets a link instead.
type refusal int

const (
	refusedForbidden refusal = iota // it lies inside the operator's network
	refusedAddress                  // its address is none that is fetched from
	refusedStatus                   // its server does not give it
	refusedSize                     // it is too large, or plays too long
	refusedFormat                   // it is nothing that WeChat takes, or can be made so
	refusedTime                     // it took too long
	refusedBusy                     // there was no memory for it
	refusedNetwork                  // its server could not be reached, or broke off
	refusalKinds
)

// refusalNames are the reasons as a metric's label has them.
var refusalNames = [refusalKinds]string{"forbidden", "address", "status", "size", "format", "time", "busy", "network"}

// refusalCounts counts files that were refused, by reason, as metricRefusals tells.
type refusalCounts [refusalKinds]atomic.Int64

// refusalOf is the reason behind an error of fetching or fitting.
func refusalOf(err error) refusal {
	for _, known := range []struct {
		err    error
		reason refusal
	}{
		{mediafile.ErrForbidden, refusedForbidden},
		{mediafile.ErrAddress, refusedAddress},
		{mediafile.ErrStatus, refusedStatus},
		{mediafile.ErrTooLarge, refusedSize},
		{mediafile.ErrDimensions, refusedSize},
		{mediafile.ErrTooLong, refusedSize},
		{mediafile.ErrFormat, refusedFormat},
		{mediafile.ErrBusy, refusedBusy}, // before the time that it took
		{context.DeadlineExceeded, refusedTime},
	} {
		if errors.Is(err, known.err) {
			return known.reason
		}
	}
	return refusedNetwork
}

// unfetched says what follows from a file that could not be fetched, or is none
// that WeChat takes.
func (rt *Runtime) unfetched(t *table, err error) (wait bool, _ error) {
	p := t.from[0].part
	if errors.Is(err, mediafile.ErrBusy) && p.tries < fetchTries {
		p.tries++
		return rt.again(t, 0, err), nil
	}
	reason := refusalOf(err)
	n := rt.count.refused[reason].Add(1)
	if reason == refusedForbidden {
		rt.logger().Warn("bot's file lies inside the network and is not fetched; it becomes a link",
			zap.Int64("reply", t.q[0].ID), zap.Int64("refused_so_far", n),
			zap.String("remedy", "If the address is meant, name it in media allow."))
	} else {
		rt.logger().Warn("bot's file becomes a link", zap.Int64("reply", t.q[0].ID), zap.Error(err))
	}
	return false, rt.linked(t, err)
}
