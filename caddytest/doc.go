// Package caddytest holds the tests that start a real Caddy with the module and
// talk HTTP to it from both sides: as WeChat and as Botpress, which are
// simulated (see the package simulator). Its folders hold programs built of the
// same parts.
package caddytest
