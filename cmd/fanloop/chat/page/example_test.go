package page

import (
	"fmt"
	"net/http/httptest"
)

// The page on a server of yours, which may connect to another node too.
func ExampleHandler() {
	h := Handler(Settings{Nodes: func() []string { return []string{"https://n2.chat.example"} }})
	answer := httptest.NewRecorder()
	h.ServeHTTP(answer, httptest.NewRequest("GET", "/", nil))
	fmt.Println(answer.Code, answer.Header().Get("Content-Type"))
	// Output: 200 text/html; charset=utf-8
}
