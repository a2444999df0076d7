package module

import (
	"github.com/caddyserver/caddy/v2/modules/caddyevents"
	"go.uber.org/zap"

	"github.com/caddy-wechat/caddy-wechat/module/internal/bridge"
)

// alarmEvents are the events that Caddy's events app hears, by stage and outcome of
// the decision that they tell of.
var alarmEvents = map[string]string{
	"hold held":            "wechat_held",
	"hold released":        "wechat_released",
	"push dead":            "wechat_dead_letter",
	"reply dead":           "wechat_dead_letter",
	"account passive_only": "wechat_passive_only",
	"account may_push":     "wechat_may_push",
}

// raise begins to tell Caddy's events app what an operator may want to hear of at
// once, from a goroutine of its own: handlers of events may take their time. It ends
// with hush.
func (a *App) raise() {
	app, err := a.ctx.App("events")
	events, ok := app.(*caddyevents.App)
	if err != nil || !ok {
		a.logger.Debug("no events: this Caddy has no events app", zap.Error(err))
		return
	}
	alarms, quiet := bridge.ListenToAlarms(), make(chan struct{})
	a.alarms, a.quiet = alarms, quiet
	go func() {
		for {
			select {
			case <-quiet:
				return
			case d := <-alarms.C():
				a.emit(events, d, alarms.Missed())
			}
		}
	}()
}

// hush ends what raise began. It does not wait for a handler that is busy.
func (a *App) hush() {
	if a.alarms != nil {
		close(a.quiet)
		a.alarms.Close()
		a.alarms = nil
	}
}

// emit tells of one decision. Fields that do not apply are left out.
func (a *App) emit(events *caddyevents.App, d bridge.Decision, missed int) {
	defer func() {
		if p := recover(); p != nil {
			a.logger.Error("handling an event panicked", zap.Stack("stack"))
		}
	}()
	data := make(map[string]any)
	for key, value := range map[string]string{
		"app_id": d.AppID, "openid": d.OpenID, "push": d.Push, "message_id": d.MessageID, "kind": d.Kind,
		"side": d.Side, "reason": d.Reason, "error": d.Error, "remedy": d.Remedy,
	} {
		if value != "" {
			data[key] = value
		}
	}
	if missed > 0 {
		data["missed"] = missed // events before this one
	}
	events.Emit(a.ctx, alarmEvents[d.Stage+" "+d.Outcome], data)
}
