package main

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"
)

// round is what one round of a scenario came to.
type round struct {
	readings []reading
	notes    []string
}

// scenario is something that is measured.
type scenario struct {
	name  string
	about string

	// settings are what it is run with one after the other, and unit what they
	// count; nil: it has none.
	settings func(*options) []int
	unit     string

	once  bool // one round is enough
	goals []goal
	run   func(ctx context.Context, b *bench, setting int) (round, error)
}

func connections(o *options) []int { return o.connections }

// fewest is for what does not depend on how many connections there are.
func fewest(o *options) []int { return o.connections[:1] }

// answeredGoal is a goal for throughput.
func answeredGoal(ratio float64) []goal {
	return []goal{{figure: "answered", ratio: true, limit: ratio}}
}

// scenarios are all there are, in the order in which they run, with the figures
// that the bridge is to reach on two cores.
var scenarios = []*scenario{
	{
		name: "get", about: "WeChat's check of the URL",
		settings: fewest, unit: "connections", goals: answeredGoal(0.8), run: runGet,
	},
	{
		name: "duplicate", about: "a push that the bridge has already",
		settings: fewest, unit: "connections", goals: answeredGoal(0.8), run: runDuplicate,
	},
	{
		name: "plain", about: "new pushes, plaintext, durable (sync full), the bot held",
		settings: connections, unit: "connections", goals: answeredGoal(0.5), run: runPlain,
	},
	{
		name: "safe", about: "new pushes, encrypted, durable (sync full), the bot held",
		settings: connections, unit: "connections", goals: answeredGoal(0.4), run: runSafe,
	},
	{
		name: "normal", about: "new pushes, plaintext, sync normal, the bot held",
		settings: connections, unit: "connections", run: runNormal,
	},
	{
		name: "latency", about: "new pushes at a fixed rate, durable (sync full), the bot held",
		settings: func(o *options) []int { return []int{o.rate} }, unit: "callbacks/s",
		goals: []goal{{figure: "p99", atMost: true, limit: 5}}, run: runLatency,
	},
	{
		name: "hops", about: "push to bot, and bot to WeChat's API, at a fixed rate",
		settings: func(o *options) []int { return []int{o.hopsRate} }, unit: "messages/s",
		goals: []goal{
			{figure: toBot + "p50", atMost: true, limit: 2},
			{figure: toBot + "p99", atMost: true, limit: 10},
			{figure: toWeChat + "p50", atMost: true, limit: 2},
			{figure: toWeChat + "p99", atMost: true, limit: 10},
		},
		run: runHops,
	},
	{
		name: "passive", about: "the bot's reply as the answer to the callback (reply auto)",
		settings: connections, unit: "connections", run: runPassive,
	},
	{
		name: "endtoend", about: "push in, bot, reply out, with both simulators",
		settings: fewest, unit: "connections",
		goals: []goal{{figure: "sustained", limit: 1500}}, run: runEndToEnd,
	},
	{
		name: "idle", about: "memory of a Caddy that has done nearly nothing",
		goals: []goal{{figure: "above plain Caddy", atMost: true, limit: 30}}, run: runIdle,
	},
	{
		name: "backlog", about: "pushes that wait for a bot that is down: restart, memory, handing on",
		settings: func(o *options) []int { return o.backlog }, unit: "waiting", once: true,
		goals: []goal{
			{figure: "restart", atMost: true, limit: 1},
			{figure: "above plain Caddy", atMost: true, limit: 100},
			{figure: "of an empty journal's", limit: 0.9},
		},
		run: runBacklog,
	},
}

// listScenarios explains what there is.
func listScenarios(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, s := range scenarios {
		fmt.Fprintf(t, "%s\t%s\n", s.name, s.about)
		for _, g := range s.goals {
			fmt.Fprintf(t, "\t  %s %s\n", g.figure, g)
		}
	}
	_ = t.Flush()
}
