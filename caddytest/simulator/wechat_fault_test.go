package simulator

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestWeChatFaults(t *testing.T) {
	const send = "/cgi-bin/message/custom/send"
	w, _, api := wcNewPair(t, func(c *WeChatConfig) { c.NoAllowance = true })
	w.Follow(wcTestUser)
	w.Follow("oOTHER")
	path := send + "?access_token=" + wcTokenOf(t, api)
	// try returns the errcode, or -status, or -1 for a broken connection, and what arrived.
	try := func(openid string) (int, int) {
		before := len(w.Seen(openid))
		resp, err := api.Client().Post(api.URL+path, "application/json", strings.NewReader(wcTextBody(openid, "x")))
		if err != nil {
			return -1, len(w.Seen(openid)) - before
		}
		defer resp.Body.Close()
		raw, _ := io.ReadAll(resp.Body)
		if resp.StatusCode != http.StatusOK {
			return -resp.StatusCode, len(w.Seen(openid)) - before
		}
		var n int
		if _, err := fmt.Sscanf(string(raw), `{"errcode":%d,`, &n); err != nil {
			return -2, len(w.Seen(openid)) - before
		}
		return n, len(w.Seen(openid)) - before
	}
	for _, tc := range []struct {
		name          string
		fault         WeChatFault
		code, arrived int
	}{
		{"code", WeChatFault{Path: send, Code: -1, Times: 1}, -1, 0},
		{"operator fault", WeChatFault{Code: 45009, Times: 1}, 45009, 0},
		{"status", WeChatFault{HTTPStatus: 502, Body: "bad gateway", Times: 1}, -502, 0},
		{"body", WeChatFault{Body: "<html>", Times: 1}, -2, 0},
		{"cut", WeChatFault{Cut: true, Times: 1}, -1, 0},
		{"cut after", WeChatFault{CutAfter: true, Times: 1}, -1, 1},
		{"delay", WeChatFault{Delay: time.Millisecond, Times: 1}, 0, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w.Fail(tc.fault)
			if c, n := try(wcTestUser); c != tc.code || n != tc.arrived {
				t.Errorf("code %d, %d arrived; want %d, %d", c, n, tc.code, tc.arrived)
			}
			if c, n := try(wcTestUser); c != 0 || n != 1 || len(w.Faults()) != 0 {
				t.Errorf("afterwards: code %d, %d arrived, faults %v", c, n, w.Faults())
			}
		})
	}
	t.Run("only one user, after one call, until cleared", func(t *testing.T) {
		w.Fail(WeChatFault{OpenID: wcTestUser, Type: "text", Skip: 1, Code: 45011})
		var got []int
		for _, openid := range []string{wcTestUser, "oOTHER", wcTestUser, wcTestUser, "oOTHER"} {
			c, _ := try(openid)
			got = append(got, c)
		}
		w.ClearFaults()
		c, _ := try(wcTestUser)
		if diff := cmp.Diff([]int{0, 0, 45011, 45011, 0, 0}, append(got, c)); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("down", func(t *testing.T) {
		w.SetDown(true)
		c, n := try(wcTestUser)
		w.SetDown(false)
		if c != -1 || n != 0 {
			t.Errorf("code %d, %d arrived", c, n)
		}
		if c, _ := try(wcTestUser); c != 0 {
			t.Errorf("up again: code %d", c)
		}
	})
	calls := w.Calls()
	if last := calls[len(calls)-1]; last.Path != send || last.OpenID != wcTestUser || last.Remote != "127.0.0.1" || last.Body == "" {
		t.Errorf("last call %+v", last)
	}
	if n := w.CountCalls(send); n != 22 {
		t.Errorf("%d calls counted", n)
	}
}
