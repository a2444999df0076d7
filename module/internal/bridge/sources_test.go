package bridge

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddy-wechat/caddy-wechat/caddytest/simulator"
)

const pathSources = "/cgi-bin/getcallbackip"

// judged is what is said of some addresses: listed, not listed, unknown.
func judged(sc *scene, addrs ...string) string {
	var all []string
	for _, a := range addrs {
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		listed, known := sc.rt.FromWeChat(ctx, netip.MustParseAddr(a))
		cancel()
		switch {
		case listed && known:
			all = append(all, "yes")
		case listed:
			all = append(all, "yes, by an old list")
		case known:
			all = append(all, "no")
		default:
			all = append(all, "unknown")
		}
	}
	return strings.Join(all, " ")
}

// asked is how often WeChat was asked for its list.
func asked(sc *scene) int {
	n := 0
	for _, c := range sc.wechat.Calls() {
		if c.Path == pathSources {
			n++
		}
	}
	return n
}

func publish(s *Settings) { s.Published = true }

// TestSources follows the list of WeChat's addresses through its life.
func TestSources(t *testing.T) {
	down := simulator.WeChatFault{Path: pathSources, Code: 40164, Msg: "invalid ip 192.0.2.9, not in whitelist"}
	expect := func(t *testing.T, sc *scene, want string, addrs ...string) {
		t.Helper()
		if diff := cmp.Diff(want, judged(sc, addrs...)); diff != "" {
			t.Errorf("%v after %v (-want +got):\n%s", addrs, time.Since(sc.began), diff)
		}
	}
	for _, tc := range []struct {
		name string
		test func(*testing.T, *scene)
	}{
		{"addresses and ranges", func(t *testing.T, sc *scene) {
			expect(t, sc, "yes no yes no yes", "127.0.0.1", "127.0.0.2", "::1", "101.226.62.64", "101.226.62.63")
			if n := asked(sc); n != 1 {
				t.Errorf("WeChat was asked %d times, want once", n)
			}
		}},
		{"asked again after a day, not before", func(t *testing.T, sc *scene) {
			expect(t, sc, "yes", "127.0.0.1")
			sc.wechat.SetCallbackIPs("192.0.2.0/24")
			time.Sleep(sourcesKept - sourcesJitter - time.Minute)
			if n := asked(sc); n != 1 {
				t.Errorf("WeChat was asked %d times within 22 hours", n)
			}
			time.Sleep(sourcesJitter + 2*time.Minute)
			if n := asked(sc); n != 2 {
				t.Errorf("WeChat was asked %d times within a day, want 2", n)
			}
			expect(t, sc, "no yes", "127.0.0.1", "192.0.2.200")
		}},
		{"kept over a restart", func(t *testing.T, sc *scene) {
			sc.wechat.SetCallbackIPs("192.0.2.1")
			sc.reload()
			expect(t, sc, "yes", "127.0.0.1")
			sc.wechat.SetDown(true)
			time.Sleep(time.Hour)
			sc.restart()
			expect(t, sc, "yes no", "127.0.0.1", "192.0.2.1")
		}},
		{"asked anew after a long rest", func(t *testing.T, sc *scene) {
			expect(t, sc, "yes", "127.0.0.1")
			sc.wechat.SetCallbackIPs("192.0.2.1")
			sc.stop(func() { time.Sleep(30 * time.Hour); sc.start() })
			time.Sleep(time.Second)
			expect(t, sc, "no yes", "127.0.0.1", "192.0.2.1")
		}},
		{"a list that cannot be had again speaks against nobody after a week", func(t *testing.T, sc *scene) {
			expect(t, sc, "yes no", "127.0.0.1", "192.0.2.1")
			sc.wechat.Fail(down)
			// Not running, or it would ask two thousand times.
			sc.stop(func() { time.Sleep(sourcesStale - time.Hour); sc.start() })
			expect(t, sc, "yes no", "127.0.0.1", "192.0.2.1")
			time.Sleep(2 * time.Hour)
			expect(t, sc, "yes, by an old list unknown", "127.0.0.1", "192.0.2.1")
			sc.wechat.ClearFaults()
			time.Sleep(10 * time.Minute)
			expect(t, sc, "yes no", "127.0.0.1", "192.0.2.1")
		}},
		{"an answer without addresses changes nothing", func(t *testing.T, sc *scene) {
			expect(t, sc, "yes", "127.0.0.1")
			sc.wechat.Fail(simulator.WeChatFault{Path: pathSources, Body: `{"ip_list":["localhost",""]}`})
			time.Sleep(25 * time.Hour)
			expect(t, sc, "yes no", "127.0.0.1", "192.0.2.1")
		}},
		{"tried again until it can be had", func(t *testing.T, sc *scene) {
			sc.wechat.Fail(down)
			sc.s.Published = false
			sc.restart() // knows the list from before
			expect(t, sc, "yes", "127.0.0.1")
			time.Sleep(48 * time.Hour)
			if n := asked(sc); n != 1 {
				t.Errorf("WeChat was asked %d times though nobody wants to know", n)
			}
			sc.s.Published = true
			sc.reload()
			time.Sleep(time.Hour)
			if n := asked(sc); n < 10 || n > 30 {
				t.Errorf("WeChat was asked %d times in an hour of refusals, want a few", n)
			}
			sc.wechat.ClearFaults()
			sc.wechat.SetCallbackIPs("192.0.2.1")
			sc.reload() // something may have been mended: at once
			time.Sleep(time.Second)
			expect(t, sc, "yes", "192.0.2.1")
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			reviewed(t, publish, func(t *testing.T, sc *scene) {
				judged(sc, "127.0.0.1") // it is known
				tc.test(t, sc)
			})
		})
	}
}

// TestSourcesUnknown: as long as there is no list, nothing is said, and whoever asks
// does not wait for longer than the first attempt takes.
func TestSourcesUnknown(t *testing.T) {
	core, log := observer.New(zapcore.InfoLevel)
	reviewed(t, func(s *Settings) { s.Logger = zap.New(core) }, func(t *testing.T, sc *scene) {
		sc.wechat.SetAllowedIPs("192.0.2.77") // not ours
		sc.s.Published = true
		sc.reload()
		if got := judged(sc, "127.0.0.1"); got != "unknown" {
			t.Errorf("judged %s, want unknown", got)
		}
		if waited := time.Since(sc.began); waited > 2*time.Second {
			t.Errorf("waited %v", waited)
		}
		time.Sleep(time.Hour)
		const says = "asking for the addresses of wechat's callbacks; trying again"
		told := log.FilterMessage(says).FilterLevelExact(zapcore.WarnLevel).All()
		if len(told) != 1 || !strings.Contains(told[0].ContextMap()["remedy"].(string), "allowlist") {
			t.Errorf("the log was told %v, want once, with the remedy", told)
		}
		sc.wechat.SetAllowedIPs()
		time.Sleep(10 * time.Minute)
		if got := judged(sc, "127.0.0.1", "192.0.2.1"); got != "yes no" {
			t.Errorf("judged %s, want yes no", got)
		}
		sc.wechat.SetCallbackIPs("::1", "192.0.2.1", "192.0.2.1")
		time.Sleep(25 * time.Hour)
		changed := log.FilterMessage("addresses of wechat's callbacks have changed").All()
		if len(changed) != 1 {
			t.Fatalf("the log tells of %d changes, want 1", len(changed))
		}
		want := map[string]any{
			"count": int64(2), "added": []any{"192.0.2.1/32"}, "removed": []any{"101.226.62.0/26", "127.0.0.1/32"},
		}
		if diff := cmp.Diff(want, changed[0].ContextMap()); diff != "" {
			t.Errorf("the change (-want +got):\n%s", diff)
		}
	})
}
