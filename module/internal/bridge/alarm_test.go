package bridge

import "testing"

func TestAlarms(t *testing.T) {
	tell := func(n int) {
		for range n {
			alarm(Decision{Stage: "hold"})
		}
	}
	tell(1) // nobody listens
	old := ListenToAlarms()
	tell(2)
	if len(old.C()) != 2 {
		t.Fatalf("%d alarms, want 2", len(old.C()))
	}
	newer := ListenToAlarms()
	tell(1)
	if len(old.C()) != 2 || len(newer.C()) != 1 {
		t.Errorf("the older one has %d, the newer %d", len(old.C()), len(newer.C()))
	}
	old.Close() // hands over what it has not read
	if len(newer.C()) != 3 {
		t.Errorf("%d alarms after the older one has gone, want 3", len(newer.C()))
	}
	tell(alarmsKept)
	if n := newer.Missed(); n != 3 || newer.Missed() != 0 {
		t.Errorf("missed %d, want 3", n)
	}
	newer.Close()
	if len(alarms.listeners) != 0 {
		t.Error("somebody still listens")
	}
}

// TestAlarming: what is worth an alarm reaches who listens, and nothing else does.
func TestAlarming(t *testing.T) {
	l := ListenToAlarms()
	defer l.Close()
	var tr trace
	for s := range stepCount {
		tr.add(&note{step: s})
		select {
		case d := <-l.C():
			if !alarming[s] || d.Stage != steps[s][0] || d.Outcome != steps[s][1] {
				t.Errorf("step %v is told as %+v", steps[s], d)
			}
		default:
			if alarming[s] {
				t.Errorf("step %v is not told", steps[s])
			}
		}
	}
}
