package api

import "fmt"

// Problem is why a call failed, as RFC 9457 has it. It is an error.
type Problem struct {
	Title  string `json:"title"`
	Status int    `json:"status"` // of HTTP
	Code   string `json:"code"`   // for programs
	Detail string `json:"detail,omitempty"`
	// Retry is in how many seconds to try again; 0: the same would fail again.
	Retry int `json:"retry,omitempty"`
}

// Error says what happened.
func (p *Problem) Error() string {
	return fmt.Sprintf("api: %d %s: %s", p.Status, p.Code, p.Detail)
}
