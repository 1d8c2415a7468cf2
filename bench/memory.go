package bench

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// Memory is what a server's idle connections held in one round. All figures are bytes of
// resident memory of the process; kernel memory of the sockets is not in them.
type Memory struct {
	Conns     int    `json:"connections"`
	Before    uint64 `json:"rss_before"`
	Settled   uint64 `json:"rss_settled"`              // with all connections idle
	GivenBack uint64 `json:"rss_given_back,omitempty"` // after SIGUSR1, where the server knows it
}

// PerConn is the resident memory per connection as it settled, in bytes.
func (m Memory) PerConn() float64 { return m.perConn(m.Settled) }

// PerConnGivenBack is PerConn after freed memory went back to the system.
func (m Memory) PerConnGivenBack() float64 { return m.perConn(m.GivenBack) }

func (m Memory) perConn(rss uint64) float64 {
	return (float64(rss) - float64(m.Before)) / float64(m.Conns)
}

// residentBytes reads the Rss line of /proc/PID/smaps_rollup. It walks the page tables;
// VmRSS in /proc/PID/status may lag by some pages per CPU.
func residentBytes(pid int) (uint64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0, err
	}
	return parseRollup(string(text))
}

func parseRollup(text string) (uint64, error) {
	lines := bufio.NewScanner(strings.NewReader(text))
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) != 3 || f[0] != "Rss:" {
			continue
		}
		kib, err := strconv.ParseUint(f[1], 10, 54)
		if err != nil || f[2] != "kB" {
			return 0, fmt.Errorf("smaps_rollup: cannot read %q", lines.Text())
		}
		return kib << 10, nil
	}
	return 0, fmt.Errorf("smaps_rollup: no Rss line")
}

// settledBytes reads the resident memory after the server had time to settle.
func settledBytes(ctx context.Context, pid int, settle time.Duration) (uint64, error) {
	select {
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-time.After(settle):
		return residentBytes(pid)
	}
}
