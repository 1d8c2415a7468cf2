package main

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"golang.org/x/sys/unix"
)

// terminal is the program on a terminal of its own: what it writes is in
// process.out.
type terminal struct {
	*process
	keys *os.File
}

func (tty *terminal) press(t *testing.T, keys string) {
	t.Helper()
	if _, err := tty.keys.WriteString(keys); err != nil {
		t.Fatal(err)
	}
}

// startOnTerminal starts the program with a pseudo-terminal as stdin, stdout and
// stderr.
func startOnTerminal(t *testing.T, args ...string) *terminal {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip("no pseudo-terminals: ", err)
	}
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		err = unix.IoctlSetWinsize(int(master.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 80})
	}
	if err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	tty := &terminal{&process{exited: make(chan struct{})}, master}
	tty.cmd = exec.Command(os.Args[0], args...)
	tty.cmd.Env = append(os.Environ(), asCommand+"=1", "GORACE=atexit_sleep_ms=0", "TERM=xterm", "NO_COLOR=1")
	tty.cmd.Stdin, tty.cmd.Stdout, tty.cmd.Stderr = slave, slave, slave
	tty.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := tty.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = slave.Close() // the program has it
	read := make(chan struct{})
	go func() {
		defer close(read)
		buffer := make([]byte, 4096)
		for {
			n, err := master.Read(buffer)
			_, _ = tty.out.Write(buffer[:n])
			if err != nil {
				return // nobody has the terminal any more
			}
		}
	}()
	go func() {
		_ = tty.cmd.Wait() // ProcessState says it all
		close(tty.exited)
	}()
	t.Cleanup(func() {
		_ = tty.cmd.Process.Kill() // gone already: all the better
		<-tty.exited
		<-read
		_ = master.Close()
	})
	return tty
}

func (tty *terminal) wantExit(t *testing.T, code int) {
	t.Helper()
	if status := tty.wait(t); status.ExitStatus() != code {
		t.Errorf("exit status %d, want %d; the terminal shows %q", status.ExitStatus(), code, &tty.out)
	}
}

const up = "\x1b[A"

func TestTerminalTellsSentFromReceived(t *testing.T) {
	s := startEcho(t)
	tty := startOnTerminal(t, "dial", s.url("/"))
	tty.out.await(t, "connected to ")
	tty.out.await(t, "> ")
	tty.press(t, "hellp\x7fo\r") // with a mistake that backspace takes back
	tty.out.await(t, "< hello\r\n")
	tty.press(t, up+"!\r") // from the history
	tty.out.await(t, "< hello!\r\n")
	tty.press(t, "//path\r")
	tty.out.await(t, "< /path\r\n")
	tty.press(t, "\x04") // Ctrl-D
	tty.out.await(t, "closed: 1000 normal closure\r\n")
	tty.wantExit(t, exitOK)
}

func TestTerminalTakesCommands(t *testing.T) {
	s := startEcho(t)
	tty := startOnTerminal(t, "dial", s.url("/"), "--binary")
	tty.out.await(t, "> ")
	tty.press(t, "/help\r")
	tty.out.await(t, "/close [code [reason]]")
	tty.press(t, "/pin\r")
	tty.out.await(t, "There is no command /pin: /help lists them")
	tty.press(t, "/ping are you there\r")
	tty.out.await(t, "< pong are you there after ")
	tty.press(t, "hi\r")
	tty.out.await(t, "< 2 bytes: 6869\r\n")
	tty.press(t, "/close 1006\r")
	tty.out.await(t, "1006 is no code to close with")
	tty.press(t, "/close 4001 that was it\r")
	tty.out.await(t, "closed: 4001")
	tty.wantExit(t, exitOK) // the code that was asked for
}

// What a server sends must not command the terminal.
func TestTerminalShowsControlCharactersAsEscapes(t *testing.T) {
	s := startEcho(t)
	tty := startOnTerminal(t, "dial", s.url("/"), "--hex")
	tty.out.await(t, "> ")
	tty.press(t, "zz\r")
	tty.out.await(t, "Not sent: want an even number of hex digits.")
	tty.press(t, "\x04")
	tty.wantExit(t, exitOK)
	url := peer(t, func(ws *websocket.Conn, _ *http.Request) {
		_ = ws.WriteMessage(websocket.TextMessage, []byte("\x1b[2Jcleared"))
		_ = ws.WriteControl(websocket.PingMessage, []byte("\x1b[2J"), time.Now().Add(patience))
		_, _, _ = ws.ReadMessage()
	})
	tty = startOnTerminal(t, "dial", url)
	tty.out.await(t, `< \x1b[2Jcleared`)
	tty.out.await(t, `< ping \x1b[2J`)
	if strings.Contains(tty.out.String(), "\x1b[2J") {
		t.Errorf("the terminal got %q", &tty.out)
	}
	tty.press(t, "\x04")
	tty.wantExit(t, exitOK)
}

// Ctrl-C closes with 1001 and gives the terminal back; the second one is the
// system's and ends the program.
func TestCtrlCOnATerminalClosesAndThenEnds(t *testing.T) {
	saw := make(chan error, 1)
	url := peer(t, func(ws *websocket.Conn, _ *http.Request) {
		_, _, err := ws.ReadMessage()
		saw <- err
	})
	tty := startOnTerminal(t, "dial", url)
	tty.out.await(t, "> ")
	tty.press(t, "\x03")
	if err := <-saw; !websocket.IsCloseError(err, websocket.CloseGoingAway) {
		t.Errorf("the peer saw %v, want 1001", err)
	}
	tty.wantExit(t, exitOK)

	held := make(chan struct{})
	begun := make(chan struct{})
	stuck := peer(t, func(ws *websocket.Conn, _ *http.Request) {
		if b := make([]byte, 1); true {
			_, _ = ws.NetConn().Read(b) // of the close frame, which is never answered
		}
		close(begun)
		<-held
	})
	t.Cleanup(func() { close(held) })
	tty = startOnTerminal(t, "dial", stuck)
	tty.out.await(t, "> ")
	tty.press(t, "\x03")
	<-begun
	for ended := false; !ended; {
		tty.press(t, "\x03")
		select {
		case <-tty.exited:
			ended = true
		case <-time.After(20 * time.Millisecond):
		}
	}
	if status := tty.wait(t); !status.Signaled() || status.Signal() != syscall.SIGINT {
		t.Errorf("ended with %#x, want by the signal", status)
	}
}

// With --json, --raw or a pipe on one side, lines are neither marked nor edited.
func TestOnlyTwoTerminalsMakeAScreen(t *testing.T) {
	s := startEcho(t)
	tty := startOnTerminal(t, "dial", s.url("/"), "--json")
	tty.out.await(t, `{"event":"open"`)
	tty.press(t, "plain\n")
	tty.out.await(t, `"data":"plain"`)
	if strings.Contains(tty.out.String(), "> ") {
		t.Errorf("there is a prompt: %q", &tty.out)
	}
	tty.press(t, "\x04")
	tty.wantExit(t, exitOK)
}
