package module

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"text/tabwriter"

	"github.com/caddyserver/caddy/v2"
	"github.com/spf13/cobra"

	"github.com/caddy-wechat/caddy-wechat/module/internal/journal"
)

// journalCommand is `caddy wechat journal`.
func journalCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "journal",
		Short: "Looks after the journal of the WeChat bridge",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(salvageCommand())
	return cmd
}

// salvageCommand is `caddy wechat journal salvage`.
func salvageCommand() *cobra.Command {
	var dir, out string
	cmd := &cobra.Command{
		Use:   "salvage [--dir <path>] [--out <path>]",
		Short: "Saves what can be read of a damaged journal",
		Long: `
Writes what can be read of a damaged journal into a new one, which takes its
place. The damaged files are kept beside it, under names that end in
.damaged-<time>; delete them once nothing is missed. Of each table it says how
many rows were kept and how many were lost.

Messages that waited and cannot be read any more become dead letters without a
text, so that it can be seen whose they were.

It does not run while a Caddy has the journal open. A Caddy that has found the
journal damaged at its start does not: it goes on by itself afterwards. One that
has found it damaged later has to be stopped first.

A journal with which nothing is wrong is left as it is.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if dir == "" {
				dir = filepath.Join(caddy.AppDataDir(), "wechat")
			}
			return runSalvage(cmd, dir, out)
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "The directory of the journal (default: wechat in Caddy's data directory)")
	cmd.Flags().StringVar(&out, "out", "", "The directory of the new journal (default: in place of the damaged one)")
	return cmd
}

func runSalvage(cmd *cobra.Command, dir, out string) error {
	cmd.SilenceUsage = true
	all, err := journal.Salvage(cmd.Context(), dir, out)
	tellSalvaged(cmd.OutOrStdout(), all)
	switch {
	case errors.Is(err, journal.ErrLocked):
		return fmt.Errorf("%w; stop the Caddy that has it, and try again", err)
	case err == nil:
		return nil
	}
	if remedy := journal.Remedy(err, dir, false); remedy != "" && !errors.Is(err, journal.ErrDamaged) {
		return fmt.Errorf("%w. %s", err, remedy)
	}
	return err
}

// tellSalvaged says what became of the databases.
func tellSalvaged(w io.Writer, all []journal.Salvaged) {
	for _, s := range all {
		if s.Sound {
			fmt.Fprintf(w, "%s: nothing is wrong with it; left as it is\n", s.Name)
			continue
		}
		fmt.Fprintf(w, "%s: %s\n", s.Name, s.Fault)
		tabs := tabwriter.NewWriter(w, 0, 8, 2, ' ', tabwriter.AlignRight)
		_, _ = fmt.Fprintln(tabs, "table\tkept\tlost\t")
		for _, t := range s.Tables {
			lost := fmt.Sprint(t.Lost)
			switch {
			case t.Unsure && t.Lost == 0:
				lost = "unknown"
			case t.Unsure:
				lost = "at least " + lost
			}
			fmt.Fprintf(tabs, "%s\t%d\t%s\t\n", t.Name, t.Kept, lost)
		}
		_ = tabs.Flush()
		if s.Kept != "" {
			fmt.Fprintf(w, "the damaged file is kept as %s\n", s.Kept)
		}
	}
}
