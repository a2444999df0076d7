package rawdb

import (
	"encoding/binary"
	"errors"
	"math"
)

// maxPayload bounds what is taken for the size of a row: more would be damage.
const maxPayload = 256 << 20

var errRow = errors.New("row cannot be read")

// varint reads SQLite's integer of variable length. n is 0 if there is none.
func varint(b []byte) (v uint64, n int) {
	for n < 9 && n < len(b) {
		c := b[n]
		n++
		if n == 9 {
			return v<<8 | uint64(c), n
		}
		v = v<<7 | uint64(c&0x7f)
		if c < 0x80 {
			return v, n
		}
	}
	return 0, 0
}

// decode returns the values of a record: nil, int64, float64, string or []byte.
func decode(record []byte) ([]any, error) {
	size, n := varint(record)
	if n == 0 || size < uint64(n) || size > uint64(len(record)) {
		return nil, errRow
	}
	head, body := record[n:size], record[size:]
	var values []any
	for len(head) > 0 {
		kind, n := varint(head)
		if n == 0 {
			return nil, errRow
		}
		head = head[n:]
		v, used, err := value(kind, body)
		if err != nil {
			return nil, err
		}
		values, body = append(values, v), body[used:]
	}
	if len(body) > 0 || len(values) == 0 {
		return nil, errRow
	}
	return values, nil
}

// integerSizes are the bytes that integers of the serial types 1 to 6 take.
var integerSizes = [...]int{1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}

// value reads one value of a serial type from the front of body.
func value(kind uint64, body []byte) (v any, used int, err error) {
	switch {
	case kind == 0:
		return nil, 0, nil
	case kind <= 6:
		n := integerSizes[kind]
		if n > len(body) {
			return nil, 0, errRow
		}
		i := int64(int8(body[0]))
		for _, c := range body[1:n] {
			i = i<<8 | int64(c)
		}
		return i, n, nil
	case kind == 7:
		if len(body) < 8 {
			return nil, 0, errRow
		}
		return math.Float64frombits(binary.BigEndian.Uint64(body)), 8, nil
	case kind == 8, kind == 9:
		return int64(kind - 8), 0, nil
	case kind < 12:
		return nil, 0, errRow
	}
	n := (kind - 12) / 2
	if n > uint64(len(body)) {
		return nil, 0, errRow
	}
	if kind%2 == 0 {
		return append(make([]byte, 0, n), body[:n]...), int(n), nil
	}
	return string(body[:n]), int(n), nil
}

// payload reads the content of a cell: b begins behind its size, what does not fit into the page lies in
// a chain of others.
func (f *File) payload(b []byte, size uint64, keyed bool) ([]byte, error) {
	if size > maxPayload || size/uint64(f.pageSize) > uint64(f.pages) {
		return nil, errRow
	}
	// SQLite's names for the bounds are U, X, M and K.
	usable, total := f.pageSize, int(size)
	most := usable - 35
	if keyed {
		most = (usable-12)*64/255 - 23
	}
	local := total
	if total > most {
		least := (usable-12)*32/255 - 23
		if local = least + (total-least)%(usable-4); local > most {
			local = least
		}
	}
	if local > len(b) {
		return nil, errRow
	}
	if local == total {
		return b[:total], nil
	}
	if len(b) < local+4 {
		return nil, errRow
	}
	out := append(make([]byte, 0, total), b[:local]...)
	for next := binary.BigEndian.Uint32(b[local:]); len(out) < total; {
		page, err := f.page(next)
		if err != nil {
			return nil, err
		}
		next = binary.BigEndian.Uint32(page)
		out = append(out, page[4:4+min(usable-4, total-len(out))]...)
	}
	return out, nil
}
