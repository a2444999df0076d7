package bridge

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-wechat/caddy-wechat/caddytest/simulator"
	"github.com/caddy-wechat/caddy-wechat/module/botpress"
	"github.com/caddy-wechat/caddy-wechat/module/bots"
	"github.com/caddy-wechat/caddy-wechat/module/internal/journal"
	"github.com/caddy-wechat/caddy-wechat/module/wechat"
)

const (
	sceneAppID = "wx0123456789abcdef"
	sceneUser  = "oAlice"
)

// scene is an account with a real journal between a simulated WeChat and a bot
// that follows a script, all in one process and on the clock of a synctest
// bubble. Nothing takes time but what waits.
type scene struct {
	t       *testing.T
	dir     string
	log     *zap.Logger
	s       Settings
	wechat  *simulator.WeChat
	bot     *scriptedBot
	store   *Store
	rt      *Runtime
	owner   any          // of the settings in force
	runtime sync.RWMutex // held for reading by callbacks; a restart waits for them
	began   time.Time
	traced  uint64 // the last decision before the scene

	mu   sync.Mutex
	hang map[int]bool // which callbacks WeChat hangs up on at the moment of answering, by number
	n    int
}

func newScene(t *testing.T, dir string, change func(*Settings), sim func(*simulator.WeChatConfig)) *scene {
	t.Helper()
	sc := &scene{t: t, dir: dir, began: time.Now(), hang: make(map[int]bool), log: zap.NewNop(), traced: lastTraced()}
	if os.Getenv("SCENE_LOG") != "" {
		sc.log = zap.Must(zap.NewDevelopment())
	}
	cfg := simulator.WeChatConfig{
		AppID: sceneAppID, AppSecret: "secret", Token: "token",
		CallbackURL: "http://callback.invalid/", PublicURL: "http://wechat.invalid",
		HTTP: &http.Client{Transport: pushesTo(sc.push)},
	}
	if sim != nil {
		sim(&cfg)
	}
	sc.wechat = simulator.NewWeChat(cfg)
	sc.bot = &scriptedBot{sc: sc, seen: make(map[string]bool), turn: make(chan struct{}, 1), closed: make(chan struct{})}
	sc.s = Settings{
		AppID: sceneAppID, AppSecret: "secret", API: "http://wechat.invalid",
		Reply: ReplyAuto, Wait: 4 * time.Second, Settle: 300 * time.Millisecond, Pace: 500 * time.Millisecond,
		Allowance: Allowance{Message: Grant{5, 48 * time.Hour}, Action: Grant{3, time.Minute}},
		Typing:    true,
		Notices:   Notices{Thinking: "THINKING", More: "MORE", Failed: "FAILED"},
		Limits:    Limits{Windows: 20000, Lanes: 1000},
		Bot:       sc.bot,
		Logger:    sc.log,
	}
	if change != nil {
		change(&sc.s)
	}
	sc.start()
	return sc
}

func (sc *scene) start() {
	sc.t.Helper()
	store, err := OpenStore(sc.dir, sc, Keeping{Sync: journal.Normal, Keep: 24 * time.Hour}, sc.log)
	if err != nil {
		sc.t.Fatal(err)
	}
	rt := NewRuntime(store, sceneAppID)
	rt.via = apiOf{sc.wechat}
	sc.store, sc.rt, sc.owner = store, rt, nil
	sc.reload()
}

// reload puts the settings into force again, as a new configuration.
func (sc *scene) reload() {
	sc.t.Helper()
	s := sc.s
	if err := sc.rt.Apply(&s, &s); err != nil {
		sc.t.Fatal(err)
	}
	if sc.owner != nil {
		sc.rt.Revoke(sc.owner)
	}
	sc.owner = &s
}

// stop ends the account and its journal. What comes meanwhile waits until then is
// called.
func (sc *scene) stop(then func()) {
	sc.t.Helper()
	if err := sc.rt.Destruct(); err != nil {
		sc.t.Error(err)
	}
	sc.runtime.Lock()
	defer sc.runtime.Unlock()
	if err := sc.store.Destruct(); err != nil {
		sc.t.Error(err)
	}
	then()
}

// restart ends the process, as far as this side of the network is one, and
// starts it anew.
func (sc *scene) restart() {
	sc.t.Helper()
	sc.stop(sc.start)
}

func (sc *scene) close() {
	sc.t.Helper()
	sc.wechat.Close()
	close(sc.bot.closed)
	sc.stop(func() {})
	sc.bot.wg.Wait()
}

// push is what a callback does with a request.
func (sc *scene) push(req *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	p, err := wechat.ParsePush(body)
	if err != nil {
		return nil, err
	}
	sc.mu.Lock()
	sc.n++
	hang := sc.hang[sc.n]
	sc.mu.Unlock()
	sc.runtime.RLock()
	a, err := sc.rt.Receive(req.Context(), p, body)
	if err == nil && a.XML != nil {
		if hang {
			a.Written(errors.New("broken pipe"))
		} else {
			a.Written(nil)
		}
	}
	sc.runtime.RUnlock()
	switch {
	case err != nil || a.Abort:
		return nil, errors.New("connection reset")
	case a.Silent:
		<-req.Context().Done()
		return nil, req.Context().Err()
	case a.XML == nil:
		return answered("success"), nil
	case hang:
		return nil, errors.New("hung up")
	}
	return answered(string(a.XML)), nil
}

func answered(body string) *http.Response {
	return &http.Response{StatusCode: http.StatusOK, Header: make(http.Header), Body: io.NopCloser(strings.NewReader(body))}
}

type pushesTo func(*http.Request) (*http.Response, error)

func (f pushesTo) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// apiOf calls WeChat's API without a network.
type apiOf struct{ w *simulator.WeChat }

func (a apiOf) RoundTrip(req *http.Request) (*http.Response, error) {
	type outcome struct {
		resp *http.Response
		err  error
	}
	body := []byte(nil)
	if req.Body != nil {
		var err error
		if body, err = io.ReadAll(req.Body); err != nil {
			return nil, err
		}
	}
	served := make(chan outcome, 1)
	go func() {
		defer func() {
			if recover() != nil {
				served <- outcome{err: io.ErrUnexpectedEOF}
			}
		}()
		in := httptest.NewRequestWithContext(req.Context(), req.Method, req.URL.String(), bytes.NewReader(body))
		in.Header = req.Header
		rec := httptest.NewRecorder()
		a.w.ServeHTTP(rec, in)
		served <- outcome{resp: rec.Result()}
	}()
	select {
	case o := <-served:
		return o.resp, o.err
	case <-req.Context().Done():
		return nil, req.Context().Err()
	}
}

// bubble is one message of the bot, some time after the turn.
type bubble struct {
	after   time.Duration
	text    string
	payload map[string]any
	created time.Duration // after the turn by the bot's clock; zero: after
}

// scriptedBot answers texts by script.
type scriptedBot struct {
	sc *scene
	wg sync.WaitGroup

	mu     sync.Mutex
	script map[string][]bubble
	turns  []string
	said   []utterance
	labels []string // that came with turns
	seen   map[string]bool
	n      int
	turn   chan struct{} // one token: webhooks are posted one after the other
	closed chan struct{} // closed when the scene is over
}

// utterance is something the bot has said.
type utterance struct {
	at       time.Time
	id, text string
}

func (*scriptedBot) Identity() string                           { return "scripted" }
func (*scriptedBot) Conversation(p bots.Peer) string            { return "c-" + p.OpenID }
func (*scriptedBot) Introduce(context.Context, bots.Peer) error { return nil }

func said(after time.Duration, texts ...string) (all []bubble) {
	for _, text := range texts {
		all = append(all, bubble{after: after, text: text})
	}
	return all
}

// Deliver implements bots.Bot.
func (b *scriptedBot) Deliver(_ context.Context, t bots.Turn) (bots.Receipt, error) {
	var payload struct{ Text, Event string }
	raw := t.Message
	if t.Event != nil {
		raw = t.Event
	}
	_ = json.Unmarshal(raw, &payload)
	said := payload.Text
	if t.Event != nil {
		said = "event " + payload.Event
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	at := time.Now()
	if b.seen[t.ID] {
		return bots.Receipt{At: at, ID: t.ID, Found: true}, nil
	}
	b.seen[t.ID] = true
	b.turns = append(b.turns, said)
	label, _ := t.Metadata["label"].(string)
	b.labels = append(b.labels, label)
	for _, bu := range b.script[said] {
		b.n++
		id := fmt.Sprintf("m%05d", b.n)
		if bu.created == 0 {
			bu.created = bu.after
		}
		if bu.payload == nil {
			bu.payload = map[string]any{"type": "text", "text": bu.text}
		}
		raw, err := json.Marshal(bu.payload)
		if err != nil {
			panic(err)
		}
		b.said = append(b.said, utterance{at.Add(bu.created), id, bu.text})
		r := bots.Reply{Conversation: b.Conversation(t.Peer), ID: id, CreatedAt: at.Add(bu.created), Payload: raw}
		later := time.Duration(b.n) * time.Microsecond // of two at the same moment, the first is first
		b.wg.Go(func() {
			time.Sleep(bu.after + later)
			b.post(r)
		})
	}
	return bots.Receipt{At: at, ID: t.ID}, nil
}

// post is the bot's webhook. It is repeated until it is taken.
func (b *scriptedBot) post(r bots.Reply) {
	b.turn <- struct{}{}
	defer func() { <-b.turn }()
	for {
		b.sc.runtime.RLock()
		_, err := b.sc.rt.Hear(b.sc.rt.stop, []bots.Reply{r})
		b.sc.runtime.RUnlock()
		if err == nil {
			return
		}
		select {
		case <-b.closed:
			return
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// say is what a user does, some time after the scene began.
type say struct {
	at     time.Duration
	text   string
	event  string // instead
	key    string
	twins  int    // how often at the same moment
	again  string // instead: what was said before is sent once more
	change func(*simulator.SimPush)
}

// play has the user do all that, each in its time.
func (sc *scene) play(acts []say) {
	var wg sync.WaitGroup
	before := make(map[string]simulator.SimPush)
	for _, act := range acts {
		wg.Go(func() {
			time.Sleep(act.at - time.Since(sc.began))
			p := sc.wechat.Text(sceneUser, act.text)
			if act.event != "" {
				p = sc.wechat.Event(sceneUser, act.event, act.key)
			}
			sc.mu.Lock()
			if act.again != "" {
				p = before[act.again]
			}
			before[act.text] = p
			sc.mu.Unlock()
			if act.change != nil {
				act.change(&p)
			}
			sc.wechat.PushConcurrent(context.Background(), p, max(act.twins, 1))
		})
	}
	wg.Wait()
}

// saw is what the user has seen: when, how, what.
func (sc *scene) saw() []string {
	var all []string
	for _, s := range sc.wechat.Seen(sceneUser) {
		text := strings.ReplaceAll(s.Text, "\n", "|")
		if s.Type != "text" && s.Type != "notice" {
			text = "[" + s.Type + "]"
		}
		if s.Type == "notice" {
			text = "FAILURE"
		}
		all = append(all, fmt.Sprintf("%s %s %s", s.At.Sub(sc.began).Round(10*time.Millisecond), s.Road, text))
	}
	return all
}

// state sums up what is left.
func (sc *scene) state() (waiting, parked int64, dead []string) {
	sc.t.Helper()
	j, err := sc.store.Get(context.Background())
	if err != nil {
		sc.t.Fatal(err)
	}
	_, waiting, parked, err = j.CountWaiting(context.Background(), sceneAppID)
	if err != nil {
		sc.t.Fatal(err)
	}
	letters, err := j.Dead(context.Background(), sceneAppID, 0, 1000)
	if err != nil {
		sc.t.Fatal(err)
	}
	for _, d := range letters {
		p, _ := botpress.ParsePayload(d.Body)
		dead = append(dead, p.Text+": "+d.Reason)
	}
	return waiting, parked, dead
}

// left are the texts that are still to be sent, parked, or dead letters, and how
// many wait to be sent.
func (sc *scene) left() (waiting int, texts []string) {
	sc.t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(sc.dir, "journal.db"))
	if err != nil {
		sc.t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.Query("SELECT state, payload FROM replies WHERE state IN (0, 2) UNION ALL SELECT 3, body FROM dead")
	if err != nil {
		sc.t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var state int
		var payload []byte
		if err := rows.Scan(&state, &payload); err != nil {
			sc.t.Fatal(err)
		}
		p, _ := botpress.ParsePayload(payload)
		texts = append(texts, p.Text)
		if state == 0 {
			waiting++
		}
	}
	if err := rows.Err(); err != nil {
		sc.t.Fatal(err)
	}
	return waiting, texts
}

// tempDir is a folder for a scene: made outside of its bubble, which knows no
// clean-ups of the test.
func tempDir(t *testing.T) string { return filepath.Join(t.TempDir(), "journal") }
