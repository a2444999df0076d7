package bridge

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-wechat/caddy-wechat/caddytest/simulator"
)

// TestTraceOfScenes: what is decided about a message can be read in the trace, from
// the push to WeChat's answer.
func TestTraceOfScenes(t *testing.T) {
	const sendPath = "/cgi-bin/message/custom/send"
	taken := []string{"append ok text", "push taken text"}
	for _, tc := range []struct {
		name   string
		change func(*Settings)
		faults []simulator.WeChatFault
		acts   []say
		script map[string][]bubble
		want   []string
	}{
		{
			name:   "passive, and the rest pushed",
			acts:   hi,
			script: map[string][]bubble{"hi": append(said(s, "one"), said(2*s, "two")...)},
			want: append(taken,
				"window opened text",
				"bot delivered text",
				"reply received",
				"plan waits text settling",
				"plan passive text passive window is open",
				"window answered text",
				"send ok text passive",
				"reply received",
				"plan waits text settling",
				"plan pushed text pushed no window is open",
				"send ok text pushed",
			),
		},
		{
			name:   "merged, and refused by WeChat",
			change: func(s *Settings) { s.Reply, s.Allowance.Message.Count = ReplyPush, 1 },
			faults: []simulator.WeChatFault{{Path: sendPath, Times: 1, Code: -1}, {Path: sendPath, Times: 1, Code: 45015}},
			acts:   hi,
			script: map[string][]bubble{"hi": said(s, "one", "two")},
			want: append(taken,
				"bot delivered text",
				"reply received",
				"plan waits text settling",
				"reply received",
				"plan waits text settling",
				"plan pushed text pushed no window is open",
				"plan merged text merged goes along with the one before it",
				"send retry text pushed",
				"plan waits text pace",
				"plan pushed text pushed no window is open",
				"plan merged text merged goes along with the one before it",
				"send refused text pushed",
				"plan parked text parked allowance is spent or over",
				"plan parked text parked allowance is spent or over",
			),
		},
		{
			name:   "no reply at all, passive",
			change: func(s *Settings) { s.Reply = ReplyPassive },
			acts:   hi,
			want: append(taken,
				"window opened text",
				"bot delivered text",
				"window silent text lapses, wechat will ask again",
				"append ok text", "push duplicate text",
				"window opened text",
				"window silent text lapses, wechat will ask again",
				"append ok text", "push duplicate text",
				"window opened text",
				"window thinking text no reply in time",
			),
		},
		{
			name: "an event of no interest",
			acts: []say{{event: "LOCATION"}},
			want: []string{"append ok event:LOCATION", "push taken event:LOCATION", "push ignored event:LOCATION ignored"},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := tempDir(t)
			synctest.Test(t, func(t *testing.T) {
				sc := newScene(t, dir, func(s *Settings) {
					s.Typing = false
					if tc.change != nil {
						tc.change(s)
					}
				}, nil)
				defer sc.close()
				for _, f := range tc.faults {
					sc.wechat.Fail(f)
				}
				sc.bot.script = tc.script
				sc.play(tc.acts)
				time.Sleep(30 * time.Second)
				if diff := cmp.Diff(tc.want, sc.traceOf(sceneUser)); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			})
		})
	}
}
