package service

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/config"
	"github.com/fanloop-go/fanloop/engine/cluster"
	"github.com/fanloop-go/fanloop/engine/cluster/natsbroker"
	"github.com/fanloop-go/fanloop/engine/cluster/natsserver"
)

// store is the broker of this node, with the NATS server if that is in this process.
type store struct {
	broker *natsbroker.Broker // of topics without a namespace, and the bus; one of spaces
	spaces spaces
	nc     *nats.Conn         // for what is neither topics nor the bus
	age    time.Duration      // of messages at most
	server *natsserver.Server // nil: it is elsewhere
	dir    string             // removed at the end; empty: kept
	room   *capacity          // nil: the server is elsewhere
	quorum *quorum            // nil: one server, in this process
}

// openStore connects to NATS, which it starts unless there is a URL. Ids are
// remembered for duplicates.
func openStore(ctx context.Context, c *config.Config, duplicates time.Duration, log *slog.Logger) (s *store, err error) {
	opening := new(store)
	defer func() {
		if err != nil {
			opening.close()
		}
	}()
	s = opening
	secret, err := c.NATSSecret()
	if err != nil {
		return nil, err
	}
	settings := natsbroker.Config{URL: c.NATS, Replicas: c.Copies()}
	if secret != "" {
		settings.Options = append(settings.Options, nats.UserInfo(natsserver.User, secret))
	}
	if c.NATS == "" {
		if err := s.start(c, secret, log); err != nil {
			return nil, err
		}
		s.room = newCapacity(s.server.Usage, log)
		settings.URL = s.server.URL()
		settings.Options = append(settings.Options, s.server.InProcess())
	}
	settings.Options = slices.Clip(settings.Options) // several append to it
	s.nc, err = nats.Connect(settings.URL, append(settings.Options, nats.Name("fanloop-chat"), nats.MaxReconnects(-1))...)
	if err != nil {
		return nil, fmt.Errorf("service: no connection to the servers of nats: %w", err)
	}
	if err := fits(int64(c.Limits.Message), s.nc.MaxPayload()); err != nil {
		return nil, err
	}
	for _, one := range spacesOf(c) {
		b, err := connectSpace(ctx, one.name, one.settings(settings, duplicates), len(c.Routes) > 0, log)
		if err != nil {
			return nil, err
		}
		s.spaces.add(one.name, b)
		s.age = max(s.age, one.age)
	}
	s.broker = s.spaces.plain
	s.watchQuorum(c, log)
	return s, nil
}

// around is what is in front of the bytes of a client where NATS has them, at most: names, a
// target, headers.
const around = 4 << 10

// fits returns an error unless NATS takes whatever a client may send: as a message, and to the
// node of its stream.
func fits(message, most int64) error {
	if message+around > most {
		return fmt.Errorf("limits.message: %d bytes are more than the NATS server takes, which is %d with %d for what is around them: "+
			"lower limits.message and limits.data, or raise max_payload of your own server", message, most, around)
	}
	return nil
}

// watchQuorum looks whether several servers can store.
func (s *store) watchQuorum(c *config.Config, log *slog.Logger) {
	switch {
	case len(c.Routes) > 0:
		s.quorum = newQuorum(s.spaces.quorum, s.server.Peers, log)
	case c.NATS != "":
		s.quorum = newQuorum(s.spaces.quorum, nil, log)
	}
}

// formWithin is for one attempt to open the streams: what is asked while a cluster has
// no leader gets no answer.
const formWithin = 10 * time.Second

// connectSpace opens the streams of a namespace. Those of a cluster are there when enough
// nodes are.
func connectSpace(ctx context.Context, name string, settings natsbroker.Config, clustered bool, log *slog.Logger) (b *natsbroker.Broker, err error) {
	var said time.Time
	for {
		if clustered && time.Since(said) > time.Minute {
			said = time.Now()
			var why []any
			if err != nil {
				why = []any{"err", err}
			}
			log.Info("waiting for other nodes of the cluster: more than half of them have to run", why...)
		}
		attempt, cancel := context.WithTimeout(ctx, formWithin)
		b, err = natsbroker.Connect(attempt, settings)
		cancel()
		if errors.Is(err, natsbroker.ErrDiffers) {
			log.Warn("the history keeps larger limits than the settings have; history-shrink removes what is over them, for good",
				"namespace", cmp.Or(name, config.DefaultNamespace), "err", err)
			settings.PerTopic, settings.MaxAge, settings.Duplicates, settings.Replicas = 0, 0, 0, 0
			continue
		}
		if err == nil || !clustered || !errors.Is(err, cluster.ErrUnavailable) || ctx.Err() != nil {
			return b, err
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// start runs a NATS server in this process. Without a folder, messages are kept until
// it ends.
func (s *store) start(c *config.Config, secret string, log *slog.Logger) (err error) {
	options := natsserver.Options{Dir: c.DataDir, MaxStore: int64(c.MaxStore), Addr: c.NATSListen, Secret: secret, Logger: log}
	if options.Dir == "" {
		if s.dir, err = os.MkdirTemp("", "fanloop-chat-"); err != nil {
			return fmt.Errorf("service: no folder for messages; set data-dir: %w", err)
		}
		options.Dir = s.dir
	}
	if len(c.Routes) > 0 {
		if options.Name, err = c.NodeName(); err != nil {
			return fmt.Errorf("service: no name of this machine; set name: %w", err)
		}
		options.Cluster = &natsserver.Cluster{Name: "fanloop", Addr: c.Cluster}
		for _, route := range c.Routes {
			options.Cluster.Routes = append(options.Cluster.Routes, "nats://"+route)
		}
	}
	s.server, err = natsserver.Start(options)
	if file, ok := errors.AsType[*fs.PathError](err); ok {
		return fmt.Errorf("service: data-dir %s: %w", options.Dir, file)
	}
	if errors.Is(err, natsserver.ErrInUse) {
		return fmt.Errorf("service: %s keeps the messages of another node that runs; end that one, or set data-dir to another folder: %w", options.Dir, err)
	}
	return err
}

func (s *store) close() {
	if s.quorum != nil {
		s.quorum.close()
	}
	if s.nc != nil {
		s.nc.Close()
	}
	s.spaces.close()
	if s.room != nil {
		s.room.close()
	}
	if s.server != nil {
		s.server.Close()
	}
	if s.dir != "" {
		_ = os.RemoveAll(s.dir) // a temporary folder
	}
}
