package bridge

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-wechat/caddy-wechat/module/bots"
)

// keep listens to a conversation until its stream is dropped, or there is nothing
// (more) to listen to: whatever is said next begins it anew.
func (l *listening) keep(ctx context.Context, s *stream) {
	defer func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.dropLocked(s)
	}()
	var wait backoff
	for {
		began := time.Now()
		f := l.listen(ctx, s)
		if ctx.Err() != nil {
			return
		}
		switch f.Kind {
		case bots.Unknown, bots.Poison:
			l.rt.logger().Info("conversation cannot be listened to", zap.Error(f))
			return
		case bots.Transient, bots.Operator:
		}
		if time.Since(began) > lastingStream {
			wait.reset()
		}
		pause := max(wait.next(), f.RetryAfter)
		l.rt.logger().Debug("stream has ended; listening again", zap.Duration("in", pause), zap.Error(f))
		if sleep(ctx, pause, nil) != nil {
			return
		}
	}
}

// listen listens to a conversation once, and returns why that has ended.
func (l *listening) listen(ctx context.Context, s *stream) (f *bots.Fault) {
	rt := l.rt
	defer func() {
		if p := recover(); p != nil {
			rt.logger().Error("listening panicked", zap.String("panic", panicked(p)), zap.Stack("stack"))
			f = &bots.Fault{Kind: bots.Poison, Err: errPanicked}
		}
	}()
	give, err := l.slot(ctx)
	if err != nil {
		return bots.AsFault(err)
	}
	defer give()
	tk, err := rt.bot.pass(ctx, listing)
	if err != nil {
		return bots.AsFault(err)
	}
	defer tk.end()
	u, ok, err := rt.user(s.openid)
	switch {
	case err != nil:
		return bots.AsFault(err)
	case !ok || u.Bot != s.bot.Identity():
		return errUnheard
	}
	p, err := rt.keyed(s.bot, u)
	if err != nil {
		return bots.AsFault(err)
	}
	err = listenerOf(s.bot).Listen(ctx, p, func() {
		tk.ok()
		l.opened(ctx, s)
		give()
	}, func(said []bots.Reply) error { return l.hear(s, said) })
	f = bots.AsFault(err)
	if f.Kind == bots.Operator && ctx.Err() == nil {
		tk.fault(f.Err, f.Remedy)
	}
	return f
}

// slot waits until a stream may be opened. What it returns gives the place back,
// once however often it is called.
func (l *listening) slot(ctx context.Context) (give func(), err error) {
	select {
	case l.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	given := false
	return func() {
		if !given {
			given = true
			<-l.slots
		}
	}, nil
}

// opened looks up what was said before the stream was opened. What comes by the
// stream waits for that a while, or it would overtake what was said before.
func (l *listening) opened(ctx context.Context, s *stream) {
	l.mu.Lock()
	l.unsure[s.openid] = time.Now()
	l.mu.Unlock()
	listed := make(chan struct{})
	l.wg.Go(func() {
		defer close(listed)
		defer func() {
			if p := recover(); p != nil {
				l.rt.logger().Error("listing panicked", zap.String("panic", panicked(p)), zap.Stack("stack"))
			}
		}()
		if _, err := l.rt.list(s.openid); err != nil && ctx.Err() == nil {
			l.rt.catch.soon(s.openid)
		}
	})
	_ = sleep(ctx, listFirst, listed)
}

// hear takes what the bot has said.
func (l *listening) hear(s *stream, said []bots.Reply) error {
	if _, err := l.rt.Hear(l.rt.calls, said); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s.active = time.Now()
	return nil
}
