// Playground runs the whole bridge on one machine, with no account anywhere: it
// starts a simulated WeChat and a simulated Botpress on loopback, and a Caddy
// with the module between them, on the production example configuration.
//
//	go run ./caddytest/playground
//
// Arguments are those of caddy; without any, it is run --config
// Caddyfile.example. The operator's commands, wechat status and so on, ask the
// playground that runs already. Whatever environment variable of that file is
// set already is left alone, so that one side or the other can be real: with
// BOTPRESS_WEBHOOK_ID, the webhook id of a bot's Chat integration, and nothing
// else, it is the caller's own bot that answers.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/caddy-wechat/caddy-wechat/module"
)

// asCaddy is set in the environment of the process that is to be Caddy. Caddy
// reads where its data lies before main begins, so it has to be another process
// than the one that decides it.
const asCaddy = "CADDY_WECHAT_PLAYGROUND"

func main() {
	if os.Getenv(asCaddy) != "" {
		caddycmd.Main()
		return
	}
	code, err := play(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "playground:", err)
	}
	os.Exit(code)
}

// play runs simulators and Caddy until Caddy ends or a signal comes.
func play(args []string) (int, error) {
	if len(args) == 0 {
		args = []string{"run", "--config", "Caddyfile.example"}
	}
	if args[0] == "wechat" { // it asks a Caddy that runs
		return runCaddy(args, variablesOf(caddyAddr, adminAddr, "http://"+wechatAddr, "http://"+botpressAddr).list())
	}
	data, err := os.MkdirTemp("", "caddy-wechat-playground-")
	if err != nil {
		return 1, fmt.Errorf("making a place for data: %w", err)
	}
	defer os.RemoveAll(data)

	s, err := startSimulators()
	if err != nil {
		return 1, err
	}
	defer s.close()
	env, err := s.environment(data)
	if err != nil {
		return 1, err
	}
	if args[0] == "run" || args[0] == "start" {
		if err := s.servePage(env["CADDY_ADMIN"]); err != nil {
			return 1, err
		}
		s.explain(os.Stdout, env)
	}
	return runCaddy(args, env.list())
}

// runCaddy runs this program again, as Caddy. Signals are for Caddy, which ends
// in its own time.
func runCaddy(args, env []string) (int, error) {
	self, err := os.Executable()
	if err != nil {
		return 1, fmt.Errorf("finding this program: %w", err)
	}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)

	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Env = append(os.Environ(), append(env, asCaddy+"=1")...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		return 1, fmt.Errorf("starting Caddy: %w", err)
	}
	go func() {
		for s := range signals {
			_ = cmd.Process.Signal(s)
		}
	}()
	err = cmd.Wait()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode(), nil
	}
	if err != nil {
		return 1, fmt.Errorf("running Caddy: %w", err)
	}
	return 0, nil
}
