package rawdb

import "encoding/binary"

// Object is a table or an index.
type Object struct {
	Type, Name, Table string
	Root              uint32
}

// Schema returns the tables and indexes that can be read of the schema, and marks its pages as seen.
func (r *Reader) Schema() (objects []Object, w Walk) {
	w, _ = r.Tree(1, false, func(row Row) error {
		o, ok := objectOf(row.Values)
		if ok {
			objects = append(objects, o)
		}
		return nil
	})
	return objects, w
}

// objectOf reads a row of sqlite_schema: type, name, tbl_name, rootpage, sql.
func objectOf(v []any) (o Object, ok bool) {
	if len(v) != 5 {
		return o, false
	}
	var root int64
	for i, p := range []*string{&o.Type, &o.Name, &o.Table} {
		if *p, ok = v[i].(string); !ok {
			return o, false
		}
	}
	if root, ok = v[3].(int64); !ok || root < 2 || root >= 1<<32 {
		return o, false
	}
	o.Root = uint32(root)
	return o, true
}

// Free marks the pages that are in no use as seen: rows on them were deleted, or live elsewhere.
func (r *Reader) Free() {
	for next := r.f.freelist; next != 0 && next <= r.f.pages && !r.seen[next]; {
		b, err := r.f.page(next)
		if err != nil {
			return
		}
		r.seen[next] = true
		next = binary.BigEndian.Uint32(b)
		for n, at := binary.BigEndian.Uint32(b[4:]), 8; n > 0 && at+4 <= len(b); n, at = n-1, at+4 {
			if leaf := binary.BigEndian.Uint32(b[at:]); leaf != 0 && leaf <= r.f.pages {
				r.seen[leaf] = true
			}
		}
	}
}

// Strays hands on the rows of pages that were not seen: of tables if not keyed. An error of row's ends it.
func (r *Reader) Strays(row func(keyed bool, _ Row) error) error {
	for n := uint32(2); n <= r.f.pages; n++ {
		if r.seen[n] {
			continue
		}
		p, err := r.f.readPage(n)
		if err != nil || p.kind == tableInterior {
			continue
		}
		for i := range p.cells {
			c, err := p.cell(i)
			if err != nil {
				continue
			}
			values, err := r.f.values(p, c)
			if err != nil {
				continue
			}
			if err := row(p.keyed(), Row{c.id, values}); err != nil {
				return err
			}
		}
	}
	return nil
}

// Candidate is a page that may be the root of a tree.
type Candidate struct {
	Root  uint32
	Keyed bool
	Pages int // of the tree
	Row   Row // one of its rows
}

// Candidates finds the trees of a file whose schema cannot be read, but not those without a row. What it
// visits does not count as seen.
func Candidates(f *File) []Candidate {
	below := make([]bool, uint64(f.pages)+1)
	for n := uint32(2); n <= f.pages; n++ {
		p, err := f.readPage(n)
		if err != nil || p.leaf() {
			continue
		}
		children := []uint32{p.right}
		for i := range p.cells {
			if c, err := p.cell(i); err == nil {
				children = append(children, c.child)
			}
		}
		for _, c := range children {
			if c <= f.pages {
				below[c] = true
			}
		}
	}
	var found []Candidate
	r := NewReader(f)
	for n := uint32(2); n <= f.pages; n++ {
		p, err := f.readPage(n)
		if err != nil || below[n] {
			continue
		}
		c := Candidate{Root: n, Keyed: p.keyed()}
		w, _ := r.Tree(n, c.Keyed, func(row Row) error {
			if c.Row.Values == nil {
				c.Row = row
			}
			return nil
		})
		if c.Row.Values != nil {
			c.Pages = w.Pages
			found = append(found, c)
		}
	}
	return found
}
