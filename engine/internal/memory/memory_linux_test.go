package memory

import (
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"testing"
)

func TestUsableIsTheLeastOfGOMEMLIMITAndTheSystem(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	defer debug.SetMemoryLimit(before)
	debug.SetMemoryLimit(math.MaxInt64)
	if got := Usable(); got <= 0 || got == math.MaxInt64 || got != min(cgroup(), machine()) {
		t.Errorf("without GOMEMLIMIT %d bytes are usable, the system has %d", got, min(cgroup(), machine()))
	}
	debug.SetMemoryLimit(1 << 20)
	if got := Usable(); got != 1<<20 {
		t.Errorf("with GOMEMLIMIT of 1 MiB %d bytes are usable", got)
	}
}

// What the files of both versions of cgroups say, where a container sees its own
// group as the root and where it does not.
func TestLimitOfTheCgroupIsFound(t *testing.T) {
	for name, tt := range map[string]struct {
		groups string
		files  map[string]string
		want   int64
	}{
		"none":                       {"0::/\n", nil, math.MaxInt64},
		"no file at all":             {"", nil, math.MaxInt64},
		"version 2":                  {"0::/a/b\n", map[string]string{"a/b/memory.max": "1000\n"}, 1000},
		"a group around it":          {"0::/a/b\n", map[string]string{"a/b/memory.max": "max\n", "a/memory.max": "2000\n"}, 2000},
		"the least counts":           {"0::/a/b\n", map[string]string{"a/b/memory.max": "3000\n", "a/memory.max": "2000\n"}, 2000},
		"version 2 in a container":   {"0::/\n", map[string]string{"memory.max": "1000\n"}, 1000},
		"the path is the host's":     {"0::/docker/123\n", map[string]string{"memory.max": "1000\n"}, 1000},
		"version 1":                  {"5:cpu:/x\n4:cpuacct,memory:/a\n0::/\n", map[string]string{"memory/a/memory.limit_in_bytes": "1000\n"}, 1000},
		"version 1 in a container":   {"4:memory:/docker/1\n", map[string]string{"memory/memory.limit_in_bytes": "1000\n"}, 1000},
		"another controller's limit": {"4:memoryless:/a\n", map[string]string{"memory/a/memory.limit_in_bytes": "1000\n"}, math.MaxInt64},
		"nonsense":                   {"what:\n\n0::/a\n", map[string]string{"a/memory.max": "much\n"}, math.MaxInt64},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			write := func(path, text string) {
				path = filepath.Join(root, path)
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if tt.groups != "" {
				write("proc/self/cgroup", tt.groups)
			}
			for file, text := range tt.files {
				write(filepath.Join("sys/fs/cgroup", file), text)
			}
			if got := cgroupIn(root); got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
		})
	}
}
