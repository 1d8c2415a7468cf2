package config

import (
	"fmt"
	"maps"
	"os"
	"reflect"
	"strings"

	"github.com/spf13/pflag"
)

// Flags are the settings that have a flag. They are set by the command line, and by
// cli.ApplyEnvironment.
type Flags struct {
	set   *pflag.FlagSet
	file  string
	texts map[string]*flag
}

// flag is one setting, as text until the file is read.
type flag struct {
	text  string
	index int // of the field
}

// AddFlags adds --config and a flag for each setting that has one.
func AddFlags(set *pflag.FlagSet) *Flags {
	f := &Flags{set: set, texts: make(map[string]*flag)}
	set.StringVarP(&f.file, "config", "c", "", "read settings from this YAML `file`")
	defaults := reflect.ValueOf(Default())
	for i := range defaults.NumField() {
		field := defaults.Type().Field(i)
		usage := strings.ReplaceAll(field.Tag.Get("flag"), "'", "`") // names the value in help
		if usage == "" {
			continue
		}
		v := &flag{index: i, text: textOf(defaults.Field(i))}
		f.texts[field.Tag.Get("yaml")] = v
		set.Var(v, field.Tag.Get("yaml"), usage)
	}
	return f
}

// textOf writes a default as Set reads it.
func textOf(v reflect.Value) string {
	switch p := v.Interface().(type) {
	case string:
		return p
	case []string:
		return strings.Join(p, ",")
	case interface{ String() string }:
		return p.String()
	}
	panic("config: a flag of type " + v.Type().String())
}

// field is the setting of a flag.
func (f *flag) field(c *Config) reflect.Value { return reflect.ValueOf(c).Elem().Field(f.index) }

// Set implements pflag.Value.
func (f *flag) Set(text string) error {
	var scratch Config
	if err := setScalar(f.field(&scratch), text); err != nil {
		return err
	}
	f.text = text
	return nil
}

// String implements pflag.Value.
func (f *flag) String() string { return f.text }

// Type implements pflag.Value.
func (f *flag) Type() string {
	switch f.field(new(Config)).Interface().(type) {
	case string:
		return "text"
	case []string:
		return "list"
	case Size:
		return "size"
	}
	return "duration"
}

// Load reads the file, if there is one, and sets what the command line and the
// environment say. The error names every mistake.
func (f *Flags) Load() (Config, error) {
	c := Default()
	lines := make(map[string]int)
	if f.file != "" {
		text, err := os.ReadFile(f.file)
		if err != nil {
			return Config{}, fmt.Errorf("--config: %w", err)
		}
		if lines, err = read(f.file, text, &c); err != nil {
			return Config{}, err
		}
	}
	for name, v := range f.texts {
		if f.set.Changed(name) {
			if err := setScalar(v.field(&c), v.text); err != nil {
				return Config{}, err
			}
			maps.DeleteFunc(lines, func(key string, _ int) bool { return key == name || strings.HasPrefix(key, name+"[") })
		}
	}
	return c, c.check(f.file, lines)
}

// isFlag reports whether a key, or the list around it, is a setting with a flag.
func isFlag(key string) bool {
	name, _, _ := strings.Cut(key, "[")
	for field := range reflect.TypeFor[Config]().Fields() {
		if field.Tag.Get("yaml") == name {
			return field.Tag.Get("flag") != ""
		}
	}
	return false
}

// Parse reads the text of a file that is named file in errors.
func Parse(file string, text []byte) (Config, error) {
	c := Default()
	lines, err := read(file, text, &c)
	if err != nil {
		return Config{}, err
	}
	return c, c.check(file, lines)
}
