package module

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/caddy-wechat/caddy-wechat/module/internal/bridge"
	"github.com/caddy-wechat/caddy-wechat/module/observe"
)

var (
	metricName = regexp.MustCompile(`caddy_wechat_[a-z_]+`)
	selector   = regexp.MustCompile(`(caddy_wechat_[a-z_]+)(?:\{([^}]*)\})?`)
	labelName  = regexp.MustCompile(`([a-z_]+)\s*(?:=~|!~|!=|=)`)
	grouping   = regexp.MustCompile(`by \(([a-z_, ]+)\)`)
)

// checkExpr fails the test unless an expression asks for metrics and labels that there
// are. It returns the metrics.
func checkExpr(t *testing.T, where, expr string) (used []string) {
	t.Helper()
	var labels []string
	for _, m := range selector.FindAllStringSubmatch(expr, -1) {
		name := m[1]
		i := slices.IndexFunc(bridge.Metrics, func(known *bridge.Metric) bool {
			if known.Kind == bridge.Durations {
				return slices.Contains([]string{known.Name + "_bucket", known.Name + "_count", known.Name + "_sum"}, name)
			}
			return known.Name == name
		})
		if i < 0 {
			t.Errorf("%s: there is no metric %s", where, name)
			continue
		}
		known := bridge.Metrics[i]
		used = append(used, known.Name)
		labels = append(labels, append(known.Labels, "le")...)
		for _, l := range labelName.FindAllStringSubmatch(m[2], -1) {
			if !slices.Contains(known.Labels, l[1]) {
				t.Errorf("%s: %s has no label %s", where, name, l[1])
			}
		}
	}
	for _, by := range grouping.FindAllStringSubmatch(expr, -1) {
		for l := range strings.SplitSeq(by[1], ",") {
			if l = strings.TrimSpace(l); !slices.Contains(labels, l) {
				t.Errorf("%s: nothing has the label %s", where, l)
			}
		}
	}
	if len(used) == 0 {
		t.Errorf("%s asks for no metric of ours: %s", where, expr)
	}
	return used
}

// alertRules are what the file of rules holds.
type alertRules struct {
	Groups []struct {
		Rules []struct {
			Alert, Expr, For    string
			Labels, Annotations map[string]string
		}
	}
}

func TestAlertRules(t *testing.T) {
	raw, err := observe.Files.ReadFile("alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	var rules alertRules
	if err := yaml.Unmarshal(raw, &rules); err != nil {
		t.Fatal(err)
	}
	tests, err := os.ReadFile(filepath.Join("observe", "alerts_test.yml"))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			n++
			checkExpr(t, r.Alert, r.Expr)
			if r.Labels["severity"] == "" || r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
				t.Errorf("%s says too little: %+v", r.Alert, r)
			}
			if !strings.Contains(string(tests), `alertname="`+r.Alert+`"`) {
				t.Errorf("%s has no test in which it fires", r.Alert)
			}
		}
	}
	if n < 10 {
		t.Errorf("%d rules", n)
	}
	for _, name := range metricName.FindAllString(string(tests), -1) {
		checkExpr(t, "alerts_test.yml", name)
	}
}

// TestAlertsFire runs the rules' own tests, where Prometheus's promtool is to be found.
// The environment variable PROMTOOL says where, and that it has to be.
func TestAlertsFire(t *testing.T) {
	promtool := os.Getenv("PROMTOOL")
	if promtool == "" {
		var err error
		if promtool, err = exec.LookPath("promtool"); err != nil {
			t.Skip("promtool is not installed")
		}
	}
	for _, args := range [][]string{
		{"check", "rules", "observe/alerts.yml"},
		{"test", "rules", "observe/alerts_test.yml"},
	} {
		if out, err := exec.CommandContext(t.Context(), promtool, args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %v: %v\n%s", args, err, out)
		}
	}
}

// TestDashboard: each panel asks for what there is, and each metric is on a panel.
func TestDashboard(t *testing.T) {
	raw, err := observe.Files.ReadFile("dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var board struct {
		Title  string
		Panels []struct {
			ID          int
			Type, Title string
			Targets     []struct{ Expr string }
			GridPos     struct{ H, W, X, Y int }
		}
	}
	if err := json.Unmarshal(raw, &board); err != nil {
		t.Fatal(err)
	}
	ids, shown := make(map[int]bool), make(map[string]bool)
	for _, p := range board.Panels {
		if ids[p.ID] || p.GridPos.X+p.GridPos.W > 24 || p.GridPos.H == 0 {
			t.Errorf("panel %q: id %d, %+v", p.Title, p.ID, p.GridPos)
		}
		ids[p.ID] = true
		if p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("panel %q shows nothing", p.Title)
		}
		for _, target := range p.Targets {
			for _, name := range checkExpr(t, p.Title, target.Expr) {
				shown[name] = true
			}
		}
	}
	for _, m := range bridge.Metrics {
		if !shown[m.Name] {
			t.Errorf("%s is on no panel", m.Name)
		}
	}
}

// TestMetricsInREADME: the README's table of metrics is complete.
func TestMetricsInREADME(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join("..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range bridge.Metrics {
		row := regexp.MustCompile("(?m)^\\| `" + m.Name + "` \\| [a-z]+ \\| ([a-z_` ]*)\\|").FindStringSubmatch(string(readme))
		if row == nil {
			t.Errorf("%s is not in the table", m.Name)
			continue
		}
		for _, label := range m.Labels {
			if label != "app_id" && !strings.Contains(row[1], "`"+label+"`") {
				t.Errorf("%s: the table does not name the label %s", m.Name, label)
			}
		}
	}
}
