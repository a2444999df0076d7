package mediafile

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
)

// names is a DNS zone whose names answer differently from look-up to look-up:
// each with the next of its addresses, and the last one for ever.
type names struct {
	mu    sync.Mutex
	zone  map[string][]string
	asked map[string]int
}

func newResolver(t *testing.T, zone map[string][]string) *net.Resolver {
	t.Helper()
	n := &names{zone: zone, asked: map[string]int{}}
	var serving sync.WaitGroup
	t.Cleanup(serving.Wait)
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		serving.Go(func() { n.serve(server) })
		return client, nil
	}}
}

// serve answers the questions of one connection, framed as over TCP.
func (n *names) serve(c net.Conn) {
	defer c.Close()
	for {
		var size [2]byte
		if _, err := io.ReadFull(c, size[:]); err != nil {
			return
		}
		query := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(c, query); err != nil {
			return
		}
		answer := n.answer(query)
		if _, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...)); err != nil {
			return
		}
	}
}

func (n *names) answer(query []byte) []byte {
	const header = 12
	var labels []string
	at := header
	for query[at] != 0 {
		labels = append(labels, string(query[at+1:at+1+int(query[at])]))
		at += 1 + int(query[at])
	}
	question := query[header : at+5]
	kind := binary.BigEndian.Uint16(query[at+1:])

	addr := n.next(strings.Join(labels, "."), kind)
	out := append([]byte{}, query[:2]...)
	out = append(out, 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0)
	out = append(out, question...)
	if addr.IsValid() {
		out[7] = 1
		out = append(out, 0xc0, header)
		out = binary.BigEndian.AppendUint16(out, kind)
		out = append(out, 0, 1, 0, 0, 0, 0)
		out = binary.BigEndian.AppendUint16(out, uint16(len(addr.AsSlice())))
		out = append(out, addr.AsSlice()...)
	}
	return out
}

// next returns the address for an A or AAAA question; none if the name has one
// of the other kind. Both are asked for each look-up, so only the kind that is
// there counts.
func (n *names) next(name string, kind uint16) netip.Addr {
	const typeA, typeAAAA = 1, 28
	n.mu.Lock()
	defer n.mu.Unlock()
	addrs := n.zone[name]
	if len(addrs) == 0 {
		return netip.Addr{}
	}
	addr := netip.MustParseAddr(addrs[min(n.asked[name], len(addrs)-1)])
	if addr.Is4() && kind == typeA || addr.Is6() && kind == typeAAAA {
		n.asked[name]++
		return addr
	}
	return netip.Addr{}
}
