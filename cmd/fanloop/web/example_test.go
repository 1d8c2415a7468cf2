package web_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/fanloop-go/fanloop/cmd/fanloop/web"
)

// The console answers plain requests; a server gives it what is not an upgrade.
func ExampleHandler() {
	server := httptest.NewServer(web.Handler())
	defer server.Close()

	resp, err := http.Get(server.URL + "/")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	fmt.Println(resp.Status, resp.Header.Get("Content-Type"))
	// Output: 200 OK text/html; charset=utf-8
}
