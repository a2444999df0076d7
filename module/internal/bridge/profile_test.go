package bridge

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-wechat/caddy-wechat/caddytest/simulator"
	"github.com/caddy-wechat/caddy-wechat/module/botpress"
	"github.com/caddy-wechat/caddy-wechat/module/internal/journal"
)

const userInfo = "/cgi-bin/user/info"

const (
	plainProfile = `{"channel":"wechat","appId":"` + sceneAppID + `","openid":"` + sceneUser + `"}`
	fullProfile  = `{"channel":"wechat","appId":"` + sceneAppID + `","openid":"` + sceneUser + `","unionid":"u` + sceneUser + `","subscribeTime":946684800,"scene":"ADD_SCENE_SEARCH"}`
)

// TestProfile: WeChat is asked about a user once, and the bot told.
func TestProfile(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name  string
		off   bool
		fault func(*scene)
		want  []string // profiles as the bot got them
		calls int      // for two messages within a minute, and a third after a restart
	}{
		{name: "on", want: []string{fullProfile}, calls: 1},
		{name: "off", off: true, want: []string{plainProfile}},
		{name: "not allowed", fault: func(sc *scene) { sc.wechat.SetKind(simulator.KindIndividual) }, want: []string{plainProfile}, calls: 2},
		{name: "no answer at first", fault: func(sc *scene) {
			sc.wechat.Fail(simulator.WeChatFault{Path: userInfo, Delay: time.Hour, Times: 1})
		}, want: []string{plainProfile, fullProfile}, calls: 2},
		{name: "unknown to WeChat", fault: func(sc *scene) {
			sc.wechat.Fail(simulator.WeChatFault{Path: userInfo, Code: 40003})
		}, want: []string{plainProfile}, calls: 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			dir := tempDir(t)
			synctest.Test(t, func(t *testing.T) {
				sc, bot := newFileScene(t, dir, func(s *Settings) { s.Profile = !tc.off })
				defer sc.close()
				if tc.fault != nil {
					tc.fault(sc)
				}
				for _, text := range []string{"a", "b", "c"} {
					if text == "c" {
						sc.restart()
					}
					if _, took := sc.send(bot, sc.wechat.Text(sceneUser, text)); took > profileTime+50*time.Millisecond {
						t.Errorf("%s took %v", text, took)
					}
				}
				if diff := cmp.Diff(tc.want, bot.profiles); diff != "" {
					t.Errorf("profiles (-want +got):\n%s", diff)
				}
				if n := sc.wechat.CountCalls(userInfo); n != tc.calls {
					t.Errorf("%d calls, want %d", n, tc.calls)
				}
				if last := bot.turns[len(bot.turns)-1].Peer.Profile; last != tc.want[len(tc.want)-1] {
					t.Errorf("the turn has profile %s", last)
				}
			})
		})
	}
}

// TestProfileFollow: whoever leaves is forgotten, and whoever comes again is asked about
// again.
func TestProfileFollow(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	synctest.Test(t, func(t *testing.T) {
		sc, bot := newFileScene(t, dir, func(s *Settings) { s.Profile = true })
		defer sc.close()
		stored := func() string {
			u, _, err := sc.rt.user(sceneUser)
			if err != nil {
				t.Fatal(err)
			}
			return u.Profile
		}
		sc.send(bot, sc.wechat.Text(sceneUser, "a"))
		if got := stored(); !strings.Contains(got, "ADD_SCENE_SEARCH") {
			t.Errorf("stored %q", got)
		}
		sc.send(bot, sc.wechat.Event(sceneUser, "unsubscribe", ""))
		if got := stored(); got != "" {
			t.Errorf("stored %q after the user has left", got)
		}
		if n := sc.wechat.CountCalls(userInfo); n != 1 {
			t.Errorf("%d calls, want 1", n)
		}
		sc.send(bot, sc.wechat.Event(sceneUser, "subscribe", ""))
		time.Sleep(2 * time.Second) // or it would be the same event
		sc.send(bot, sc.wechat.Event(sceneUser, "subscribe", ""))
		if n := sc.wechat.CountCalls(userInfo); n != 3 || stored() == "" || len(bot.profiles) != 2 {
			t.Errorf("%d calls, stored %q, introduced %d times", n, stored(), len(bot.profiles))
		}
	})
}

// TestProfileLength: however long what WeChat tells is, Botpress takes the profile.
func TestProfileLength(t *testing.T) {
	t.Parallel()
	rt := &Runtime{appid: sceneAppID}
	rt.current.Store(&inForce{Settings: &Settings{Profile: true}})
	long := encoded(disclosed{UnionID: atMost(strings.Repeat("<", 999), 64), Since: 1 << 40, Scene: atMost(strings.Repeat("é", 999), 64), Remark: atMost(strings.Repeat("友", 999), 60)})
	for _, openid := range []string{"oUser", strings.Repeat("o", 128), strings.Repeat("&", 128)} {
		if p := rt.peer(journal.User{OpenID: openid, Profile: string(long)}); len(p.Profile) > botpress.MaxProfileLength {
			t.Errorf("%d bytes", len(p.Profile))
		}
	}
	if p := rt.peer(journal.User{OpenID: "oUser", Profile: string(long)}); !strings.Contains(p.Profile, "友") {
		t.Errorf("profile %s", p.Profile)
	}
}
