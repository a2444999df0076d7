package module

import (
	"bytes"
	"errors"
	"io"
	"testing"
)

// TestBodies: long bodies are turned away when there are too many of them, short ones never, and the room is
// there again afterwards.
func TestBodies(t *testing.T) {
	const long = 1 << 20
	var held []*room
	read := func(n int) error {
		m := new(room)
		held = append(held, m)
		body, err := m.readAll(io.LimitReader(zeros{}, int64(n)), make([]byte, 0, bodyFree))
		if err == nil && len(body) != n {
			t.Errorf("%d bytes of %d were read", len(body), n)
		}
		return err
	}
	n := 0
	for ; n < 1000 && read(long) == nil; n++ {
	}
	if n < bodiesMost/long/4 || n > bodiesMost/long {
		t.Errorf("%d long bodies at once", n)
	}
	if err := read(long); !errors.Is(err, errCrowded) {
		t.Errorf("another one: %v", err)
	}
	for range 100 {
		if err := read(bodyFree - bytes.MinRead); err != nil {
			t.Fatalf("a short one: %v", err)
		}
	}
	for _, m := range held {
		m.free()
		m.free()
	}
	if !bodies.TryAcquire(bodiesMost) {
		t.Fatal("room was lost")
	}
	bodies.Release(bodiesMost)
}

// zeros are as many as are wanted.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }
