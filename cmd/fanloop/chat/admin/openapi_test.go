package admin

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/api"
)

// schema is what the test looks at of one in the file.
type schema struct {
	Ref        string             `yaml:"$ref"`
	Type       string             `yaml:"type"`
	Items      *schema            `yaml:"items"`
	Required   []string           `yaml:"required"`
	Properties map[string]*schema `yaml:"properties"`
}

type content struct {
	Ref     string                              `yaml:"$ref"`
	Content map[string]struct{ Schema *schema } `yaml:"content"`
}

type operation struct {
	Call       string `yaml:"x-call"`
	Parameters []struct {
		Ref string `yaml:"$ref"`
	} `yaml:"parameters"`
	Body      content            `yaml:"requestBody"`
	Responses map[string]content `yaml:"responses"`
}

type document struct {
	Paths      map[string]map[string]operation `yaml:"paths"`
	Components struct {
		Bodies    map[string]content `yaml:"requestBodies"`
		Responses map[string]content `yaml:"responses"`
		Schemas   map[string]*schema `yaml:"schemas"`
	} `yaml:"components"`
}

// checker compares types with schemas, and notes which it saw.
type checker struct {
	t    *testing.T
	doc  document
	seen map[string]bool
}

// The description has each call with its right, its key and its types, and the handler
// has each call of the description.
func TestOpenAPIIsWhatIsServed(t *testing.T) {
	c := &checker{t: t, seen: make(map[string]bool)}
	if err := yaml.Unmarshal(api.OpenAPI(), &c.doc); err != nil {
		t.Fatal(err)
	}
	var paths []string
	for i := range calls {
		paths = append(paths, calls[i].path)
		c.call(&calls[i])
	}
	if described := slices.Sorted(maps.Keys(c.doc.Paths)); !slices.Equal(described, slices.Sorted(slices.Values(paths))) {
		t.Errorf("described are %v, served %v", described, paths)
	}
	if unused := slices.DeleteFunc(slices.Sorted(maps.Keys(c.doc.Components.Schemas)), func(n string) bool { return c.seen[n] }); len(unused) > 0 {
		t.Errorf("nothing uses %v", unused)
	}
}

func (c *checker) call(one *call) {
	methods := c.doc.Paths[one.path]
	post, ok := methods["post"]
	if !ok || len(methods) != 1 {
		c.t.Errorf("%s: %v, want post alone", one.path, slices.Collect(maps.Keys(methods)))
		return
	}
	if post.Call != one.right.String() {
		c.t.Errorf("%s takes the right %q, described is %q", one.path, one.right, post.Call)
	}
	if keyed := len(post.Parameters) == 1 && post.Parameters[0].Ref == "#/components/parameters/key"; keyed != one.changes {
		c.t.Errorf("%s: an idempotency key is described: %v, taken: %v", one.path, keyed, one.changes)
	}
	c.is(one.path, c.schemaOf(c.doc.Components.Bodies[last(post.Body.Ref)], "application/json"), one.asks)
	c.is(one.path, c.schemaOf(c.doc.Components.Responses[last(post.Responses["200"].Ref)], "application/json"), one.answers)
	c.is(one.path, c.schemaOf(c.doc.Components.Responses[last(post.Responses["default"].Ref)], "application/problem+json"), reflect.TypeFor[api.Problem]())
	if len(post.Responses) != 2 {
		c.t.Errorf("%s has %d answers", one.path, len(post.Responses))
	}
}

func (c *checker) schemaOf(of content, kind string) *schema { return of.Content[kind].Schema }

func last(ref string) string { return ref[strings.LastIndex(ref, "/")+1:] }

// is compares a schema with a type.
func (c *checker) is(where string, s *schema, of reflect.Type) {
	if s == nil {
		c.t.Errorf("%s: no schema for %v", where, of)
		return
	}
	if of.Kind() == reflect.Pointer {
		of = of.Elem()
	}
	switch {
	case of == reflect.TypeFor[json.RawMessage]():
		c.kind(where, s, "")
	case of.Kind() == reflect.Struct:
		name := last(s.Ref)
		if name != of.Name() {
			c.t.Errorf("%s: the schema is %q, the type %v", where, s.Ref, of)
		} else if !c.seen[name] {
			c.seen[name] = true
			c.object(name, c.doc.Components.Schemas[name], of)
		}
	case of.Kind() == reflect.Slice:
		c.kind(where, s, "array")
		c.is(where, s.Items, of.Elem())
	case of.Kind() == reflect.String:
		c.kind(where, s, "string")
	case of.Kind() == reflect.Bool:
		c.kind(where, s, "boolean")
	default:
		c.kind(where, s, "integer")
	}
}

func (c *checker) kind(where string, s *schema, want string) {
	if s.Type != want || s.Ref != "" {
		c.t.Errorf("%s: the schema has the type %q, want %q", where, s.Type, want)
	}
}

// object compares properties with fields.
func (c *checker) object(name string, s *schema, of reflect.Type) {
	if s == nil || s.Type != "object" {
		c.t.Errorf("%s: no schema of an object", name)
		return
	}
	var required, known []string
	for _, field := range reflect.VisibleFields(of) {
		if field.Anonymous {
			continue
		}
		tag := strings.Split(field.Tag.Get("json"), ",")
		known = append(known, tag[0])
		if !slices.Contains(tag, "omitzero") && !slices.Contains(tag, "omitempty") {
			required = append(required, tag[0])
		}
		at := name + "." + tag[0]
		property := s.Properties[tag[0]]
		if slices.Contains(tag, "string") && property != nil {
			c.kind(at, property, "string")
		} else {
			c.is(at, property, field.Type)
		}
	}
	slices.Sort(required)
	slices.Sort(known)
	if described := slices.Sorted(slices.Values(s.Required)); !slices.Equal(described, required) {
		c.t.Errorf("%s: required are %v, described %v", name, required, described)
	}
	if described := slices.Sorted(maps.Keys(s.Properties)); !slices.Equal(described, known) {
		c.t.Errorf("%s: there are %v, described %v", name, known, described)
	}
}
