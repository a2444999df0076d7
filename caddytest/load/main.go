// Load measures the bridge on one machine, with no account anywhere, against
// what the same Caddy answers with respond "success".
//
//	go run ./caddytest/load
//	go run ./caddytest/load -quick
//	go run ./caddytest/load -scenario plain,safe -connections 64 -rounds 5 -json
//
// # What runs
//
// Everything is started by the program, listens on loopback, and is gone when it
// ends, also on Ctrl-C: this process is the client, and a small bot and WeChat
// API that answer at once; Caddy with the module is a second process, so that CPU
// seconds, allocations and memory are the server's own; the scenario endtoend has
// the full simulators of both clouds in a third. Every round of every scenario
// gets a Caddy and a journal of its own. The journals lie below -dir: it has to be
// on a real disk for durable to mean something, and the report says on what file
// system it is.
//
// # What is compared
//
// The rounds go through all scenarios one by one, and the rounds of one scenario
// are thus spread over the whole run. Within a round the same client makes the
// same requests, to a site of the same Caddy that says respond "success", half of
// them before and half of them after those to the bridge: a noisy machine disturbs
// both alike. A ratio is that of one round; of values and ratios the report gives
// the median of the rounds, the smallest and the largest.
//
// CPU seconds and allocations are the server's while it was asked; peak memory is
// that of its process since it began, respond's part included. They come from /proc
// and from Caddy's admin endpoint, and are left out where there is none.
//
// A closed loop (so many connections, each with one request under way) gives
// throughput. An open loop gives latency: request i is due at i/rate, whatever
// became of those before it, and its latency counts from when it was due. The
// client's own lateness is in there, and so it is in what respond gets.
//
// Pushes are distinct, of about 400 bytes, and correctly signed: in plain mode one
// signature serves all of a round, since it does not cover the body; in safe mode
// all are encrypted before the round begins, as many as respond could answer in
// its time. Each user belongs to one connection and says one thing after the other.
//
// # Scenarios
//
//	get        WeChat's check of the URL
//	duplicate  a push that the bridge has already, again and again
//	plain      new pushes, plaintext, sync full
//	safe       new pushes, encrypted, sync full
//	normal     new pushes, plaintext, sync normal
//	latency    new pushes at a fixed rate (-rate), sync full
//	hops       at a fixed rate (-hops-rate): from when a push was due until the bot
//	           has it; from the bot's webhook until WeChat's API has the reply
//	passive    reply auto: callbacks that are answered with the bot's reply
//	endtoend   push in, bot, reply out, through both simulators, with at most
//	           512 messages under way
//	backlog    so many pushes wait (-backlog) for a bot that is down: restart until
//	           the first push is answered, memory, and how fast they are handed on
//	idle       memory of a Caddy that has done nearly nothing
//
// In plain, safe, normal and latency the bot is held while the callbacks are
// measured: it takes calls and does not answer, so that what is measured is the
// callback's part. Afterwards it is let go, and everything that was answered has to
// reach it: lost and duplicate messages, and such that overtook another of their
// user, are counted there, or at WeChat's API where replies travel. All three have
// to be 0, or the program ends with status 1. In backlog the bot is down (it
// resets connections), and before it answers again it is held for a moment, so that
// no pause between tries counts. What is handed on is compared with a small backlog
// (a fifth, 20 000 at most) from the same journal when it was empty: rates are of
// the middle 80 percent. It is not waited for longer than -drain; what then still
// waits is reported, and is not lost as long as handing on goes on.
//
// Replies travel by push except in passive; settle and pace are 0, the allowance
// and limits user large.
//
// A full run takes less than ten minutes on an idle machine with two cores; on a
// busy one, rounds that would begin later than -budget are left out.
//
// Goals are printed beside the figures they are for. Whether they are reached does
// not change the exit status: one run on a busy machine proves nothing.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/caddy-wechat/caddy-wechat/module"
)

// asRole in the environment makes this program one of its own children.
const asRole = "CADDY_WECHAT_LOAD"

const (
	roleCaddy  = "caddy"
	roleClouds = "clouds"
)

// Exit statuses.
const (
	exitOK          = 0
	exitFailed      = 1 // something was lost, doubled, or went wrong
	exitUsage       = 2
	exitInterrupted = 130
)

func main() {
	os.Exit(start(os.Args[1:], os.Stdout, os.Stderr))
}

// start is main, or the child that the environment says this process is.
func start(args []string, stdout, stderr io.Writer) int {
	switch os.Getenv(asRole) {
	case roleCaddy:
		holdLifeline()
		caddycmd.Main()
		return exitOK
	case roleClouds:
		holdLifeline()
		if err := runClouds(stdout); err != nil {
			fmt.Fprintln(stderr, "clouds:", err)
			return exitFailed
		}
		return exitOK
	}
	return load(args, stdout, stderr)
}

// load runs the scenarios and reports.
func load(args []string, stdout, stderr io.Writer) int {
	o, err := parseOptions(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		fmt.Fprintln(stderr, "load:", err)
		return exitUsage
	case o.list:
		listScenarios(stdout)
		return exitOK
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	r, err := measureAll(ctx, o, stderr)
	if err != nil {
		fmt.Fprintln(stderr, "load:", err)
		return exitFailed
	}
	if o.json {
		err = r.writeJSON(stdout)
	} else {
		err = r.writeTable(stdout)
	}
	switch {
	case err != nil:
		fmt.Fprintln(stderr, "load: writing report:", err)
		return exitFailed
	case ctx.Err() != nil:
		fmt.Fprintln(stderr, "load: interrupted")
		return exitInterrupted
	case !r.clean():
		return exitFailed
	}
	return exitOK
}
