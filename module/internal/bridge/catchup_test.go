package bridge

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestCatchupTimes plays what happens in a conversation, in seconds, and notes
// when it is listed.
func TestCatchupTimes(t *testing.T) {
	type event struct {
		at    float64
		reply bool
	}
	var without []event
	for at := 0.0; at < 200; at += 4 {
		without = append(without, event{at, false}, event{at + 1, true})
	}
	for _, tc := range []struct {
		name   string
		events []event
		want   []float64
	}{
		{"no reply", []event{{0, false}}, []float64{5, 10, 15, 45, 120}},
		{"a reply at once", []event{{0, false}, {1, true}}, []float64{11, 121}},
		{"a reply after some listings", []event{{0, false}, {12, true}}, []float64{5, 10, 22, 132}},
		{"talk goes on", []event{{0, false}, {1, true}, {8, false}, {9, true}}, []float64{19, 129}},
		{"an answer, then silence", []event{{0, false}, {1, true}, {20, false}}, []float64{11, 25, 30, 35, 65, 140}},
		{"the bot speaks first", []event{{0, true}}, []float64{10, 120}},
		{"talk without a pause", without, []float64{60, 121, 184, 207, 317}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCatchup(nil)
				start := time.Now()
				since := func() float64 { return time.Since(start).Seconds() }
				events := tc.events
				var listed []float64
				for since() < 1000 {
					for len(events) > 0 && events[0].at <= since() {
						c.activity("oUser", events[0].reply)
						events = events[1:]
					}
					if openid, _ := c.pop(); openid != "" {
						listed = append(listed, since())
						w := c.watches[openid]
						w.listed = time.Now()
						c.scheduleLocked(w, w.next())
					}
					time.Sleep(500 * time.Millisecond)
				}
				if diff := cmp.Diff(tc.want, listed); diff != "" {
					t.Errorf("listed at (-want +got):\n%s", diff)
				}
				if len(c.watches) != 0 || len(c.heap) != 0 {
					t.Error("a conversation that fell silent is not forgotten")
				}
			})
		})
	}
}

// TestCatchupOrder: whoever is due first comes first, however many there are.
func TestCatchupOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCatchup(nil)
		for _, openid := range []string{"a", "b", "c", "d"} {
			c.activity(openid, false)
			time.Sleep(time.Second)
		}
		c.activity("b", false)
		var got []string
		for len(got) < 4 {
			if openid, wait := c.pop(); openid != "" {
				got = append(got, openid)
			} else {
				time.Sleep(wait)
			}
		}
		if diff := cmp.Diff([]string{"a", "c", "d", "b"}, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}
