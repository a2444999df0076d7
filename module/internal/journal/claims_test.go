package journal

import (
	"bytes"
	"fmt"
	"strconv"
	"testing"
	"time"
)

// TestClaims holds what is remembered against what the database says: whatever
// happens to a push, a further append tells the same, remembered or not.
func TestClaims(t *testing.T) {
	j := testOpen(t, Config{})
	ctx := t.Context()
	add := func(key string, count bool) Claim {
		t.Helper()
		c, err := j.AppendPush(ctx, Push{Account: "a", OpenID: "o", Key: key, Kind: "text"}, count)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	first := add("k", false)
	if !first.Fresh {
		t.Fatal("not fresh")
	}
	if _, ok := j.claims.find("a", "k", time.Now(), time.Hour); !ok {
		t.Error("a claim is not remembered")
	}
	if _, ok := j.claims.find("b", "k", time.Now(), time.Hour); ok {
		t.Error("another account's claim is found")
	}
	if c := add("k", false); c.Fresh || c.ID != first.ID || c.Attempts != 1 || c.Answer != nil {
		t.Errorf("again: %+v", c)
	}
	if c := add("k", true); c.Attempts != 2 {
		t.Errorf("counted: %+v", c)
	}
	if c := add("k", false); c.Attempts != 2 {
		t.Errorf("after counting: %+v", c)
	}
	if err := j.Sent(ctx, Sent{Account: "a", OpenID: "o", Push: first.ID, Answer: []byte("x")}); err != nil {
		t.Fatal(err)
	}
	for range 2 { // looking it up must not bring back what was known before
		if c := add("k", false); !bytes.Equal(c.Answer, []byte("x")) {
			t.Errorf("answered: %+v", c)
		}
	}
	j.claims.note("a", "k", first.ID, time.Now()) // by whoever appended it, late
	if c := add("k", false); c.Answer == nil {
		t.Error("an answer is forgotten")
	}
}

func TestClaimsEnd(t *testing.T) {
	var c claims
	now := time.Now()
	c.note("a", "k", 1, now)
	for _, tt := range []struct {
		after, keep time.Duration
		want        bool
	}{
		{time.Second - time.Millisecond, time.Second, true},
		{time.Second, time.Second, false}, // its row may be pruned
		{claimsFor - time.Millisecond, 24 * time.Hour, true},
		{claimsFor, 24 * time.Hour, false},
	} {
		if _, ok := c.find("a", "k", now.Add(tt.after), tt.keep); ok != tt.want {
			t.Errorf("after %v of %v: %v", tt.after, tt.keep, ok)
		}
	}
	const last = 10*claimsKept - 1
	for i := range last + 1 {
		c.note("a", strconv.Itoa(i), int64(10+i), now)
		if i%4 == 0 {
			c.changed(int64(10 + i))
		}
	}
	if n := len(c.now.byID) + len(c.old.byID); n > 2*claimsKept {
		t.Errorf("%d claims are remembered", n)
	}
	if n := len(c.now.byKey) + len(c.old.byKey); n > 2*claimsKept {
		t.Errorf("%d keys are remembered", n)
	}
	for i := last - claimsKept/2; i <= last; i++ {
		if _, ok := c.find("a", strconv.Itoa(i), now, time.Hour); ok != (i%4 != 0) {
			t.Fatalf("%d: %v", i, ok)
		}
	}
}

func BenchmarkClaims(b *testing.B) {
	var c claims
	now := time.Now()
	keys := make([]string, 1000)
	for i := range keys {
		keys[i] = fmt.Sprintf("m/24%017d/oALICE00000000000000000%05d", i, i)
		c.note("wx0123456789abcdef", keys[i], int64(i+1), now)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, ok := c.find("wx0123456789abcdef", keys[i%len(keys)], now, time.Hour); !ok {
			b.Fatal("not found")
		}
	}
}
