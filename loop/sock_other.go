//go:build ((linux && race) || darwin || freebsd) && !portable

package loop

// vectors is nothing here: writev makes its own.
type vectors struct{}

// send3 sends up to three buffers, of which some may be empty.
func send3(fd int, a, b, c []byte) (int, error) {
	var bufs [][]byte
	room := maxSend
	for _, b := range [][]byte{a, b, c} {
		if b = b[:min(len(b), room)]; len(b) > 0 {
			bufs = append(bufs, b)
			room -= len(b)
		}
	}
	return writev(fd, bufs)
}

// sendv sends the buffers of g.
func sendv(fd int, g *gather) (int, error) { return writev(fd, g.bufs) }
