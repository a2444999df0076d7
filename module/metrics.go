package module

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-wechat/caddy-wechat/module/internal/bridge"
)

// measuring bounds what one scrape may take: what cannot be told by then is left out.
const measuring = 5 * time.Second

// collector tells Prometheus what the accounts count by themselves. It keeps nothing:
// each configuration has a registry of its own, and what was counted goes on.
type collector struct{}

// descriptions are what Prometheus is told of each metric.
var descriptions = func() map[*bridge.Metric]*prometheus.Desc {
	all := make(map[*bridge.Metric]*prometheus.Desc, len(bridge.Metrics))
	for _, m := range bridge.Metrics {
		all[m] = prometheus.NewDesc(m.Name, m.Help, m.Labels, nil)
	}
	return all
}()

// registerMetrics puts the metrics into a configuration's registry.
func registerMetrics(ctx caddy.Context) error {
	registry := ctx.GetMetricsRegistry()
	if registry == nil {
		return nil
	}
	err := registry.Register(collector{})
	if _, ok := errors.AsType[prometheus.AlreadyRegisteredError](err); ok || err == nil {
		return nil
	}
	return fmt.Errorf("registering metrics: %w", err)
}

// Describe implements prometheus.Collector.
func (collector) Describe(ch chan<- *prometheus.Desc) {
	for _, m := range bridge.Metrics {
		ch <- descriptions[m]
	}
}

// Collect implements prometheus.Collector.
func (collector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), measuring)
	defer cancel()
	bridge.Measure(ctx, adminRuntimes(), func(s bridge.Sample) {
		m, err := constMetric(s)
		if err != nil {
			m = prometheus.NewInvalidMetric(descriptions[s.Metric], err)
		}
		ch <- m
	})
}

func constMetric(s bridge.Sample) (prometheus.Metric, error) {
	desc := descriptions[s.Metric]
	switch s.Kind {
	case bridge.Durations:
		return prometheus.NewConstHistogram(desc, s.Durations.Count, s.Durations.Sum, s.Durations.Buckets, s.Labels...)
	case bridge.Gauge:
		return prometheus.NewConstMetric(desc, prometheus.GaugeValue, s.Value, s.Labels...)
	case bridge.Counter:
	}
	return prometheus.NewConstMetric(desc, prometheus.CounterValue, s.Value, s.Labels...)
}

// Interface guards
var _ prometheus.Collector = collector{}
