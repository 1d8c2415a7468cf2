package natsserver

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Mode is whose streams a directory has. A cluster keeps a list of its streams, and removes
// those from a directory that are not on it; a server without a cluster does not find the
// streams of one with.
type Mode struct {
	Cluster string `json:"cluster"` // its name; empty: a server without a cluster
	Name    string `json:"name"`    // of the server in its cluster
}

// unrecorded is the cluster of a directory that an older version used.
const unrecorded = "(not recorded)"

// String names the server.
func (m Mode) String() string {
	switch m.Cluster {
	case "":
		return "a server without a cluster"
	case unrecorded:
		return "a server of a cluster"
	}
	return fmt.Sprintf("server %q of cluster %q", m.Name, m.Cluster)
}

// ModeError means that Options.Dir has the streams of another server, or of a server that
// was not in a cluster and now is, or the reverse. They would be lost, or not be found.
// Start the server with the Options that it had, or set another Dir.
type ModeError struct {
	Dir  string
	Had  Mode // whose streams Dir has
	Want Mode // what Options say
}

// Error implements error.
func (e *ModeError) Error() string {
	return fmt.Sprintf("natsserver: Options.Dir %s has the streams of %v, and Options are those of %v: start it as before, or set another directory", e.Dir, e.Had, e.Want)
}

// mode is that of options.
func (o *Options) mode() Mode {
	if o.Cluster == nil {
		return Mode{}
	}
	return Mode{o.Cluster.Name, o.Name}
}

// claim records the mode in a directory that is locked. The error is a *ModeError if the
// directory has streams of another mode. A directory without streams takes any.
func claim(dir string, want Mode) error {
	kept, err := recorded(dir)
	if err != nil {
		return fmt.Errorf("natsserver: Options.Dir: %w", err)
	}
	had, err := found(dir)
	switch {
	case err != nil:
		return fmt.Errorf("natsserver: Options.Dir: %w", err)
	case had == nil: // nothing to lose
		if err := record(dir, want); err != nil {
			return fmt.Errorf("natsserver: Options.Dir: %w", err)
		}
		return nil
	case kept != nil:
		had = kept
	}
	switch fits := *had == want || had.Cluster == unrecorded && want.Cluster != ""; {
	case !fits:
		return &ModeError{dir, *had, want}
	case kept == nil:
		_ = record(dir, want) // the disk is full: what is found says enough, and the next start records it
	}
	return nil
}

// found returns whose streams a directory has, as far as they show it; nil: it has none.
// Only a server of a cluster has _meta_, from before its first stream on.
func found(dir string) (*Mode, error) {
	_, err := os.Stat(filepath.Join(dir, "jetstream", "$SYS", "_js_", "_meta_"))
	switch {
	case err == nil:
		return &Mode{Cluster: unrecorded}, nil
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	streams, err := filepath.Glob(filepath.Join(dir, "jetstream", "*", "streams", "*"))
	if err != nil || len(streams) == 0 {
		return nil, err
	}
	return &Mode{}, nil
}

// recorded returns what record wrote; nil: nothing.
func recorded(dir string) (*Mode, error) {
	text, err := os.ReadFile(filepath.Join(dir, modeFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	}
	m := new(Mode)
	if err := json.Unmarshal(text, m); err != nil {
		return nil, &fs.PathError{Op: "decode", Path: filepath.Join(dir, modeFile), Err: err}
	}
	return m, nil
}

// modeFile is beside the lock.
const modeFile = "mode.json"

// record writes the mode: all of it or nothing.
func record(dir string, m Mode) error {
	text, err := json.Marshal(m)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, modeFile+"-")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // renamed: it is not there
	_, err = f.Write(append(text, '\n'))
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), filepath.Join(dir, modeFile))
}
