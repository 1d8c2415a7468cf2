package service

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
	"github.com/fanloop-go/fanloop/engine/cluster/keyed"
)

// The state of a kind is made once for all who join until a value changes.
func TestStateIsSharedUntilItChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		values, err := keyed.New(nobody{}, keyed.Config{})
		if err != nil {
			t.Fatal(err)
		}
		defer values.Close()
		sub, err := values.Subscribe("lobby", nil)
		if err != nil {
			t.Fatal(err)
		}
		v := &sharedValues{kind: &kind{name: "cursor"}, sub: sub}
		set := func(data string) {
			if err := values.Set("lobby", "a", []byte(data)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
			if _, err := v.read(); err != nil {
				t.Fatal(err)
			}
		}
		one := func(want string) *protocol.Value {
			t.Helper()
			got := v.state().Values
			if len(got) != 1 || string(got[0].Data) != want {
				t.Fatalf("%+v, want %s", got, want)
			}
			return &got[0]
		}
		set("1")
		first := one("1")
		if again := one("1"); again != first {
			t.Error("made again though nothing has changed")
		}
		set("2")
		one("2")
	})
}
