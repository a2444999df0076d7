package bridge

import (
	"context"
	"errors"
	"io"

	"go.uber.org/zap"

	"github.com/caddy-wechat/caddy-wechat/module/internal/journal"
)

// leaverBatch is how many users who left are read from the journal at once.
const leaverBatch = 64

// errLeft is that the user has left since sending what is asked for.
var errLeft = errors.New("the user has left since")

// leavers has the files deleted of users who left. Who they are is in the journal:
// a stop, or a media database that takes nothing, only puts it off.
type leavers struct{ poke chan struct{} }

// soon has the journal looked at.
func (l *leavers) soon() { nudge(l.poke) }

// forgetLeavers deletes files until the account stops.
func (rt *Runtime) forgetLeavers() {
	var wait backoff
	for failing := false; ; {
		err := rt.forgetFiles(rt.stop)
		if rt.stop.Err() != nil {
			return
		}
		if err != nil {
			if !failing {
				rt.logger().Warn("files of users who left are not deleted yet; trying again", zap.Error(err))
			}
			failing = true
			if sleep(rt.stop, wait.next(), nil) != nil {
				return
			}
			continue
		}
		if failing {
			rt.logger().Info("files of users who left are deleted")
		}
		failing = false
		wait.reset()
		select {
		case <-rt.leavers.poke:
		case <-rt.stop.Done():
			return
		}
	}
}

// forgetFiles deletes the files of all who have left by now.
func (rt *Runtime) forgetFiles(ctx context.Context) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = errors.New("panic: " + panicked(p))
		}
	}()
	for {
		list, err := rt.journal.Leavers(ctx, rt.appid, leaverBatch)
		if err != nil || len(list) == 0 {
			return err
		}
		for _, l := range list {
			if err := rt.journal.ForgetMedia(ctx, rt.appid, l.OpenID, l.Until); err != nil {
				return err
			}
			if err := rt.journal.Forgotten(ctx, rt.appid, l); err != nil {
				return err
			}
		}
	}
}

// past tells whether a push is from before its user left.
func past(u journal.User, row journal.Push) bool {
	return !u.LastLeft.IsZero() && !row.ReceivedAt.After(u.LastLeft)
}

// stillThere is an error if a push's user has left since.
func (rt *Runtime) stillThere(ctx context.Context, row journal.Push) error {
	u, _, err := rt.journal.User(ctx, rt.appid, row.OpenID)
	if err == nil && past(u, row) {
		err = errLeft
	}
	return err
}

// whileThere ends like a file does, unless the user has left: what is stored after
// files were deleted must not stay.
type whileThere struct {
	ctx context.Context
	rt  *Runtime
	row journal.Push
}

func (w whileThere) Read([]byte) (int, error) {
	if err := w.rt.stillThere(w.ctx, w.row); err != nil {
		return 0, err
	}
	return 0, io.EOF
}
