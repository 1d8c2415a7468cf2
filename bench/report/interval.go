package report

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
)

// Interval is a median and where it lies with a probability of 95 %.
type Interval struct {
	Median float64 `json:"median"`
	// Low and High are the ends of the interval; both are 0 where there are too few
	// rounds for one.
	Low    float64 `json:"low,omitempty"`
	High   float64 `json:"high,omitempty"`
	Rounds int     `json:"rounds"`
}

// FewestRounds is how many rounds an interval needs. With fewer, even the least and
// the greatest of them have the median between them less often than in 19 of 20
// cases.
const FewestRounds = 5

// known says whether there are ends.
func (v Interval) known() bool { return v.Low != 0 || v.High != 0 }

// resamples is how often the bootstrap draws, and seed where its draws begin: the
// same values have the same interval.
const (
	resamples = 2000
	seed      = 20260101
)

// intervalOf is the median of values, the figures of the rounds in their order, with
// its bootstrap interval; no value gives the zero Interval.
func intervalOf(values []float64) Interval {
	if len(values) == 0 {
		return Interval{}
	}
	v := Interval{Median: median(values), Rounds: len(values)}
	if len(values) >= FewestRounds {
		v.Low, v.High = middle(newBootstrap(values, seed).draw(resamples))
	}
	return v
}

// quotientOf is by how much after differs from before, two runs of their own: the
// quotient of their medians with its bootstrap interval. Rounds is the smaller
// number of both. It is the zero Interval where there is no quotient.
func quotientOf(before, after []float64) Interval {
	if len(before) == 0 || len(after) == 0 || median(before) <= 0 {
		return Interval{}
	}
	v := Interval{Median: median(after) / median(before), Rounds: min(len(before), len(after))}
	if v.Rounds < FewestRounds {
		return v
	}
	quotients := newBootstrap(after, seed).draw(resamples)
	for i, old := range newBootstrap(before, seed+1).draw(resamples) {
		quotients[i] /= old
	}
	v.Low, v.High = middle(quotients)
	return v
}

// middle is where the middle 95 % of values lie, which it sorts.
func middle(values []float64) (low, high float64) {
	slices.Sort(values)
	n := float64(len(values) - 1)
	return values[int(math.Round(0.025*n))], values[int(math.Round(0.975*n))]
}

// bootstrap draws medians of resampled values. Neighbouring rounds are not
// independent, as a machine has slow phases: so blocks of neighbours are drawn (the
// circular block bootstrap), of a length that grows with the cube root of their
// number. With few rounds blocks would make intervals too narrow.
type bootstrap struct {
	random *rand.Rand
	sorted []float64
	rank   []int // by round: the place of its value in sorted
	times  []int // by rank: how often it was drawn
	block  int
}

// fewestBlocked is how many values are drawn in blocks.
const fewestBlocked = 20

func newBootstrap(values []float64, seed uint64) *bootstrap {
	n := len(values)
	b := &bootstrap{
		random: rand.New(rand.NewPCG(seed, uint64(n))),
		sorted: make([]float64, n), rank: make([]int, n), times: make([]int, n),
		block: 1,
	}
	if n >= fewestBlocked {
		b.block = int(math.Cbrt(float64(n)))
	}
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(values[i], values[j]) })
	for place, i := range order {
		b.sorted[place], b.rank[i] = values[i], place
	}
	return b
}

// draw returns n medians.
func (b *bootstrap) draw(n int) []float64 {
	medians := make([]float64, n)
	for i := range medians {
		medians[i] = b.resample()
	}
	return medians
}

// resample is the median of one sample. Counting ranks saves sorting the sample.
func (b *bootstrap) resample() float64 {
	clear(b.times)
	n := len(b.rank)
	for drawn := 0; drawn < n; {
		first := b.random.IntN(n)
		for i := 0; i < b.block && drawn < n; i, drawn = i+1, drawn+1 {
			b.times[b.rank[(first+i)%n]]++
		}
	}
	return (b.at((n-1)/2) + b.at(n/2)) / 2
}

// at is the value at place i of the sorted sample.
func (b *bootstrap) at(i int) float64 {
	for rank, times := range b.times {
		if i -= times; i < 0 {
			return b.sorted[rank]
		}
	}
	return b.sorted[len(b.sorted)-1] // never: the sample has as many as sorted
}
