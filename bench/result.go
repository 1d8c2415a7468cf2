package bench

import "slices"

// Result holds every round of one server in one scenario, in the order they ran: round i
// of all servers ran one right after the other.
type Result struct {
	Scenario string   `json:"scenario"`
	Mode     Mode     `json:"mode"`
	Server   string   `json:"server"`
	Windows  []Window `json:"windows,omitempty"` // Echo and Handshake
	Memory   []Memory `json:"memory,omitempty"`  // Idle
}

// clientBound is the client's share of its CPU above which the wall-clock rate says more
// about the client than about the server.
const clientBound = 0.95

// neitherBusy is the share below which, on both CPUs, a closed loop was held up by
// something else: other work on the machine, or too few messages under way.
const neitherBusy = 0.8

// MicrosPerMessage is the server's CPU time per message in microseconds.
func (w Window) MicrosPerMessage() float64 { return w.ServerMicros / float64(w.Messages) }

// Rate is messages per second of wall-clock time.
func (w Window) Rate() float64 { return float64(w.Messages) / w.Seconds }

// ClientShare is the part of the window the client spent on its CPU.
func (w Window) ClientShare() float64 { return w.ClientMicros / 1e6 / w.Seconds }

// ServerShare is the CPU time of the server over the window: above 1 on several CPUs.
func (w Window) ServerShare() float64 { return w.ServerMicros / 1e6 / w.Seconds }

// Summary is what the rounds of Echo and Handshake come to.
type Summary struct {
	Ratio        float64 // median of the per-round ratios of CPU time to the floor
	BestMicros   float64 // server CPU time per message, lowest round
	MedianMicros float64
	ServerShare  float64 // median
	ClientShare  float64 // median
	Rate         float64 // median, messages per second
}

// ClientBound says that the client was busy all the time: quote CPU time only.
func (s Summary) ClientBound() bool { return s.ClientShare > clientBound }

// Summarize compares r with the floor's result of the same scenario and run. It needs at
// least one round, and as many of the one as of the other.
func Summarize(r, floor Result) Summary {
	var ratios []float64
	for i, w := range r.Windows {
		ratios = append(ratios, w.MicrosPerMessage()/floor.Windows[i].MicrosPerMessage())
	}
	micros := each(r.Windows, Window.MicrosPerMessage)
	return Summary{
		Ratio:        median(ratios),
		BestMicros:   slices.Min(micros),
		MedianMicros: median(micros),
		ServerShare:  median(each(r.Windows, Window.ServerShare)),
		ClientShare:  median(each(r.Windows, Window.ClientShare)),
		Rate:         median(each(r.Windows, Window.Rate)),
	}
}

// NeitherBusy says that both CPUs had time left, which a closed loop with enough messages
// under way leaves only when other work shares them: measure again on a quiet machine.
func (s Summary) NeitherBusy() bool { return max(s.ServerShare, s.ClientShare) < neitherBusy }

func each[T any](rounds []T, figure func(T) float64) []float64 {
	var all []float64
	for _, r := range rounds {
		all = append(all, figure(r))
	}
	return all
}

// median of at least one value; of an even number, the mean of the middle two.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	mid := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[mid]
	}
	return (sorted[mid-1] + sorted[mid]) / 2
}
