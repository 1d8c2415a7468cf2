package chat

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/bench/load"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/config"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/service"
	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/pull"
)

// startService runs a service in this process, with the settings of StartService.
func startService(t *testing.T) (addr string) {
	t.Helper()
	c, err := config.Parse("chat.yaml", []byte(settings))
	if err != nil {
		t.Fatal(err)
	}
	c.Listen, c.DataDir = "127.0.0.1:0", filepath.Join(t.TempDir(), "data")
	s, err := service.Start(t.Context(), c, slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Error(err)
		}
	})
	return s.Addr()
}

// small is the Config of a short run.
func small(addr string) Config {
	c := Default()
	c.URL = "ws://" + addr + "/v1/socket"
	c.Users, c.Rooms, c.Talkers, c.Rate, c.Size, c.Opening = 30, 3, 0, 250, 64, 8
	c.Cuts, c.Away, c.Reads, c.WarmUp, c.Time, c.Deadline = 0.3, 100*time.Millisecond, 20, 200*time.Millisecond, time.Second, time.Minute
	return c
}

// Users talk, are cut, reconnect and read history, and every message is delivered.
func TestEverythingArrives(t *testing.T) {
	addr := startService(t)
	for name, change := range map[string]func(*Config){
		"json":       func(*Config) {},
		"cbor, zipf": func(c *Config) { c.Encoding, c.Sizes, c.PerUser, c.Rooms = CBOR, Zipf, 2, 5 },
	} {
		t.Run(name, func(t *testing.T) {
			c := small(addr)
			change(&c)
			r, err := Run(t.Context(), c, func(string) {})
			if err != nil {
				t.Fatalf("%v; notes %q", err, r.Notes)
			}
			p := newPlan(c)
			f := r.Figures
			for key, want := range map[string]float64{
				"reach": 1, "messages": float64(len(p.sent)), "deliveries": float64(p.deliveries()), "cut_off": 9,
			} {
				if f[key] != want {
					t.Errorf("%s is %v, want %v", key, f[key], want)
				}
			}
			for _, key := range []string{"p50_ns", "p99_ns", "ack_p50_ns", "join_p50_ns", "resume_p50_ns", "rate", "open_rate"} {
				if f[key] <= 0 {
					t.Errorf("%s is %v", key, f[key])
				}
			}
			if f["recovered"] == 0 {
				t.Error("nobody recovered anything: cuts do not cut")
			}
		})
	}
}

// disturber is a proxy between users and a service. It changes one frame.
type disturber struct {
	addr    string
	disturb func(frame []byte) [][]byte // what becomes of a live message

	mu   sync.Mutex
	seen int // live messages; guarded by mu
}

// listen accepts connections until the test ends.
func (d *disturber) listen(t *testing.T) (addr string) {
	t.Helper()
	srv := &engine.Server{Subprotocols: []string{"fanloop.chat.v1.json"}, OnUpgrade: pull.Serve(d.serve)}
	ln, err := srv.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = srv.Close() })
	return ln.Addr().(*net.TCPAddr).String()
}

func (d *disturber) serve(ctx context.Context, down *pull.Conn, req *engine.Request) error {
	up, err := pull.Dial(ctx, "ws://"+d.addr+"/v1/socket", &engine.DialOptions{Subprotocols: []string{"fanloop.chat.v1.json"}})
	if err != nil {
		return err
	}
	defer up.CloseNow()
	go func() {
		defer up.CloseNow()
		for m, err := range down.Messages(ctx) {
			if err != nil || up.Write(ctx, m.Op, m.Data) != nil {
				return
			}
		}
	}()
	for m, err := range up.Messages(ctx) {
		if err != nil {
			return err
		}
		if err := down.Write(ctx, m.Op, d.pass(m.Data)); err != nil {
			return err
		}
	}
	return nil
}

// disturbed is the number of the live message that is changed.
const disturbed = 100

func (d *disturber) pass(message []byte) []byte {
	var frames [][]byte
	for frame := range bytes.SplitSeq(message, []byte{'\n'}) {
		if bytes.HasPrefix(frame, []byte(`{"type":"message"`)) {
			d.mu.Lock()
			d.seen++
			now := d.seen == disturbed
			d.mu.Unlock()
			if now {
				frames = append(frames, d.disturb(frame)...)
				continue
			}
		}
		frames = append(frames, frame)
	}
	return bytes.Join(frames, []byte{'\n'})
}

// A service that loses, repeats, damages or misdirects one message fails the run, and the error
// says which.
func TestOneWrongMessageFailsTheRun(t *testing.T) {
	addr := startService(t)
	none := []byte(`{"type":"pong","time":1}`)
	for name, c := range map[string]struct {
		disturb func(frame []byte) [][]byte
		want    string
	}{
		"lost":    {func([]byte) [][]byte { return [][]byte{none} }, "1 missing"},
		"doubled": {func(f []byte) [][]byte { return [][]byte{f, f} }, "1 doubled"},
		"damaged": {func(f []byte) [][]byte { return [][]byte{bytes.Replace(f, []byte(`"text":"`), []byte(`"text":"x`), 1)} }, "1 damaged"},
		"foreign": {func(f []byte) [][]byte {
			return [][]byte{bytes.Replace(f, []byte(` room `), []byte(` room 1`), 1), f}
		}, "1 foreign"},
		"unknown": {func(f []byte) [][]byte {
			at := bytes.Index(f, []byte(`"id":"`)) + len(`"id":"`)
			return [][]byte{append(append(bytes.Clone(f[:at]), "x"...), f[at:]...), f}
		}, "1 foreign"},
	} {
		t.Run(name, func(t *testing.T) {
			d := &disturber{addr: addr, disturb: c.disturb}
			config := small(d.listen(t))
			config.Users, config.Cuts, config.Reads, config.Rate, config.Time = 9, 0, 0, 500, 300*time.Millisecond
			_, err := Run(t.Context(), config, func(string) {})
			var fault *FaultError
			if !errors.As(err, &fault) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "user ") {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

// Two messages of a room that are swapped are out of order.
func TestReorderedMessageFailsTheRun(t *testing.T) {
	var held []byte
	d := &disturber{addr: startService(t)}
	config := small(d.listen(t))
	config.Users, config.Rooms, config.Cuts, config.Reads = 1, 1, 0, 0
	d.disturb = func(f []byte) [][]byte {
		held = f
		d.mu.Lock()
		d.seen = disturbed - 1 // the next one too
		d.mu.Unlock()
		d.disturb = func(next []byte) [][]byte { return [][]byte{next, held} }
		return [][]byte{[]byte(`{"type":"pong","time":1}`)}
	}
	_, err := Run(t.Context(), config, func(string) {})
	if err == nil || !strings.Contains(err.Error(), "1 out of order") {
		t.Error(err)
	}
}

// The error of a run that cannot begin says what to do.
func TestRunSaysWhatToDo(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := ln.Addr().String()
	_ = ln.Close()
	if _, err := Run(t.Context(), small(closed), func(string) {}); err == nil || !strings.Contains(err.Error(), "start the service") {
		t.Error(err)
	}
	c := small(closed)
	c.URL = "http://" + closed
	_, err = Run(t.Context(), c, func(string) {})
	if _, ok := errors.AsType[*load.ConfigError](err); !ok {
		t.Error(err)
	}
	addr := startService(t)
	c = small(addr)
	c.URL = "ws://" + addr + "/elsewhere"
	if _, err := Run(t.Context(), c, func(string) {}); err == nil || !strings.Contains(err.Error(), "/v1/socket") {
		t.Error(err)
	}
}
