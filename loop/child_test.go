package loop

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const childDescriptors = 40

// serveWithFewDescriptors is the child of TestServerSurvivesRealExhaustion: an
// echo server that runs out of descriptors. It tells its address, and ends
// with its standard input.
func serveWithFewDescriptors() {
	limit := unix.Rlimit{Cur: childDescriptors, Max: childDescriptors}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		panic(err)
	}
	g, err := Start(Config{
		Loops:   1,
		Backend: Backend(os.Getenv(childTask + "_BACKEND")),
		Logger:  slog.New(slog.NewTextHandler(os.Stderr, nil)),
	})
	if err != nil {
		panic(err)
	}
	ln, err := g.Listen("127.0.0.1:0", ListenConfig{Accept: func(*Loop) Handler { return newEcho() }})
	if err != nil {
		panic(err)
	}
	fmt.Println(ln.Addr())
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// R04: with its descriptors exhausted the server goes on for who is there, and
// takes others in as soon as there is room.
func TestServerSurvivesRealExhaustion(t *testing.T) {
	eachBackend(t, func(t *testing.T, b Backend) {
		began := time.Now()
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), childTask+"=1", childTask+"_BACKEND="+string(b))
		stdin, err := child.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		stdout, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		var log strings.Builder
		child.Stderr = &log
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		addr, err := bufio.NewReader(stdout).ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		exhaust(t, strings.TrimSpace(addr))
		_ = stdin.Close()
		if err := child.Wait(); err != nil {
			t.Errorf("the server ended with %v", err)
		}
		most := 2 + int(time.Since(began).Seconds()) // one a second
		if n := strings.Count(log.String(), "accepting is paused"); n == 0 || n > most {
			t.Errorf("%d lines about %d connections too many:\n%s", n, childDescriptors, log.String())
		}
	})
}

func exhaust(t *testing.T, addr string) {
	t.Helper()
	dial := func() net.Conn {
		nc, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		_ = nc.SetDeadline(time.Now().Add(patience))
		return nc
	}
	established := dial()
	defer established.Close()
	roundTrip(t, established, "before")
	var crowd []net.Conn
	for range 2 * childDescriptors {
		crowd = append(crowd, dial())
	}
	served := 0
	for _, nc := range crowd[:childDescriptors/2] {
		roundTrip(t, nc, "in the crowd")
		served++
	}
	for range 100 {
		roundTrip(t, established, "meanwhile")
	}
	for _, nc := range crowd {
		_ = nc.Close()
	}
	for deadline := time.Now().Add(patience); ; {
		late := dial()
		_, err := late.Write([]byte("!"))
		if err == nil {
			_, err = io.ReadFull(late, make([]byte, 1))
		}
		_ = late.Close()
		if err == nil {
			break
		}
		if time.Now().After(deadline) { // refused so far: the crowd is not gone yet
			t.Fatalf("nobody is taken in after the crowd has left: %v", err)
		}
	}
	roundTrip(t, established, "after")
}
