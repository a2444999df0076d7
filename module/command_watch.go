package module

import (
	"context"
	"errors"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/caddy-wechat/caddy-wechat/module/internal/cli"
)

func statusCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Shows how the accounts do",
		Long:  "Shows for each account whether it works, what waits, and what somebody has to mend.\nExits with 2 if an account is held or down.",
		Args:  cobra.NoArgs,
		RunE: asCommand(func(ctx context.Context, s *session) (int, error) {
			well, err := cli.Status(ctx, s.admin, s.out, s.Options)
			return yes(well), err
		}),
	}
}

func tailCommand() *cobra.Command {
	var user string
	var past bool
	cmd := &cobra.Command{
		Use:   "tail",
		Short: "Shows what is decided about each message, as it happens",
		Long: "Shows what is decided about each push, reply and call, as it happens, until it is\n" +
			"interrupted. No message's text is shown.",
		Args: cobra.NoArgs,
		RunE: asCommand(func(ctx context.Context, s *session) (int, error) {
			s.User = user
			return exitDone, cli.Tail(ctx, s.admin, s.out, s.Options, past)
		}),
	}
	cmd.Flags().StringVar(&user, "user", "", "Only about this user (openid)")
	cmd.Flags().BoolVar(&past, "past", false, "Begin with what is still remembered")
	return cmd
}

func deadCommand() *cobra.Command {
	var after int64
	var limit int
	list := &cobra.Command{
		Use: "list", Short: "Lists dead letters", Args: cobra.NoArgs,
		RunE: asCommand(func(ctx context.Context, s *session) (int, error) {
			s.After, s.Limit = after, limit
			return exitDone, cli.DeadList(ctx, s.admin, s.out, s.Options)
		}),
	}
	list.Flags().Int64Var(&after, "after", 0, "Begin behind this id")
	list.Flags().IntVar(&limit, "limit", 100, "At most so many")
	show := &cobra.Command{
		Use: "show <id>", Short: "Shows a dead letter with its text", Args: cobra.ExactArgs(1),
		Long: "Shows a dead letter, and what is in it: this is the one command that shows what a\nuser or the bot wrote.",
		RunE: asCommand(func(ctx context.Context, s *session) (int, error) {
			ids, err := letterIDs(s.args)
			if err != nil {
				return exitFailed, err
			}
			return exitDone, cli.DeadShow(ctx, s.admin, s.out, s.Options, ids[0])
		}),
	}
	return group("dead", "Lists, shows, replays and drops dead letters", list, show,
		deadDo(cli.Replay, "Puts dead letters back into their queues"), deadDo(cli.Drop, "Deletes dead letters"))
}

func deadDo(do cli.Do, short string) *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use: string(do) + " <id>... | --all", Short: short,
		RunE: asCommand(func(ctx context.Context, s *session) (int, error) {
			if all == (len(s.args) > 0) {
				return exitFailed, errors.New("name dead letters by their ids, or take --all")
			}
			ids, err := letterIDs(s.args)
			if err != nil {
				return exitFailed, err
			}
			return exitDone, cli.DeadDo(ctx, s.admin, s.out, s.Options, do, ids, all)
		}),
	}
	cmd.Flags().BoolVar(&all, "all", false, "All of the account's")
	return cmd
}

func letterIDs(args []string) ([]int64, error) {
	var ids []int64
	for _, arg := range args {
		id, err := strconv.ParseInt(arg, 10, 64)
		if err != nil || id <= 0 {
			return nil, errors.New("the id of a dead letter is a number, as dead list shows it")
		}
		ids = append(ids, id)
	}
	return ids, nil
}

func parkedCommand() *cobra.Command {
	var user string
	cmd := &cobra.Command{
		Use: "parked", Short: "Lists, delivers and drops replies that wait until their user acts", Args: cobra.NoArgs,
		RunE: asCommand(func(ctx context.Context, s *session) (int, error) {
			s.User = user
			return exitDone, cli.Parked(ctx, s.admin, s.out, s.Options)
		}),
	}
	cmd.Flags().StringVar(&user, "user", "", "Only of this user (openid)")
	cmd.AddCommand(
		parkedDo(cli.Deliver, "Tries to deliver a user's parked replies now"),
		parkedDo(cli.Drop, "Deletes a user's parked replies"),
	)
	return cmd
}

func parkedDo(do cli.Do, short string) *cobra.Command {
	return &cobra.Command{
		Use: string(do) + " <openid>", Short: short, Args: cobra.ExactArgs(1),
		RunE: asCommand(func(ctx context.Context, s *session) (int, error) {
			s.User = s.args[0]
			return exitDone, cli.ParkedDo(ctx, s.admin, s.out, s.Options, do)
		}),
	}
}
