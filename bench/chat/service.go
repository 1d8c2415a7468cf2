package chat

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/fanloop-go/fanloop/bench/scenario"
)

// settings are the settings of the service that StartService starts. All users connect from a
// few addresses, so nothing is limited by address. Talkers have no limit of commands.
const settings = `limits:
  user:
    commands: {per-second: 0, burst: 0}
  address:
    connections: 0
    topics: 0
    connects: {per-second: 0, burst: 0}
    commands: {per-second: 0, burst: 0}
    bytes: {per-second: 0, burst: 0}
`

// Service is a chat service in a child process. It keeps its messages in a temporary folder.
type Service struct {
	*scenario.Program
	URL   string
	Admin string

	dir string
}

// StartService runs a program that has the commands of fanloop as a chat service, on some CPUs.
// It ends when ctx does, or by Close.
func StartService(ctx context.Context, program string, cpus scenario.CPUs) (s *Service, err error) {
	s = new(Service)
	if s.dir, err = os.MkdirTemp("", "fanloop-bench-chat-"); err != nil {
		return nil, err
	}
	if err := s.start(ctx, program, cpus); err != nil {
		_ = os.RemoveAll(s.dir) // temporary
		return nil, err
	}
	return s, nil
}

func (s *Service) start(ctx context.Context, program string, cpus scenario.CPUs) error {
	file := filepath.Join(s.dir, "chat.yaml")
	if err := os.WriteFile(file, []byte(settings), 0o600); err != nil {
		return err
	}
	var addrs [2]string
	for i := range addrs {
		port, err := scenario.FreePort()
		if err != nil {
			return fmt.Errorf("find a free port for the service: %w", err)
		}
		addrs[i] = fmt.Sprintf("127.0.0.1:%d", port)
	}
	s.URL, s.Admin = "ws://"+addrs[0]+"/v1/socket", "http://"+addrs[1]
	args := []string{program, "chat", "--config", file, "--listen", addrs[0], "--admin", addrs[1],
		"--data-dir", filepath.Join(s.dir, "data"), "--shutdown-timeout", "1s", "--log-level", "warn"}
	var err error
	s.Program, err = scenario.StartProgram(ctx, "fanloop chat", args, addrs[1], cpus) // this address is opened last
	return err
}

// Close stops the service and removes its folder.
func (s *Service) Close() {
	s.Stop()
	_ = os.RemoveAll(s.dir) // temporary
}
