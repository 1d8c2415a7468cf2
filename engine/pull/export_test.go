package pull

// Finish notes why c ends, and wakes the reader, as the first step of its end does.
func Finish(c *Conn, cause error) { _ = c.finish(cause) }
