// Package rawdb reads rows out of the files of an SQLite database without SQLite, page by page. It is for
// files that are damaged: whatever page, row or frame of the write-ahead log cannot be read is left out,
// and what lies around it is read all the same. It writes nothing.
//
// The format is that of SQLite's documentation, "Database File Format". Text is taken to be UTF-8.
package rawdb

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

const (
	// defaultPageSize is SQLite's own, for files that do not tell theirs any more.
	defaultPageSize = 4096

	headerSize = 100 // at the beginning of page 1
	magic      = "SQLite format 3\x00"
)

// errPage is that a page is not there or is not what it should be.
var errPage = errors.New("page cannot be read")

// File is an open database file with its write-ahead log, if there is one. It is not safe for concurrent
// use.
type File struct {
	db       *os.File
	wal      *os.File // nil if there is none
	pageSize int
	pages    uint32
	inWAL    map[uint32]int64 // where the newest committed content of a page begins in the log
	freelist uint32           // its first page, 0 = none or not known

	// HeaderLost says that the file does not begin as a database does.
	HeaderLost bool

	// LogDamaged counts frames of the write-ahead log that cannot be read although later ones can.
	LogDamaged int
}

// Open opens the database at path. Its error is that the files cannot be read at all; that they do not
// look like a database is none.
func Open(path string) (_ *File, err error) {
	f := &File{pageSize: defaultPageSize, inWAL: make(map[uint32]int64)}
	if f.db, err = os.Open(path); err != nil { //nolint:gosec // the operator's own path
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = f.Close()
		}
	}()
	switch f.wal, err = os.Open(path + "-wal"); { //nolint:gosec // as above
	case errors.Is(err, fs.ErrNotExist):
		f.wal, err = nil, nil
	case err != nil:
		return nil, err
	}
	head := make([]byte, headerSize)
	if _, err := f.db.ReadAt(head, 0); err != nil && err != io.EOF {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	f.readHeader(head)
	info, err := f.db.Stat()
	if err != nil {
		return nil, err
	}
	if err := f.readLog(); err != nil {
		return nil, fmt.Errorf("reading %s-wal: %w", path, err)
	}
	f.pages = max(f.pages, uint32(min(info.Size()/int64(f.pageSize), 1<<32-2)))
	if page, err := f.page(1); err == nil && string(page[:len(magic)]) == magic {
		f.HeaderLost = false // a newer one is in the log
		f.freelist = binary.BigEndian.Uint32(page[32:])
	}
	return f, nil
}

// readHeader takes the size of pages from the header, if that is one.
func (f *File) readHeader(head []byte) {
	f.HeaderLost = string(head[:len(magic)]) != magic
	if f.HeaderLost {
		return
	}
	if n, ok := pageSizeOf(uint32(binary.BigEndian.Uint16(head[16:]))); ok {
		f.pageSize = n
	}
}

// pageSizeOf is a size as it is stored: 1 stands for 65536, which does not fit.
func pageSizeOf(n uint32) (int, bool) {
	if n == 1 {
		n = 65536
	}
	return int(n), n >= 512 && n <= 65536 && n&(n-1) == 0
}

// Pages is how many pages there are.
func (f *File) Pages() uint32 { return f.pages }

// page returns the newest committed content of a page; they are counted from 1.
func (f *File) page(n uint32) ([]byte, error) {
	if n == 0 || n > f.pages {
		return nil, errPage
	}
	b := make([]byte, f.pageSize)
	from, at := f.db, int64(n-1)*int64(f.pageSize)
	if off, ok := f.inWAL[n]; ok {
		from, at = f.wal, off
	}
	if _, err := from.ReadAt(b, at); err != nil {
		return nil, fmt.Errorf("%w: %w", errPage, err)
	}
	return b, nil
}

// Close closes the files.
func (f *File) Close() error {
	err := f.db.Close()
	if f.wal != nil {
		err = errors.Join(err, f.wal.Close())
	}
	return err
}
