// Package admin is what a node of the chat serves to operators and backends, on an
// address of its own.
//
//	admin.go   Handler: the paths, and who may use which
//	guard.go   who asks: an operator, by a key or from this machine
//	health.go  /healthz, /readyz
//	page.go    the operator's page
//	trace.go   what happens to one user, topic or connection
//	calls.go   the server API: what each call does
//	call.go    a call over HTTP: who, the body, the key, errors
//	span.go    calls as spans of OpenTelemetry
//	problem.go answers that are errors
//	serve.go   the server of the address
//
// Nothing here is for browsers of users: requests of pages of other origins are
// refused before anything else.
package admin
