// Package observe holds what operators load into their monitoring: alert rules for
// Prometheus (alerts.yml), their unit tests for promtool (alerts_test.yml), and a
// dashboard for Grafana (dashboard.json).
package observe

import "embed"

// Files are alerts.yml and dashboard.json.
//
//go:embed alerts.yml dashboard.json
var Files embed.FS
