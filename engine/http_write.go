package engine

import (
	"io"
	"math"
	"os"
	"time"
)

// webPiece is of how many bytes at a time the peer has to take an answer, each within
// Limits.WriteTimeout.
const webPiece = 64 << 10

// Write writes of an answer.
func (c *webConn) Write(p []byte) (written int, err error) {
	for {
		n, err := c.writePiece(func() (int64, error) {
			n, err := c.Conn.Write(p[written:min(len(p), written+webPiece)])
			return int64(n), err
		})
		written += int(n)
		if err != nil || written == len(p) {
			return written, err
		}
	}
}

// writePiece runs write, for which the peer has Limits.WriteTimeout.
func (c *webConn) writePiece(write func() (int64, error)) (int64, error) {
	limit := c.server.settings.limits.WriteTimeout
	if limit < 0 {
		return write()
	}
	until := time.Now().Add(limit)
	c.limit(&c.writes, until)
	n, err := write()
	c.limit(&c.writes, time.Time{})
	if isTimeout(err) && !time.Now().Before(until) {
		err = errAnswerTimeout
	}
	return n, err
}

// fileWebConn is a webConn over a socket to which files can be sent.
type fileWebConn struct {
	*webConn
	socket io.ReaderFrom
}

// ReadFrom writes what src has: a file goes to the socket by sendfile.
func (c fileWebConn) ReadFrom(src io.Reader) (written int64, err error) {
	file, left := fileOf(src)
	if file == nil {
		return io.Copy(struct{ io.Writer }{c.webConn}, src)
	}
	for err == nil && left > 0 {
		var n int64
		n, err = c.writePiece(func() (int64, error) {
			return c.socket.ReadFrom(&io.LimitedReader{R: file, N: min(left, webPiece)})
		})
		written, left = written+n, left-n
		if n == 0 { // its end
			break
		}
	}
	if limited, ok := src.(*io.LimitedReader); ok {
		limited.N = left
	}
	return written, err
}

// fileOf returns the file that src reads of, and how many bytes at most; nil if it
// is none: what else is read may take its time, for which the peer is not to blame.
func fileOf(src io.Reader) (file *os.File, left int64) {
	left = math.MaxInt64
	if limited, ok := src.(*io.LimitedReader); ok {
		src, left = limited.R, limited.N
	}
	file, ok := src.(*os.File)
	if !ok {
		return nil, 0
	}
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, 0
	}
	return file, left
}
