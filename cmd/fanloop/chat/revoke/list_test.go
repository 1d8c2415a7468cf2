package revoke_test

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

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/revoke"
)

// What each revocation concerns, for connections that are there, for those that come,
// and for a refresh.
func TestWhatIsConcerned(t *testing.T) {
	issued := time.Unix(1_700_000_000, 0)
	base := revoke.Identity{User: "ann", Session: "s1", Token: "t1", Issued: issued}
	with := func(change func(*revoke.Identity)) revoke.Identity { id := base; change(&id); return id }
	for _, tt := range []struct {
		name string
		r    revoke.Revocation
		id   revoke.Identity
		want bool
	}{
		{"user", revoke.Revocation{Kind: revoke.User, Name: "ann"}, base, true},
		{"user, at the second", revoke.Revocation{Kind: revoke.User, Name: "ann", Before: issued}, base, true},
		{"user, within the second", revoke.Revocation{Kind: revoke.User, Name: "ann", Before: issued}, with(func(i *revoke.Identity) { i.Issued = issued.Add(900 * time.Millisecond) }), true},
		{"user, a second later", revoke.Revocation{Kind: revoke.User, Name: "ann", Before: issued.Add(-time.Second)}, base, false},
		{"other user", revoke.Revocation{Kind: revoke.User, Name: "Ann"}, base, false},
		{"user by the name of a session", revoke.Revocation{Kind: revoke.User, Name: "s1"}, base, false},
		{"session", revoke.Revocation{Kind: revoke.Session, Name: "s1"}, base, true},
		{"other session", revoke.Revocation{Kind: revoke.Session, Name: "s2"}, base, false},
		{"no session", revoke.Revocation{Kind: revoke.Session, Name: "s1"}, with(func(i *revoke.Identity) { i.Session = "" }), false},
		{"token", revoke.Revocation{Kind: revoke.Token, Name: "t1"}, base, true},
		{"refreshed token", revoke.Revocation{Kind: revoke.Token, Name: "t1"}, with(func(i *revoke.Identity) { i.Token = "t2" }), false},
		{"token, whenever it was issued", revoke.Revocation{Kind: revoke.Token, Name: "t1"}, with(func(i *revoke.Identity) { i.Issued = time.Now().Add(time.Hour) }), true},
	} {
		l := newList(t, revoke.Config{})
		there := connect(t, l, tt.id)
		if err := l.Revoke(context.Background(), tt.r); err != nil {
			t.Fatal(err)
		}
		if there.ended() == 1 != tt.want {
			t.Errorf("%s: ended %d times", tt.name, there.ended())
		}
		if err := l.Check(tt.id); errors.Is(err, revoke.ErrRevoked) != tt.want {
			t.Errorf("%s: Check: %v", tt.name, err)
		}
		if _, err := l.Register(tt.id, func(revoke.Revocation) <-chan struct{} { return nil }); errors.Is(err, revoke.ErrRevoked) != tt.want {
			t.Errorf("%s: Register: %v", tt.name, err)
		}
		other := connect(t, l, revoke.Identity{User: "ben", Issued: issued})
		if err := other.reg.Refresh(tt.id); errors.Is(err, revoke.ErrRevoked) != tt.want {
			t.Errorf("%s: Refresh: %v", tt.name, err)
		}
	}
}

// A refresh moves a connection: the old token's end does not concern it any more, the
// new one's does.
func TestRefreshMoves(t *testing.T) {
	l := newList(t, revoke.Config{})
	c := connect(t, l, ann("t1"))
	if err := c.reg.Refresh(ann("t2")); err != nil {
		t.Fatal(err)
	}
	_ = l.Revoke(context.Background(), revoke.Revocation{Kind: revoke.Token, Name: "t1"})
	if c.ended() != 0 {
		t.Error("ended by its old token")
	}
	if err := c.reg.Refresh(ann("t1")); !errors.Is(err, revoke.ErrRevoked) {
		t.Error("back to a revoked token:", err)
	}
	_ = l.Revoke(context.Background(), revoke.Revocation{Kind: revoke.Token, Name: "t2"})
	if c.ended() != 1 {
		t.Error("not ended by its token")
	}
	if err := c.reg.Refresh(ann("t3")); !errors.Is(err, revoke.ErrRevoked) {
		t.Error("refreshed after its end:", err)
	}
	c.reg.Close()
	if s := l.Stats(); s.Registrations != 0 {
		t.Errorf("%+v", s)
	}
}

// Each connection is ended once, by whatever comes first, and a closed one never.
func TestEndsOnce(t *testing.T) {
	l := newList(t, revoke.Config{})
	var all []*connection
	for n := range 10 {
		all = append(all, connect(t, l, ann(fmt.Sprint(n))))
	}
	all[3].reg.Close()
	all[3].reg.Close()
	for _, r := range []revoke.Revocation{{Kind: revoke.Token, Name: "5"}, {Kind: revoke.Session, Name: "s1"}, {Kind: revoke.User, Name: "ann"}, {Kind: revoke.Token, Name: "3"}} {
		if err := l.Revoke(context.Background(), r); err != nil {
			t.Fatal(err)
		}
	}
	for n, c := range all {
		if want := map[bool]int{true: 0, false: 1}[n == 3]; c.ended() != want {
			t.Errorf("%d ended %d times", n, c.ended())
		}
	}
	if by := all[5].by[0]; by.Kind != revoke.Token || all[6].by[0].Kind != revoke.Session {
		t.Errorf("by %+v and %+v", by, all[6].by[0])
	}
	if s := l.Stats(); s.Registrations != 0 || s.Revocations != 4 {
		t.Errorf("%+v", s)
	}
}

// X37: whenever a connection registers or refreshes while its user is revoked, it is
// refused or ended: none is left.
func TestNothingBetweenCheckAndRegistration(t *testing.T) {
	l := newList(t, revoke.Config{})
	const users, each = 20, 25
	var wg sync.WaitGroup
	var left atomic.Int64
	for u := range users {
		id := revoke.Identity{User: fmt.Sprint(u), Issued: time.Now()}
		old := id
		old.User = fmt.Sprint("old", u)
		for n := range each {
			wg.Go(func() {
				left.Add(1)
				first := id
				if n%2 == 0 {
					first = old
				}
				reg, err := l.Register(first, func(revoke.Revocation) <-chan struct{} { left.Add(-1); return nil })
				if err != nil {
					left.Add(-1)
					return
				}
				if n%2 == 0 && reg.Refresh(id) != nil {
					reg.Close()
					left.Add(-1)
				}
			})
		}
		wg.Go(func() {
			_ = l.Revoke(context.Background(), revoke.Revocation{Kind: revoke.User, Name: id.User})
		})
	}
	wg.Wait()
	if left.Load() != 0 || l.Stats().Registrations != 0 {
		t.Errorf("%d connections are left, %+v", left.Load(), l.Stats())
	}
}

// X51: a revocation lives as long as a token that it may concern, and not longer.
func TestListIsBoundedByLifetime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newList(t, revoke.Config{Lifetime: time.Hour, Max: 100})
		for n := range 100 {
			if err := l.Revoke(context.Background(), revoke.Revocation{Kind: revoke.Token, Name: fmt.Sprint(n)}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		if err := l.Revoke(context.Background(), revoke.Revocation{Kind: revoke.Token, Name: "more"}); !errors.Is(err, revoke.ErrFull) || revoke.WaitOf(err) != time.Hour-100*time.Second {
			t.Error("more than Max:", err, revoke.WaitOf(err))
		}
		if err := l.Revoke(context.Background(), revoke.Revocation{Kind: revoke.Token, Name: "7"}); err != nil {
			t.Error("one that is there:", err)
		}
		time.Sleep(time.Hour - 50*time.Second)
		if err := l.Revoke(context.Background(), revoke.Revocation{Kind: revoke.Token, Name: "more"}); err != nil {
			t.Error("after some have ended:", err)
		}
		if n := l.Stats().Revocations; n < 48 || n > 52 {
			t.Errorf("%d are left", n)
		}
		if err := l.Check(ann("99")); !errors.Is(err, revoke.ErrRevoked) {
			t.Error("the last one:", err)
		}
	})
}

// A later revocation of a user replaces the earlier one, and not the reverse.
func TestLaterRevocationWins(t *testing.T) {
	l := newList(t, revoke.Config{})
	at := func(n int64) time.Time { return time.Unix(1_700_000_000+n, 0) }
	for _, n := range []int64{10, 20, 5} {
		if err := l.Revoke(context.Background(), revoke.Revocation{Kind: revoke.User, Name: "ann", Before: at(n)}); err != nil {
			t.Fatal(err)
		}
	}
	for n, want := range map[int64]bool{5: true, 20: true, 21: false} {
		if err := l.Check(revoke.Identity{User: "ann", Issued: at(n)}); errors.Is(err, revoke.ErrRevoked) != want {
			t.Errorf("issued at %d: %v", n, err)
		}
	}
	if n := l.Stats().Revocations; n != 1 {
		t.Errorf("%d entries", n)
	}
}

func TestWhatCannotBeMeant(t *testing.T) {
	l := newList(t, revoke.Config{})
	for _, r := range []revoke.Revocation{
		{}, {Kind: revoke.User}, {Name: "ann"}, {Kind: 9, Name: "ann"}, {Kind: revoke.Token, Name: strings.Repeat("t", 129)},
		{Kind: revoke.User, Name: "ann", Before: time.Now().Add(time.Hour)}, {Kind: revoke.User, Name: "a\xff"},
	} {
		if err := l.Revoke(context.Background(), r); !errors.Is(err, revoke.ErrRevocation) {
			t.Errorf("%+v: %v", r, err)
		}
	}
	l.Close()
	if err := l.Revoke(context.Background(), revoke.Revocation{Kind: revoke.User, Name: "ann"}); !errors.Is(err, revoke.ErrClosed) {
		t.Error(err)
	}
	if err := l.Check(ann("t")); !errors.Is(err, revoke.ErrClosed) {
		t.Error(err)
	}
}

func Example() {
	list, err := revoke.New(revoke.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer list.Close()

	id := revoke.Identity{User: "ann", Session: "phone", Token: "t1", Issued: time.Now()}
	connection, err := list.Register(id, func(by revoke.Revocation) <-chan struct{} {
		fmt.Println("close the connection: the", by.Kind, "is revoked")
		return nil // it is closed
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer connection.Close()

	if err := list.Revoke(context.Background(), revoke.Revocation{Kind: revoke.Session, Name: "phone"}); err != nil {
		fmt.Println(err)
		return
	}
	_, err = list.Register(id, nil)
	fmt.Println(err)
	// Output:
	// close the connection: the session is revoked
	// revoke: the token was revoked; sign in again
}

// X37: a clock that is ahead does not save its tokens: all connections that are there end,
// and a token of the near future is not used. What is issued behind the leeway is good.
func TestAUserIsRevokedWhateverTheClockOfTheIssuer(t *testing.T) {
	const leeway = 30 * time.Second
	l := newList(t, revoke.Config{Leeway: leeway})
	now := time.Now()
	id := func(ahead time.Duration) revoke.Identity {
		return revoke.Identity{User: "ann", Session: "s", Token: "t", Issued: now.Add(ahead)}
	}
	for _, ahead := range []time.Duration{-time.Minute, 0, leeway - time.Second, leeway} {
		there := connect(t, l, id(ahead))
		if err := l.Revoke(context.Background(), revoke.Revocation{Kind: revoke.User, Name: "ann", Before: now}); err != nil {
			t.Fatal(err)
		}
		if there.ended() != 1 {
			t.Errorf("a connection by a token of %v ahead ended %d times", ahead, there.ended())
		}
		l = newList(t, revoke.Config{Leeway: leeway})
	}
	if err := l.Revoke(context.Background(), revoke.Revocation{Kind: revoke.User, Name: "ann", Before: now}); err != nil {
		t.Fatal(err)
	}
	for ahead, want := range map[time.Duration]error{
		-time.Minute: revoke.ErrRevoked, 0: revoke.ErrRevoked,
		2 * time.Second: revoke.ErrTooSoon, leeway: revoke.ErrTooSoon, leeway + time.Second: nil,
	} {
		err := l.Check(id(ahead))
		if !errors.Is(err, want) {
			t.Errorf("%v ahead: %v instead of %v", ahead, err, want)
		}
		if soon := want == revoke.ErrTooSoon; soon != (revoke.WaitOf(err) > 0) || revoke.WaitOf(err) > leeway+2*time.Second {
			t.Errorf("%v ahead: wait %v", ahead, revoke.WaitOf(err))
		}
	}
	_ = l.Revoke(context.Background(), revoke.Revocation{Kind: revoke.Session, Name: "s"})
	if err := l.Check(id(leeway)); !errors.Is(err, revoke.ErrRevoked) {
		t.Errorf("a token of a session that is revoked too: %v", err)
	}
}
