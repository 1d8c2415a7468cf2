package admin

import (
	"context"
	"errors"
	"net/http"
	"os"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/names"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/service"
)

const (
	traceEnds  = 15 * time.Minute // a page that is forgotten costs nothing after that
	traceAlive = 10 * time.Second // between two empty lines, by which a client that left is noticed
)

// trace answers with what happens to one user, topic or connection, a line of JSON for
// each event, until the client leaves.
func (h *Handler) trace(w http.ResponseWriter, r *http.Request) {
	of, err := tracedOf(w, r)
	if err != nil {
		write(w, problemOf(err))
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), traceEnds)
	defer cancel()
	events, err := h.config.Node.Trace(ctx, of)
	if err != nil {
		refuse(w, http.StatusServiceUnavailable, string(protocol.Overloaded), err.Error())
		return
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.Header().Set("X-Accel-Buffering", "no")
	flush := http.NewResponseController(w)
	alive := time.NewTicker(traceAlive)
	defer alive.Stop()
	for err := flush.Flush(); err == nil; err = flush.Flush() {
		select {
		case e, more := <-events:
			if !more {
				return
			}
			line, _ := json.Marshal(&e) // of plain fields
			_, err = w.Write(append(line, '\n'))
		case <-alive.C:
			_, err = w.Write([]byte{'\n'})
		case <-h.ending:
			return
		}
		if err != nil {
			return
		}
	}
}

// tracedOf reads who is to be traced.
func tracedOf(w http.ResponseWriter, r *http.Request) (of service.Traced, err error) {
	err = json.UnmarshalRead(http.MaxBytesReader(w, r.Body, 4<<10), &of, json.RejectUnknownMembers(true))
	given := 0
	for _, is := range []bool{of.User != "", of.Topic != "", of.Connection != 0} {
		if is {
			given++
		}
	}
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return of, err
	case err != nil || given != 1:
		return of, protocol.Fail(nil, protocol.BadField, "want one of user, topic and connection")
	case of.User != "":
		return of, names.CheckUser(of.User)
	case of.Topic != "":
		return of, names.CheckTopic(of.Topic)
	}
	return of, nil
}
