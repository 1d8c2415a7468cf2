package reload_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/fanloop-go/fanloop/cmd/fanloop/reload"
)

// A page whose head begins with <script src="reload.js"></script> has the script beside it.
func Example() {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /reload.js", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/javascript; charset=utf-8")
		_, _ = w.Write(reload.Script)
	})
	answer := httptest.NewRecorder()
	mux.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/reload.js", nil))
	fmt.Println(answer.Code, answer.Header().Get("Content-Type"))
	// Output: 200 text/javascript; charset=utf-8
}
