package scenario

import (
	"strconv"
	"strings"
)

// CPUs is a list of CPU numbers; empty means wherever the system likes.
type CPUs []int

// ParseCPUs reads a list like 0, 0-3 or 0,2-3; "" and "any" leave it to the
// system.
func ParseCPUs(list string) (CPUs, error) {
	if list == "" || list == "any" {
		return nil, nil
	}
	var all CPUs
	for part := range strings.SplitSeq(list, ",") {
		from, to, ranged := strings.Cut(strings.TrimSpace(part), "-")
		if !ranged {
			to = from
		}
		first, err := strconv.Atoi(from)
		last, err2 := strconv.Atoi(to)
		if err != nil || err2 != nil || first < 0 || last < first || last > 1023 {
			return nil, usagef("CPUs %q: want numbers and ranges such as 0,2-3, or any", list)
		}
		for n := first; n <= last; n++ {
			all = append(all, n)
		}
	}
	return all, nil
}

// String is the list as ParseCPUs reads it.
func (c CPUs) String() string {
	if len(c) == 0 {
		return "any"
	}
	parts := make([]string, len(c))
	for i, n := range c {
		parts[i] = strconv.Itoa(n)
	}
	return strings.Join(parts, ",")
}
