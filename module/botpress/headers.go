package botpress

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxPause bounds what a header can make us wait before asking again, so that a nonsensical one cannot stop an account.
const maxPause = 10 * time.Minute

// limits is what an answer says about the rate limit.
type limits struct {
	limit        int // calls in a whole window; 0 if not said
	remaining    int // calls left until reset; -1 if not said
	reset        time.Duration
	retryAfter   time.Duration
	hasReset     bool // reset was given and lies ahead
	hasRetryHint bool // retryAfter was given and lies ahead
}

// readLimits prefers RateLimit-Reset to X-RateLimit-Reset, as Botpress's own client does.
func readLimits(h http.Header, now time.Time) limits {
	l := limits{remaining: -1}
	if n, ok := number(h.Get("Ratelimit-Limit")); ok {
		l.limit = int(math.Min(n, math.MaxInt32))
	}
	for _, name := range [...]string{"Ratelimit-Remaining", "X-Ratelimit-Remaining"} {
		if n, ok := number(h.Get(name)); ok {
			l.remaining = int(math.Min(n, math.MaxInt32))
			break
		}
	}
	for _, name := range [...]string{"Ratelimit-Reset", "X-Ratelimit-Reset"} {
		if l.reset, l.hasReset = delay(h.Get(name), h, now); l.hasReset {
			break
		}
	}
	l.retryAfter, l.hasRetryHint = delay(h.Get("Retry-After"), h, now)
	return l
}

// pause is how long a 429 says to wait; 0 if it does not say.
func (l limits) pause() time.Duration {
	switch {
	case l.hasReset:
		return l.reset
	case l.hasRetryHint:
		return l.retryAfter
	default:
		return 0
	}
}

// delay reads seconds, an HTTP date, or, by their size, Unix seconds or milliseconds. What is not ahead counts as
// not said.
func delay(v string, h http.Header, now time.Time) (time.Duration, bool) {
	if v == "" {
		return 0, false
	}
	var d time.Duration
	if n, ok := number(v); ok && n <= 1e8 {
		d = time.Duration(n * float64(time.Second))
	} else {
		if date, err := http.ParseTime(h.Get("Date")); err == nil {
			now = date // absolute times are by the server's clock
		}
		d = moment(v).Sub(now)
	}
	return min(d, maxPause), d > 0
}

// moment is zero for what is no time.
func moment(v string) time.Time {
	n, ok := number(v)
	switch {
	case !ok:
		at, _ := http.ParseTime(v)
		return at
	case n > 1e11:
		return time.UnixMilli(int64(math.Min(n, 1e15)))
	default:
		return time.Unix(int64(n), 0)
	}
}

// number reads a decimal, ignoring parameters ("30;w=60").
func number(v string) (float64, bool) {
	if v == "" || v[0] < '0' || v[0] > '9' {
		return 0, false // also dates, infinities and what is negative
	}
	if i := strings.IndexAny(v, ";,"); i >= 0 {
		v = v[:i]
	}
	n, err := strconv.ParseFloat(strings.TrimSpace(v), 64)
	if err != nil {
		return 0, false
	}
	return n, true
}
