package scenario

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/fanloop-go/fanloop/bench/load"
	"github.com/fanloop-go/fanloop/codec"
)

// errNoMemory is the cause when the memory of a server cannot be read.
var errNoMemory = errors.New("the memory of the server cannot be read: it must run on this machine, Linux, and its process be known (--pid)")

// residentBytes reads the Rss line of /proc/PID/smaps_rollup. It walks the page
// tables; VmRSS in /proc/PID/status may lag by some pages per CPU.
func residentBytes(pid int) (uint64, error) {
	if pid == 0 {
		return 0, errNoMemory
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0, fmt.Errorf("%w: %w", errNoMemory, err)
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

// kernelBytes is the memory that the kernel holds for all TCP sockets of the
// machine, of both sides: buffers, not the sockets themselves.
func kernelBytes() (uint64, bool) {
	text, err := os.ReadFile("/proc/net/sockstat")
	if err != nil {
		return 0, false
	}
	return parseSockstat(string(text))
}

func parseSockstat(text string) (uint64, bool) {
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		for i := 1; i+1 < len(f) && f[0] == "TCP:"; i += 2 {
			if f[i] == "mem" {
				pages, err := strconv.ParseUint(f[i+1], 10, 48)
				return pages * uint64(os.Getpagesize()), err == nil
			}
		}
	}
	return 0, false
}

// settleGiven is how long a server has to return freed memory when it is asked.
const settleGiven = time.Second

// giveBack asks the server to return freed memory, and waits for it to settle.
func (o *round) giveBack(ctx context.Context) error {
	if !o.server.GivesBack || o.process.exited == nil {
		return pause(ctx, min(o.spec.Settle, settleGiven))
	}
	before := o.process.lines(heapLine)
	if err := askMemory(o.process.pid); err != nil {
		return fmt.Errorf("send SIGUSR1: %w", err)
	}
	if err := pause(ctx, min(o.spec.Settle, settleGiven)); err != nil || !o.server.logs {
		return err
	}
	for end := time.Now().Add(patience); o.process.lines(heapLine) == before && time.Now().Before(end); {
		if err := pause(ctx, 10*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

// idle is a round of Idle: what connections that do nothing hold. Half of them come first:
// what the others add is what one more connection takes. The share of each has what the
// process sets up as it grows too, such as tables of a garbage collector.
func (o *round) idle(ctx context.Context) error {
	// A few connections before: what a server sets up once belongs to no connection.
	if err := o.withClients(ctx, o.spec.part(min(o.spec.Conns, 64)), o.greet); err != nil {
		return err
	}
	if err := o.giveBack(ctx); err != nil {
		return err
	}
	before, err := o.held()
	if err != nil {
		return err
	}
	first := o.spec.part(o.spec.Conns / 2)
	others := o.spec.part(o.spec.Conns - first.Conns)
	return o.withClients(ctx, first, func(cs *clients) error {
		if _, err := o.openAndRest(ctx, cs); err != nil {
			return err
		}
		between, err := o.held()
		if err != nil {
			return err
		}
		return o.withClients(ctx, others, func(cs *clients) error {
			opened, err := o.openAndRest(ctx, cs)
			if err != nil {
				return err
			}
			o.figures["open_rate"] = float64(opened.Conns) / opened.Seconds
			o.percentiles(opened.Latency)
			after, err := o.held()
			if err != nil {
				return err
			}
			o.figures["rss_more"] = (after.rss - between.rss) / float64(others.Conns)
			return o.holds(ctx, before, after)
		})
	})
}

// openAndRest opens connections that speak and are idle then, until the server has settled.
func (o *round) openAndRest(ctx context.Context, cs *clients) (load.Opened, error) {
	opened, err := cs.open()
	if err != nil {
		return opened, err
	}
	for range o.spec.greetings() {
		if err := o.greet(cs); err != nil {
			return opened, err
		}
	}
	return opened, pause(ctx, o.spec.Settle)
}

// held is what a server holds at a time, in bytes.
type held struct {
	rss    float64
	heap   float64 // as it was given back last; NaN: unknown
	kernel float64 // NaN: unknown
}

func (o *round) held() (held, error) {
	rss, err := residentBytes(o.process.pid)
	return held{float64(rss), known(o.process.logged(heapLine)), known(kernelBytes())}, err
}

// known returns n, or NaN.
func known(n uint64, ok bool) float64 {
	if !ok {
		return math.NaN()
	}
	return float64(n)
}

// holds reports what all connections take: the server held so much before and after they
// came. Then it asks it to give memory back.
func (o *round) holds(ctx context.Context, before, after held) error {
	each := func(name string, bytes float64) {
		if !math.IsNaN(bytes) {
			o.figures[name] = bytes / float64(o.spec.Conns)
		}
	}
	o.figures["rss"] = after.rss
	each("rss_conn", after.rss-before.rss)
	each("kernel_conn", after.kernel-before.kernel)
	if !o.server.GivesBack {
		return nil
	}
	if err := o.giveBack(ctx); err != nil {
		return err
	}
	after, err := o.held()
	if err != nil {
		return err
	}
	each("rss_conn_given", after.rss-before.rss)
	each("heap_conn", after.heap-before.heap)
	each("ledger_conn", known(o.process.logged(ledgerLine)))
	return nil
}

// greetings is how often connections speak at least before they are idle. With
// context takeover it is until the windows are full.
func (s Spec) greetings() int {
	if s.Compression == load.Takeover {
		return 1 + 1<<codec.MaxWindowBits/s.Size
	}
	return 1
}

// greet has every connection speak: each sends at once, and is answered in the
// end.
func (o *round) greet(cs *clients) error {
	if err := cs.openIfNot(); err != nil {
		return err
	}
	_, faults, err := cs.measure(0, 10*time.Millisecond, nil)
	if err != nil {
		return err
	}
	return faults.Err()
}
