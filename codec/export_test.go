package codec

import "unsafe"

// Bytes that the readers and writers of package flate hold once they are used,
// measured.
const (
	speedSize  = 804 << 10
	windowSize = 1056 << 10
)

// Size returns how many bytes of memory d holds from its first message on.
func (d *Deflater) Size() int {
	size := int(unsafe.Sizeof(*d)) + cap(d.context)
	if d.reach == maxWindow {
		return size + speedSize
	}
	return size + windowSize
}

// MaxSize returns how many bytes of memory w can come to hold.
func (w *Window) MaxSize() int { return WindowOverhead + w.size }
