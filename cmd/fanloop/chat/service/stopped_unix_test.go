//go:build unix

package service_test

import (
	"fmt"
	"syscall"
	"testing"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/config"
	"github.com/fanloop-go/fanloop/engine/cluster/natsserver"
)

func (p *process) send(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Error(err)
	}
}

// stop is SIGSTOP. It returns when the process stands still, which is a moment later.
func (p *process) stop(t *testing.T) {
	t.Helper()
	p.send(t, syscall.SIGSTOP)
	var state syscall.WaitStatus
	if _, err := syscall.Wait4(p.cmd.Process.Pid, &state, syscall.WUNTRACED, nil); err != nil || !state.Stopped() {
		t.Error(state, err)
	}
}

// X37: a node that is stopped by SIGSTOP is named by what all nodes have to do, and does it
// when it goes on.
func TestNodeThatIsStoppedCatchesUp(t *testing.T) {
	t.Parallel() // it mostly waits for the node
	server, err := natsserver.Start(natsserver.Options{Dir: t.TempDir(), Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	first, ctx := start(t, func(c *config.Config) { c.NATS, c.Name = server.URL(), "n1" })
	second := startProcess(t, fmt.Sprintf("{listen: '127.0.0.1:0', nats: %q, name: n2}", server.URL()))
	whileSilent(t, ctx, first, second.addr, func() { second.stop(t) }, func() { second.send(t, syscall.SIGCONT) })
}
