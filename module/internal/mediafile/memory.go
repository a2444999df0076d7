package mediafile

import (
	"context"
	"fmt"
	"sync"

	"golang.org/x/sync/semaphore"
)

// DefaultMemory is how many bytes of fetched files are held at once unless
// configured: 64 MiB.
const DefaultMemory = 64 << 20

// Memory bounds how many bytes of files are in memory at once. Fetchers can
// share one. What the garbage collector has not collected yet comes on top.
type Memory struct {
	free *semaphore.Weighted
	size int64
}

// NewMemory returns a Memory of size bytes; 0 or less means DefaultMemory.
func NewMemory(size int64) *Memory {
	if size <= 0 {
		size = DefaultMemory
	}
	return &Memory{free: semaphore.NewWeighted(size), size: size}
}

// reserve waits for n bytes. It is an error at once if n is more than there will
// ever be, and an ErrBusy if ctx ends first.
func (m *Memory) reserve(ctx context.Context, n int64) error {
	if n > m.size {
		return fmt.Errorf("reserving memory: %w", ErrTooLarge)
	}
	if err := m.free.Acquire(ctx, n); err != nil {
		return fmt.Errorf("reserving memory: %w: %w", ErrBusy, err)
	}
	return nil
}

// File is a fetched file. It counts against the fetcher's memory until Close.
type File struct {
	// Data must not be used after Close.
	Data []byte

	release func()
}

// Close gives the file's memory back. A second Close does nothing.
func (f *File) Close() {
	f.Data = nil
	f.release()
}

// newFile makes a file of data, of which held bytes are reserved. What data
// does not need is given back at once.
func (m *Memory) newFile(data []byte, held int64) *File {
	if kept := int64(cap(data)); kept < held {
		m.free.Release(held - kept)
		held = kept
	}
	return &File{Data: data, release: sync.OnceFunc(func() { m.free.Release(held) })}
}
