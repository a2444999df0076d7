package bridge

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// board stands for the journal: what waits for whom.
type board struct {
	mu      sync.Mutex
	waiting map[string][]int
	done    map[string][]int
	at      map[string]bool // at work
	most    int             // at work at once
	scans   int
}

func newBoard() *board {
	return &board{waiting: make(map[string][]int), done: make(map[string][]int), at: make(map[string]bool)}
}

func (b *board) put(user string, n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waiting[user] = append(b.waiting[user], n)
}

func (b *board) scan(_ context.Context, after string, limit int) ([]string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.scans++
	var users []string
	for u, rows := range b.waiting {
		if len(rows) > 0 && u > after {
			users = append(users, u)
		}
	}
	slices.Sort(users)
	return users[:min(limit, len(users))], nil
}

// work takes up to three messages, a second each.
func (b *board) work(ctx context.Context, user string) bool {
	b.mu.Lock()
	if b.at[user] {
		panic("two lanes of one user")
	}
	b.at[user] = true
	b.most = max(b.most, len(b.at))
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.at, user)
	}()
	for range 3 {
		b.mu.Lock()
		if len(b.waiting[user]) == 0 || ctx.Err() != nil {
			b.mu.Unlock()
			return false
		}
		n := b.waiting[user][0]
		b.mu.Unlock()
		time.Sleep(time.Second)
		b.mu.Lock()
		b.waiting[user] = b.waiting[user][1:]
		b.done[user] = append(b.done[user], n)
		b.mu.Unlock()
	}
	return true
}

func (b *board) lanes(ctx context.Context, limit int) *lanes {
	return newLanes(ctx, &lanes{
		limit:  func() int { return limit },
		work:   b.work,
		scan:   b.scan,
		logger: zap.NewNop,
	})
}

// check waits until nothing happens any more.
func (b *board) check(t *testing.T, users, each, limit int) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.done) != users {
		t.Errorf("%d users were served, want %d", len(b.done), users)
	}
	for u, got := range b.done {
		if len(got) != each || !slices.IsSorted(got) {
			t.Errorf("%s got %v, want %d in order", u, got, each)
		}
	}
	if b.most > limit {
		t.Errorf("%d lanes were at work, want at most %d", b.most, limit)
	}
}

func TestLanes(t *testing.T) {
	for _, tc := range []struct {
		name               string
		users, each, limit int
	}{
		{"room for all", 10, 7, 100},
		{"fewer lanes than users", 50, 7, 3},
		{"more users than fit in memory", queueBound + 3*scanBatch, 2, 200},
	} {
		for _, how := range []string{"found at the start", "woken while at work"} {
			t.Run(tc.name+", "+how, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					ctx, cancel := context.WithCancel(t.Context())
					b := newBoard()
					l := b.lanes(ctx, tc.limit)
					if how == "woken while at work" {
						l.recall()
					}
					for k := range tc.each {
						for i := range tc.users {
							user := fmt.Sprintf("user%06d", i)
							b.put(user, k)
							l.wake(user)
						}
						time.Sleep(300 * time.Millisecond)
					}
					if how == "found at the start" {
						if len(b.done) > 0 {
							t.Error("a lane was at work before the start")
						}
						l.recall()
					}
					time.Sleep(24 * time.Hour)
					synctest.Wait()
					b.check(t, tc.users, tc.each, tc.limit)
					scans := b.scans
					time.Sleep(24 * time.Hour)
					if b.scans != scans {
						t.Error("the journal is read although nothing happens")
					}
					cancel()
					l.wg.Wait()
				})
			})
		}
	}
}

// TestLanesStop: nothing new is begun once the context has ended.
func TestLanesStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		b := newBoard()
		l := b.lanes(ctx, 2)
		l.recall()
		for i := range 10 {
			user := fmt.Sprint("user", i)
			for k := range 10 {
				b.put(user, k)
			}
			l.wake(user)
		}
		time.Sleep(1500 * time.Millisecond)
		cancel()
		l.wg.Wait()
		n := 0
		for _, d := range b.done {
			n += len(d)
		}
		if n != 4 {
			t.Errorf("%d messages were handled, want the 2 that were done and the 2 under way", n)
		}
		l.wake("user1")
		if l.atWork() != 0 {
			t.Error("a lane was begun after the stop")
		}
	})
}

// TestLanesPanic: a panic disturbs nobody else, and is followed by another try.
func TestLanesPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var mu sync.Mutex
		calls := make(map[string]int)
		l := newLanes(ctx, &lanes{
			limit: func() int { return 2 },
			work: func(_ context.Context, user string) bool {
				mu.Lock()
				calls[user]++
				first := calls[user] == 1
				mu.Unlock()
				if user == "bad" && first {
					panic("as intended")
				}
				return false
			},
			scan:   newBoard().scan,
			logger: zap.NewNop,
		})
		l.recall()
		for _, u := range []string{"bad", "good"} {
			l.wake(u)
			synctest.Wait()
		}
		time.Sleep(time.Minute) // the bad one is tried again, though nobody wakes it
		mu.Lock()
		defer mu.Unlock()
		if calls["bad"] != 2 || calls["good"] != 1 {
			t.Errorf("calls: %v", calls)
		}
		cancel()
		l.wg.Wait()
	})
}
