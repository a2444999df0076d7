package module

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/caddy-wechat/caddy-wechat/module/internal/cli"
)

// maxMenuFile bounds a menu's file, in bytes.
const maxMenuFile = 1 << 20

func sendCommand() *cobra.Command {
	return &cobra.Command{
		Use: "send <openid> <text>", Short: "Sends a text to a user", Args: cobra.MinimumNArgs(2),
		Long: "Sends a text to a user as if the bot had said it: in the user's order, and counted\n" +
			"against what WeChat allows. If it cannot go out now, it says why. Exits with 2 if the\n" +
			"text was taken and is not at the user yet.",
		RunE: asCommand(func(ctx context.Context, s *session) (int, error) {
			s.User = s.args[0]
			sent, err := cli.Send(ctx, s.admin, s.out, s.Options, strings.Join(s.args[1:], " "))
			return yes(sent), err
		}),
	}
}

func menuCommand() *cobra.Command {
	do := func(use, short, method string, args cobra.PositionalArgs) *cobra.Command {
		return &cobra.Command{
			Use: use, Short: short, Args: args,
			RunE: asCommand(func(ctx context.Context, s *session) (int, error) {
				var menu json.RawMessage
				if len(s.args) > 0 {
					var err error
					if menu, err = readMenuFile(s.args[0]); err != nil {
						return exitFailed, err
					}
				}
				return exitDone, cli.Menu(ctx, s.admin, s.out, s.Options, method, menu)
			}),
		}
	}
	return group("menu", "Gets, sets and deletes the account's menu",
		do("get", "Prints the menu, as set takes it", http.MethodGet, cobra.NoArgs),
		do("set <file>", "Sets the menu from a JSON file; - is standard input", http.MethodPost, cobra.ExactArgs(1)),
		do("delete", "Deletes the menu", http.MethodDelete, cobra.NoArgs))
}

func readMenuFile(name string) (json.RawMessage, error) {
	var in io.Reader = os.Stdin
	if name != "-" {
		f, err := os.Open(name) //nolint:gosec // the operator's own file
		if err != nil {
			return nil, fmt.Errorf("reading menu: %w", err)
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	b, err := io.ReadAll(io.LimitReader(in, maxMenuFile+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading menu: %w", err)
	case len(b) > maxMenuFile:
		return nil, errors.New("reading menu: the file is too large")
	case !json.Valid(b):
		return nil, errors.New("reading menu: the file is not valid JSON")
	}
	return b, nil
}

func qrcodeCommand() *cobra.Command {
	var life time.Duration
	var forGood bool
	cmd := &cobra.Command{
		Use: "qrcode <scene>", Short: "Makes a QR code that leads to the account", Args: cobra.ExactArgs(1),
		Long: "Makes a QR code. Whoever scans it follows the account or comes back to it, and the\n" +
			"event says by which scene, a text of at most 64 bytes.",
		RunE: asCommand(func(ctx context.Context, s *session) (int, error) {
			switch {
			case forGood:
				life = 0
			case life < time.Second:
				return exitFailed, errors.New("--for wants at least 1s; for a code that works for good there is --for-good")
			}
			return exitDone, cli.QRCode(ctx, s.admin, s.out, s.Options, s.args[0], life)
		}),
	}
	cmd.Flags().DurationVar(&life, "for", 7*24*time.Hour, "How long it works, at most 720h")
	cmd.Flags().BoolVar(&forGood, "for-good", false, "It works for good; an account has 100000 of these")
	return cmd
}
