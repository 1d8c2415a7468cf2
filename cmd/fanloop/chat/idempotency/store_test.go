package idempotency_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/idempotency"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/names"
	"github.com/fanloop-go/fanloop/loop"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var key = idempotency.Key{Caller: "shop", Route: "POST /v1/publish", Name: "order-17"}

// counter counts how often it carries something out, and answers with the number.
type counter struct{ n atomic.Int64 }

func (c *counter) carry(context.Context) (idempotency.Response, error) {
	return idempotency.Response{Status: 200, Body: fmt.Append(nil, c.n.Add(1))}, nil
}

// The key belongs to the caller, the route and the body.
func TestKeys(t *testing.T) {
	s := idempotency.New(idempotency.Config{})
	var c counter
	with := func(change func(*idempotency.Key)) idempotency.Key { k := key; change(&k); return k }
	for _, tt := range []struct {
		name  string
		key   idempotency.Key
		body  string
		want  string
		again bool
		err   error
	}{
		{"first", key, "a", "1", false, nil},
		{"again", key, "a", "1", true, nil},
		{"other body", key, "b", "", false, idempotency.ErrOtherBody},
		{"again, after another body", key, "a", "1", true, nil},
		{"other caller", with(func(k *idempotency.Key) { k.Caller = "bank" }), "b", "2", false, nil},
		{"other route", with(func(k *idempotency.Key) { k.Route = "POST /v1/disconnect" }), "b", "3", false, nil},
		{"other key", with(func(k *idempotency.Key) { k.Name = "order-18" }), "b", "4", false, nil},
		{"no key", with(func(k *idempotency.Key) { k.Name = "" }), "a", "", false, idempotency.ErrKey},
		{"long key", with(func(k *idempotency.Key) { k.Name = strings.Repeat("k", 129) }), "a", "", false, idempotency.ErrKey},
		{"control characters", with(func(k *idempotency.Key) { k.Name = "a\r\nb" }), "a", "", false, idempotency.ErrKey},
		{"not ASCII", with(func(k *idempotency.Key) { k.Name = "é" }), "a", "", false, idempotency.ErrKey},
	} {
		r, again, err := s.Do(context.Background(), tt.key, []byte(tt.body), c.carry)
		if string(r.Body) != tt.want || again != tt.again || !errors.Is(err, tt.err) || (err == nil) != (tt.err == nil) {
			t.Errorf("%s: %q, again %v, %v", tt.name, r.Body, again, err)
		}
	}
	if c.n.Load() != 4 {
		t.Errorf("carried out %d times", c.n.Load())
	}
}

// Requests that come while the first is under way wait for it; another body does not
// wait.
func TestConcurrentDuplicatesWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := idempotency.New(idempotency.Config{})
		var c counter
		slow := func(ctx context.Context) (idempotency.Response, error) {
			time.Sleep(5 * time.Second)
			return c.carry(ctx)
		}
		var wg sync.WaitGroup
		var again atomic.Int64
		for range 100 {
			wg.Go(func() {
				r, was, err := s.Do(context.Background(), key, []byte("a"), slow)
				if err != nil || string(r.Body) != "1" {
					t.Errorf("%q, %v", r.Body, err)
				}
				if was {
					again.Add(1)
				}
			})
		}
		synctest.Wait()
		if _, _, err := s.Do(context.Background(), key, []byte("b"), c.carry); !errors.Is(err, idempotency.ErrOtherBody) {
			t.Error(err)
		}
		wg.Wait()
		if c.n.Load() != 1 || again.Load() != 99 {
			t.Errorf("carried out %d times, %d again", c.n.Load(), again.Load())
		}
	})
}

// Who asked first may leave: it is carried out all the same, and who asks again gets
// the answer.
func TestFirstLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := idempotency.New(idempotency.Config{})
		var c counter
		slow := func(ctx context.Context) (idempotency.Response, error) {
			time.Sleep(5 * time.Second)
			if ctx.Err() != nil {
				return idempotency.Response{}, ctx.Err()
			}
			return c.carry(ctx)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if _, _, err := s.Do(ctx, key, nil, slow); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		r, again, err := s.Do(context.Background(), key, nil, slow)
		if err != nil || !again || string(r.Body) != "1" {
			t.Errorf("%q, again %v, %v", r.Body, again, err)
		}
		s.Wait()
	})
}

// What failed did not happen: all who wait get the error, and the next one tries
// again. The same for what panics, of which nothing is told to callers.
func TestFailuresAreNotKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := idempotency.New(idempotency.Config{Timeout: time.Second})
		panicked := func(err error) bool {
			end, is := errors.AsType[*loop.PanicError](err)
			return is && end.Value == "of a user's text" && strings.Contains(string(end.Stack), "TestFailuresAreNotKept")
		}
		broken := errors.New("the store is down")
		for name, tt := range map[string]struct {
			carry func(context.Context) (idempotency.Response, error)
			want  func(error) bool
		}{
			"error": {func(context.Context) (idempotency.Response, error) {
				time.Sleep(time.Nanosecond)
				return idempotency.Response{}, broken
			}, func(err error) bool { return errors.Is(err, broken) }},
			"panic": {func(context.Context) (idempotency.Response, error) {
				time.Sleep(time.Millisecond)
				panic("of a user's text")
			}, panicked},
			"timeout": {func(ctx context.Context) (idempotency.Response, error) {
				<-ctx.Done()
				return idempotency.Response{}, ctx.Err()
			}, func(err error) bool { return errors.Is(err, context.DeadlineExceeded) }},
		} {
			var wg sync.WaitGroup
			for range 3 {
				wg.Go(func() {
					if _, _, err := s.Do(context.Background(), key, nil, tt.carry); !tt.want(err) || strings.Contains(err.Error(), "user's text") {
						t.Errorf("%s: %v", name, err)
					}
				})
			}
			wg.Wait()
			if st := s.Stats(); st.Keys != 0 || st.Callers != 0 {
				t.Errorf("%s: %v is kept", name, st)
			}
		}
		var c counter
		if r, again, err := s.Do(context.Background(), key, nil, c.carry); err != nil || again || string(r.Body) != "1" {
			t.Errorf("%q, %v, %v", r.Body, again, err)
		}
	})
}

// Answers are kept for their time, and not longer.
func TestKeptForATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := idempotency.New(idempotency.Config{Keep: time.Minute})
		var c counter
		do := func(body string) (string, bool, error) {
			r, again, err := s.Do(context.Background(), key, []byte(body), c.carry)
			return string(r.Body), again, err
		}
		_, _, _ = do("a")
		time.Sleep(time.Minute - 1)
		if r, again, err := do("a"); r != "1" || !again || err != nil {
			t.Errorf("%s, %v, %v", r, again, err)
		}
		time.Sleep(time.Nanosecond)
		if r, again, err := do("b"); r != "2" || again || err != nil {
			t.Errorf("%s, %v, %v", r, again, err)
		}
		time.Sleep(time.Hour)
		_, _, _ = s.Do(context.Background(), idempotency.Key{Caller: "bank", Name: "k"}, nil, c.carry)
		if st := s.Stats(); st.Keys != 1 || st.Callers != 1 || st.Bytes != 1 {
			t.Errorf("%v", st)
		}
	})
}

// Memory is bounded for each caller, by keys and by bytes, the oldest is forgotten
// first, and nobody forgets for another.
func TestMemoryIsBounded(t *testing.T) {
	s := idempotency.New(idempotency.Config{MaxKeys: 100, MaxBytes: 16 << 10})
	sized := func(n int) func(context.Context) (idempotency.Response, error) {
		return func(context.Context) (idempotency.Response, error) {
			return idempotency.Response{Body: make([]byte, n)}, nil
		}
	}
	do := func(caller, name string, n int) (bool, error) {
		_, again, err := s.Do(context.Background(), idempotency.Key{Caller: caller, Name: name}, nil, sized(n))
		return again, err
	}
	if _, err := do("bank", "k", 10); err != nil {
		t.Fatal(err)
	}
	for n := range 1000 {
		if _, err := do("shop", fmt.Sprint(n), 1); err != nil {
			t.Fatal(err)
		}
	}
	if st := s.Stats(); st.Keys != 101 || st.Bytes != 110 {
		t.Errorf("%v", st)
	}
	for name, want := range map[string]bool{"999": true, "950": true} {
		if again, _ := do("shop", name, 1); again != want {
			t.Errorf("%s: again %v", name, again)
		}
	}
	if again, _ := do("shop", "0", 1); again {
		t.Error("the oldest is kept")
	}
	if again, _ := do("bank", "k", 1); !again {
		t.Error("one caller forgets for another")
	}
	for n := range 100 {
		_, _ = do("shop", fmt.Sprint("large", n), 1024)
	}
	if st := s.Stats(); st.Bytes > 16<<10+10 || st.Bytes < 15<<10 {
		t.Errorf("%v", st)
	}
	if _, err := do("shop", "huge", 1025); err != nil {
		t.Error("the first one gets it:", err)
	}
	if again, err := do("shop", "huge", 1025); !again || !errors.Is(err, idempotency.ErrForgotten) {
		t.Error("carried out, and not again:", again, err)
	}
}

// X37: what was done in part is carried on by who repeats it, with the time of the first
// attempt and the same body only. When it is done, the answer is kept; after Keep all is
// forgotten.
func TestPartlyDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		unconfirmed := errors.New("unconfirmed")
		s := idempotency.New(idempotency.Config{Partly: func(err error) bool { return errors.Is(err, unconfirmed) }, MaxKeys: 2})
		var begun []time.Time
		fail := true
		do := func(body string) (again bool, err error) {
			_, again, err = s.Do(context.Background(), key, []byte(body), func(ctx context.Context) (idempotency.Response, error) {
				begun = append(begun, idempotency.Begun(ctx))
				if fail {
					return idempotency.Response{}, unconfirmed
				}
				return idempotency.Response{Status: 200}, nil
			})
			return again, err
		}
		first := time.Now()
		for range 3 {
			if again, err := do("a"); again || !errors.Is(err, unconfirmed) {
				t.Errorf("again %v, %v", again, err)
			}
			time.Sleep(time.Minute)
		}
		if _, err := do("b"); !errors.Is(err, idempotency.ErrOtherBody) {
			t.Error("another body:", err)
		}
		fail = false
		for _, want := range []bool{false, true} {
			if again, err := do("a"); again != want || err != nil {
				t.Errorf("again %v, %v", again, err)
			}
		}
		for _, at := range begun {
			if !at.Equal(first) {
				t.Errorf("begun at %v, want %v", at, first)
			}
		}
		if st := s.Stats(); len(begun) != 4 || st.Keys != 1 {
			t.Errorf("carried out %d times, %v", len(begun), st)
		}
		time.Sleep(11 * time.Minute)
		later := time.Now()
		if again, err := do("b"); again || err != nil || !begun[4].Equal(later) {
			t.Errorf("forgotten: again %v, %v, %v", again, err, begun[4])
		}
	})
}

// While MaxKeys requests are under way, no other begins.
func TestAllUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := idempotency.New(idempotency.Config{MaxKeys: 2})
		slow := func(context.Context) (idempotency.Response, error) {
			time.Sleep(time.Second)
			return idempotency.Response{}, nil
		}
		for n := range 2 {
			go func() {
				_, _, _ = s.Do(context.Background(), idempotency.Key{Caller: "shop", Name: fmt.Sprint(n)}, nil, slow)
			}()
		}
		synctest.Wait()
		if _, _, err := s.Do(context.Background(), key, nil, slow); !errors.Is(err, idempotency.ErrBusy) {
			t.Error(err)
		}
		time.Sleep(2 * time.Second)
		if _, _, err := s.Do(context.Background(), key, nil, slow); err != nil {
			t.Error(err)
		}
	})
}

// The id is the same for the same request, another one for any other, and one that a
// message may have.
func TestMessageID(t *testing.T) {
	ids := make(map[string]bool)
	for _, k := range []idempotency.Key{key, {Caller: "sho", Route: "p" + key.Route, Name: key.Name}, {Caller: "shop", Route: key.Route, Name: "order-1"}, {}} {
		for _, topic := range []string{"a", "7a", "7"} {
			id := k.MessageID(topic)
			if ids[id] || id != k.MessageID(topic) || names.CheckID(id) != nil {
				t.Errorf("%+v, %s: %s", k, topic, id)
			}
			ids[id] = true
		}
	}
}

func Example() {
	store := idempotency.New(idempotency.Config{})
	key := idempotency.Key{Caller: "shop", Route: "POST /v1/publish", Name: "order-17"}
	publish := func(context.Context) (idempotency.Response, error) {
		fmt.Println("published")
		return idempotency.Response{Status: 200}, nil
	}
	for _, body := range []string{`{"topic":"a"}`, `{"topic":"a"}`, `{"topic":"b"}`} {
		r, again, err := store.Do(context.Background(), key, []byte(body), publish)
		fmt.Println(r.Status, again, err)
	}
	// Output:
	// published
	// 200 false <nil>
	// 200 true <nil>
	// 0 false idempotency: the key was used for another body; take a new one
}
