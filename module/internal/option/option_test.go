package option

import (
	"math"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

func TestFormats(t *testing.T) {
	for _, c := range []struct {
		name  string
		parse func(string) (any, error)
		in    string
		want  any // nil: an error
	}{
		{"duration", with(Duration), "1d12h", 36 * time.Hour},
		{"duration", with(Duration), "0", time.Duration(0)},
		{"duration", with(Duration), "1000000d", nil},
		{"duration", with(Duration), "-1d", nil},
		{"duration", with(Duration), "d", nil},
		{"positive duration", with(PositiveDuration), "1ns", time.Nanosecond},
		{"positive duration", with(PositiveDuration), "0s", nil},
		{"size", with(Size), "1MiB", int64(1 << 20)},
		{"size", with(Size), "1MB", int64(1e6)},
		{"size", with(Size), "1", int64(1)},
		{"size", with(Size), "0B", nil},
		{"size", with(Size), "8EiB", nil},
		{"size", with(Size), "1QB", nil},
		{"count", with(Count), "2147483647", math.MaxInt32},
		{"count", with(Count), "2147483648", nil},
		{"count", with(Count), "0", nil},
		{"count", with(Count), "1e3", nil},
		{"switch", with(Switch), "on", true},
		{"switch", with(Switch), "off", false},
		{"switch", with(Switch), "On", nil},
		{"base URL", with(BaseURL), "http://localhost:8080/a/", "http://localhost:8080/a"},
		{"base URL", with(BaseURL), "https://[::1]:8443", "https://[::1]:8443"},
		{"base URL", with(BaseURL), "https://host?", nil},
		{"base URL", with(BaseURL), "https://host#", nil},
		{"base URL", with(BaseURL), "https://u@host", nil},
		{"base URL", with(BaseURL), "https://:80", nil},
		{"base URL", with(BaseURL), "https://host:0", nil},
		{"base URL", with(BaseURL), "//host", nil},
		{"base URL", with(BaseURL), "mailto:a@b", nil},
		{"secret", with(Secret), "a b", "a b"},
		{"secret", with(Secret), "a\nb", nil},
	} {
		t.Run(c.name+" "+c.in, func(t *testing.T) {
			got, err := c.parse(c.in)
			if c.want == nil {
				if err == nil {
					t.Fatalf("accepted as %v", got)
				}
				if strings.Contains(err.Error(), c.in) && len(c.in) > 2 {
					t.Errorf("the error repeats the value: %s", err)
				}
				return
			}
			if err != nil || got != c.want {
				t.Errorf("got %v, %v, want %v", got, err, c.want)
			}
		})
	}
}

func with[T any](parse func(string) (T, error)) func(string) (any, error) {
	return func(s string) (any, error) { return parse(s) }
}

func TestProxyURL(t *testing.T) {
	u, err := ProxyURL("socks5://user:pass@proxy:1080/")
	if err != nil || u.Host != "proxy:1080" || u.User.String() != "user:pass" {
		t.Errorf("got %v, %v", u, err)
	}
	for _, s := range []string{"proxy", "proxy:1080", "http://", "http://proxy/a", "http://proxy?a", "quic://proxy", "http://proxy:x"} {
		if _, err := ProxyURL(s); err == nil {
			t.Errorf("accepted %s", s)
		} else if strings.Contains(err.Error(), "proxy") {
			t.Errorf("the error repeats the value: %s", err)
		}
	}
}

func TestPrefixes(t *testing.T) {
	got, err := Prefixes([]string{"10.1.2.3/8", "192.0.2.1", "::1", "::ffff:192.0.2.1", "::ffff:10.0.0.0/104", "::/0"})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"10.0.0.0/8", "192.0.2.1/32", "::1/128", "192.0.2.1/32", "10.0.0.0/8", "::/0"} {
		if got[i] != netip.MustParsePrefix(want) {
			t.Errorf("%d: got %s, want %s", i, got[i], want)
		}
	}
	for _, s := range []string{"", "10.0.0.0/33", "10.0.0", "fe80::1%eth0", "localhost"} {
		if _, err := Prefixes([]string{"::1", s}); err == nil {
			t.Errorf("accepted %q", s)
		}
	}
}

// TestReaderKeepsFirstError makes sure that what an operator reads is the first
// mistake, not one that follows from it.
func TestReaderKeepsFirstError(t *testing.T) {
	r := NewReader(caddy.NewReplacer())
	if got := Read(r, "a", "4s", 0, Duration); got != 4*time.Second || r.Err() != nil {
		t.Errorf("got %v, %v", got, r.Err())
	}
	if got := Read(r, "b", "soon", time.Second, Duration); got != time.Second {
		t.Errorf("got %v, want the default", got)
	}
	Require(r, "c", "", Duration)
	r.Secret("d", "", true)
	r.Text("e", "  ", "")
	if err := r.Err(); err == nil || err.Error() != "b 'soon': not a duration such as 300ms, 4s or 2d" {
		t.Errorf("error %v", err)
	}
}

func TestSecret(t *testing.T) {
	t.Setenv("OPTION_TEST_SET", " hunter2\r\n")
	t.Setenv("OPTION_TEST_EMPTY", "")
	for _, c := range []struct {
		name, raw string
		required  bool
		want, err string
	}{
		{"literal", "hunter2", true, "hunter2", ""},
		{"set", "{env.OPTION_TEST_SET}", true, "hunter2", ""},
		{"part of it", "a-{env.OPTION_TEST_SET}", true, "a- hunter2", ""},
		{"escaped braces", `a\{b\}`, true, "a{b}", ""},
		{"not given", "", false, "", ""},
		{"empty, optional", "{env.OPTION_TEST_EMPTY}", false, "", ""},
		{"not given, required", "", true, "", "s is required"},
		{"empty, required", "{env.OPTION_TEST_EMPTY}", true, "", "s: {env.OPTION_TEST_EMPTY} is not set or empty"},
		{"half empty, required", "hunter2{env.OPTION_TEST_EMPTY}", true, "", "s: it is empty, or holds"},
		{"unknown, optional", "{hunter2}", false, "", "s: it is empty, or holds"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := NewReader(caddy.NewReplacer())
			if got := r.Secret("s", c.raw, c.required); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			switch err := r.Err(); {
			case c.err == "" && err != nil:
				t.Error(err)
			case c.err != "" && (err == nil || !strings.HasPrefix(err.Error(), c.err) || strings.Contains(err.Error(), "hunter2")):
				t.Errorf("error %v, want %q", err, c.err)
			}
		})
	}
}

func TestWalk(t *testing.T) {
	walk := func(input string) error {
		d := caddyfile.NewTestDispenser(input)
		d.Next()
		return Walk(d, []string{"many"}, func(name string) error {
			switch name {
			case "many", "one":
				_, err := Args(d, name+" [<value>]", 0, 1)
				return err
			}
			return Unknown(d)
		})
	}
	for input, want := range map[string]string{
		"x {\none\nmany a\nmany b\n}": "",
		"x {\n}":                      "",
		"x":                           "x needs a block, at Testfile:1",
		"x y":                         "x takes no argument, only a block, at Testfile:1",
		"x {\none b\n\none a\n}":      "one already specified at Testfile:2, at Testfile:4",
		"x {\none a b\n}":             "wrong argument count: the syntax is 'one [<value>]', at Testfile:2",
		"x {\ntwo\n}":                 "unrecognized subdirective 'two', at Testfile:2",
		"x {\none":                    "EOF",
	} {
		err := walk(input)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: error %v, want %q", input, err, want)
		}
	}
}
