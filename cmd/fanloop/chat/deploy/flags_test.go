package deploy_test

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat"
	"github.com/fanloop-go/fanloop/cmd/fanloop/cli"
)

// command is fanloop chat, below its root.
func command() *cobra.Command {
	root := &cobra.Command{Use: "fanloop"}
	cmd := chat.New(cli.Stdio{})
	root.AddCommand(cmd)
	return cmd
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var (
	execStart = regexp.MustCompile(`(?m)^ExecStart=\S+ chat (.*)$`)
	dockerRun = regexp.MustCompile(`(?m)^(?:ENTRYPOINT|CMD) (\[.*\])$`)
	inScript  = regexp.MustCompile(`--[a-z][a-z-]+`)
)

// argumentsOf are those of the node in each file.
func argumentsOf(t *testing.T) map[string][]string {
	t.Helper()
	all := make(map[string][]string)
	if found := execStart.FindStringSubmatch(read(t, "fanloop-chat.service")); found != nil {
		all["fanloop-chat.service"] = strings.Fields(found[1])
	}
	for _, found := range dockerRun.FindAllStringSubmatch(read(t, "Dockerfile"), -1) {
		var words []string
		if err := json.Unmarshal([]byte(found[1]), &words); err != nil {
			t.Fatal(err)
		}
		all["Dockerfile"] = append(all["Dockerfile"], words...)
	}
	all["Dockerfile"] = slices.DeleteFunc(all["Dockerfile"], func(word string) bool { return word == "/fanloop" || word == "chat" })
	args, _ := podOf(t)
	all["kubernetes.yaml"] = args
	return all
}

// podOf has the arguments and the names of the variables of the container.
func podOf(t *testing.T) (args, variables []string) {
	t.Helper()
	d := yaml.NewDecoder(strings.NewReader(read(t, "kubernetes.yaml")))
	for {
		var object struct {
			Spec struct {
				Template struct {
					Spec struct {
						Links      *bool `yaml:"enableServiceLinks"`
						Containers []struct {
							Args []string
							Env  []struct{ Name string }
						}
					}
				}
			}
		}
		if d.Decode(&object) != nil {
			return args, variables
		}
		pod := object.Spec.Template.Spec
		for _, c := range pod.Containers {
			args = c.Args
			for _, e := range c.Env {
				variables = append(variables, e.Name)
			}
			if pod.Links == nil || *pod.Links {
				t.Error("the pod gets variables like FANLOOP_CHAT_SERVICE_HOST, of which the program says that they are of no flag")
			}
		}
	}
}

// The arguments and variables in the files are those of the program.
func TestFilesHaveFlagsThatExist(t *testing.T) {
	all := argumentsOf(t)
	for _, file := range []string{"fanloop-chat.service", "Dockerfile", "kubernetes.yaml"} {
		if len(all[file]) == 0 {
			t.Errorf("%s starts no node", file)
		}
		if err := command().ParseFlags(all[file]); err != nil {
			t.Errorf("%s: %q: %v", file, all[file], err)
		}
	}
	cmd := command()
	var known []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { known = append(known, cli.Variable(cmd, f)) })
	_, variables := podOf(t)
	for _, name := range variables {
		if !slices.Contains(known, name) {
			t.Errorf("kubernetes.yaml sets %s, which is of no flag", name)
		}
	}
}

// What the pages and the script for a cluster name as flags are flags.
func TestPagesNameFlagsThatExist(t *testing.T) {
	flags := command().Flags()
	others := []string{"--cacert", "--cert", "--key", "--now", "--preset"} // of curl, systemctl, and fanloop bench chat
	for _, file := range []string{"../OPERATIONS.md", "../BACKEND.md", "../cluster.sh", "../config/default.yaml"} {
		for _, name := range inScript.FindAllString(read(t, file), -1) {
			if flags.Lookup(strings.TrimPrefix(name, "--")) == nil && name != "--help" && !slices.Contains(others, name) {
				t.Errorf("%s names %s, which is no flag", file, name)
			}
		}
	}
}
