package fanout

// backlogHeap is the backlogs of a member that have messages, the one with the
// oldest message first.
type backlogHeap []*backlog

// add adds b, whose messages are younger than those of all others.
func (h *backlogHeap) add(b *backlog) {
	b.place = int32(len(*h))
	*h = append(*h, b)
}

// removeFirst removes the first one.
func (h *backlogHeap) removeFirst() {
	last := int32(len(*h) - 1)
	h.swap(0, last)
	(*h)[last] = nil
	*h = (*h)[:last]
	h.down(0)
}

// down restores the order after the backlog at i has lost its oldest messages.
func (h backlogHeap) down(i int32) {
	for n := int32(len(h)); ; {
		first := i
		for child := 2*i + 1; child <= 2*i+2 && child < n; child++ {
			if h[child].head() < h[first].head() {
				first = child
			}
		}
		if first == i {
			return
		}
		h.swap(i, first)
		i = first
	}
}

func (h backlogHeap) swap(i, j int32) {
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = i, j
}
