package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"
)

// startWithin bounds the start of a process.
const startWithin = 30 * time.Second

// setup is what a scenario wants of its Caddy.
type setup struct {
	bridge     bool   // else respond alone
	sync       string // default full
	encryption string // default plain
	reply      string // default push
	wechat     string // base URL of WeChat's API
	bot        string // base URL of the Chat API
}

// server is a Caddy in a process of its own.
type server struct {
	child   *child
	pid     int    // of it; 0: none runs
	dir     string // its data
	admin   string // addresses
	respond string // the site that is compared with
	bridge  string // the site with the bridge
	config  string // path of the Caddyfile
}

// newServer chooses addresses and a directory. Nothing runs yet.
func newServer(dir string) (*server, error) {
	s := &server{dir: dir}
	for _, addr := range []*string{&s.admin, &s.respond, &s.bridge} {
		var err error
		if *addr, err = freeAddr(); err != nil {
			return nil, err
		}
	}
	s.config = filepath.Join(dir, "Caddyfile")
	return s, nil
}

// webhook is where the bot's signals go.
func (s *server) webhook() string { return "http://" + s.bridge + callbackPath + "/botpress" }

// journal is where the journal lies.
func (s *server) journal() string { return filepath.Join(s.dir, "journal") }

// start runs Caddy until stop. It returns once the site to compare with answers,
// and how long that took.
func (s *server) start(ctx context.Context, c setup) (time.Duration, error) {
	if err := os.WriteFile(s.config, []byte(s.caddyfile(c)), 0o600); err != nil {
		return 0, fmt.Errorf("writing Caddyfile: %w", err)
	}
	began := time.Now()
	var err error
	s.child, err = startChild(roleCaddy, []string{"run", "--config", s.config}, []string{
		"XDG_DATA_HOME=" + filepath.Join(s.dir, "data"), "XDG_CONFIG_HOME=" + filepath.Join(s.dir, "config"),
	}, nil)
	if err != nil {
		return 0, err
	}
	s.pid = s.child.cmd.Process.Pid
	raw := "GET / HTTP/1.1\r\nHost: " + s.respond + "\r\n\r\n"
	if err := s.await(ctx, s.respond, []byte(raw)); err != nil {
		_ = s.stop()
		return 0, fmt.Errorf("starting Caddy: %w\n%s", err, s.child.log)
	}
	return time.Since(began), nil
}

// await makes a request until it is answered success.
func (s *server) await(ctx context.Context, addr string, raw []byte) error {
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	c := newClient(addr)
	defer c.close()
	for {
		a, err := c.try(ctx, raw)
		if err == nil {
			if err = judgeBody(a, success); err == nil {
				return nil
			}
		}
		select {
		case <-s.child.ended:
			return errors.New("it has ended")
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-time.After(2 * time.Millisecond):
		}
	}
}

func (s *server) stop() error {
	if s.child == nil {
		return nil
	}
	if err := s.child.stop(); err != nil {
		return fmt.Errorf("stopping Caddy: %w\n%s", err, s.child.log)
	}
	return nil
}

// caddyfile is the configuration. What slows a single user down is out of the way.
func (s *server) caddyfile(c setup) string {
	options, site := "", ""
	if c.bridge {
		options, site = bridgeOptions, bridgeSite
	}
	orElse := func(value, otherwise string) string {
		if value == "" {
			return otherwise
		}
		return value
	}
	return strings.NewReplacer(
		"ADMIN", s.admin,
		"STORAGE", filepath.Join(s.dir, "storage"),
		"RESPOND", s.respond,
		"JOURNAL", s.journal(),
		"SYNC", orElse(c.sync, "full"),
		"BRIDGE", s.bridge,
		"PATH", callbackPath,
		"APPID", appID,
		"APPSECRET", appSecret,
		"TOKEN", token,
		"AESKEY", aesKey,
		"ENCRYPTION", orElse(c.encryption, "plain"),
		"REPLY", orElse(c.reply, "push"),
		"WECHATAPI", c.wechat,
		"BOTID", webhookID,
		"BOTAPI", c.bot,
		"BOTKEY", encryptionKey,
		"BOTSECRET", webhookSecret,
	).Replace("{\n\tadmin ADMIN\n\tpersist_config off\n\tstorage file_system STORAGE\n\tlog {\n\t\tlevel ERROR\n\t}\n" +
		options + "}\n\nhttp://RESPOND {\n\trespond \"success\"\n}\n" + site)
}

const bridgeOptions = `	wechat {
		journal {
			dir JOURNAL
			sync SYNC
		}
	}
`

const bridgeSite = `
http://BRIDGE {
	wechat {
		app_id APPID
		app_secret APPSECRET
		token TOKEN
		aes_key AESKEY
		encryption ENCRYPTION
		path PATH
		api WECHATAPI
		freshness 1h
		reply REPLY
		settle 0
		pace 0
		allowance 1000000 48h 1000000 48h
		limits {
			user 1000000/1s
		}
		bot botpress BOTID {
			api BOTAPI
			encryption_key BOTKEY
			webhook_secret BOTSECRET
		}
	}
}
`

// ports are handed out from below the range that systems take for outgoing
// connections, beginning anywhere.
var ports atomic.Uint32

func init() { ports.Store(rand.Uint32()) }

// freeAddr is an address of loopback that nobody listens on. It is given once: two
// Caddys on one address would share it without complaint.
func freeAddr() (string, error) {
	const first, count = 20000, 12000
	for range count {
		addr := fmt.Sprintf("127.0.0.1:%d", first+ports.Add(1)%count)
		if ln, err := net.Listen("tcp", addr); err == nil {
			ln.Close()
			return addr, nil
		}
	}
	return "", errors.New("no address of loopback is free")
}
