package config

import (
	"bytes"
	"encoding"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/fanloop-go/fanloop/cmd/fanloop/cli"
)

// maxFile is the size of a file at most, in bytes.
const maxFile = 1 << 20

// Error is one mistake in a file.
type Error struct {
	File string // empty: none, the mistake is in a flag or its variable
	Line int    // 0: unknown
	Key  string // with those around it, like hooks.connect.url; or the flag, like --listen
	Msg  string
}

// Error implements error.
func (e *Error) Error() string {
	at := e.File
	if e.Line > 0 {
		at += ":" + strconv.Itoa(e.Line)
	}
	if e.Key != "" {
		at += ": " + e.Key
	}
	return strings.TrimPrefix(at+": "+e.Msg, ": ")
}

// reader reads one file.
type reader struct {
	file  string
	lines map[string]int // of keys
	errs  []error
}

func (r *reader) fail(line int, key, format string, args ...any) {
	if len(r.errs) < 20 {
		r.errs = append(r.errs, &Error{r.file, line, key, fmt.Sprintf(format, args...)})
	}
}

// read sets what the text has in c. The lines of keys are for errors that are found
// later.
func read(file string, text []byte, c *Config) (lines map[string]int, err error) {
	r := &reader{file: file, lines: make(map[string]int)}
	if len(text) > maxFile {
		return nil, &Error{File: file, Msg: fmt.Sprintf("the file has more than %d bytes", maxFile)}
	}
	d := yaml.NewDecoder(bytes.NewReader(text))
	var document, more yaml.Node
	switch err := d.Decode(&document); {
	case err == io.EOF:
		return r.lines, nil
	case err != nil:
		return nil, r.syntax(text, err)
	}
	if err := d.Decode(&more); err != io.EOF {
		return nil, &Error{File: file, Line: more.Line, Msg: "want one YAML document"}
	}
	r.value(document.Content[0], "", reflect.ValueOf(c).Elem())
	return r.lines, errors.Join(r.errs...)
}

var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

// syntax makes an Error of one of package yaml, which does not show values then.
func (r *reader) syntax(content []byte, err error) error {
	text := err.Error()
	found := yamlLine.FindStringSubmatch(text)
	if found == nil {
		return &Error{File: r.file, Msg: text}
	}
	line, _ := strconv.Atoi(found[1])
	text = text[len(found[0]):]
	if strings.Contains(text, "cannot start any token") && tabIn(content, line) {
		text = "a line begins with a tab; indent with spaces"
	}
	return &Error{File: r.file, Line: line, Msg: text}
}

// tabIn reports whether a line is indented with a tab.
func tabIn(text []byte, line int) bool {
	lines := bytes.Split(text, []byte("\n"))
	if line < 1 || line > len(lines) {
		return false
	}
	blank := lines[line-1]
	blank = blank[:len(blank)-len(bytes.TrimLeft(blank, " \t"))]
	return bytes.IndexByte(blank, '\t') >= 0
}

// value sets v to what a node says.
func (r *reader) value(n *yaml.Node, key string, v reflect.Value) {
	if n.Kind == yaml.AliasNode {
		r.fail(n.Line, key, "aliases are not supported; write it out")
		return
	}
	if n.Tag == "!!null" {
		return // a key without a value: its default
	}
	if w, ok := v.Addr().Interface().(*Who); ok {
		r.who(n, key, w)
		return
	}
	if t, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		if r.scalar(n, key) {
			if err := t.UnmarshalText([]byte(n.Value)); err != nil {
				r.fail(n.Line, key, "%v", err)
			}
		}
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		r.object(n, key, v)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		r.value(n, key, v.Elem())
	case reflect.Map:
		r.named(n, key, v)
	case reflect.Slice:
		r.list(n, key, v)
	default:
		if r.scalar(n, key) {
			if err := setScalar(v, n.Value); err != nil {
				r.fail(n.Line, key, "%v", err)
			}
		}
	}
}

// scalar reports whether a node is one value.
func (r *reader) scalar(n *yaml.Node, key string) bool {
	if n.Kind != yaml.ScalarNode {
		r.fail(n.Line, key, "want one value")
		return false
	}
	return true
}

// pairs calls f for each key of a node. A key that is there twice is an error.
func (r *reader) pairs(n *yaml.Node, key string, f func(name string, k, v *yaml.Node)) {
	if n.Kind != yaml.MappingNode {
		r.fail(n.Line, key, "want keys with values")
		return
	}
	seen := make(map[string]int)
	for i := 0; i+1 < len(n.Content); i += 2 {
		k := n.Content[i]
		if k.Kind != yaml.ScalarNode {
			r.fail(k.Line, key, "a key is one word")
			continue
		}
		if first, twice := seen[k.Value]; twice {
			r.fail(k.Line, join(key, k.Value), "is in line %d already", first)
			continue
		}
		seen[k.Value] = k.Line
		r.lines[join(key, k.Value)] = k.Line
		f(k.Value, k, n.Content[i+1])
	}
}

func join(key, name string) string {
	if key == "" {
		return name
	}
	return key + "." + name
}

// object sets the fields of a struct.
func (r *reader) object(n *yaml.Node, key string, v reflect.Value) {
	fields := make(map[string]reflect.Value)
	var names []string
	for i := range v.NumField() {
		name := v.Type().Field(i).Tag.Get("yaml")
		fields[name], names = v.Field(i), append(names, name)
	}
	r.pairs(n, key, func(name string, k, value *yaml.Node) {
		field, known := fields[name]
		if !known {
			hint := meant(name, names)
			if hint == "" {
				hint = elsewhere(name)
			}
			r.fail(k.Line, join(key, name), "unknown key%s", hint)
			return
		}
		r.value(value, join(key, name), field)
	})
}

// meant names the keys that may be meant; all, if there are few and none is alike.
func meant(name string, names []string) string {
	if near := cli.DidYouMean(name, names); near != "" {
		return near
	}
	if len(names) <= 12 {
		return "; want " + strings.Join(names, ", ")
	}
	return ""
}

// elsewhere names the keys of other places that may be meant, where there are few.
func elsewhere(name string) string {
	var found []string
	walk(reflect.TypeFor[Config](), "", func(key, last string) {
		if cli.DidYouMean(name, []string{last}) != "" {
			found = append(found, key)
		}
	})
	if len(found) == 0 || len(found) > 3 {
		return ""
	}
	return "; did you mean " + strings.Join(found, " or ") + "?"
}

// walk calls f for each key below one, with its last word. NAME is what the operator names.
func walk(t reflect.Type, key string, f func(key, last string)) {
	switch t.Kind() {
	case reflect.Pointer:
		walk(t.Elem(), key, f)
	case reflect.Map:
		walk(t.Elem(), join(key, "NAME"), f)
	case reflect.Struct:
		for field := range t.Fields() {
			if last := field.Tag.Get("yaml"); last != "" {
				f(join(key, last), last)
				walk(field.Type, join(key, last), f)
			}
		}
	}
}

// named sets the entries of a map. What the default has under the same name is where
// an entry begins.
func (r *reader) named(n *yaml.Node, key string, v reflect.Value) {
	if v.IsNil() {
		v.Set(reflect.MakeMap(v.Type()))
	}
	r.pairs(n, key, func(name string, _, value *yaml.Node) {
		entry := reflect.New(v.Type().Elem()).Elem()
		if ns, ok := entry.Addr().Interface().(*Namespace); ok {
			*ns = defaultNamespace()
		}
		r.value(value, join(key, name), entry)
		v.SetMapIndex(reflect.ValueOf(name), entry)
	})
}

// list sets a slice, which replaces the default.
func (r *reader) list(n *yaml.Node, key string, v reflect.Value) {
	if n.Kind != yaml.SequenceNode {
		r.fail(n.Line, key, "want a list")
		return
	}
	all := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	for i, item := range n.Content {
		place := fmt.Sprintf("%s[%d]", key, i)
		r.lines[place] = item.Line
		r.value(item, place, all.Index(i))
	}
	v.Set(all)
}

// who sets who has which rights; others keep their defaults.
func (r *reader) who(n *yaml.Node, key string, w *Who) {
	r.pairs(n, key, func(name string, k, value *yaml.Node) {
		if !r.scalar(value, join(key, name)) {
			return
		}
		if names, err := w.set(name, value.Value); err != nil {
			text := err.Error()
			if names != nil {
				text += meant(name, names)
			}
			r.fail(k.Line, join(key, name), "%s", text)
		}
	})
}

// setScalar reads text into a field of one value, or a list with commas.
func setScalar(v reflect.Value, text string) error {
	switch p := v.Addr().Interface().(type) {
	case encoding.TextUnmarshaler:
		return p.UnmarshalText([]byte(text))
	case *string:
		*p = text
	case *[]string:
		*p = slices.DeleteFunc(strings.Split(text, ","), func(s string) bool { return s == "" })
	case *bool:
		if text != "true" && text != "false" {
			return errors.New("want true or false")
		}
		*p = text == "true"
	case *int:
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			return errors.New("want a whole number that is not negative")
		}
		*p = n
	case *float64:
		f, err := strconv.ParseFloat(text, 64)
		if err != nil || !(f >= 0 && f <= math.MaxFloat64) {
			return errors.New("want a number that is not negative")
		}
		*p = f
	case *time.Duration:
		d, err := time.ParseDuration(text)
		switch {
		case err != nil:
			return errors.New("want a duration like 500ms, 10s, 2m or 24h")
		case d < 0:
			return errors.New("want a duration that is not negative, like 500ms, 10s, 2m or 24h")
		}
		*p = d
	default:
		panic("config: a field of type " + v.Type().String())
	}
	return nil
}
