package fanout

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os/exec"
	"strings"
	"testing"
)

// hot are the files that every publish and every delivery passes.
var hot = []string{"publish.go", "pending.go", "flush.go", "deliver.go", "batch.go", "catchup.go"}

// asksConnections returns where src calls a method of Connections.
func asksConnections(name string, src any) (found []string, err error) {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, name, src, 0)
	if err != nil {
		return nil, err
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok && sel.Sel.Name == "conns" {
			found = append(found, fset.Position(n.Pos()).String())
		}
		return true
	})
	return found, nil
}

// A publish and a delivery make no interface call.
func TestHotFilesAskConnectionsForNothing(t *testing.T) {
	for _, name := range hot {
		found, err := asksConnections(name, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, pos := range found {
			t.Errorf("%s: what a delivery needs is in the Outlet", pos)
		}
	}
	if found, err := asksConnections("gaps.go", nil); err != nil || len(found) == 0 {
		t.Errorf("gaps.go asks in %d places, %v: the test looks for the wrong name", len(found), err)
	}
}

// What a delivery asks of an Outlet is no call either.
func TestOutletIsInlined(t *testing.T) {
	out, err := exec.Command("go", "build", "-gcflags=-m", "../outlet").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, method := range []string{"State", "IsOpen", "MayWrite"} {
		if !strings.Contains(string(out), "can inline (*Outlet)."+method+"\n") {
			t.Errorf("%s is not inlined: %s", method, out)
		}
	}
}
