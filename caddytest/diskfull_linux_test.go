package caddytest

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-wechat/caddy-wechat/caddytest/simulator"
)

// smallDisk mounts a small disk on a directory, where that may be done.
func smallDisk(t *testing.T, dir string, size int) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d,mode=700", size)); err != nil {
		t.Skipf("skipped: no small disk can be mounted here (%v); run as root", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil { // Caddy is still there
			t.Errorf("unmounting: %v", err)
		}
	})
}

// fillDisk writes a file until nothing more goes onto the disk.
func fillDisk(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for size := 64 << 10; size > 0; size /= 2 {
		for err == nil {
			_, err = f.Write(make([]byte, size))
		}
		err = nil
	}
}

// TestDiskFull fills the disk under a running journal. Pushes are held and not answered, the log says so
// once and what is to be done, the rest of Caddy serves; and when there is room again, all goes on by
// itself: whatever was answered success reaches the bot once and in order, and every answer its user.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{
		options: bulk + "\nready on",
		idle:    true,
		wechat:  func(c *simulator.WeChatConfig) { c.Timeout, c.NoAllowance = time.Second, true },
	})
	disk := w.journalDir()
	smallDisk(t, disk, 8<<20)
	w.caddy.start(w.config())
	ctx := within(t, 2*time.Minute)
	c := crowd{w: w, users: 4, until: true}
	speak := func(rounds int) {
		for range rounds {
			c.roundUntil(ctx, c.each)
			c.each++
		}
	}
	speak(3)
	for round := range 2 {
		filler := filepath.Join(disk, "filler")
		fillDisk(t, filler)
		held := w.wechat.Text("oHeld", fmt.Sprint("held ", round))
		if d := w.wechat.Push(ctx, held); d.Accepted() || d.Attempts[0].Status != 0 {
			t.Fatalf("with a full disk a push was answered: %+v", d)
		}
		spoken := make(chan struct{})
		go func() {
			defer close(spoken)
			speak(1)
		}()
		w.do(request{name: "the rest of Caddy", path: "/elsewhere", status: 200, want: elsewhat})
		w.do(request{name: "readiness", path: "/wechat/ready", status: 503, want: "not ready\n"})
		time.Sleep(2 * time.Second)
		if err := os.Remove(filler); err != nil {
			t.Fatal(err)
		}
		<-spoken
		speak(2)
		if d := w.wechat.Push(ctx, held); !d.Accepted() {
			t.Errorf("sent again, it was not taken: %+v", d)
		}
		w.caddy.log.await(round+1, `"journal works again"`)
	}
	c.checkUsers(ctx)
	turns, err := w.botpress.WaitTurns(ctx, conversation("oHeld"), 2)
	if diff := cmp.Diff([]string{"held 0", "held 1"}, said(turns)); diff != "" {
		t.Errorf("the bot heard of what was held (-want +got, %v):\n%s", err, diff)
	}
	bad := w.caddy.log.lines("journal does not work; pushes are held until it does", `"level":"error"`, "Make room on the disk of "+disk)
	good := w.caddy.log.records("journal works again")
	if len(bad) != 2 || len(good) != 2 {
		t.Errorf("%d lines about a full disk, %d about its end, want one each time:\n%s", len(bad), len(good), bad)
	}
}
