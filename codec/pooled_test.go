//go:build !race

// Under the race detector sync.Pool drops a part of what it is given, at random.

package codec

import "testing"

func TestPooledPathAllocatesNothing(t *testing.T) {
	var r Reader
	r.Init(new(ReaderConfig))
	// A zero mask key leaves a frame as it is, so that it can be read again.
	frame := append([]byte("\x81\xfe\x04\x00\x00\x00\x00\x00"), make([]byte, 1024)...)
	n := testing.AllocsPerRun(1000, func() {
		for _, b := range [][]byte{frame[:3], frame[3:500], frame[500:]} {
			_, ok, _, err := r.Next(b)
			if whole := len(b) == len(frame)-500; ok != whole || err != nil {
				t.Fatal(ok, err)
			}
		}
		r.Next(nil)
	})
	if n != 0 {
		t.Errorf("a message in three reads allocates %v times", n)
	}
}
