package memory

import (
	"math"
	"os"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// machine returns the bytes that the machine has, math.MaxInt64 if that is unknown.
func machine() int64 {
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) != nil {
		return math.MaxInt64
	}
	return int64(info.Totalram) * int64(info.Unit)
}

// cgroup returns the least limit of the cgroup of this process and of those
// around it, math.MaxInt64 if there is none.
func cgroup() int64 { return cgroupIn("/") }

// cgroupIn reads the limit from a file system whose root is at root.
func cgroupIn(root string) int64 {
	limit := int64(math.MaxInt64)
	groups, _ := os.ReadFile(path.Join(root, "proc/self/cgroup")) // none: no limit
	for line := range strings.Lines(string(groups)) {
		// hierarchy:controllers:path, without controllers for version 2
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		switch {
		case len(fields) < 3:
		case fields[1] == "":
			limit = min(limit, leastLimit(path.Join(root, "sys/fs/cgroup"), fields[2], "memory.max"))
		case strings.Contains(","+fields[1]+",", ",memory,"):
			limit = min(limit, leastLimit(path.Join(root, "sys/fs/cgroup/memory"), fields[2], "memory.limit_in_bytes"))
		}
	}
	return limit
}

// leastLimit returns the least number in the files called name from mount/group up
// to mount. A container may see its own group as mount, and not the path to it.
func leastLimit(mount, group, name string) int64 {
	limit := int64(math.MaxInt64)
	for ; ; group = path.Dir(group) {
		text, err := os.ReadFile(path.Join(mount, group, name))
		if n, err2 := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil && err2 == nil && n > 0 {
			limit = min(limit, n)
		}
		if group == "/" || group == "." {
			return limit
		}
	}
}
