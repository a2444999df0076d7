package module

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		parent, cancel := context.WithCancel(t.Context())
		defer cancel()
		ended, stopped, unwatched := newPatience(parent, time.Hour), newPatience(parent, time.Hour), newPatience(parent, time.Minute)
		timed := newPatience(parent, time.Minute)
		began := time.Now()
		if at, ok := timed.Deadline(); !ok || at != began.Add(time.Minute) {
			t.Errorf("deadline: %v, %v", at, ok)
		}
		sooner, cancelSooner := context.WithTimeout(parent, time.Second)
		defer cancelSooner()
		if at, _ := newPatience(sooner, time.Minute).Deadline(); at != began.Add(time.Second) {
			t.Errorf("deadline of the parent: %v", at)
		}
		stopped.end()
		if stopped.Err() != nil {
			t.Error("ending without a timer is an error")
		}
		<-timed.Done()
		if took := time.Since(began); took != time.Minute || !errors.Is(timed.Err(), context.DeadlineExceeded) {
			t.Errorf("after %v: %v", took, timed.Err())
		}
		if !errors.Is(unwatched.Err(), context.DeadlineExceeded) {
			t.Errorf("nobody waited: %v", unwatched.Err())
		}
		if ended.Err() != nil {
			t.Errorf("too early: %v", ended.Err())
		}
		below, cancelBelow := context.WithCancel(ended)
		defer cancelBelow()
		cancel()
		<-below.Done()
		if !errors.Is(ended.Err(), context.Canceled) {
			t.Errorf("the parent has ended: %v", ended.Err())
		}
		for _, p := range []*patience{ended, timed, unwatched} {
			p.end()
			p.end()
		}
	})
}
