package report

import (
	"context"
	"os"
	"os/exec"
	"runtime"
	"strings"
)

// Machine says where and from what a report comes. A field nobody could tell is "unknown".
type Machine struct {
	Kernel   string `json:"kernel"`
	CPU      string `json:"cpu"`
	CPUs     int    `json:"cpus"`
	Go       string `json:"go"`
	Compiler string `json:"c_compiler"`
	Commit   string `json:"commit"` // of the working directory, or of the build; with + if something tracked differs
}

// ThisMachine asks the system, the C compiler and git.
func ThisMachine(ctx context.Context) Machine {
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	cpu, _ := os.ReadFile("/proc/cpuinfo")
	m := Machine{
		Kernel:   known(string(kernel)),
		CPU:      known(modelName(string(cpu))),
		CPUs:     runtime.NumCPU(),
		Go:       runtime.Version(),
		Compiler: known(firstLine(ctx, "cc", "--version")),
		Commit:   known(firstLine(ctx, "git", "rev-parse", "--short=12", "HEAD")),
	}
	if firstLine(ctx, "git", "status", "--porcelain", "--untracked-files=no") != "" {
		m.Commit += "+"
	}
	return m
}

func modelName(cpuinfo string) string {
	for line := range strings.Lines(cpuinfo) {
		if name, value, _ := strings.Cut(line, ":"); strings.TrimSpace(name) == "model name" {
			return value
		}
	}
	return ""
}

func firstLine(ctx context.Context, name string, args ...string) string {
	out, err := exec.CommandContext(ctx, name, args...).Output()
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(string(out), "\n")
	return line
}

func known(text string) string {
	if text = strings.TrimSpace(text); text != "" {
		return text
	}
	return "unknown"
}
