package admin

import (
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/api"
)

// refuse answers with a problem, as RFC 9457 has it.
func refuse(w http.ResponseWriter, status int, code, detail string) {
	write(w, &api.Problem{Title: http.StatusText(status), Status: status, Code: code, Detail: detail})
}

func write(w http.ResponseWriter, p *api.Problem) {
	if p.Retry > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(p.Retry))
	}
	body, _ := json.Marshal(p) // of plain fields
	answer(w, "application/problem+json", p.Status, body)
}

func answer(w http.ResponseWriter, kind string, status int, body []byte) {
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // the client left otherwise
}
