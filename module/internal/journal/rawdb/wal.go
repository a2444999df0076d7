package rawdb

import (
	"encoding/binary"
	"io"
)

const (
	walHeader   = 32
	frameHeader = 24

	walMagic = 0x377f0682 // the lowest bit says that checksums are of big-endian words
)

// checksum is that of the write-ahead log. Each frame's goes on from the one before it.
type checksum struct {
	order binary.ByteOrder
	a, b  uint32
}

func (c *checksum) add(data []byte) {
	for ; len(data) >= 8; data = data[8:] {
		c.a += c.order.Uint32(data) + c.b
		c.b += c.order.Uint32(data[4:]) + c.a
	}
}

// readLog finds the committed pages of the write-ahead log. Where a frame is damaged SQLite takes the log
// to end; here the checksum that stands in the damaged frame is taken for right, and if the next frame
// goes on from it, what follows is read as well. The first of SQLite's frames that belongs to an older
// generation of the log has other salts, and ends it.
func (f *File) readLog() error {
	if f.wal == nil {
		return nil
	}
	head := make([]byte, walHeader)
	if n, err := f.wal.ReadAt(head, 0); n < walHeader {
		if err == io.EOF {
			return nil
		}
		return err
	}
	number := binary.BigEndian.Uint32(head)
	size, ok := pageSizeOf(binary.BigEndian.Uint32(head[8:]))
	if number&^1 != walMagic || !ok {
		f.LogDamaged++ // nothing says how its frames are to be read
		return nil
	}
	if f.HeaderLost {
		f.pageSize = size
	}
	if size != f.pageSize {
		f.LogDamaged++
		return nil
	}
	sum := checksum{order: binary.LittleEndian}
	if number&1 == 1 {
		sum.order = binary.BigEndian
	}
	sum.add(head[:24])
	return f.readFrames(sum, head[16:24])
}

func (f *File) readFrames(sum checksum, salts []byte) error {
	frame := make([]byte, frameHeader+f.pageSize)
	open := make(map[uint32]int64) // of the transaction that is being read
	damaged := 0                   // frames since the last good one
	for at := int64(walHeader); ; at += int64(len(frame)) {
		if n, err := f.wal.ReadAt(frame, at); n < len(frame) {
			if err == io.EOF {
				return nil // what is cut off was not committed, or is lost
			}
			return err
		}
		sum.add(frame[:8])
		sum.add(frame[frameHeader:])
		stored := checksum{order: sum.order, a: binary.BigEndian.Uint32(frame[16:]), b: binary.BigEndian.Uint32(frame[20:])}
		if string(frame[8:16]) != string(salts) {
			if damaged++; damaged > 1 { // two in a row: the log ends here
				return nil
			}
			sum = stored
			continue
		}
		good := sum == stored
		sum = stored
		if !good {
			damaged++
			continue
		}
		f.LogDamaged += damaged
		damaged = 0
		number, commit := binary.BigEndian.Uint32(frame), binary.BigEndian.Uint32(frame[4:])
		open[number] = at + frameHeader
		if commit == 0 {
			continue
		}
		for n, off := range open {
			f.inWAL[n] = off
			f.pages = max(f.pages, n)
		}
		clear(open)
	}
}
