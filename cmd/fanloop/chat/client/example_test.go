package client_test

import (
	"fmt"
	"net/http"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/client"
)

// Serve the client with your own pages: they import it as /fanloop.js.
func ExampleModule() {
	http.HandleFunc("/fanloop.js", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/javascript; charset=utf-8")
		_, _ = w.Write(client.Module())
	})
	fmt.Println(len(client.Module()) > 0)
	// Output: true
}
