package revoke

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Record is a revocation in a Store.
type Record struct {
	Kind   string `json:"kind"`
	Name   string `json:"name"`
	Before int64  `json:"before,omitempty"` // Unix time
	Ends   int64  `json:"ends"`             // Unix time, after which it concerns nothing
}

// place returns an empty one for a record that is none.
func (r *Record) place() place {
	for k := User; k < afterLastKind; k++ {
		if k.String() == r.Kind && validName(r.Name) {
			return place{k, r.Name}
		}
	}
	return place{}
}

// Store keeps revocations.
type Store interface {
	// Load returns all that were added and have not ended.
	Load() ([]Record, error)
	// Add returns when the records are stored.
	Add([]Record) error
}

// store stores entries.
func (l *List) store(entries []*entry) error {
	if l.config.Store == nil || len(entries) == 0 {
		return nil
	}
	records := make([]Record, len(entries))
	for i, e := range entries {
		ends := time.Now().Add(time.Until(e.ends) + time.Second) // up
		records[i] = Record{e.kind.String(), e.name, e.before, ends.Unix()}
	}
	if err := l.config.Store.Add(records); err != nil {
		return fmt.Errorf("%w: %w", ErrNotStored, err)
	}
	return nil
}

// File is a Store in one file, a record a line. A line that a crash cut is left out.
// One process uses it at a time.
type File struct {
	path string

	mu    sync.Mutex
	file  *os.File // guarded by mu
	lines int      // in the file; guarded by mu
	live  int      // of them when it was written anew; guarded by mu
	torn  bool     // the last write failed; guarded by mu
}

// OpenFile opens a file, or makes it. Its folder has to be there.
func OpenFile(path string) (*File, error) {
	f := &File{path: path}
	if _, err := f.Load(); err != nil {
		return nil, err
	}
	return f, nil
}

// Load implements Store. It writes the file anew, without what has ended.
func (f *File) Load() ([]Record, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.rewrite()
}

// Add implements Store.
func (f *File) Add(records []Record) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.file == nil {
		return os.ErrClosed
	}
	if f.torn || f.lines > 2*f.live+1000 {
		if _, err := f.rewrite(); err != nil {
			return err
		}
	}
	if err := write(f.file, records); err != nil {
		f.torn = true // the next line would be part of the last one
		return err
	}
	f.lines += len(records)
	return nil
}

// Close closes the file.
func (f *File) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.file == nil {
		return nil
	}
	err := f.file.Close()
	f.file = nil
	return err
}

// rewrite replaces the file by one with the records that have not ended. Under mu.
func (f *File) rewrite() ([]Record, error) {
	records, err := read(f.path)
	if err != nil {
		return nil, err
	}
	fresh, err := os.CreateTemp(filepath.Dir(f.path), filepath.Base(f.path)+".*")
	if err != nil {
		return nil, err
	}
	if err = write(fresh, records); err == nil {
		err = os.Rename(fresh.Name(), f.path)
	}
	if err == nil {
		err = syncFolder(filepath.Dir(f.path))
	}
	if err != nil {
		_ = fresh.Close()
		_ = os.Remove(fresh.Name())
		return nil, err
	}
	if f.file != nil {
		_ = f.file.Close()
	}
	f.file, f.lines, f.live, f.torn = fresh, len(records), len(records), false
	return records, nil
}

// write adds records and has the disk take them.
func write(file *os.File, records []Record) error {
	var lines []byte
	for _, r := range records {
		line, err := json.Marshal(r)
		if err != nil {
			return err
		}
		lines = append(append(lines, line...), '\n')
	}
	if _, err := file.Write(lines); err != nil {
		return err
	}
	return file.Sync()
}

// syncFolder makes a rename last.
func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	defer folder.Close()
	return folder.Sync()
}

// read returns the records that have not ended. A file that is not there has none.
func read(path string) ([]Record, error) {
	file, err := os.Open(path)
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var records []Record
	lines := bufio.NewReader(file)
	for {
		line, err := lines.ReadSlice('\n')
		if err == io.EOF {
			return records, nil // without a line end, if there is anything: cut
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		var r Record
		if json.Unmarshal(line, &r) == nil && r.place() != (place{}) && r.Ends > time.Now().Unix() {
			records = append(records, r)
		}
	}
}
