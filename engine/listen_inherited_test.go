package engine_test

import (
	"net"
	"os"
	"os/exec"
	"testing"

	"github.com/fanloop-go/fanloop/engine/internal/testkit"
)

// Descriptors that systemd opened are served like any other, and clients that
// came before the server wait for it.
func TestInheritedListenersAreServed(t *testing.T) {
	path := socketPath(t)
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	local, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	local.(*net.UnixListener).SetUnlinkOnClose(false)
	files := make([]*os.File, 2)
	if files[0], err = tcp.(*net.TCPListener).File(); err == nil {
		files[1], err = local.(*net.UnixListener).File()
	}
	if err != nil {
		t.Fatal(err)
	}
	_, _ = tcp.Close(), local.Close()
	early := dialRaw(t, tcp.Addr().String())
	early.send(testkit.UpgradeHead("a"))

	srv := startChildWith(t, childConfig{Loops: 2, Inherited: true}, func(cmd *exec.Cmd) {
		// systemd knows the number of the process before it runs; a shell knows
		// its own, and exec keeps it.
		cmd.Args = append([]string{"sh", "-c", `LISTEN_PID=$$ exec "$0"`}, cmd.Args...)
		cmd.Path = "/bin/sh"
		cmd.Env = append(cmd.Env, "LISTEN_FDS=2", "LISTEN_FDNAMES=web:local")
		cmd.ExtraFiles = files
	})
	for _, f := range files {
		_ = f.Close()
	}
	if srv.addr != "[local web]" {
		t.Errorf("the names are %s", srv.addr)
	}
	early.wantUpgraded()
	for name, c := range map[string]*rawClient{"tcp": dialRaw(t, tcp.Addr().String()), "unix": dialUnix(t, path)} {
		c.send(testkit.UpgradeHead("a"))
		c.wantUpgraded()
		c.exchange(name)
		_ = c.Close()
	}
	early.exchange("came first")
	_ = early.Close()
	_ = srv.stdin.Close()
	eventually(t, "the server ends", func() bool { return len(srv.ended) > 0 })
	if missingFile(path) {
		t.Error("the file, which is systemd's, was removed")
	}
}
