package engine_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"net/http"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/fanloop-go/fanloop/engine"
)

// errorValues are the exported error values of package engine.
var errorValues = map[string]error{
	"ErrClosed": engine.ErrClosed, "ErrBackpressure": engine.ErrBackpressure,
	"ErrFragmentOpen": engine.ErrFragmentOpen, "ErrInvalidStatus": engine.ErrInvalidStatus,
	"ErrControlTooLong": engine.ErrControlTooLong, "ErrNotData": engine.ErrNotData,
	"ErrNoTopics": engine.ErrNoTopics, "ErrRetained": engine.ErrRetained, "ErrInCallback": engine.ErrInCallback,
	"ErrServerClosed": engine.ErrServerClosed, "ErrAbnormalClosure": engine.ErrAbnormalClosure,
	"ErrPongTimeout": engine.ErrPongTimeout, "ErrIdleTimeout": engine.ErrIdleTimeout,
	"ErrCloseTimeout": engine.ErrCloseTimeout, "ErrWriteTimeout": engine.ErrWriteTimeout,
	"ErrReadTimeout": engine.ErrReadTimeout, "ErrSlow": engine.ErrSlow, "ErrOverload": engine.ErrOverload,
	"ErrHandshakeTimeout": engine.ErrHandshakeTimeout, "ErrTooManyRedirects": engine.ErrTooManyRedirects,
	"ErrInsecureRedirect": engine.ErrInsecureRedirect, "ErrNotConnected": engine.ErrNotConnected,
	"ErrGaveUp": engine.ErrGaveUp, "ErrNoAnswer": engine.ErrNoAnswer, "ErrNeedsTLS": engine.ErrNeedsTLS,
	"ErrNotTLS": engine.ErrNotTLS, "ErrRelay": engine.ErrRelay,
}

// errorTypes have an example of each exported error type of package engine.
var errorTypes = map[string]error{
	"ProtocolError": &engine.ProtocolError{Code: engine.StatusProtocolError, Reason: "x"},
	"StatusError":   &engine.StatusError{Status: 404},
	"PanicError":    &engine.PanicError{Value: "x"},
	"CloseError":    &engine.CloseError{Code: engine.StatusNormalClosure},
	"OptionError":   &engine.OptionError{Field: "Server.Loops", Value: -1, Remedy: "x"},
	"URLError":      &engine.URLError{URL: "x", Err: fs.ErrInvalid},
	"DialError":     &engine.DialError{URL: "x", Err: fs.ErrInvalid},
	"ProxyError":    &engine.ProxyError{Proxy: "x", Cause: fs.ErrInvalid},
}

// exportedErrors finds the exported error values and types of the package in the
// working directory, by name, with the file that declares each.
func exportedErrors(t *testing.T) (values, types map[string]string) {
	values, types = map[string]string{}, map[string]string{}
	note := func(into map[string]string, file string, name *ast.Ident, is bool) {
		if is && name.IsExported() {
			into[name.Name] = file
		}
	}
	for file, parsed := range parsedFiles(t) {
		ast.Inspect(parsed, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				if n.Name.Name == "Error" && n.Recv != nil {
					recv := n.Recv.List[0].Type
					if star, ok := recv.(*ast.StarExpr); ok {
						recv = star.X
					}
					note(types, file, recv.(*ast.Ident), true)
				}
				return false
			case *ast.TypeSpec:
				note(types, file, n.Name, n.Assign.IsValid() && strings.HasSuffix(n.Name.Name, "Error"))
			case *ast.ValueSpec:
				for _, name := range n.Names {
					note(values, file, name, strings.HasPrefix(name.Name, "Err"))
				}
			}
			return true
		})
	}
	return values, types
}

// parsedFiles are the files of the package in the working directory, without tests.
func parsedFiles(t *testing.T) map[string]*ast.File {
	t.Helper()
	names, err := filepath.Glob("*.go")
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	files := make(map[string]*ast.File)
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		if files[name], err = parser.ParseFile(token.NewFileSet(), name, nil, 0); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// Every exported error is in errors.go, its text begins with the name of its
// package, and it is known to this test.
func TestExportedErrorsStandTogether(t *testing.T) {
	values, types := exportedErrors(t)
	for _, kind := range []struct {
		found map[string]string
		known map[string]error
	}{{values, errorValues}, {types, errorTypes}} {
		for name, file := range kind.found {
			if file != "errors.go" {
				t.Errorf("%s is in %s, want errors.go", name, file)
			}
			if kind.known[name] == nil {
				t.Errorf("this test does not know %s", name)
			}
		}
		for name := range kind.known {
			if kind.found[name] == "" {
				t.Errorf("there is no %s", name)
			}
		}
	}
}

// The text of an error value says whose it is, what happened, and after a semicolon
// what to do.
func TestErrorsSayWhatToDo(t *testing.T) {
	texts := map[string]string{}
	for name, err := range errorValues {
		text := err.Error()
		if err == http.ErrServerClosed {
			continue
		}
		if !strings.HasPrefix(text, "engine: ") || !strings.Contains(text, "; ") || strings.HasSuffix(text, ".") {
			t.Errorf("%s says %q", name, text)
		}
		if other := texts[text]; other != "" {
			t.Errorf("%s says what %s says", name, other)
		}
		texts[text] = name
	}
	for name, err := range errorTypes {
		pkg := reflect.TypeOf(err).Elem().PkgPath()
		if prefix := pkg[strings.LastIndex(pkg, "/")+1:] + ": "; !strings.HasPrefix(err.Error(), prefix) {
			t.Errorf("%s says %q, want it to begin with %q", name, err, prefix)
		}
	}
	if engine.ErrServerClosed != http.ErrServerClosed {
		t.Error("ErrServerClosed is not that of net/http")
	}
}

// What package loop refuses a caller gets as an error of this package.
func TestMethodsReturnErrorsOfThisPackage(t *testing.T) {
	opened := make(chan *engine.WebSocket, 1)
	srv := &engine.Server{Loops: 1, Limits: engine.Limits{MaxQueued: 4096, HighWater: 1024},
		OnUpgrade: func(ws *engine.WebSocket, _ *engine.Request) { opened <- ws }}
	openNarrow(t, listen(t, srv))
	ws := within(t, "OnUpgrade", opened)
	prepared, err := engine.Prepare(engine.Text, pattern(1024))
	if err != nil {
		t.Fatal(err)
	}
	sends := map[string]func() error{
		"Send":         func() error { return ws.SendBinary(pattern(4096)) },
		"SendPrepared": func() error { return ws.SendPrepared(prepared) },
		"SendFragment": func() error { return ws.SendFragment(engine.Text, pattern(1024), true) },
	}
	for name, send := range sends {
		var err error
		for err == nil {
			err = send()
		}
		if err != engine.ErrBackpressure {
			t.Errorf("%s of too much: %v", name, err)
		}
	}
	inCallback := make(chan error, 1)
	_ = ws.Do(func() { inCallback <- srv.Close() })
	if err := within(t, "the callback", inCallback); err != engine.ErrInCallback {
		t.Errorf("Close in a callback: %v", err)
	}
	ws.CloseNow()
	within(t, "the end", ws.Done())
	sends["Ping"] = func() error { return ws.Ping(nil) }
	sends["Do"] = func() error { return ws.Do(func() {}) }
	sends["Subscribe"] = func() error { return ws.Subscribe("x") }
	sends["Err"] = ws.Err
	for name, send := range sends {
		if err := send(); err != engine.ErrClosed {
			t.Errorf("%s after the end: %v", name, err)
		}
	}
}
