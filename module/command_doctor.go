package module

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/spf13/cobra"

	"github.com/caddy-wechat/caddy-wechat/module/bots"
	"github.com/caddy-wechat/caddy-wechat/module/internal/bridge"
	"github.com/caddy-wechat/caddy-wechat/module/internal/cli"
	"github.com/caddy-wechat/caddy-wechat/module/internal/doctor"
)

const doctorHelp = `
Looks for what keeps the bridge from working: one check after the other, one line
each, with what to do about it. The configuration is the file named by --config,
or the Caddyfile in this directory, or what the running Caddy has. Values from the
environment must be there for this command too: --envfile reads them from a file.

It calls WeChat and Botpress as the bridge does, and changes nothing: at Botpress
it uses a user and a conversation of its own (wx-<appid>-doctor), to which it
sends a custom event, to see whether the webhook arrives. It is of use with and
without a running Caddy.

Exits with 2 if it found something that does not work (✗), or does not work as
well as it could (!).`

func doctorCommand() *cobra.Command {
	var lang, env string
	var patience time.Duration
	cmd := &cobra.Command{
		Use: "doctor", Short: "Looks for what keeps the bridge from working, and says what to do", Long: strings.TrimSpace(doctorHelp),
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cmd.SilenceErrors, cmd.SilenceUsage = true, true
			ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			return exitCode(cmd, func() (int, error) {
				l, err := language(lang)
				if err != nil {
					return exitFailed, err
				}
				if env != "" {
					if err := readEnvFile(env); err != nil {
						return exitFailed, err
					}
				}
				return diagnose(ctx, cmd, l, patience)
			})
		},
	}
	cmd.Flags().StringVar(&lang, "lang", "", "Language: en or zh (default: the environment's)")
	cmd.Flags().StringVar(&env, "envfile", "", "File with the environment's variables, NAME=value")
	cmd.Flags().DurationVar(&patience, "wait", 5*time.Second, "How long the bot's webhook is waited for")
	return cmd
}

// language is the one that is asked for, or the environment's.
func language(name string) (doctor.Lang, error) {
	switch l := doctor.Lang(name); {
	case l == doctor.English, l == doctor.Chinese:
		return l, nil
	case name != "":
		return "", fmt.Errorf("--lang is en or zh, not %q", name)
	}
	for _, name := range []string{"LC_ALL", "LC_MESSAGES", "LANG"} {
		if v := os.Getenv(name); v != "" {
			if strings.HasPrefix(v, "zh") {
				return doctor.Chinese, nil
			}
			break
		}
	}
	return doctor.English, nil
}

// diagnose examines what is configured and prints what it finds.
func diagnose(ctx context.Context, cmd *cobra.Command, l doctor.Lang, patience time.Duration) (int, error) {
	s, err := doctorSession(cmd)
	if err != nil {
		return exitFailed, err
	}
	defer s.admin.Close()
	var all []doctor.Document
	well, named := true, false
	tell := func(f doctor.Finding) {
		well = well && (f.Level() == doctor.OK || f.Level() == doctor.Note)
		if s.out.JSON {
			all = append(all, f.Document(l))
		} else {
			doctor.Print(s.out, l, f, named)
		}
	}
	p, wrong := s.patient(ctx, cmd)
	named = len(p.Accounts) > 1
	for _, f := range wrong {
		tell(f)
	}
	for i := range p.Accounts {
		tell(doctor.Finding{AppID: p.Accounts[i].AppID, ID: "config.ok", Args: []any{describe(&p.Accounts[i])}})
	}
	if len(p.Accounts) > 0 {
		p.Patience = patience
		doctor.Examine(ctx, p, tell)
	}
	if err := ctx.Err(); err != nil {
		return exitFailed, errors.New("interrupted")
	}
	if s.out.JSON {
		return yes(well), s.out.Document(map[string]any{"ok": well, "findings": all})
	}
	return yes(well), nil
}

// describe names an account's settings that matter most.
func describe(a *doctor.Account) string {
	return a.AppID + ", encryption " + string(a.Callback.Encryption)
}

// doctorSession is a session whose admin address may also stand in the Caddyfile of
// this directory.
func doctorSession(cmd *cobra.Command) (*session, error) {
	s, err := newSession(cmd, nil)
	if err == nil {
		return s, nil
	}
	// A configuration that cannot be read is a finding, not an error.
	if address, _ := cmd.Flags().GetString("address"); address != "" {
		return nil, err
	}
	admin, err2 := cli.NewAdmin(caddy.DefaultAdminListen)
	if err2 != nil {
		return nil, err
	}
	asJSON, _ := cmd.Flags().GetBool("json")
	return &session{admin: admin, out: &cli.Out{W: os.Stdout, JSON: asJSON, Color: cli.Colors(os.Stdout)}}, nil
}

// patient reads the configuration. What is wrong with it are findings.
func (s *session) patient(ctx context.Context, cmd *cobra.Command) (p doctor.Patient, wrong []doctor.Finding) {
	p.Admin = s.admin
	file, _ := cmd.Flags().GetString("config")
	adapter, _ := cmd.Flags().GetString("adapter")
	if file == "" {
		if _, err := os.Stat("Caddyfile"); err == nil {
			file = "Caddyfile"
		}
	}
	var raw []byte
	var err error
	if file != "" {
		raw, err = readConfig(file, adapter)
	} else {
		var running json.RawMessage
		if err = s.admin.Get(ctx, "/config/", nil, &running); errors.Is(err, cli.ErrNotRunning) {
			err = errors.New("there is no Caddyfile here, and no Caddy runs that could be asked; name the file with --config")
		}
		raw = running
	}
	if err != nil {
		return p, []doctor.Finding{{ID: "config.unreadable", Args: []any{err}}}
	}
	found, err := findHandlers(raw)
	if err != nil {
		return p, []doctor.Finding{{ID: "config.unreadable", Args: []any{err}}}
	}
	p.JournalDir, err = journalDir(raw)
	if err != nil {
		wrong = append(wrong, doctor.Finding{ID: "config.incomplete", Args: []any{err}})
	}
	known := make(map[string]bool)
	for _, f := range found {
		a, err := f.account()
		switch {
		case err != nil:
			wrong = append(wrong, doctor.Finding{ID: "config.incomplete", Args: []any{err}})
		case s.Account != "" && a.AppID != s.Account || known[a.AppID]:
		default:
			known[a.AppID] = true
			p.Accounts = append(p.Accounts, *a)
		}
	}
	if len(p.Accounts) == 0 && len(wrong) == 0 {
		wrong = append(wrong, doctor.Finding{ID: "config.none"})
	}
	return p, wrong
}

// journalDir is where a configuration keeps its journal.
func journalDir(raw []byte) (string, error) {
	var c struct {
		Apps struct {
			WeChat *App `json:"wechat"`
		} `json:"apps"`
	}
	c.Apps.WeChat = new(App)
	if err := json.Unmarshal(raw, &c); err != nil {
		return "", err
	}
	if c.Apps.WeChat == nil {
		c.Apps.WeChat = new(App)
	}
	j, err := c.Apps.WeChat.resolve(caddy.NewReplacer())
	if err != nil {
		return filepath.Join(caddy.AppDataDir(), "wechat"), err
	}
	return j.dir, nil
}

// account resolves a handler's settings.
func (f *foundHandler) account() (*doctor.Account, error) {
	h := new(Handler)
	if err := json.Unmarshal(f.raw, h); err != nil {
		return nil, err
	}
	r, err := h.resolve(caddy.NewReplacer())
	if err != nil {
		return nil, err
	}
	s := &r.settings
	a := &doctor.Account{
		AppID: s.AppID, AppSecret: s.AppSecret, Callback: r.callback.Callback,
		API: s.API, Proxy: s.APIProxy,
		Passive: s.Reply == bridge.ReplyPassive, Push: s.Reply == bridge.ReplyPush,
		Filtered: !r.callbackIPs.any(),
	}
	site := s.PublicURL
	if site == "" {
		site = f.site
	}
	if site != "" {
		a.URL = strings.TrimSuffix(site, "/") + r.callback.Path
	}
	var bot struct {
		Name string `json:"name"`
		bots.Botpress
	}
	if err := json.Unmarshal(h.BotRaw, &bot); err != nil {
		return nil, fmt.Errorf("bot: %w", err)
	}
	if a.BotKind = bot.Name; bot.Name != "botpress" {
		return a, nil
	}
	access, err := bot.Access()
	if err != nil {
		return nil, err
	}
	a.Bot = &doctor.Bot{
		API: access.API, WebhookID: access.WebhookID,
		EncryptionKey: access.EncryptionKey, WebhookSecret: access.WebhookSecret,
	}
	return a, nil
}
