package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// together makes the writer take the given operations as one batch and returns their answers.
func together(t *testing.T, j *Journal, ops ...func(*tx) error) []error {
	t.Helper()
	inside, release := block(t, j.w)
	<-inside
	var wg sync.WaitGroup
	errs := make([]error, len(ops))
	for i, op := range ops {
		wg.Go(func() { errs[i] = j.w.do(context.Background(), op) })
		for len(j.w.queue) <= i { // in this order
			time.Sleep(50 * time.Microsecond)
		}
	}
	close(release)
	wg.Wait()
	return errs
}

// block gives the writer an operation that lasts until leave is closed.
func block(t *testing.T, w *writer) (entered, leave chan struct{}) {
	entered, leave = make(chan struct{}), make(chan struct{})
	go func() {
		err := w.do(context.Background(), func(*tx) error {
			close(entered)
			<-leave
			return nil
		})
		if err != nil {
			t.Errorf("blocking operation: %v", err)
		}
	}()
	return entered, leave
}

func set(name string) func(*tx) error {
	return func(t *tx) error {
		_, err := t.exec(upsertState, "app", name, "set")
		return err
	}
}

func isSet(t *testing.T, j *Journal, name string) bool {
	t.Helper()
	_, found, err := j.State(context.Background(), "app", name)
	noErr(t, err)
	return found
}

func TestGroupSharesOneCommit(t *testing.T) {
	j := testOpen(t, Config{})
	var seen []bool
	look := func(*tx) error { // with another connection
		seen = append(seen, isSet(t, j, "a"), isSet(t, j, "b"))
		return nil
	}
	for i, err := range together(t, j, set("a"), look, set("b"), look) {
		if err != nil {
			t.Errorf("operation %d: %v", i, err)
		}
	}
	if diff := cmp.Diff([]bool{false, false, false, false}, seen); diff != "" {
		t.Errorf("what was visible before the common commit (-want +got):\n%s", diff)
	}
	if !isSet(t, j, "a") || !isSet(t, j, "b") {
		t.Error("answered, but not committed")
	}
}

func TestFailingOperationStandsAlone(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	j := testOpen(t, Config{Logger: zap.New(core)})
	ctx := context.Background()
	noErr(t, j.PutUser(ctx, User{Account: "app", OpenID: "u1", Conversation: "c"}))
	tests := map[string]func(*tx) error{
		"constraint": func(t *tx) error {
			if err := set("constraint half")(t); err != nil {
				return err
			}
			_, err := t.exec(upsertUser, "app", "u2", "c", 0, "", 0, "", 0)
			return err
		},
		"no such table": func(t *tx) error {
			if err := set("no such table half")(t); err != nil {
				return err
			}
			_, err := t.exec("DELETE FROM nowhere")
			return err
		},
		"panic": func(t *tx) error {
			if err := set("panic half")(t); err != nil {
				return err
			}
			panic("secret")
		},
	}
	for name, bad := range tests {
		t.Run(name, func(t *testing.T) {
			first, last := name+" first", name+" last"
			errs := together(t, j, set(first), bad, set(last))
			if errs[0] != nil || errs[2] != nil {
				t.Errorf("the others: %v, %v", errs[0], errs[2])
			}
			if errs[1] == nil || errors.Is(errs[1], ErrUnavailable) || strings.Contains(errs[1].Error(), "secret") {
				t.Errorf("the failing one: %v", errs[1])
			}
			if !isSet(t, j, first) || !isSet(t, j, last) {
				t.Error("a good operation was lost")
			}
			if isSet(t, j, name+" half") {
				t.Error("half of the failing operation was kept")
			}
			if err := j.w.do(ctx, bad); err == nil { // alone
				t.Error("the failing one succeeds alone")
			}
			if isSet(t, j, name+" half") {
				t.Error("half of the lone failing operation was kept")
			}
			noErr(t, j.w.do(ctx, set(name+" afterwards")))
		})
	}
	if n := logs.FilterMessage("journal operation panicked").Len(); n != 3 { // in the batch, alone after it, alone
		t.Errorf("%d log lines about the panic", n)
	}
	for _, e := range logs.All() {
		if strings.Contains(fmt.Sprint(e.ContextMap()["panic"]), "secret") {
			t.Error("the panic's value is in the log")
		}
	}
}

// TestConcurrentWriters: many at a time, one in ten failing, and each gets its own answer.
func TestConcurrentWriters(t *testing.T) {
	j := testOpen(t, Config{Sync: Normal})
	var wg sync.WaitGroup
	const writers, each = 64, 40
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				name := fmt.Sprintf("%d/%d", w, i)
				bad := (w+i)%10 == 0
				err := j.w.do(context.Background(), func(t *tx) error {
					if err := set(name)(t); err != nil || !bad {
						return err
					}
					return errors.New(name)
				})
				if bad && (err == nil || err.Error() != name) || !bad && err != nil {
					t.Errorf("operation %s: %v", name, err)
				}
			}
		})
	}
	wg.Wait()
	for w := range writers {
		for i := range each {
			name := fmt.Sprintf("%d/%d", w, i)
			if want := (w+i)%10 != 0; isSet(t, j, name) != want {
				t.Fatalf("operation %s: set %v, want %v", name, !want, want)
			}
		}
	}
}

// TestLoneWriteDoesNotWait: no timer passes before a write is answered.
func TestLoneWriteDoesNotWait(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		j := testOpen(t, Config{Dir: dir})
		start := time.Now()
		for i := range 10 {
			push(t, j, "u", fmt.Sprint(i))
		}
		if d := time.Since(start); d != 0 {
			t.Errorf("waited %v", d)
		}
		noErr(t, j.Close())
	})
}

func TestCallerStopsWaiting(t *testing.T) {
	j := testOpen(t, Config{})
	ctx, cancel := context.WithCancel(context.Background())
	inside, release := make(chan struct{}), make(chan struct{})
	answers := make(chan error, 2)
	go func() {
		answers <- j.write(ctx, "taken", func(t *tx) error {
			close(inside)
			<-release
			return set("taken")(t)
		})
	}()
	<-inside
	go func() { answers <- j.write(ctx, "queued", set("queued")) }()
	for len(j.w.queue) == 0 {
		time.Sleep(50 * time.Microsecond)
	}
	cancel()
	for range 2 {
		if err := <-answers; !errors.Is(err, context.Canceled) {
			t.Errorf("error %v, want that of the context", err)
		}
	}
	close(release)
	noErr(t, j.w.do(context.Background(), set("next")))
	if !isSet(t, j, "taken") {
		t.Error("an operation that had begun did not take effect")
	}
	if isSet(t, j, "queued") {
		t.Error("an operation that had not begun took effect")
	}
	if err := j.write(ctx, "late", set("late")); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want that of the context", err)
	}
}

// TestDiskFull: no page more, and then room again.
func TestDiskFull(t *testing.T) {
	var limit atomic.Int64
	limit.Store(1_000_000)
	setLimit := func(conn *sql.Conn) error {
		_, err := conn.ExecContext(context.Background(), fmt.Sprintf("PRAGMA max_page_count = %d", limit.Load()))
		return err
	}
	ctx := context.Background()
	j, err := open(ctx, Config{Dir: filepath.Join(t.TempDir(), "wechat")}, setLimit)
	noErr(t, err)
	defer j.Close()
	push(t, j, "u", "before")
	relimit := func(n int64) {
		limit.Store(n)
		noErr(t, j.w.do(ctx, func(t *tx) error { return setLimit(t.conn) }))
	}
	relimit(1) // SQLite takes the present size for it
	big := make([]byte, 1<<20)
	grow := func(key string) func(*tx) error {
		return func(t *tx) error {
			_, err := t.exec(insertPush, "app", "u", key, "text", 1, big)
			return err
		}
	}
	for round := range 2 {
		for i, err := range together(t, j, set("a"), grow("b"), set("c")) {
			if !errors.Is(err, ErrUnavailable) {
				t.Errorf("round %d, operation %d: error %v, want ErrUnavailable", round, i, err)
			}
		}
		if isSet(t, j, "a") || isSet(t, j, "c") {
			t.Error("half of a failed batch was kept")
		}
		_, _, err = appendPush(ctx, j, Push{Account: "app", OpenID: "u", Key: "during", Body: big})
		if !errors.Is(err, ErrUnavailable) {
			t.Errorf("error %v, want ErrUnavailable", err)
		}
	}
	if diff := cmp.Diff([]string{"before"}, keys(t, j, "u")); diff != "" {
		t.Errorf("waiting while the disk is full (-want +got):\n%s", diff)
	}
	relimit(1_000_000)
	_, fresh, err := appendPush(ctx, j, Push{Account: "app", OpenID: "u", Key: "during", Body: big})
	if err != nil || !fresh {
		t.Fatalf("after there is room: fresh %v, error %v", fresh, err)
	}
	if diff := cmp.Diff([]string{"before", "during"}, keys(t, j, "u")); diff != "" {
		t.Errorf("waiting afterwards (-want +got):\n%s", diff)
	}
}

// TestConnectionLost: the writer's connection goes away under it and comes back.
func TestConnectionLost(t *testing.T) {
	var down atomic.Bool
	gone := errors.New("database away")
	ctx := context.Background()
	j, err := open(ctx, Config{Dir: t.TempDir()}, func(*sql.Conn) error {
		if down.Load() {
			return gone
		}
		return nil
	})
	noErr(t, err)
	defer j.Close()
	push(t, j, "u", "before")
	down.Store(true)
	if err := j.w.do(ctx, func(t *tx) error { _ = t.conn.Close(); return errors.New("lost") }); err == nil {
		t.Fatal("no error from a lost connection")
	}
	if _, _, err := appendPush(ctx, j, Push{Key: "during"}); !errors.Is(err, ErrUnavailable) || !errors.Is(err, gone) {
		t.Errorf("error %v, want ErrUnavailable and its cause", err)
	}
	down.Store(false)
	push(t, j, "u", "after")
}

// TestGivenUp: whoever gives up an operation that the writer has already taken gets no part of its
// result. Only the race detector sees the difference.
func TestGivenUp(t *testing.T) {
	j := testOpen(t, Config{})
	media, err := j.media.open(context.Background())
	noErr(t, err)
	for name, op := range map[string]func(context.Context) error{
		"append push": func(ctx context.Context) error {
			_, err := j.AppendPush(ctx, Push{Account: "app", OpenID: "user", Key: "key", Kind: "text"}, true)
			return err
		},
		"append replies": func(ctx context.Context) error {
			_, err := j.AppendReplies(ctx, "app", "user", []Reply{{MessageID: "a", CreatedAt: j.now()}})
			return err
		},
		"append listing": func(ctx context.Context) error {
			_, err := j.AppendListing(ctx, "app", "user", []Reply{{MessageID: "b", CreatedAt: j.now()}})
			return err
		},
		"begin":  func(ctx context.Context) error { _, _, err := j.Begin(ctx, "app"); return err },
		"park":   func(ctx context.Context) error { _, err := j.Park(ctx, "app", "user"); return err },
		"unpark": func(ctx context.Context) error { _, _, err := j.Unpark(ctx, "app", "user", j.now(), ""); return err },
		"claim":  func(ctx context.Context) error { _, err := j.ClaimState(ctx, "app", "name", "value"); return err },
		"replay": func(ctx context.Context) error { _, err := j.Replay(ctx, "app", []int64{1}); return err },
		"find media": func(ctx context.Context) error {
			_, err := media.find(ctx, oldestMedia, "app", 0)
			return err
		},
		"put media": func(ctx context.Context) error {
			_, err := j.PutMedia(ctx, Media{Account: "app", OpenID: "user", Name: "name"}, strings.NewReader("file"))
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := j.w
			if strings.Contains(name, "media") {
				w = media.w
			}
			ctx, cancel := context.WithCancel(context.Background())
			// What is queued together with the second of two operations that block is taken with it.
			entered, leave := block(t, w)
			<-entered
			entered2, leave2 := block(t, w)
			var wg sync.WaitGroup
			wg.Go(func() {
				if err := op(ctx); !errors.Is(err, context.Canceled) {
					t.Errorf("given up, and got %v", err)
				}
			})
			for len(w.queue) < 2 {
				time.Sleep(50 * time.Microsecond)
			}
			close(leave)
			<-entered2
			cancel()
			time.Sleep(100 * time.Millisecond) // and nothing else orders what follows after its return
			close(leave2)
			wg.Wait()
			noErr(t, w.do(context.Background(), func(*tx) error { return nil })) // by now it has run
		})
	}
}
