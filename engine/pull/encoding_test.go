package pull_test

import (
	"encoding/xml"
	"errors"
	"testing"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/pull"
)

type point struct{ X, Y int }

type xmlCodec struct{}

func (xmlCodec) Marshal(v any) ([]byte, error)      { return xml.Marshal(v) }
func (xmlCodec) Unmarshal(data []byte, v any) error { return xml.Unmarshal(data, v) }

func TestValuesAreEncodedAndDecoded(t *testing.T) {
	server, client := pair(t, &engine.Server{}, nil)
	want := point{3, 4}
	if err := pull.WriteJSON(soon(t), client, want); err != nil {
		t.Fatal(err)
	}
	if got, err := pull.ReadJSON[point](soon(t), server); err != nil || got != want {
		t.Error(got, err)
	}
	if err := pull.WriteAs(soon(t), client, engine.Binary, xmlCodec{}, want); err != nil {
		t.Fatal(err)
	}
	if got, err := pull.ReadAs[point](soon(t), server, xmlCodec{}); err != nil || got != want {
		t.Error(got, err)
	}
}

func TestMessageThatCannotBeDecodedIsRead(t *testing.T) {
	server, client := pair(t, &engine.Server{}, nil)
	send(t, client, "{no JSON")
	send(t, client, `{"X": 1, "Y": 2}`)
	var bad *pull.DecodeError
	if _, err := pull.ReadJSON[point](soon(t), server); !errors.As(err, &bad) || string(bad.Data) != "{no JSON" {
		t.Error(err)
	}
	if got, err := pull.ReadJSON[*point](soon(t), server); err != nil || *got != (point{1, 2}) {
		t.Error(got, err)
	}
	if err := pull.WriteJSON(soon(t), client, func() {}); err == nil {
		t.Error("a function was encoded")
	}
}
