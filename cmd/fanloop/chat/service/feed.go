package service

import "sync"

// feeds are watches of topics that all subscribers of this node share: the first one
// opens it and the last one closes it.
type feeds[W interface{ Close() }] struct {
	open func(topic string) (W, error) // immutable; it does not wait

	mu  sync.Mutex
	all map[string]*feed[W] // guarded by mu
}

type feed[W any] struct {
	watch W
	users int // guarded by feeds.mu
}

func newFeeds[W interface{ Close() }](open func(topic string) (W, error)) *feeds[W] {
	return &feeds[W]{open: open, all: make(map[string]*feed[W])}
}

// take returns the watch of a topic until release is called, once.
func (f *feeds[W]) take(topic string) (watch W, release func(), err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	one := f.all[topic]
	if one == nil {
		if watch, err = f.open(topic); err != nil {
			return watch, nil, err
		}
		one = &feed[W]{watch: watch}
		f.all[topic] = one
	}
	one.users++
	return one.watch, func() { f.release(topic, one) }, nil
}

func (f *feeds[W]) release(topic string, one *feed[W]) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if one.users--; one.users == 0 {
		delete(f.all, topic)
		one.watch.Close()
	}
}
