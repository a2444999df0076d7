package module

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig"
)

// readConfig reads a configuration file and adapts it as Caddy would.
func readConfig(file, adapter string) ([]byte, error) {
	raw, err := os.ReadFile(file) //nolint:gosec // the operator's own file
	if err != nil {
		return nil, fmt.Errorf("reading configuration: %w", err)
	}
	if adapter == "" && filepath.Ext(file) != ".json" {
		base := strings.ToLower(filepath.Base(file))
		if strings.HasPrefix(base, "caddyfile") || strings.HasSuffix(base, ".caddyfile") {
			adapter = "caddyfile"
		}
	}
	if adapter == "" {
		if !json.Valid(raw) {
			return nil, errors.New("reading configuration: it is not valid JSON; is --adapter missing?")
		}
		return raw, nil
	}
	a := caddyconfig.GetAdapter(adapter)
	if a == nil {
		return nil, fmt.Errorf("reading configuration: there is no adapter %q", adapter)
	}
	adapted, _, err := a.Adapt(raw, map[string]any{"filename": file})
	if err != nil {
		return nil, fmt.Errorf("reading configuration: %w", err)
	}
	return adapted, nil
}

// readEnvFile sets variables from a file of NAME=value lines, as systemd and
// containers are given them. What is set already stays, as with Caddy.
func readEnvFile(file string) error {
	raw, err := os.ReadFile(file) //nolint:gosec // the operator's own file
	if err != nil {
		return fmt.Errorf("reading environment: %w", err)
	}
	n := 0
	for line := range strings.Lines(string(raw)) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		name, value, ok := strings.Cut(strings.TrimPrefix(line, "export "), "=")
		if name = strings.TrimSpace(name); !ok || name == "" {
			return fmt.Errorf("reading environment: line %d of %s is not NAME=value", n, file)
		}
		if _, set := os.LookupEnv(name); set {
			continue
		}
		value = strings.TrimSpace(value)
		if len(value) >= 2 && (value[0] == '"' || value[0] == '\'') && value[len(value)-1] == value[0] {
			value = value[1 : len(value)-1]
		}
		if err := os.Setenv(name, value); err != nil {
			return fmt.Errorf("reading environment: line %d of %s: %w", n, file, err)
		}
	}
	return nil
}
