package api_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/api"
)

// A call that a node refuses returns a Problem.
func ExampleClient() {
	node := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json") // a node answers so to a caller that it does not know
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprint(w, `{"type":"about:blank","title":"Unauthorized","status":401,"code":"unauthorized"}`)
	}))
	defer node.Close()
	client := api.Client{URL: node.URL, Key: "the key of another"}
	_, err := client.Unsubscribe(context.Background(), "", api.Unsubscribe{User: "ann", Topic: "club"})
	if problem, ok := errors.AsType[*api.Problem](err); ok {
		fmt.Println(problem.Code)
	}
	// Output: unauthorized
}
