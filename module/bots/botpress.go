package bots

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-wechat/caddy-wechat/module/botpress"
)

const (
	// maxPages bounds how many pages of a conversation one listing reads, of 20 messages each as a rule. A
	// conversation that does not end there is taken for one that never does.
	maxPages = 20000

	// maxListed bounds how many messages a listing returns, and half of how many it holds at any time.
	maxListed = 5000

	// pageTries is how often one page of a listing, but the first, is asked for. To begin anew costs all pages
	// before it, and over a bad line a long conversation would never come to its end.
	pageTries = 5

	// clockSlack is by how much Botpress's clock and ours may differ when a
	// message is looked up.
	clockSlack = 10 * time.Minute
)

// clients are shared by configurations that talk to the same bot, so that a
// reload forgets neither open connections nor how long Botpress asked us to wait.
var clients = caddy.NewUsagePool()

// pooledClient makes a client fit for the pool.
type pooledClient struct{ *botpress.Client }

// Destruct implements caddy.Destructor.
func (p pooledClient) Destruct() error {
	p.Close()
	return nil
}

type botpressState struct {
	client   *botpress.Client
	poolKey  string
	identity string
	secret   [sha256.Size]byte // of the webhook secret
	receives bool
	issues   bool // users' keys are issued by Botpress
}

// Provision implements caddy.Provisioner. It touches no network.
func (b *Botpress) Provision(caddy.Context) error {
	s, err := b.resolve(caddy.NewReplacer())
	if err != nil {
		return err
	}
	b.identity = hashed("botpress", s.api, s.webhookID)
	key := hashed("botpress", s.api, s.webhookID, s.encryptionKey)
	pooled, _, err := clients.LoadOrNew(key, func() (caddy.Destructor, error) {
		c, err := botpress.New(botpress.Config{
			BaseURL:       s.api,
			WebhookID:     s.webhookID,
			EncryptionKey: s.encryptionKey,
			UserAgent:     UserAgent,
			Header:        traceparent,
		})
		return pooledClient{c}, err
	})
	if err != nil {
		return err
	}
	b.poolKey, b.client, b.issues = key, pooled.(pooledClient).Client, s.encryptionKey == ""
	if s.webhookSecret != "" {
		b.receives, b.secret = true, sha256.Sum256([]byte(s.webhookSecret))
	}
	return nil
}

// Cleanup implements caddy.CleanerUpper.
func (b *Botpress) Cleanup() error {
	if b.poolKey == "" {
		return nil
	}
	_, err := clients.Delete(b.poolKey)
	return err
}

// hashed makes a name of values that must not be seen in it.
func hashed(kind string, values ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(values, "\x00")))
	return kind + ":" + hex.EncodeToString(sum[:12])
}

// Identity implements Bot. It is the same whoever makes the users' keys: with a
// key of the operator's, users whose keys Botpress has issued are the same, and
// the other way round their keys show to be lost.
func (b *Botpress) Identity() string { return b.identity }

// Conversation implements Bot. User and conversation share the id, which is
// wx-{appid}-{openid}. Botpress takes ids of up to 70 characters; in a longer one
// a hash stands for the openid. (Botpress Chat API: ids of your own.)
func (b *Botpress) Conversation(p Peer) string {
	suffix := ""
	if p.Generation > 0 {
		suffix = "-" + strconv.Itoa(p.Generation)
	}
	id := "wx-" + p.AppID + "-" + p.OpenID + suffix
	if len(id) <= botpress.MaxIDLength && plainID(p.OpenID) {
		return id
	}
	sum := sha256.Sum256([]byte(p.OpenID))
	return "wx-" + p.AppID + "-" + hex.EncodeToString(sum[:14]) + suffix
}

// plainID tells whether Botpress takes the characters of an openid as they are.
// WeChat promises them, but whoever can sign a push can send others.
func plainID(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '_' && r != '-'
	})
}

// Introduce implements Bot.
func (b *Botpress) Introduce(ctx context.Context, p Peer) error {
	err := b.as(p).Ensure(ctx, b.Conversation(p), botpress.UserFields{Profile: p.Profile})
	return fault(err)
}

// Deliver implements Bot. A doubtful message is looked up by its wechatMsgId;
// events cannot be looked up and may arrive twice.
func (b *Botpress) Deliver(ctx context.Context, t Turn) (Receipt, error) {
	id, client := b.Conversation(t.Peer), b.as(t.Peer)
	if t.Event != nil {
		e, err := client.CreateEvent(ctx, id, id, t.Event)
		return Receipt{ID: e.ID, At: e.CreatedAt}, fault(err)
	}
	if t.Doubtful {
		m, err := client.Find(ctx, id, id, t.Received.Add(-clockSlack), func(m botpress.Message) bool {
			return m.UserID == id && m.Metadata["wechatMsgId"] == t.ID
		})
		if err != nil {
			return Receipt{}, fault(err)
		}
		if m != nil {
			return Receipt{ID: m.ID, At: m.CreatedAt, Found: true}, nil
		}
	}
	m, err := client.CreateMessage(ctx, id, id, t.Message, t.Metadata)
	return Receipt{ID: m.ID, At: m.CreatedAt}, fault(err)
}

// List implements Lister. The Chat API can neither filter nor count, and that it
// gives the newest messages first is only documented: a page is the last one
// when all of it is old.
func (b *Botpress) List(ctx context.Context, p Peer, after Mark) (found []Reply, more bool, err error) {
	id := b.Conversation(p)
	next := ""
	for pages := 0; ; pages++ {
		if pages == maxPages {
			return nil, false, &Fault{Kind: Transient, Err: fmt.Errorf("listing has no end after %d pages", pages)}
		}
		page, err := b.page(ctx, p, id, next)
		if err != nil {
			f := AsFault(fault(err))
			if f.Kind == Unknown {
				return nil, false, nil
			}
			return nil, false, f
		}
		old := len(page.Messages) > 0
		for _, m := range page.Messages {
			if !newer(m, after) {
				continue
			}
			old = false
			if m.UserID != id {
				found = append(found, reply(m))
			}
		}
		if len(found) >= 2*maxListed {
			found, more = oldest(found, maxListed), true
		}
		if next = page.NextToken; next == "" || old {
			break
		}
	}
	return oldest(found, maxListed), more || len(found) > maxListed, nil
}

// page lists a page, with some patience if it is not the first one.
func (b *Botpress) page(ctx context.Context, p Peer, conversation, token string) (botpress.MessagePage, error) {
	for try := 1; ; try++ {
		page, err := b.as(p).ListMessages(ctx, conversation, conversation, token)
		if err == nil || token == "" || try == pageTries || AsFault(fault(err)).Kind != Transient {
			return page, err
		}
		select {
		case <-ctx.Done():
			return page, err
		case <-time.After(time.Duration(try) * 200 * time.Millisecond):
		}
	}
}

// oldest sorts replies and returns the first n of them, in memory of their own if that is not all.
func oldest(rs []Reply, n int) []Reply {
	slices.SortFunc(rs, func(a, b Reply) int {
		if c := a.CreatedAt.Compare(b.CreatedAt); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	if len(rs) <= n {
		return rs
	}
	return slices.Clone(rs[:n])
}

func newer(m botpress.Message, than Mark) bool {
	// The journal keeps milliseconds, which is all that Botpress gives.
	at, mark := m.CreatedAt.UnixMilli(), than.At.UnixMilli()
	return at > mark || at == mark && m.ID > than.ID
}

func reply(m botpress.Message) Reply {
	return Reply{Conversation: m.ConversationID, ID: m.ID, CreatedAt: m.CreatedAt, Payload: m.Payload}
}

// Receives implements Receiver.
func (b *Botpress) Receives() bool { return b.receives }

// Authorized implements Receiver. Botpress sends the secret as it is, and once: of
// two it would depend on who reads them which one counts.
func (b *Botpress) Authorized(r *http.Request) bool {
	all := r.Header.Values("X-Secret-Key")
	got := sha256.Sum256([]byte(strings.Join(all, "\x00")))
	return b.receives && len(all) == 1 && subtle.ConstantTimeCompare(got[:], b.secret[:]) == 1
}

// Receive implements Receiver. Of all signals only messages of the bot count:
// users' own messages are echoed too, and deltas of a stream are followed by
// the whole message.
func (b *Botpress) Receive(body []byte) ([]Reply, error) {
	s, err := botpress.ParseSignal(body)
	if err != nil {
		return nil, err
	}
	return replies(s), nil
}

func replies(s botpress.Signal) []Reply {
	if s.Type != botpress.SignalMessageCreated || s.Message == nil || !s.IsBot {
		return nil
	}
	return []Reply{reply(*s.Message)}
}

// fault says what an error of the client means for the one who called it.
func fault(err error) error {
	if err == nil {
		return nil
	}
	var e *botpress.Error
	if !errors.As(err, &e) {
		return &Fault{Kind: Transient, Doubtful: true, Err: err}
	}
	f := &Fault{Kind: Poison, Doubtful: e.Ambiguous(), RetryAfter: e.RetryAfter, Err: err}
	switch {
	case e.KeyLost():
		f.Kind, f.KeyLost = Unknown, true
	case e.Operator():
		f.Kind, f.Remedy = Operator, e.Remedy()
	case e.Gone():
		f.Kind = Unknown
	case e.Temporary():
		f.Kind = Transient
	}
	return f
}

// Interface guards
var (
	_ caddy.Provisioner  = (*Botpress)(nil)
	_ caddy.CleanerUpper = (*Botpress)(nil)
	_ Bot                = (*Botpress)(nil)
	_ Receiver           = (*Botpress)(nil)
	_ Lister             = (*Botpress)(nil)
)
