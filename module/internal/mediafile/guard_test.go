package mediafile

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// forbidden are hosts that lead, or could lead, into the operator's network.
var forbidden = []struct{ name, host string }{
	{"loopback", "127.0.0.1"},
	{"loopback elsewhere", "127.8.9.10"},
	{"localhost", "localhost"},
	{"localhost with a dot", "localhost."},
	{"this host", "0.0.0.0"},
	{"this network", "0.1.2.3"},
	{"private 10", "10.0.0.1"},
	{"private 172", "172.16.0.1"},
	{"private 192", "192.168.1.1"},
	{"link local", "169.254.1.1"},
	{"metadata", "169.254.169.254"},
	{"metadata of Azure", "168.63.129.16"},
	{"metadata in CGNAT", "100.100.100.200"},
	{"CGNAT", "100.64.0.1"},
	{"CGNAT's end", "100.127.255.255"},
	{"benchmarking", "198.18.0.1"},
	{"multicast", "224.0.0.1"},
	{"reserved", "240.0.0.1"},
	{"broadcast", "255.255.255.255"},
	{"IPv6 loopback", "[::1]"},
	{"IPv6 unspecified", "[::]"},
	{"IPv6 unique local", "[fc00::1]"},
	{"IPv6 unique local, fd", "[fd00:ec2::254]"},
	{"IPv6 link local", "[fe80::1]"},
	{"IPv6 link local with zone", "[fe80::1%25lo]"},
	{"IPv6 global with zone", "[2606:4700::1%25lo]"},
	{"IPv6 multicast", "[ff02::1]"},
	{"IPv6 documentation", "[2001:db8::1]"},
	{"IPv4-mapped", "[::ffff:127.0.0.1]"},
	{"IPv4-mapped in hex", "[::ffff:a9fe:a9fe]"},
	{"IPv4-compatible", "[::127.0.0.1]"},
	{"IPv4-translated", "[::ffff:0:127.0.0.1]"},
	{"NAT64", "[64:ff9b::7f00:1]"},
	{"NAT64 of a public address", "[64:ff9b::808:808]"},
	{"NAT64 local use", "[64:ff9b:1::7f00:1]"},
	{"6to4", "[2002:7f00:1::]"},
	{"Teredo", "[2001::1]"},
	{"decimal", "2130706433"},
	{"octal", "0177.0.0.1"},
	{"octal in one", "017700000001"},
	{"octal, private", "012.0.0.1"},
	{"octal, metadata", "0251.0376.0251.0376"},
	{"decimal, metadata", "2852039166"},
	{"decimal, private", "167772161"},
	{"hex", "0x7f000001"},
	{"hex part", "0x7f.1"},
	{"hex last", "127.0.0.0x1"},
	{"hex, empty", "0x"},
	{"short", "127.1"},
	{"IPv4 with a dot", "127.0.0.1."},
	{"too large", "256.256.256.256"},
	{"full width", "１２７．０．０．１"},
	{"full width decimal", "２１３０７０６４３３"},
	{"ideographic full stops", "127。0。0。1"},
	{"name of a private address", "private.test"},
	{"name of a loopback address", "loopback.test"},
	{"name of an IPv6 loopback address", "loopback6.test"},
	{"name of a mapped address", "mapped.test"},
	{"name of a NAT64 address", "nat64.test"},
	{"name of the metadata address", "metadata.test"},
	{"name of this host", "zero.test"},
	{"name of a link-local address", "linklocal.test"},
	{"name of an IPv6 link-local address", "linklocal6.test"},
	{"name of a CGNAT address", "cgnat.test"},
	{"name of an IPv6 unique local address", "local6.test"},
	{"name of an IPv6 unspecified address", "zero6.test"},
	{"name of the mapped metadata address", "mappedmetadata.test"},
	{"name of a mapped private address", "mappedprivate.test"},
	{"name of a 172 address", "private172.test"},
	{"name of a 192 address", "private192.test"},
	{"name of Azure's address", "azure.test"},
	{"name with a dot", "metadata.test."},
	{"name in capitals", "METADATA.test"},
}

var zone = map[string][]string{
	"localhost":      {"127.0.0.1"},
	"private.test":   {"10.1.2.3"},
	"loopback.test":  {"127.0.0.1"},
	"loopback6.test": {"::1"},
	"mapped.test":    {"::ffff:127.0.0.1"},
	"nat64.test":     {"64:ff9b::7f00:1"},
	"metadata.test":  {"169.254.169.254"},
	"METADATA.test":  {"169.254.169.254"},

	"zero.test":           {"0.0.0.0"},
	"zero6.test":          {"::"},
	"linklocal.test":      {"169.254.1.1"},
	"linklocal6.test":     {"fe80::1"},
	"cgnat.test":          {"100.64.0.1"},
	"local6.test":         {"fc00::1"},
	"mappedmetadata.test": {"::ffff:169.254.169.254"},
	"mappedprivate.test":  {"::ffff:10.0.0.1"},
	"private172.test":     {"172.31.255.254"},
	"private192.test":     {"192.168.0.1"},
	"azure.test":          {"168.63.129.16"},

	"rebound.test": {"127.0.0.2", "127.0.0.1"},
}

// listen starts a server on an address of the loopback net.
func listen(t *testing.T, address string, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Skipf("the machine does not have %s: %v", address, err)
	}
	srv := httptest.NewUnstartedServer(h)
	_ = srv.Listener.Close()
	srv.Listener = l
	srv.Start()
	t.Cleanup(srv.Close)
	return srv
}

func port(srv *httptest.Server) string {
	_, p, _ := net.SplitHostPort(srv.Listener.Addr().String())
	return ":" + p
}

// TestForbidden: no way of writing an inner address leads there, neither in the
// bot's message nor in a redirect. Only 127.0.0.2, where the redirects come from,
// is allowed.
func TestForbidden(t *testing.T) {
	t.Parallel()
	var hits atomic.Int32
	inner := listen(t, "0.0.0.0:0", func(w http.ResponseWriter, r *http.Request) {
		if to := r.URL.Query().Get("to"); strings.HasPrefix(r.Host, "127.0.0.2:") && to != "" {
			http.Redirect(w, r, to, http.StatusFound)
			return
		}
		hits.Add(1)
	})
	f := New(Config{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")}, Resolver: newResolver(t, zone)})
	defer f.Close()
	for _, tc := range forbidden {
		target := "http://" + tc.host + port(inner) + "/"
		redirect := "http://127.0.0.2" + port(inner) + "/?to=" + strings.NewReplacer("%", "%25").Replace(target)
		for how, from := range map[string]string{"direct": target, "redirect": redirect} {
			t.Run(tc.name+"/"+how, func(t *testing.T) {
				began := time.Now()
				_, err := f.Fetch(t.Context(), from)
				if !errors.Is(err, ErrForbidden) {
					t.Errorf("error %v, want ErrForbidden", err)
				}
				if hits.Load() != 0 {
					t.Error("it was reached")
				}
				if took := time.Since(began); took > 3*time.Second {
					t.Errorf("it was dialled: refused only after %v", took)
				}
			})
		}
	}
}

// TestRebinding: a name whose second look-up leads inside is refused then, both
// at the next fetch and at the retry of the same.
func TestRebinding(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		status int
		first  error
	}{
		{"second fetch", http.StatusOK, nil},
		{"retry", http.StatusServiceUnavailable, ErrForbidden},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var hits atomic.Int32
			srv := listen(t, "0.0.0.0:0", func(w http.ResponseWriter, _ *http.Request) {
				hits.Add(1)
				w.Header().Set("Connection", "close") // or the checked connection would serve again
				w.WriteHeader(tc.status)
			})
			f := New(Config{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")}, Resolver: newResolver(t, zone)})
			defer f.Close()
			for i, want := range []error{tc.first, ErrForbidden} {
				file, err := f.Fetch(t.Context(), "http://rebound.test"+port(srv)+"/")
				if !errors.Is(err, want) {
					t.Errorf("fetch %d: error %v, want %v", i+1, err, want)
				}
				if file != nil {
					file.Close()
				}
			}
			if n := hits.Load(); n != 1 {
				t.Errorf("the server was reached %d times, want once", n)
			}
		})
	}
}

// TestAllowed: what is public or allowed may be dialled, and nothing beside it.
func TestAllowed(t *testing.T) {
	t.Parallel()
	allow := []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("fd00:1::/32")}
	for _, tc := range []struct {
		address string
		ok      bool
	}{
		{"8.8.8.8:80", true},
		{"8.8.8.8:8443", true},
		{"[2606:4700::1111]:443", true},
		{"10.1.2.3:80", true},
		{"10.2.0.1:80", false},
		{"[fd00:1::5]:80", true},
		{"[fd00:2::5]:80", false},
		{"[::ffff:10.1.2.3]:80", false},
	} {
		network := "tcp4"
		if tc.address[0] == '[' {
			network = "tcp6"
		}
		if err := newGuard(allow).Safe(network, tc.address, nil); (err == nil) != tc.ok {
			t.Errorf("%s: %v", tc.address, err)
		}
	}
}

// TestOddIPv4: names are let through to the resolver.
func TestOddIPv4(t *testing.T) {
	t.Parallel()
	for _, host := range []string{"example.com", "example.com.", "1.example.com", "0xabc.example", "a1", "x0x1", "0xyz", "8.8.8.8", "2606:4700::1"} {
		if oddIPv4(host) {
			t.Errorf("%s is refused", host)
		}
	}
}

// TestGuardSeesName: the guard sits below the transport, so that forms which only
// the transport makes plain do not get past it.
func TestGuardSeesName(t *testing.T) {
	t.Parallel()
	dial := dialGuarded(nil, newResolver(t, zone))
	for _, address := range []string{"1:80", "0x7f.1:80", "no port"} {
		if c, err := dial(context.Background(), "tcp", address); err == nil {
			c.Close()
			t.Errorf("%s was dialled", address)
		}
	}
}
