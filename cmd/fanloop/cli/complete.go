package cli

import (
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// AddCompletions has the shell complete what the commands below cmd take: the
// choices of a flag, files where a flag takes one, and nothing elsewhere.
func AddCompletions(cmd *cobra.Command) {
	if cmd.ValidArgsFunction == nil && !cmd.HasSubCommands() {
		cmd.ValidArgsFunction = cobra.NoFileCompletions
	}
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		_ = cmd.RegisterFlagCompletionFunc(f.Name, completion(f)) // there is one already: it stays
	})
	for _, sub := range cmd.Commands() {
		AddCompletions(sub)
	}
}

// completion completes a flag by what its help calls the value.
func completion(f *pflag.Flag) cobra.CompletionFunc {
	if v, ok := f.Value.(interface{ Choices() []string }); ok && v.Choices() != nil {
		return cobra.FixedCompletions(v.Choices(), cobra.ShellCompDirectiveNoFileComp)
	}
	switch name, _ := pflag.UnquoteUsage(f); name {
	case "file", "path":
		return cobra.FixedCompletions(nil, cobra.ShellCompDirectiveDefault)
	case "folder":
		return cobra.FixedCompletions(nil, cobra.ShellCompDirectiveFilterDirs)
	}
	return cobra.NoFileCompletions
}

// CompleteList completes the last name of a list with commas. names is called when
// the shell asks.
func CompleteList(names func() []string) cobra.CompletionFunc {
	return func(_ *cobra.Command, _ []string, toComplete string) (all []cobra.Completion, _ cobra.ShellCompDirective) {
		before := toComplete[:strings.LastIndexByte(toComplete, ',')+1]
		for _, name := range names() {
			all = append(all, before+name)
		}
		return all, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	}
}
