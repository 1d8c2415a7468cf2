package admin

import (
	"encoding/json"
	"net/http"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/api"
)

// refuse answers with a problem, as RFC 9457 has it.
func refuse(w http.ResponseWriter, status int, code, detail string) {
	body, _ := json.Marshal(api.Problem{Title: http.StatusText(status), Status: status, Code: code, Detail: detail})
	answer(w, "application/problem+json", status, body)
}

func answer(w http.ResponseWriter, kind string, status int, body []byte) {
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // the client left otherwise
}
