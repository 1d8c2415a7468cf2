package admin

import (
	"io"
	"net/http"
	"time"
)

// bound has a body that is not there in time end with os.ErrDeadlineExceeded. A timeout of
// the server would end long answers too: it is that of the connection until the next request.
func bound(w http.ResponseWriter, r *http.Request) {
	if r.Body == nil || r.Body == http.NoBody {
		return
	}
	c := http.NewResponseController(w)
	if c.SetReadDeadline(time.Now().Add(bodyWithin)) == nil { // otherwise it is no connection
		r.Body = &boundedBody{r.Body, c}
	}
}

// boundedBody is a body with a deadline, which ends with it.
type boundedBody struct {
	io.ReadCloser
	conn *http.ResponseController
}

func (b *boundedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF {
		_ = b.conn.SetReadDeadline(time.Time{}) // the connection has ended otherwise
	}
	return n, err
}
