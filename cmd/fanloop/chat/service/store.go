package service

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/config"
	"github.com/fanloop-go/fanloop/engine/cluster/natsbroker"
	"github.com/fanloop-go/fanloop/engine/cluster/natsserver"
)

// store is the broker of this node, with the NATS server if that is in this process.
type store struct {
	broker *natsbroker.Broker
	server *natsserver.Server // nil: it is elsewhere
	dir    string             // removed at the end; empty: kept
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
	size, age := historyOf(c)
	broker := natsbroker.Config{URL: c.NATS, PerTopic: size, MaxAge: age, Duplicates: min(duplicates, age)}
	if c.NATS == "" {
		if err := s.start(c.DataDir, log); err != nil {
			return nil, err
		}
		broker.URL, broker.Options = s.server.URL(), []nats.Option{s.server.InProcess()}
	}
	s.broker, err = natsbroker.Connect(ctx, broker)
	return s, err
}

// start runs a NATS server in this process. Without a folder, messages are kept until
// it ends.
func (s *store) start(dir string, log *slog.Logger) (err error) {
	if dir == "" {
		if dir, err = os.MkdirTemp("", "fanloop-chat-"); err != nil {
			return fmt.Errorf("service: no folder for messages; set data-dir: %w", err)
		}
		s.dir = dir
	}
	s.server, err = natsserver.Start(natsserver.Options{Dir: dir, Logger: log})
	return err
}

func (s *store) close() {
	if s.broker != nil {
		s.broker.Close()
	}
	if s.server != nil {
		s.server.Close()
	}
	if s.dir != "" {
		_ = os.RemoveAll(s.dir) // a temporary folder
	}
}

// historyOf is what topics keep: as much as the namespace that keeps most.
func historyOf(c *config.Config) (size int, age time.Duration) {
	size, age = 1, time.Hour
	for _, n := range c.Namespaces {
		size, age = max(size, n.HistorySize), max(age, n.HistoryAge)
	}
	return size, age
}
