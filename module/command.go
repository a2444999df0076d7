package module

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/caddy-wechat/caddy-wechat/module/internal/cli"
)

// Exit codes of the commands.
const (
	exitDone    = 0 // done, and all is well
	exitFailed  = 1 // not done: Caddy or WeChat says no, or the command line is wrong
	exitTrouble = 2 // done, and something wants mending: an account held, a message not sent, a fault found
	exitNoCaddy = 3 // no Caddy answers at the admin address
)

const commandHelp = `
Looks at the bridge between WeChat and a bot, and mends it. All commands but
doctor and journal talk to the admin endpoint of the running Caddy, which is found as Caddy's
own commands find it: --address, or what the file named by --config says, or
localhost:2019.

Where several accounts are configured, --account names one by its AppID. --json
prints what Caddy answers, for scripts; without it and without NO_COLOR in the
environment, terminals get colours.

Exit codes: 0 done; 1 not done, Caddy or WeChat says no; 2 done, and something
wants mending; 3 no Caddy answers.`

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:      "wechat",
		Usage:     "<command>",
		Short:     "Looks at the bridge between WeChat and a bot, and mends it",
		Long:      commandHelp,
		CobraFunc: wechatCommand,
	})
}

// session is what a command runs with.
type session struct {
	admin *cli.Admin
	out   *cli.Out
	args  []string
	cli.Options
}

// wechatCommand adds the commands.
func wechatCommand(cmd *cobra.Command) {
	flags := cmd.PersistentFlags()
	flags.String("address", "", "Address of the admin endpoint, if not the default or the configuration's")
	flags.StringP("config", "c", "", "Configuration file")
	flags.StringP("adapter", "a", "", "Name of the adapter for the configuration file")
	flags.String("account", "", "AppID of the account, if there are several")
	flags.Bool("json", false, "Print JSON")
	cmd.AddCommand(
		statusCommand(), tailCommand(), deadCommand(), parkedCommand(),
		sendCommand(), menuCommand(), qrcodeCommand(), doctorCommand(), journalCommand(),
	)
}

// asCommand makes a command's function. Errors are one plain line: they are for
// whoever typed the command, not for a log.
func asCommand(f func(ctx context.Context, s *session) (int, error)) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		cmd.SilenceErrors, cmd.SilenceUsage = true, true
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		return exitCode(cmd, func() (int, error) {
			s, err := newSession(cmd, args)
			if err != nil {
				return exitFailed, err
			}
			defer s.admin.Close()
			return f(ctx, s)
		})
	}
}

// exitCode runs a command's function and makes an exit code of how it ends.
func exitCode(cmd *cobra.Command, f func() (int, error)) error {
	code, err := f()
	if err != nil {
		fmt.Fprintln(os.Stderr, "caddy wechat:", cli.Clean(err.Error()))
		code = exitFailed
		if errors.Is(err, cli.ErrNotRunning) {
			code = exitNoCaddy
		}
	}
	if code == exitFailed {
		return err // 1 is what any error comes to
	}
	// Only this makes a code of more than 1 out of an error.
	return caddycmd.WrapCommandFuncForCobra(func(caddycmd.Flags) (int, error) { return code, nil })(cmd, nil)
}

func newSession(cmd *cobra.Command, args []string) (*session, error) {
	flags := cmd.Flags()
	text := func(name string) string { v, _ := flags.GetString(name); return v }
	address, err := adminAddress(text("address"), text("config"), text("adapter"))
	if err != nil {
		return nil, err
	}
	admin, err := cli.NewAdmin(address)
	if err != nil {
		return nil, err
	}
	asJSON, _ := flags.GetBool("json")
	return &session{
		admin:   admin,
		out:     &cli.Out{W: os.Stdout, JSON: asJSON, Color: cli.Colors(os.Stdout)},
		args:    args,
		Options: cli.Options{Account: text("account")},
	}, nil
}

// adminAddress finds the admin endpoint as Caddy's own commands do, but reads the
// configuration without talking about it.
func adminAddress(address, config, adapter string) (string, error) {
	var loaded []byte
	if address == "" && config != "" {
		var err error
		if loaded, err = readConfig(config, adapter); err != nil {
			return "", err
		}
	}
	return caddycmd.DetermineAdminAPIAddress(address, loaded, config, adapter)
}

// yes is exitDone if all is well.
func yes(well bool) int {
	if well {
		return exitDone
	}
	return exitTrouble
}

// group is a command that only has others below it.
func group(use, short string, below ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var names []string
			for _, c := range cmd.Commands() {
				names = append(names, c.Name())
			}
			return fmt.Errorf("%s wants one of %s", cmd.CommandPath(), strings.Join(names, ", "))
		},
	}
	cmd.AddCommand(below...)
	return cmd
}
