package cli

import (
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func init() { cobra.AddTemplateFunc("flagGroups", flagGroups) }

// groupOf is the annotation of a flag that help shows below a title of its own.
const groupOf = "fanloop_group"

// InGroup puts the flags called names below title in help.
func InGroup(flags *pflag.FlagSet, title string, names ...string) {
	for _, name := range names {
		_ = flags.SetAnnotation(name, groupOf, []string{title}) // it is there
	}
}

// flagGroups are the usages of flags, those of a group below its title.
func flagGroups(flags *pflag.FlagSet) string {
	groups := make(map[string]*pflag.FlagSet)
	var titles []string
	flags.VisitAll(func(f *pflag.Flag) {
		title := "Flags"
		if group := f.Annotations[groupOf]; len(group) > 0 {
			title = group[0]
		}
		if groups[title] == nil {
			groups[title] = pflag.NewFlagSet("", pflag.ContinueOnError)
			groups[title].SortFlags = flags.SortFlags
			titles = append(titles, title)
		}
		groups[title].AddFlag(f)
	})
	var all strings.Builder
	for i, title := range titles {
		if i > 0 {
			all.WriteString("\n\n")
		}
		all.WriteString(title + ":\n" + strings.TrimRight(groups[title].FlagUsages(), " \n"))
	}
	return all.String()
}

// UsageTemplate is what follows the first paragraph of a help text.
const UsageTemplate = `Usage:
  {{if .HasAvailableSubCommands}}{{.CommandPath}} <command> [flags]{{else}}{{.UseLine}}{{end}}{{if .HasExample}}

Examples:
{{.Example}}{{end}}{{if .HasAvailableSubCommands}}

Commands:{{range .Commands}}{{if .IsAvailableCommand}}
  {{rpad .Name .NamePadding}} {{.Short}}{{end}}{{end}}{{end}}{{if .HasAvailableLocalFlags}}

{{flagGroups .LocalFlags}}{{end}}{{if .HasAvailableSubCommands}}

Run '{{.CommandPath}} <command> --help' for the flags of a command.{{end}}
`
