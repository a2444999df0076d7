package bridge

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/caddy-wechat/caddy-wechat/module/bots"
	"github.com/caddy-wechat/caddy-wechat/module/internal/journal"
)

// botLog is Botpress, as far as it takes one message or event. It keeps the request.
type botLog struct {
	*httptest.Server
	got string
}

func newBotLog(t *testing.T) (*botLog, *bots.Botpress) {
	t.Helper()
	l := &botLog{}
	l.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		l.got = r.Method + " " + r.URL.Path + "\n" + string(bytes.TrimSpace(body)) + "\n"
		w.WriteHeader(http.StatusCreated)
		const made = `{"id":"m1","createdAt":"2026-01-01T00:00:00.000Z","conversationId":"c","userId":"u","payload":{}}`
		fmt.Fprintf(w, `{"message":%s,"event":%s}`, made, made)
	}))
	t.Cleanup(l.Close)
	bot := &bots.Botpress{WebhookID: "hook", API: l.URL, EncryptionKey: "key"}
	if err := bot.Provision(caddy.Context{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := bot.Cleanup(); err != nil {
			t.Error(err)
		}
	})
	return l, bot
}

// TestFromUser compares the exact request that each kind of push becomes with golden files.
func TestFromUser(t *testing.T) {
	t.Parallel()
	l, bot := newBotLog(t)
	all, err := filepath.Glob("testdata/fromuser/*.xml")
	if err != nil || len(all) == 0 {
		t.Fatalf("%d files, %v", len(all), err)
	}
	for _, file := range all {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".xml"), func(t *testing.T) {
			inner, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			p := pushOf(t, string(inner))
			request := func(s *Settings, address string) string {
				turn, told := newTurn(s, journal.Push{ReceivedAt: time.Unix(1700000001, 0)}, p)
				if !told {
					return "nothing\n"
				}
				if ids, payload := fileOf(p); address != "" && len(ids) > 0 {
					turn.Message = encoded(payload(address))
				}
				turn.Peer = bots.Peer{AppID: s.AppID, OpenID: p.FromUserName}
				if _, err := bot.Deliver(t.Context(), turn); err != nil {
					t.Fatal(err)
				}
				return l.got
			}
			s := &Settings{AppID: "wx1"}
			got := request(s, "")
			if ids, _ := fileOf(p); len(ids) > 0 {
				got += fmt.Sprintln("with its file", ids) + request(s, "https://bot.example.com/wechat/media/TOKEN.bin")
			}
			if as := request(&Settings{AppID: "wx1", Events: []EventRule{{Name: p.Event, Action: EventEvent}}}, ""); p.IsEvent() && as != got {
				got += "as an event\n" + as
			}
			name := strings.TrimSuffix(file, ".xml") + ".golden"
			if *update {
				if err := os.WriteFile(name, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
