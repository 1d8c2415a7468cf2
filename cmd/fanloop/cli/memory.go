package cli

import (
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"

	"github.com/fanloop-go/fanloop/engine"
)

// ReportMemory gives freed memory back to the system and logs what is in use,
// at every SIGUSR1, where there is one, until stop is called.
func ReportMemory(srv *engine.Server, log *slog.Logger) (stop func()) {
	signals := make(chan os.Signal, 1)
	notifyUSR1(signals)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for range signals {
			debug.FreeOSMemory()
			log.Info("memory in use", memoryInUse(srv)...)
		}
	}()
	return func() {
		signal.Stop(signals)
		close(signals)
		<-ended
	}
}

// memoryInUse is the summary, as attributes of a log line.
func memoryInUse(srv *engine.Server) []any {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	attrs := []any{
		slog.Int("connections", srv.Conns()),
		slog.Uint64("heap_bytes", m.HeapInuse),
	}
	if rss, ok := residentBytes(); ok {
		attrs = append(attrs, slog.Int64("rss_bytes", rss))
	}
	held := srv.Memory()
	return append(attrs,
		slog.Int("ledger_bytes", held.Total()),
		slog.Int("takeover_bytes", held.Compression),
		slog.Int("goroutines", runtime.NumGoroutine()))
}

// residentBytes is the memory of the process that is in RAM; false where the
// system has no /proc/self/statm.
func residentBytes() (int64, bool) {
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, false
	}
	var total, resident int64
	if _, err := fmt.Sscan(string(statm), &total, &resident); err != nil {
		return 0, false
	}
	return resident * int64(os.Getpagesize()), true
}
