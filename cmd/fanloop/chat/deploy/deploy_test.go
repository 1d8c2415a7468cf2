package deploy_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.yaml.in/yaml/v3"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/config"
	chat "github.com/fanloop-go/fanloop/cmd/fanloop/chat/metrics"
	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/metrics"
)

var described = regexp.MustCompile(`fqName: "([^"]+)".* variableLabels: \{([^}]*)\}`)

// exported are the metrics that there are, with their labels.
func exported(t *testing.T) map[string][]string {
	t.Helper()
	all := make(map[string][]string)
	for _, c := range []prometheus.Collector{
		chat.New(nil), metrics.New(new(engine.Server)), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	} {
		descs := make(chan *prometheus.Desc, 256)
		c.Describe(descs)
		close(descs)
		for d := range descs {
			found := described.FindStringSubmatch(d.String())
			if found == nil {
				t.Fatalf("%s is not understood", d)
			}
			name := found[1]
			labels := strings.Split(found[2], ",")
			all[name] = labels
			if strings.HasSuffix(name, "_seconds") { // of a histogram
				for _, part := range []string{"_bucket", "_count", "_sum"} {
					all[name+part] = append(labels, "le")
				}
			}
		}
	}
	return all
}

var (
	metricIn = regexp.MustCompile(`\b(?:fanloop|process|go)_[a-z_]+`)
	labelsIn = regexp.MustCompile(`by \(([^)]*)\)|\{\{([a-z]+)\}\}`)
)

// What the dashboard asks for is exported, with the labels that it asks for.
func TestDashboardAsksForMetricsThatExist(t *testing.T) {
	text, err := os.ReadFile("grafana.json")
	if err != nil {
		t.Fatal(err)
	}
	var board struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr, LegendFormat string }
		}
		Templating struct{ List []struct{ Query string } }
	}
	if err := json.Unmarshal(text, &board); err != nil {
		t.Fatal(err)
	}
	known := exported(t)
	check := func(where, query, legend string) {
		names := metricIn.FindAllString(query, -1)
		if len(names) == 0 {
			t.Errorf("%s: %q asks for nothing", where, query)
		}
		labels := []string{"instance", "job"} // of the scrape
		for _, name := range names {
			if _, exists := known[name]; !exists {
				t.Errorf("%s: there is no %s", where, name)
			}
			labels = append(labels, known[name]...)
		}
		for _, found := range labelsIn.FindAllStringSubmatch(query+legend, -1) {
			for label := range strings.SplitSeq(found[1]+found[2], ",") {
				if !slices.Contains(labels, strings.TrimSpace(label)) {
					t.Errorf("%s: no %v has the label %s", where, names, label)
				}
			}
		}
	}
	if len(board.Panels) < 10 {
		t.Errorf("only %d panels", len(board.Panels))
	}
	for _, p := range board.Panels {
		for _, target := range p.Targets {
			check(p.Title, target.Expr, target.LegendFormat)
		}
	}
	for _, v := range board.Templating.List {
		if v.Query != "prometheus" {
			check("a variable", v.Query, "")
		}
	}
}

// systemd takes the unit, where systemd is.
func TestUnitIsValid(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze is not installed")
	}
	text, err := os.ReadFile("fanloop-chat.service")
	if err != nil {
		t.Fatal(err)
	}
	// The program has to be there for systemd to be content.
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	unit := filepath.Join(t.TempDir(), "fanloop-chat.service")
	changed := strings.Replace(string(text), "/usr/local/bin/fanloop", program, 1)
	if err := os.WriteFile(unit, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(analyze, "verify", "--man=no", unit).CombinedOutput()
	if strings.Contains(string(out), "fanloop-chat.service") { // what it says of others is not about this unit
		t.Errorf("%v: %s", err, out)
	}
}

// stops is how long a node takes to end at most.
func stops(c config.Config) time.Duration { return c.ShutdownDelay + c.ShutdownTimeout }

// The example for Kubernetes has settings that a node takes, a time to end that is long
// enough, and paths that are served.
func TestKubernetesExample(t *testing.T) {
	text, err := os.ReadFile("kubernetes.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var settings string
	var probes []string
	var grace int
	d := yaml.NewDecoder(strings.NewReader(string(text)))
	for {
		var object struct {
			Kind string
			Data map[string]string
			Spec struct {
				Template struct {
					Spec struct {
						Grace      int `yaml:"terminationGracePeriodSeconds"`
						Containers []map[string]any
					}
				}
			}
		}
		if d.Decode(&object) != nil {
			break
		}
		if object.Kind == "ConfigMap" {
			settings = object.Data["chat.yaml"]
		}
		for _, c := range object.Spec.Template.Spec.Containers {
			grace = object.Spec.Template.Spec.Grace
			for _, kind := range []string{"startupProbe", "readinessProbe", "livenessProbe"} {
				get, _ := c[kind].(map[string]any)["httpGet"].(map[string]any)
				probes = append(probes, get["path"].(string))
			}
		}
	}
	if !slices.Equal(probes, []string{"/readyz", "/readyz", "/healthz"}) {
		t.Errorf("the probes ask for %v", probes)
	}
	dir := t.TempDir()
	for name, text := range map[string]string{"nats.secret": strings.Repeat("n", 40), "operator.key": strings.Repeat("o", 40), "chat.pem": publicKey} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	settings = strings.ReplaceAll(settings, "/etc/fanloop-secret", dir) +
		"data-dir: /data\nname: fanloop-chat-0\ncluster: fanloop-chat-0.fanloop-chat-nodes:6222\n" // by arguments and variables
	c, err := config.Parse("chat.yaml", []byte(settings))
	if err != nil {
		t.Fatal(err)
	}
	if need := stops(c); time.Duration(grace)*time.Second <= need {
		t.Errorf("a node is killed after %d s, and may take %v", grace, need)
	}
}

// publicKey is one of Ed25519.
const publicKey = `-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=
-----END PUBLIC KEY-----
`
