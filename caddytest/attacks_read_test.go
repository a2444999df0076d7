package caddytest

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/caddy-wechat/caddy-wechat/caddytest/simulator"
)

// TestAttackUnread asks and asks with a signature that was caught, and reads no answer.
// Once the network holds no more of them, the connection is closed.
func TestAttackUnread(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{mode: simulator.ModePlain})
	conn, err := net.Dial("tcp", w.site)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	query := signedQuery("echostr=" + strings.Repeat("e", 8000))
	many := []byte(strings.Repeat("GET /wechat?"+query+" HTTP/1.1\r\nHost: "+w.site+"\r\n\r\n", 100))
	_ = conn.SetWriteDeadline(time.Now().Add(60 * time.Second))
	for err == nil {
		_, err = conn.Write(many)
	}
	if os.IsTimeout(err) {
		t.Error("the connection is still open")
	}
}

// TestAttackRanges asks for a file in more pieces than anybody needs: each would be
// looked up by itself.
func TestAttackRanges(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{options: bulk})
	address := w.file(w.wechat.Image(alice))
	_, whole := w.get(http.MethodGet, address)
	for _, tc := range []struct {
		name   string
		ranges int
		status int
	}{{"one", 1, http.StatusPartialContent}, {"a few", 4, http.StatusPartialContent}, {"many", 40, http.StatusOK}} {
		t.Run(tc.name, func(t *testing.T) {
			var pieces []string
			for i := range tc.ranges {
				pieces = append(pieces, fmt.Sprintf("%d-%d", i%2*2, i%2*2))
			}
			r, err := http.NewRequestWithContext(within(t, 30*time.Second), http.MethodGet, address, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Range", "bytes="+strings.Join(pieces, ","))
			resp, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if resp.StatusCode != tc.status || resp.StatusCode == http.StatusOK && resp.ContentLength != int64(len(whole)) {
				t.Errorf("answered %d with %d bytes, want %d", resp.StatusCode, resp.ContentLength, tc.status)
			}
		})
	}
}
