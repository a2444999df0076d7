//go:build !race

package caddytest

// raced says that the race detector is on.
const raced = false
