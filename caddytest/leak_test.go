package caddytest

import (
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"go.uber.org/goleak"

	"github.com/caddy-wechat/caddy-wechat/caddytest/simulator"
)

// TestReloadLeavesNothing runs Caddy in the process of the tests, reloads it
// again and again between messages, and stops it. Neither memory nor goroutines
// grow with the number of reloads, and in the end no goroutine is left that a
// Caddy without the bridge does not leave too.
func TestReloadLeavesNothing(t *testing.T) {
	plain := adapt(t, inProcess(fmt.Sprintf(`{
	admin ADMIN
	persist_config off
	storage file_system %s
	log {
		level DEBUG
	}
}
http://%s {
	respond x
}
`, filepath.Join(t.TempDir(), "storage"), freeAddr(t))))
	load(t, plain)
	load(t, plain)
	stopCaddy(t)
	time.Sleep(200 * time.Millisecond) // it does not wait for all of its own
	left := goleak.IgnoreCurrent()
	t.Cleanup(func() { // after the world has ended
		// Caddy waits for the servers of its last configuration, not for those of
		// earlier ones, and net/http gives connections that never carried a
		// request five seconds.
		options := []goleak.Option{
			left,
			// Caddy's cleaning of its storage takes a lock, of which this sleeper
			// is left for some seconds.
			goleak.IgnoreAnyFunction("github.com/caddyserver/certmagic.keepLockfileFresh"),
		}
		deadline := time.Now().Add(20 * time.Second)
		for goleak.Find(options...) != nil && time.Now().Before(deadline) {
			time.Sleep(100 * time.Millisecond)
		}
		goleak.VerifyNone(t, options...)
	})

	w := newWorld(t, setup{
		options: bulk,
		idle:    true,
		wechat: func(c *simulator.WeChatConfig) {
			c.NoAllowance = true
			c.KeepSeen = 10
			c.KeepDeliveries = 10
			c.KeepCalls = 10
		},
	})
	t.Cleanup(func() { stopCaddy(t) }) // before the simulators
	w.caddy.admin = "ADMIN"
	configs := [][]byte{adapt(t, inProcess(w.config()))}
	w.options += "\n\t\tai_label on"
	configs = append(configs, adapt(t, inProcess(w.config())))

	said := 0
	reload := func(times int) {
		for n := range times {
			load(t, configs[n%2])
			if n%5 != 0 {
				continue
			}
			// The servers that shut down may drop an attempt.
			if d := w.wechat.Push(t.Context(), w.wechat.Text(alice, "hello")); d.Outcome != simulator.OutcomeSuccess {
				t.Fatalf("push after reload %d: %+v", n, d)
			}
			said++
			if _, err := w.wechat.Wait(within(t, 20*time.Second), alice, said); err != nil {
				t.Fatal(err)
			}
		}
	}
	reload(50)
	heap, routines := usage()
	reload(200)
	heapLater, routinesLater := usage()
	t.Logf("after 50 reloads %d KiB and %d goroutines, after 250 %d KiB and %d",
		heap>>10, routines, heapLater>>10, routinesLater)
	if heapLater > heap+2<<20 {
		t.Errorf("200 reloads have left %d KiB", (heapLater-heap)>>10)
	}
	if routinesLater > routines+50 {
		t.Errorf("200 reloads have left %d goroutines", routinesLater-routines)
	}
}

// inProcess makes a configuration fit for a Caddy beside the tests.
func inProcess(config string) string {
	return strings.NewReplacer("admin ADMIN", "admin off", "level DEBUG", "output discard").Replace(config)
}

func adapt(t *testing.T, config string) []byte {
	t.Helper()
	raw, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(config), map[string]any{"filename": "Caddyfile"})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func load(t *testing.T, config []byte) {
	t.Helper()
	if err := caddy.Load(config, true); err != nil {
		t.Fatal(err)
	}
}

func stopCaddy(t *testing.T) {
	t.Helper()
	if err := caddy.Stop(); err != nil {
		t.Error(err)
	}
}

// usage is what is in use once what ends by itself has ended.
func usage() (heap uint64, goroutines int) {
	time.Sleep(time.Second)
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc, runtime.NumGoroutine()
}
