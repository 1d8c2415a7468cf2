package engine

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"runtime"
	"strings"

	"github.com/fanloop-go/fanloop/handshake"
)

// routes lead requests to the endpoints of Handle. Immutable once the server is up.
type routes struct {
	mux   *http.ServeMux // of *route
	all   []*route
	other *service // of requests that match no pattern; nil: they get 404
}

// route is one pattern. It is a handler for the mux alone, which it tells that it was
// found.
type route struct {
	pattern  string
	line     string // of the program, which called Handle
	endpoint *Endpoint
	service  *service
}

// Handle makes e the endpoint of requests that match pattern, in the syntax of
// [http.ServeMux]: "/chat", "/room/{id}", "example.com/feed/". [Request.PathValue] returns what
// a wildcard matched. It applies to the listeners of s and to [Server.ServeHTTP].
//
// e inherits only Limits and Slow from s: set ShouldUpgrade and Origin in each Endpoint, or it
// lets everybody in whom those of s would refuse.
//
// Requests that match no pattern are served by the fields of s if ShouldUpgrade, OnUpgrade or a
// callback is set there, and get 404 otherwise. As with ServeMux there are answers 405 and
// redirects. With Server.HTTP, requests that ask for no WebSocket go there whatever their path.
//
// Call it before you use the server. It panics if pattern is malformed or conflicts with
// another one, as [http.ServeMux.Handle] does, or if the server has started. Listen returns an
// *OptionError if e makes no sense.
func (s *Server) Handle(pattern string, e *Endpoint) {
	if e == nil {
		panic("engine: nil Endpoint for the pattern " + pattern)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.up.Load() {
		panic("engine: Handle is called after the server has started")
	}
	if s.routes == nil {
		s.routes = &routes{mux: http.NewServeMux()}
	}
	_, file, line, _ := runtime.Caller(1)
	s.routes.add(&route{pattern: pattern, line: fmt.Sprintf("%s:%d", file, line), endpoint: e})
}

// add panics as ServeMux does if the pattern of one cannot be added, but names the lines of the
// program.
func (r *routes) add(one *route) {
	defer func() {
		if why := recover(); why != nil {
			panic(r.conflict(one, fmt.Sprint(why)))
		}
	}()
	r.mux.Handle(one.pattern, one)
	r.all = append(r.all, one)
}

// conflict is why, of a ServeMux that does not take one, without the lines of this package.
func (r *routes) conflict(one *route, why string) string {
	_, rule, _ := strings.Cut(why, "\n")
	for _, other := range r.all {
		if strings.Contains(why, fmt.Sprintf("conflicts with pattern %q (", other.pattern)) {
			return fmt.Sprintf("engine: pattern %q (Handle called at %s) conflicts with pattern %q (Handle called at %s): %s",
				one.pattern, one.line, other.pattern, other.line, rule)
		}
	}
	return fmt.Sprintf("engine: pattern %q (Handle called at %s): %s", one.pattern, one.line, why)
}

// check finds mistakes in the endpoints of a server with these limits.
func (r *routes) check(m *mistakes, server Limits) {
	if r == nil {
		return
	}
	for _, one := range r.all {
		var found mistakes
		one.endpoint.check(&found, server)
		for _, err := range found {
			*m = append(*m, fmt.Errorf("engine: endpoint %q: %w", one.pattern, err))
		}
	}
}

// prepare makes the endpoints, which check has accepted, ready.
func (r *routes) prepare(s *Server) {
	if r == nil {
		return
	}
	for _, one := range r.all {
		one.service = s.newService(one.endpoint)
		one.endpoint.service.Store(one.service)
	}
	if s.ShouldUpgrade != nil || s.OnUpgrade != nil || !reflect.ValueOf(s.Callbacks).IsZero() {
		r.other = s.service
	}
}

// route returns what is to serve req. The error is a *Rejection.
func (s *Server) route(req *Request) (*service, error) {
	if s.routes == nil {
		return s.service, nil
	}
	r, err := req.forMux()
	if err != nil {
		return nil, err
	}
	var found finding
	s.routes.mux.ServeHTTP(&found, r)
	switch {
	case found.service != nil:
		req.matched = r
		return found.service, nil
	case found.status == http.StatusNotFound && s.routes.other != nil:
		return s.routes.other, nil
	}
	return nil, found.rejection()
}

// forMux returns what a ServeMux needs of a request, which it may change.
func (r *Request) forMux() (*http.Request, error) {
	if r.web != nil {
		return r.web.WithContext(r.web.Context()), nil
	}
	u, err := url.ParseRequestURI(r.RequestURI())
	if err != nil {
		return nil, &handshake.Rejection{Status: http.StatusBadRequest, Reason: "the target is malformed", Cause: err}
	}
	return &http.Request{
		Method: r.Method(), URL: u, RequestURI: r.RequestURI(), Host: r.Host(),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}, nil
}

// ServeHTTP implements http.Handler, for the mux.
func (r *route) ServeHTTP(w http.ResponseWriter, _ *http.Request) { w.(*finding).service = r.service }

// finding is what a mux finds: a service, or what it answers instead.
type finding struct {
	service *service
	status  int
	header  http.Header
}

// Header implements http.ResponseWriter.
func (f *finding) Header() http.Header {
	if f.header == nil {
		f.header = make(http.Header)
	}
	return f.header
}

// WriteHeader implements http.ResponseWriter.
func (f *finding) WriteHeader(status int) { f.status = cmp.Or(f.status, status) }

// Write implements http.ResponseWriter.
func (f *finding) Write(p []byte) (int, error) { return len(p), nil }

// rejection is what the mux answers, in the words of every refusal.
func (f *finding) rejection() error {
	for _, name := range []string{"Content-Type", "X-Content-Type-Options"} {
		f.header.Del(name)
	}
	return &handshake.Rejection{Status: f.status, Header: f.header}
}
