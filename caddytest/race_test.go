//go:build race

package caddytest

// raced says that the race detector is on, which takes at most 8128 goroutines.
const raced = true
