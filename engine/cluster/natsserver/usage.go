package natsserver

// Usage is how much of its room a server uses, in bytes.
type Usage struct {
	Used int64
	// Limit is what the streams may have: Options.MaxStore, or less if the disk has less.
	// 0: not known.
	Limit int64
}

// Usage returns what the streams of this server use of the disk now. While JetStream has
// ended, as it does when the disk is full, all is used.
func (s *Server) Usage() Usage {
	config := s.server.JetStreamConfig()
	info, err := s.server.Jsz(nil)
	if err != nil || config == nil || info.Disabled {
		return Usage{1, 1}
	}
	u := Usage{Used: int64(info.Store), Limit: config.MaxStore}
	if free, known := freeOf(s.options.Dir); known {
		u.Limit = min(u.Limit, u.Used+free)
	}
	return u
}
