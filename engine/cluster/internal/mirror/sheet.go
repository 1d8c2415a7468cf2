package mirror

// sheet is what one node has of a topic. No value is empty.
type sheet struct {
	values map[string]string
	seq    uint64 // of the last delta; grows
	sum    uint64 // of all values; what was told of them, for one's own
	n      int    // how many there are; what was told, for one's own
}

// set changes the value of a key, which is gone if it is empty, and returns the one
// before. Sum and number are kept by tell.
func (s *sheet) set(key, value string) (old string) {
	old = s.values[key]
	switch {
	case value == "":
		delete(s.values, key)
	case s.values == nil:
		s.values = map[string]string{key: value}
	default:
		s.values[key] = value
	}
	return old
}

// tell counts the change of a value in sum and number.
func (s *sheet) tell(key, old, value string) {
	if old != "" {
		s.sum -= sumOf(key, old)
		s.n--
	}
	if value != "" {
		s.sum += sumOf(key, value)
		s.n++
	}
}

// bucketsFor returns the number of buckets in which n values are compared.
func bucketsFor(n int) int {
	buckets := 1
	for buckets < 1024 && buckets*64 < n {
		buckets *= 2
	}
	return buckets
}

// sums returns the sum of each of a number of buckets.
func (s *sheet) sums(buckets int) []uint64 {
	sums := make([]uint64, buckets)
	for key, value := range s.values {
		sums[bucketOf(key, buckets)] += sumOf(key, value)
	}
	return sums
}

func bucketOf(key string, buckets int) int { return int(mix(fnv(offset64, key)) % uint64(buckets)) }

func sumOf(key, value string) uint64 {
	return mix(fnv(fnv(offset64^uint64(len(key)), key), value))
}

const (
	offset64 = 14695981039346656037
	prime64  = 1099511628211
)

// fnv is FNV-1a, which is the same on all nodes.
func fnv(h uint64, s string) uint64 {
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * prime64
	}
	return h
}

// mix spreads the bits, so that sums of hashes are as good as hashes (splitmix64).
func mix(h uint64) uint64 {
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}
