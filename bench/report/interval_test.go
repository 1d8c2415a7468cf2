package report

import (
	"math"
	"math/rand/v2"
	"testing"
)

// normal are n values around 10 with a deviation of 1, neighbours having a
// correlation of rho.
func normal(r *rand.Rand, n int, rho float64) []float64 {
	values, x := make([]float64, n), r.NormFloat64()
	for i := range values {
		values[i] = 10 + x
		x = rho*x + math.Sqrt(1-rho*rho)*r.NormFloat64()
	}
	return values
}

// coverage is how often the interval of n values has the true median in it, and how
// wide it is in the mean.
func coverage(n int, rho float64) (covered, width float64) {
	const trials = 400
	r := rand.New(rand.NewPCG(1, 2))
	for range trials {
		v := intervalOf(normal(r, n, rho))
		if v.Low <= 10 && v.High >= 10 {
			covered += 1. / trials
		}
		width += (v.High - v.Low) / trials
	}
	return covered, width
}

// The median of n normal values has a standard error of 1.2533/√n, and 95 % lie
// within 1.96 of them.
func TestIntervalIsThatOfTheMedianOfNormalValues(t *testing.T) {
	for _, n := range []int{FewestRounds, 10, 30, 100} {
		covered, width := coverage(n, 0)
		want := 2 * 1.96 * 1.2533 / math.Sqrt(float64(n))
		if covered < 0.9 || covered > 0.98 || width < 0.85*want || width > 1.15*want {
			t.Errorf("%d values: the median is in %.3f of the intervals, which are %.3f wide, want %.3f", n, covered, width, want)
		}
	}
}

// A slow phase makes neighbours alike; they tell less than as many independent ones.
func TestIntervalIsWiderWhereNeighboursAreAlike(t *testing.T) {
	_, apart := coverage(100, 0)
	if _, alike := coverage(100, 0.6); alike < 1.25*apart {
		t.Errorf("it is %.3f wide, and %.3f where neighbours are alike", apart, alike)
	}
}

func TestIntervalOfUniformAndSkewedValues(t *testing.T) {
	uniform, skewed := make([]float64, 101), make([]float64, 101)
	r := rand.New(rand.NewPCG(3, 4))
	for i, at := range r.Perm(101) {
		uniform[at] = float64(i)                   // 0 to 100
		skewed[at] = -math.Log(1 - float64(i)/101) // exponential: its median is ln 2
	}
	for name, c := range map[string]struct {
		values             []float64
		median, least, end float64
	}{
		"uniform": {uniform, 50, 35, 65},
		"skewed":  {skewed, math.Ln2, 0.4, 1.1},
	} {
		v := intervalOf(c.values)
		if math.Abs(v.Median-c.median) > 0.02*c.median || v.Low < c.least || v.Low >= v.Median || v.High <= v.Median || v.High > c.end {
			t.Errorf("%s: %+v, want the median %g in %g to %g", name, v, c.median, c.least, c.end)
		}
	}
}

func TestIntervalIsTheSameEachTime(t *testing.T) {
	values := normal(rand.New(rand.NewPCG(5, 6)), 50, 0)
	if a, b := intervalOf(values), intervalOf(values); a != b {
		t.Errorf("%+v and %+v", a, b)
	}
}

func TestFewRoundsHaveNoInterval(t *testing.T) {
	if v := intervalOf([]float64{1, 2, 3, 4}); v.known() || v.Median != 2.5 || v.Rounds != 4 {
		t.Errorf("four: %+v", v)
	}
	if v := intervalOf([]float64{1, 2, 3, 4, 5}); !v.known() || v.Low != 1 || v.High != 5 {
		t.Errorf("five: %+v, want all of them", v)
	}
	if v := intervalOf(nil); v != (Interval{}) {
		t.Errorf("none: %+v", v)
	}
	if v := quotientOf([]float64{1, 1, 1, 1}, []float64{2, 2, 2, 2, 2}); v.known() || v.Median != 2 || v.Rounds != 4 {
		t.Errorf("four and five: %+v", v)
	}
}

// The quotient of two runs is as uncertain as both.
func TestQuotientHasTheUncertaintyOfBothRuns(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	const trials = 400
	var covered, width float64
	for range trials {
		before, after := normal(r, 40, 0), normal(r, 40, 0)
		for i := range after {
			after[i] *= 1.5
		}
		v := quotientOf(before, after)
		if v.Low <= 1.5 && v.High >= 1.5 {
			covered += 1. / trials
		}
		width += (v.High - v.Low) / trials
	}
	want := 2 * 1.96 * 1.2533 / math.Sqrt(40) / 10 * 1.5 * math.Sqrt2
	if covered < 0.9 || covered > 0.98 || width < 0.85*want || width > 1.15*want {
		t.Errorf("1.5 is in %.3f of the intervals, which are %.3f wide, want %.3f", covered, width, want)
	}
	if v := quotientOf([]float64{0, 0, 0, 0, 0}, []float64{1, 1, 1, 1, 1}); v != (Interval{}) {
		t.Errorf("a quotient by 0: %+v", v)
	}
}
