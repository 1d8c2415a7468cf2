package scenario

import (
	"math"
	"os"
	"testing"
)

func TestRollupIsRead(t *testing.T) {
	got, err := parseRollup("559f-7ffd ---p 00000000 00:00 0 [rollup]\nRss:                1844 kB\nPss:  900 kB\n")
	if err != nil || got != 1844<<10 {
		t.Errorf("%d, %v", got, err)
	}
	for _, text := range []string{"", "Rss: x kB\n", "Rss: 5 MB\n", "Pss: 900 kB\n"} {
		if got, err := parseRollup(text); err == nil {
			t.Errorf("%q is read as %d", text, got)
		}
	}
}

func TestSockstatIsRead(t *testing.T) {
	got, ok := parseSockstat("sockets: used 104\nTCP: inuse 5 orphan 0 tw 0 alloc 8 mem 3\nUDP: inuse 0 mem 9\n")
	if !ok || got != 3*uint64(os.Getpagesize()) {
		t.Errorf("%d, %v", got, ok)
	}
	if got, ok := parseSockstat("UDP: inuse 0 mem 9\n"); ok {
		t.Errorf("read %d where there is nothing", got)
	}
}

func TestSlopeIsThatOfTheLine(t *testing.T) {
	var all []sample
	for i := range 10 {
		all = append(all, sample{float64(i), 1000 + 50*float64(i)})
	}
	if got := slope(all); math.Abs(got-50) > 1e-6 {
		t.Errorf("slope %g, want 50", got)
	}
	if got := slope([]sample{{1, 5}, {1, 9}}); got != 0 {
		t.Errorf("slope %g of one moment", got)
	}
}

func TestHeapIsReadFromTheLog(t *testing.T) {
	var p process
	if _, ok := p.logged(heapLine); ok {
		t.Error("a heap out of nothing")
	}
	_, _ = p.said.Write([]byte("level=INFO heap_bytes=100\nlevel=INFO msg=\"memory in use\" heap_bytes=2345 rss_bytes=9\n"))
	if got, ok := p.logged(heapLine); !ok || got != 2345 {
		t.Errorf("%d, %v", got, ok)
	}
	if got, ok := p.logged(ledgerLine); ok {
		t.Errorf("a ledger out of nothing: %d", got)
	}
	_, _ = p.said.Write([]byte("level=INFO heap_bytes=100 ledger_bytes=77\n"))
	if got, ok := p.logged(ledgerLine); !ok || got != 77 {
		t.Errorf("%d, %v", got, ok)
	}
}
