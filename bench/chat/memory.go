package chat

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/fanloop-go/fanloop/bench/report"
	"github.com/fanloop-go/fanloop/bench/scenario"
)

// memory has the memory of the service, and that of the kernel for both sides, in bytes; 0 if
// not known.
type memory struct{ rss, kernel, slab, heap float64 }

// memory reads the memory of the service. The heap comes last, as reading it collects garbage.
func (r *run) memory(ctx context.Context) (m memory, err error) {
	if r.config.PID != 0 {
		rss, err := scenario.ResidentBytes(r.config.PID)
		if err != nil {
			return m, err
		}
		m.rss = float64(rss)
		if kernel, ok := scenario.KernelBytes(); ok {
			m.kernel = float64(kernel)
		}
		if text, err := os.ReadFile("/proc/meminfo"); err == nil {
			m.slab = slabOf(string(text))
		}
	}
	if r.config.Admin != "" {
		m.heap, err = heap(ctx, r.config.Admin)
	}
	return m, err
}

// addTo adds the figures for each user: the difference to before, divided by the users.
func (m memory) addTo(round report.Round, before memory, users int) {
	n := float64(users)
	if m.rss > 0 {
		round["rss"], round["rss_conn"] = m.rss, (m.rss-before.rss)/n
	}
	if m.kernel > 0 {
		round["kernel_conn"] = (m.kernel - before.kernel) / n
	}
	if m.slab > 0 {
		round["slab_conn"] = (m.slab - before.slab) / n
	}
	if m.heap > 0 {
		round["heap_conn"] = (m.heap - before.heap) / n
	}
}

// slabOf returns the memory of the kernel's own objects, such as sockets, in bytes; 0 if not
// known.
func slabOf(meminfo string) float64 {
	for line := range strings.Lines(meminfo) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "Slab:" && f[2] == "kB" {
			kib, _ := strconv.ParseFloat(f[1], 64) // 0 if it is no number
			return kib * 1024
		}
	}
	return 0
}

// heapLine is the metric of the allocated heap.
const heapLine = "go_memstats_alloc_bytes "

// heap collects garbage in the service and returns its allocated heap, by the operator's address.
func heap(ctx context.Context, admin string) (float64, error) {
	if _, err := get(ctx, admin+"/debug/pprof/heap?gc=1"); err != nil {
		return 0, err
	}
	text, err := get(ctx, admin+"/metrics")
	if err != nil {
		return 0, err
	}
	lines := bufio.NewScanner(strings.NewReader(text))
	for lines.Scan() {
		if value, ok := strings.CutPrefix(lines.Text(), heapLine); ok {
			return strconv.ParseFloat(value, 64)
		}
	}
	return 0, fmt.Errorf("%s/metrics has no %s", admin, heapLine)
}

func get(ctx context.Context, url string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answers %s: --admin needs to be reached without a key", url, answer.Status)
	}
	return string(text), err
}
