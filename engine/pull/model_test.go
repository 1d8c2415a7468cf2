package pull_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/pull"
)

// ending is how a connection of the model ends.
type ending int

const (
	endFinished ending = iota // when all has come, the client closes
	endClose                  // the client closes while all goes on
	endNow                    // the client drops it
	endPanic                  // the server's handler panics
	endings
)

// modelSide is one side of a connection of the model. Each of its writers sends
// numbered messages, and its reader checks those of the other side.
type modelSide struct {
	t        *testing.T
	c        *pull.Conn
	seed     uint64
	messages int

	stop context.Context // for writers
	halt context.CancelFunc

	wg   sync.WaitGroup
	sent [modelWriters]int // by each writer; its own until wg is done
	got  [modelWriters]int // of each writer of the other side; the reader's
	all  chan struct{}     // closed when everything has come
	done chan struct{}     // closed when the handler is over; the server's
}

const modelWriters = 3

func newModelSide(t *testing.T, c *pull.Conn, seed uint64, messages int) *modelSide {
	s := &modelSide{t: t, c: c, seed: seed, messages: messages, all: make(chan struct{}), done: make(chan struct{})}
	s.stop, s.halt = context.WithCancel(context.Background())
	for w := range modelWriters {
		s.wg.Go(func() { s.write(w, rand.New(rand.NewPCG(seed, uint64(w)))) })
	}
	return s
}

// text is message number n of writer w.
func text(rng *rand.Rand, w, n int) string {
	size := rng.IntN(100)
	if rng.IntN(10) == 0 {
		size = rng.IntN(100_000)
	}
	return fmt.Sprintf("%d %d %d %s", w, n, size, strings.Repeat(string(rune('a'+n%26)), size))
}

func (s *modelSide) write(w int, rng *rand.Rand) {
	for s.sent[w] < s.messages {
		pause(rng)
		if rng.IntN(10) == 0 {
			s.ping()
		}
		message := text(rng, w, s.sent[w])
		var err error
		switch rng.IntN(4) {
		case 0:
			err = s.writeParts(rng, message)
		case 1:
			err = s.writeHasty(message)
		default:
			err = s.c.Write(s.stop, engine.Text, []byte(message))
		}
		if err != nil {
			s.allow(err)
			return
		}
		s.sent[w]++
	}
}

// ping may go unanswered: nobody may read.
func (s *modelSide) ping() {
	ctx, cancel := context.WithTimeout(s.stop, time.Millisecond)
	defer cancel()
	if err := s.c.Ping(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		s.allow(err)
	}
}

// writeHasty writes with contexts that end soon.
func (s *modelSide) writeHasty(message string) error {
	for {
		ctx, cancel := context.WithTimeout(s.stop, 50*time.Microsecond)
		err := s.c.Write(ctx, engine.Text, []byte(message))
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
	}
}

// writeParts writes by a Writer, which is not to be given up.
func (s *modelSide) writeParts(rng *rand.Rand, message string) error {
	w, err := s.c.Writer(context.Background(), engine.Text)
	if err != nil {
		return err
	}
	for len(message) > 0 && err == nil {
		n := min(len(message), 1+rng.IntN(20_000))
		_, err = io.WriteString(w, message[:n])
		message = message[n:]
	}
	return errors.Join(err, w.Close())
}

// read reads until the connection has ended, or what happens says so.
func (s *modelSide) read(happens func(count int) bool) {
	rng := rand.New(rand.NewPCG(s.seed, 1000))
	count := 0
	for {
		pause(rng)
		data, err := s.readOne(rng)
		if err != nil {
			s.allow(err)
			return
		}
		s.check(data)
		if count++; count == modelWriters*s.messages {
			close(s.all)
		}
		if happens != nil && happens(count) {
			return
		}
	}
}

func (s *modelSide) readOne(rng *rand.Rand) (string, error) {
	switch rng.IntN(3) {
	case 0:
		return readHasty(rng, s.c)
	case 1:
		r, err := s.c.Reader(context.Background())
		if err != nil {
			return "", err
		}
		return readParts(rng, r)
	}
	_, data, err := s.c.Read(context.Background())
	return string(data), err
}

// readHasty reads with contexts that end soon.
func readHasty(rng *rand.Rand, c *pull.Conn) (string, error) {
	for {
		ctx, cancel := context.WithTimeout(context.Background(), time.Duration(rng.IntN(100))*time.Microsecond)
		_, data, err := c.Read(ctx)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) {
			return string(data), err
		}
	}
}

func readParts(rng *rand.Rand, r *pull.Reader) (string, error) {
	var all strings.Builder
	for {
		ctx, cancel := context.WithTimeout(context.Background(), time.Duration(rng.IntN(100))*time.Microsecond)
		buf := make([]byte, 1+rng.IntN(10_000))
		n, err := r.ReadContext(ctx, buf)
		cancel()
		all.Write(buf[:n])
		switch {
		case err == io.EOF:
			return all.String(), nil
		case err != nil && !errors.Is(err, context.DeadlineExceeded):
			return "", err
		}
	}
}

// check wants the next message of its writer.
func (s *modelSide) check(data string) {
	var w, n, size int
	if _, err := fmt.Sscanf(data, "%d %d %d ", &w, &n, &size); err != nil {
		s.t.Errorf("message %.40q: %v", data, err)
		return
	}
	if n != s.got[w] {
		s.t.Errorf("message %d of writer %d came, want %d", n, w, s.got[w])
	}
	if want := fmt.Sprintf("%d %d %d %s", w, n, size, strings.Repeat(string(rune('a'+n%26)), size)); data != want {
		s.t.Errorf("message %d of writer %d is %.40q", n, w, data)
	}
	s.got[w] = n + 1
}

// allow fails the test for an error that no ending explains.
func (s *modelSide) allow(err error) {
	var closed *engine.CloseError
	switch {
	case errors.As(err, &closed) && (closed.Code == 4000 || closed.Code == engine.StatusInternalError):
	case errors.Is(err, engine.ErrClosed), errors.Is(err, engine.ErrAbnormalClosure), errors.Is(err, context.Canceled):
	default:
		s.t.Errorf("an error that should not be: %v", err)
	}
}

func pause(rng *rand.Rand) {
	if rng.IntN(20) == 0 {
		time.Sleep(time.Duration(rng.IntN(1000)) * time.Microsecond)
	}
}

// Every message comes once and in order, and all of them if the connection is closed
// in order, through pauses, contexts that end, and whatever ends the connection.
func TestModel(t *testing.T) {
	const seeds, messages = 4, 60
	for seed := range uint64(seeds) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 0))
			limits := engine.Limits{MaxQueued: 1 << (14 + rng.IntN(7))}
			srv := &engine.Server{Limits: limits, Loops: 2}
			opt := &engine.DialOptions{Limits: limits}
			if seed%2 == 1 {
				srv.Compression, opt.Compression = &engine.Compression{}, &engine.Compression{}
				srv.Dispatch = &engine.Dispatch{MaxWaiting: 1}
			}
			sides := make(chan *modelSide, 1)
			srv.OnUpgrade = pull.Serve(func(_ context.Context, c *pull.Conn, req *engine.Request) error {
				s := newModelSide(t, c, seed+100, messages)
				sides <- s
				defer close(s.done)
				s.read(func(count int) bool {
					if req.Path() == "/panic" && count == 2*messages {
						panic("the model ends here")
					}
					return false
				})
				return nil
			})
			url := listen(t, srv)
			for how := range endings {
				path := ""
				if how == endPanic {
					path = "panic"
				}
				client := newModelSide(t, dial(t, url+path, opt), seed, messages)
				runModel(t, how, client, within(t, "the handler", sides))
			}
		})
	}
}

func runModel(t *testing.T, how ending, client, server *modelSide) {
	t.Helper()
	var readers sync.WaitGroup
	readers.Go(func() { client.read(nil) })
	switch how {
	case endFinished:
		within(t, "all messages", client.all)
		within(t, "all messages", server.all)
		client.close(t)
	case endClose:
		time.Sleep(time.Duration(client.seed) * time.Millisecond)
		client.close(t)
	case endNow:
		time.Sleep(time.Duration(client.seed) * time.Millisecond)
		client.c.CloseNow()
	}
	within(t, "the end of the client", client.c.Context().Done())
	within(t, "the end of the server", server.c.Context().Done())
	within(t, "the handler's end", server.done)
	readers.Wait()
	client.wg.Wait()
	server.wg.Wait()
	for w := range modelWriters {
		if how <= endClose && server.got[w] != client.sent[w] {
			t.Errorf("ending %d: %d messages of writer %d came, %d were sent", how, server.got[w], w, client.sent[w])
		}
		if server.got[w] > client.sent[w] || client.got[w] > server.sent[w] {
			t.Errorf("ending %d: more messages of writer %d came than were sent", how, w)
		}
		if how == endFinished && client.got[w] != server.sent[w] {
			t.Errorf("%d messages of writer %d came, %d were sent", client.got[w], w, server.sent[w])
		}
	}
}

// close closes the connection when its writers are through with what they write.
func (s *modelSide) close(t *testing.T) {
	s.halt()
	s.wg.Wait()
	if err := s.c.Close(soon(t), 4000, ""); err != nil {
		t.Error("Close:", err)
	}
}
