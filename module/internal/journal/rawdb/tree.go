package rawdb

import (
	"encoding/binary"
	"math"
)

// Types of pages.
const (
	keyedInterior = 2
	tableInterior = 5
	keyedLeaf     = 10
	tableLeaf     = 13
)

// maxDepth is more than any tree of SQLite's has.
const maxDepth = 32

// Row is a row of a table, or an entry of an index.
type Row struct {
	// ID is the rowid. Indexes, and tables without rowid, have none.
	ID int64

	// Values are nil, int64, float64, string or []byte. A row from before a column was added lacks it.
	// The column that is the rowid is nil.
	Values []any
}

// Range is a range of rowids, both ends included.
type Range struct{ From, To int64 }

// All is every rowid.
var All = Range{math.MinInt64, math.MaxInt64}

// Walk is what a tree was found to be.
type Walk struct {
	// Pages that were read.
	Pages int

	// Damaged counts pages and rows that could not be read.
	Damaged int

	// Lost are the rowids that may have been on pages that could not be read.
	Lost []Range
}

// Reader goes through the trees of a file, and remembers which pages it has seen.
type Reader struct {
	f    *File
	seen []bool
}

// NewReader returns a reader of the file that has seen nothing.
func NewReader(f *File) *Reader { return &Reader{f: f, seen: make([]bool, uint64(f.pages)+1)} }

// Tree hands on all rows that can be read of the tree with the given root: of an index or a table without
// rowid if keyed. An error of row's ends it.
func (r *Reader) Tree(root uint32, keyed bool, row func(Row) error) (Walk, error) {
	var w Walk
	err := r.walk(&w, root, keyed, All, 0, row)
	return w, err
}

func (r *Reader) walk(w *Walk, number uint32, keyed bool, ids Range, depth int, row func(Row) error) error {
	lost := func() error {
		w.Damaged++
		w.Lost = append(w.Lost, ids)
		return nil
	}
	if number == 0 || number > r.f.pages || r.seen[number] || depth > maxDepth {
		return lost()
	}
	p, err := r.f.readPage(number)
	if err != nil || p.keyed() != keyed {
		return lost()
	}
	r.seen[number] = true
	w.Pages++
	from := ids.From
	for i := range p.cells {
		c, err := p.cell(i)
		if err != nil {
			if w.Damaged++; !p.leaf() {
				w.Lost = append(w.Lost, ids) // nothing says what was below
			}
			continue
		}
		if !p.leaf() {
			below := ids
			if !keyed {
				if c.id < from || c.id > ids.To {
					w.Damaged++
					w.Lost = append(w.Lost, ids)
					continue
				}
				below = Range{from, c.id}
				from = c.id + 1
			}
			if err := r.walk(w, c.child, keyed, below, depth+1, row); err != nil {
				return err
			}
			if !keyed {
				continue
			}
		}
		values, err := r.f.values(p, c)
		if err != nil {
			w.Damaged++
			continue
		}
		if err := row(Row{c.id, values}); err != nil {
			return err
		}
	}
	if p.leaf() {
		return nil
	}
	return r.walk(w, p.right, keyed, Range{from, ids.To}, depth+1, row)
}

// treePage is a page of a tree.
type treePage struct {
	b     []byte
	kind  byte
	cells int
	start int // of the pointers to them
	right uint32
}

func (p *treePage) leaf() bool  { return p.kind == keyedLeaf || p.kind == tableLeaf }
func (p *treePage) keyed() bool { return p.kind == keyedLeaf || p.kind == keyedInterior }

// readPage returns a page that looks like one of a tree.
func (f *File) readPage(number uint32) (*treePage, error) {
	b, err := f.page(number)
	if err != nil {
		return nil, err
	}
	head := 0
	if number == 1 {
		head = headerSize
	}
	p := &treePage{b: b, kind: b[head], cells: int(binary.BigEndian.Uint16(b[head+3:])), start: head + 8}
	switch p.kind {
	case keyedLeaf, tableLeaf:
	case keyedInterior, tableInterior:
		p.right = binary.BigEndian.Uint32(b[head+8:])
		p.start += 4
	default:
		return nil, errPage
	}
	if p.start+2*p.cells > len(b) || b[head+7] > 60 { // more fragments SQLite never leaves
		return nil, errPage
	}
	return p, nil
}

// cell is a row of a leaf, or a way down with what separates it from the next.
type cell struct {
	child   uint32
	id      int64
	size    uint64
	payload []byte // from its beginning to the end of the page
}

func (p *treePage) cell(i int) (c cell, err error) {
	at := int(binary.BigEndian.Uint16(p.b[p.start+2*i:]))
	if at < p.start+2*p.cells || at >= len(p.b) {
		return c, errRow
	}
	b := p.b[at:]
	if !p.leaf() {
		if len(b) < 4 {
			return c, errRow
		}
		c.child, b = binary.BigEndian.Uint32(b), b[4:]
	}
	if p.kind != tableInterior {
		var n int
		if c.size, n = varint(b); n == 0 || c.size == 0 {
			return c, errRow
		}
		b = b[n:]
	}
	if !p.keyed() {
		id, n := varint(b)
		if n == 0 {
			return c, errRow
		}
		c.id, b = int64(id), b[n:]
	}
	c.payload = b
	return c, nil
}

func (f *File) values(p *treePage, c cell) ([]any, error) {
	record, err := f.payload(c.payload, c.size, p.keyed())
	if err != nil {
		return nil, err
	}
	return decode(record)
}
