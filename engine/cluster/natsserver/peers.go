package natsserver

// Peers are the servers of a cluster, as one of them sees it.
type Peers struct {
	// Reached is how many this server has a connection with, itself included.
	Reached int
	// All is how many there are. It grows when one joins, and falls when an operator
	// removes one from the cluster (not when one ends). 0: not known.
	All int
}

// Lost reports whether no more than half of the servers are reached. They can store nothing
// then: any other half might go on without them.
func (p Peers) Lost() bool { return p.All > 0 && 2*p.Reached <= p.All }

// Peers returns which part of its cluster this server reaches now; zero without
// Options.Cluster. A server that was killed is missed at once, one whose network is silent
// within a minute and a half.
func (s *Server) Peers() Peers {
	if s.options.Cluster == nil {
		return Peers{}
	}
	info, err := s.server.Jsz(nil)
	if err != nil || info.Meta == nil {
		return Peers{} // JetStream begins or has ended
	}
	routes, err := s.server.Routez(nil)
	if err != nil {
		return Peers{}
	}
	names := make(map[string]bool) // each has several routes
	for _, r := range routes.Routes {
		if r.RemoteName != "" { // it has said who it is
			names[r.RemoteName] = true
		}
	}
	return Peers{Reached: 1 + len(names), All: info.Meta.Size}
}
